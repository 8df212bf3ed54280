#pragma once

#include <map>
#include <string>

#include "base/time.h"

namespace baton {

/// What may be logged of somebody who fails in the same way every second: each thing once in a while. One
/// thread.
class QuietLog {
  public:
    explicit QuietLog(Duration once_in) : once_in_(once_in) {}

    /// True: say it. `where` tells places apart, and `what` the things that are said of one.
    bool may(const std::string& where, const std::string& what, MonoTime now) {
        for (auto& [place, said] : places_)
            std::erase_if(said, [&](const auto& s) { return now - s.second >= once_in_; });
        std::erase_if(places_, [](const auto& p) { return p.second.empty(); });
        if (places_.size() >= most_places && !places_.contains(where)) return false;
        auto& said = places_[where];
        return said.size() < most_of_a_place && said.emplace(what, now).second;
    }

  private:
    static constexpr size_t most_places = 1000;
    static constexpr size_t most_of_a_place = 8;

    const Duration once_in_;
    std::map<std::string, std::map<std::string, MonoTime>> places_;
};

}  // namespace baton
