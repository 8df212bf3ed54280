#include "sim/checkers/checker.h"

#include <algorithm>

#include "sim/checkers/list.h"

namespace baton::sim {

bool Checker::tells_of_promotion(const store::RecoveryStep& step, const Server& s) const {
    constexpr std::string_view verb = "promote ";
    if (!step.deed.starts_with(verb)) return false;
    const auto key = topology::parse_instance_key(step.deed.substr(verb.size()), 0);
    return key && world().find(*key) == &s;
}

void Checker::violated(std::string text) {
    if (std::ranges::find(told_, text) != told_.end()) return;
    told_.push_back(text);
    world().trace().note("checker", std::string(name_) + ": " + text);
    examined_.violations.push_back({std::string(name_), world().now(), std::move(text)});
}

const std::vector<CheckerInfo>& checkers() {
    static const std::vector<CheckerInfo> all{
        one_history, no_lost_rows, no_false_failover, converges, explained, bounded, one_recovery_at_a_time,
        wishes,      moves,        outcomes,          fenced};
    return all;
}

}  // namespace baton::sim
