#include "sim/shrink.h"

#include <algorithm>
#include <functional>

namespace baton::sim {
namespace {

bool is_named(const Story& s, const std::string& name) {
    const auto by_fault = [&](const Fault& f) {
        return f.target == name || f.other == name || std::ranges::find(f.group, name) != f.group.end();
    };
    const auto by_member = [&](const Layout::Member& m) { return m.upstream == name; };
    return std::ranges::any_of(s.faults, by_fault) || std::ranges::any_of(s.layout.standbys, by_member);
}

class Shrinking {
  public:
    Shrinking(Story story, int tries) : best_(std::move(story)), tries_(tries) {
        const auto outcome = run(best_);
        if (outcome.failed()) checker_ = outcome.violations.front().checker;
    }

    Story shortest() {
        if (checker_.empty()) return best_;
        bool shorter = true;
        while (shorter && tries_ > 0)
            shorter = fewer_faults() || plainer_layout() || shorter_faults();
        return best_;
    }

  private:
    bool keep_if_it_fails(const Story& candidate) {
        if (tries_-- <= 0) return false;
        const auto outcome = run(candidate);
        const auto same = [&](const Violation& v) { return v.checker == checker_; };
        if (!std::ranges::any_of(outcome.violations, same)) return false;
        best_ = candidate;
        return true;
    }

    bool fewer_faults() {
        for (size_t i = 0; i < best_.faults.size(); ++i) {
            auto candidate = best_;
            candidate.faults.erase(candidate.faults.begin() + static_cast<std::ptrdiff_t>(i));
            if (keep_if_it_fails(candidate)) return true;
        }
        return false;
    }

    bool change(const std::function<bool(Story&)>& change) {
        auto candidate = best_;
        return change(candidate) && keep_if_it_fails(candidate);
    }

    template <class T>
    static bool set(T& what, const T& to) {
        if (what == to) return false;
        what = to;
        return true;
    }

    bool plainer_layout() {
        const Layout plain;
        return change([](Story& s) {
                   if (s.layout.standbys.size() < 2 || is_named(s, s.layout.standbys.back().name))
                       return false;
                   s.layout.standbys.pop_back();
                   return true;
               }) ||
               change([](Story& s) { return set(s.layout.router, false); }) ||
               change([](Story& s) { return set(s.layout.manager_drift_ppm, 0); }) ||
               change([](Story& s) { return set(s.layout.synchronous, std::string{}); }) ||
               change(
                   [&](Story& s) { return set(s.layout.receiver_timeout_ms, plain.receiver_timeout_ms); }) ||
               std::ranges::any_of(indices(best_.layout.standbys.size()), [&](size_t i) {
                   return change([&](Story& s) {
                              return set(s.layout.standbys[i].rule, std::string("neutral"));
                          }) ||
                          change(
                              [&](Story& s) { return set(s.layout.standbys[i].replay_takes, Duration{}); }) ||
                          change([&](Story& s) { return set(s.layout.standbys[i].apply_delay_ms, 0); });
               });
    }

    bool shorter_faults() {
        return std::ranges::any_of(indices(best_.faults.size()), [&](size_t i) {
            return change([&](Story& s) {
                auto& lasts = s.faults[i].lasts;
                if (lasts <= milliseconds(10)) return false;
                lasts /= 2;
                return true;
            });
        });
    }

    static std::vector<size_t> indices(size_t count) {
        std::vector<size_t> all(count);
        for (size_t i = 0; i < count; ++i)
            all[i] = i;
        return all;
    }

    Story best_;
    int tries_;
    std::string checker_;
};

}  // namespace

Story shrink(const Story& story, int tries) {
    return Shrinking(story, tries).shortest();
}

}  // namespace baton::sim
