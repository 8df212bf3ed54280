#pragma once

#include <cstdint>
#include <string_view>

#include "base/time.h"

namespace baton::sim {

/// Numbers from a seed, the same on every machine and with every standard library. Each part of the world
/// draws from a stream of its own, so that one that draws more does not change what the others get.
class Random {
  public:
    Random(uint64_t seed, std::string_view purpose) : state_(seed) {
        for (const char c : purpose)
            state_ = (state_ ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
        next();
    }
    uint64_t next() {
        uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
        return z ^ (z >> 31);
    }
    /// Both ends included; in steps of a microsecond.
    Duration between(Duration least, Duration most) {
        const auto span = static_cast<uint64_t>(to_us(most - least)) + 1;
        return least + std::chrono::microseconds(static_cast<int64_t>(next() % span));
    }
    bool chance(int percent) { return next() % 100 < static_cast<uint64_t>(percent); }

  private:
    uint64_t state_;
};

}  // namespace baton::sim
