#pragma once

#include <string>
#include <vector>

#include "sim/clock.h"

namespace baton::sim {

inline double in_ms(Duration d) {
    return static_cast<double>(to_us(d)) / 1000.0;
}

/// What happened in the world, line by line, with virtual milliseconds since mark().
class Trace {
  public:
    explicit Trace(const Scheduler& scheduler) : scheduler_(scheduler) {}

    /// Begins the story here: earlier lines are dropped, and this is time 0.
    void mark();
    /// Ids that differ from run to run are masked.
    void note(const std::string& who, const std::string& what);
    const std::vector<std::string>& lines() const { return lines_; }
    std::string text() const;
    /// FNV-1a over the text.
    uint64_t hash() const;
    bool contains(std::string_view part) const;
    int count(std::string_view part) const;

  private:
    const Scheduler& scheduler_;
    MonoTime begin_{};
    std::vector<std::string> lines_;
};

}  // namespace baton::sim
