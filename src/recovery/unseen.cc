// A primary that its agent keeps down, and that no manager of this life has seen lead: the record is lost, or
// is an old one. Its agents, and those of its standbys, know enough to tell whether it led last
// (docs/fencing.md, "The record is lost").
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "recovery/impl.h"

namespace baton::recovery {
namespace {

topology::Timeline newest_timeline(const topology::Instance* i, const agent::Seen* seen) {
    topology::Timeline newest = i != nullptr && i->seen ? i->seen->timeline : 0;
    if (seen == nullptr) return newest;
    const auto& control = seen->status.control;
    return std::max({newest, control.timeline, control.minimum_recovery_end_timeline});
}

std::string obstacle_of(const agent::Status& says, int crash_loop) {
    if (says.job) return fmt::format("a {} of it is under way", says.job->verb);
    if (!says.quarantine.empty()) return fmt::format("it is in quarantine ({})", says.quarantine);
    if (says.crashes >= crash_loop)
        return fmt::format("it failed {} times in a row ({})", says.crashes, says.last_failure);
    return {};
}

}  // namespace

plan::MemberWord Impl::word_on(const topology::Cluster& cluster, const topology::Instance* i,
                               const agent::Seen* seen) const {
    plan::MemberWord word{.key = i != nullptr ? i->key : seen->status.key,
                          .timeline = newest_timeline(i, seen)};
    // An answer of this life counts; what was known before it does not.
    if (i != nullptr && i->health.ok() && i->seen) {
        word.leads = i->is_primary();
        word.standby = i->is_standby();
    }
    if (seen == nullptr || !seen->connected) return word;
    const auto& says = seen->status;
    word.agent = true;
    word.kept_down = says.state == agent::ServerState::down && says.hold != agent::Hold::none;
    word.standby = word.standby || says.standby_signal;
    word.no_standby = !says.standby_signal && says.state != agent::ServerState::no_data;
    word.obstacle = obstacle_of(says, options_.analysis.crash_loop);
    if (!says.lease.on) return word;
    word.promotable.emplace();
    for (const auto& key : says.lease.promotable) {
        const auto* member = cluster.find(key);
        word.promotable->push_back(member != nullptr ? member->key : key);
    }
    return word;
}

/// Who led last, from all that is known of this cluster's members, found by looking or by registration.
std::optional<plan::LastLeader> Impl::last_leader(const topology::Cluster& cluster) const {
    std::vector<plan::MemberWord> members;
    std::vector<InstanceKey> followed;
    for (const auto& i : cluster.instances) {
        members.push_back(word_on(cluster, i.get(), agents_.of(i->key)));
        if (i->upstream && !i->upstream_known) followed.push_back(*i->upstream);
    }
    for (const auto& seen : agents_.all()) {
        if (seen.status.system_identifier == cluster.id && cluster.find(seen.status.key) == nullptr)
            members.push_back(word_on(cluster, nullptr, &seen));
    }
    return plan::last_leader(members, followed);
}

/// Somebody saw it lead, or the record says whom a lease binds.
bool Impl::is_known_to_lead(const topology::Cluster& cluster, const topology::Instance& primary) const {
    if (primary.health.last_answer != MonoTime{}) return true;
    const auto* guard = guard_of(cluster);
    return guard != nullptr && guard->primary == primary.key;
}

/// Whose agent keeps it down, whom nobody saw lead, and who may be started all the same. What is missing for
/// that is told once.
const topology::Instance* Impl::unseen_leader(Watched& watched) {
    const auto& cluster = *watched.snapshot;
    // Agents that were cut off register within this.
    if (clock_.now() - started_ < agent_grace) return nullptr;
    const auto last = last_leader(cluster);
    const auto* leader = last ? cluster.find(last->key) : nullptr;
    if (leader == nullptr) return nullptr;
    if (last->missing.empty()) {
        watched.missing.clear();
        return leader;
    }
    const auto* seen = agents_.of(leader->key);
    if (seen == nullptr || seen->status.in_state < agent_grace) return nullptr;
    if (std::exchange(watched.missing, last->missing) == last->missing) return nullptr;
    const auto text = fmt::format(
        "is kept down by its agent, and is not started, since no manager of this life saw it lead: {}; who "
        "knows that nobody was promoted in its place runs `baton agent --release` on {} and starts it",
        last->missing, seen->host);
    audit("not-started", leader->key, cluster.name, text);
    spdlog::warn("{} (cluster {}): {}", leader->key.text(), cluster.name, text);
    return nullptr;
}

}  // namespace baton::recovery
