#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/run.h"

namespace baton::sim {

constexpr Duration at_ms(double ms) {
    return std::chrono::microseconds(static_cast<int64_t>((ms * 1000) + 0.5));
}

inline constexpr std::string_view pre_and_post_hooks =
    R"("PreFailoverProcesses": ["pre"], "PostFailoverProcesses": ["post"])";

/// Sets the manager's configuration; `members` are more keys, as JSON members.
inline void configure(Story& s, std::string_view members) {
    s.layout.configuration = R"({"ProviderType": "postgresql", "RecoverMasterClusterFilters": ["*"],
        "RecoverIntermediateMasterClusterFilters": ["*"], "RecoveryPeriodBlockSeconds": )" +
                             std::to_string(s.layout.recovery_block_s);
    if (!members.empty()) s.layout.configuration.append(", ").append(members);
    s.layout.configuration += "}";
}

inline Story story(uint64_t seed, std::vector<Layout::Member> standbys, Duration write_pause, int block_s,
                   double faults_end_ms, std::vector<Fault> faults) {
    Story s{.seed = seed, .layout = {.standbys = std::move(standbys)}, .faults = std::move(faults)};
    s.layout.write_pause = write_pause;
    s.layout.recovery_block_s = block_s;
    configure(s, {});
    s.faults_end = at_ms(faults_end_ms);
    for (size_t i = 0; i < s.faults.size(); ++i)
        s.faults[i].number = static_cast<int>(i) + 1;
    return s;
}

inline Layout::Member standby(const std::string& name, const std::string& upstream = {}) {
    Layout::Member m;
    m.name = name;
    m.upstream = upstream;
    return m;
}

inline Layout::Member without_slot(Layout::Member m) {
    m.slot = false;
    return m;
}

inline Layout::Member diverged(Layout::Member m) {
    m.diverged = true;
    return m;
}

/// `at` and `lasts` in milliseconds; `lasts` 0 = until the end of all faults.
inline Fault fault(FaultKind kind, double at, double lasts, std::string target, std::string other = {}) {
    return {.kind = kind,
            .at = at_ms(at),
            .lasts = at_ms(lasts),
            .target = std::move(target),
            .other = std::move(other)};
}

inline Fault after(Trigger trigger, Fault f) {
    f.trigger = trigger;
    return f;
}

/// So many steps of the world after the first recovery was written down.
inline Fault after_steps(uint64_t steps, Fault f) {
    f.trigger = Trigger::recovery;
    f.steps = steps;
    return f;
}

/// Of a partition, a ring or a host that is cut off from some.
inline Fault between(std::vector<std::string> group, Fault f) {
    f.group = std::move(group);
    return f;
}

inline void expect_no_violation(const Story& s) {
    const auto outcome = run(s, {.keep_trace = true});
    for (const auto& v : outcome.violations)
        ADD_FAILURE() << s.text() << v.checker << ": " << v.text << "\n" << outcome.trace;
}

}  // namespace baton::sim
