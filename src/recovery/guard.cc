// Between failovers: which lease each primary has, what of it is on record, who is ended when he comes back,
// and who is started again because nobody takes his place (docs/fencing.md).
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "base/async.h"
#include "base/defect.h"
#include "recovery/impl.h"

namespace baton::recovery {
namespace {

/// An agent that does not acknowledge gets no more to choose from.
constexpr size_t unacknowledged_limit = 8;
constexpr seconds fence_pause{5};
constexpr seconds start_pause{10};
/// What keeps being down although nobody is about to replace it is started after this.
constexpr seconds start_after{3};
constexpr milliseconds start_deadline{60000};
constexpr milliseconds short_deadline{5000};

bool has(const std::vector<agent::Member>& members, const InstanceKey& key) {
    return std::ranges::find(members, key, &agent::Member::key) != members.end();
}

bool same_content(const agent::Grant& a, const agent::Grant& b) {
    return a.on == b.on && a.lease == b.lease && a.promotable == b.promotable;
}

bool left_alone(const topology::Instance& i) {
    return i.maintenance || (i.downtime && i.downtime->reason != lost_in_recovery);
}

}  // namespace

/// Something of an agent changed. Whom a recovery is about to replace gets no answer to this very heartbeat,
/// even if it is the first that is heard of that agent.
void Impl::on_agent(const InstanceKey& key) {
    hears_agents_ = true;
    for (const auto& held : withheld_) {
        const auto* seen = agents_.of(held);
        if (seen != nullptr && seen->status.key == key) agents_.withhold(held, true);
    }
}

void Impl::keep_guard(Watched& watched) {
    if (!hears_agents_ || !watched.snapshot) return;
    const auto* primary = watched.snapshot->primary();
    if (primary != nullptr && primary->health.ok()) watched.held_off_for = {};
    end_former_primaries(watched);
    if (may_grant(watched)) keep_grant(watched);
    if (!watched.recovering) keep_running(watched);
}

// ---- Leases

/// While somebody is being replaced nothing changes. Who leads a switchover stops the old primary by hand,
/// and may have to start it again.
bool Impl::may_grant(const Watched& watched) const {
    if (!watched.snapshot || stopped_) return false;
    if (!watched.recovering) return true;
    const auto* running = store_.state().running_recovery(watched.snapshot->id);
    return running != nullptr && running->kind == switchover_kind;
}

/// Could it ever be chosen? Whether it is well now plays no part: its agent can vouch while it is not.
bool Impl::could_take_over(const topology::Instance& i) const {
    if (i.is_primary() || i.promotion_rule == topology::PromotionRule::must_not || left_alone(i))
        return false;
    if (i.seen && i.seen->settings.recovery_min_apply_delay_ms > 0) return false;
    return !(options_.plan.ignored_for_promotion && options_.plan.ignored_for_promotion(i.key));
}

/// The lease that its primary should have now. Off: somebody who could take over has no agent that vouches.
agent::Grant Impl::wanted_grant(const Watched& watched, const topology::Instance& primary) const {
    agent::Grant grant{.on = true, .lease = options_.lease, .promotable = {}};
    const auto* guard = guard_of(*watched.snapshot);
    const auto before = [&](const InstanceKey& key) -> std::optional<std::string> {
        if (watched.granted && watched.granted_to == primary.key) {
            const auto at = std::ranges::find(watched.granted->promotable, key, &agent::Member::key);
            return at == watched.granted->promotable.end() ? std::nullopt : std::optional(at->agent_address);
        }
        if (guard == nullptr || guard->primary != primary.key) return std::nullopt;
        const auto at = std::ranges::find(guard->members, key, &store::Guard::Member::key);
        return at == guard->members.end() ? std::nullopt : std::optional(at->agent_address);
    };
    for (const auto& i : watched.snapshot->instances) {
        if (i.get() == &primary || !could_take_over(*i)) continue;
        const auto* seen = agents_.of(i->key);
        if (seen != nullptr && seen->connected && !seen->peer_address.empty()) {
            grant.promotable.push_back({i->key, seen->peer_address});
            continue;
        }
        const auto known = before(i->key);
        const auto heard = seen != nullptr ? std::max(seen->heard, started_) : started_;
        if (known && clock_.now() - heard < agent_grace) {
            grant.promotable.push_back({i->key, *known});
        } else if (i->health.ok()) {
            grant.on = false;
        }
    }
    if (!grant.on) grant.promotable.clear();
    std::ranges::sort(grant.promotable, {}, &agent::Member::key);
    return grant;
}

/// What all grants say that may be in force once `next` is among them. What was given and did not go out yet
/// may do so at any time.
store::Guard Impl::narrowed(const Watched& watched, const topology::Instance& primary,
                            const agent::Seen& seen, const agent::Grant& next) const {
    const auto& log = seen.grants;
    const auto* known = guard_of(*watched.snapshot);
    const auto* before =
        !log.heard() && known != nullptr && known->primary == primary.key && known->on ? known : nullptr;
    const auto* given = watched.granted && watched.granted_to == primary.key ? &*watched.granted : nullptr;
    const auto promotable = [&](const InstanceKey& key) {
        if (!log.promotable(key)) return false;
        if (before != nullptr &&
            std::ranges::find(before->members, key, &store::Guard::Member::key) == before->members.end())
            return false;
        return given == nullptr || !given->on || has(given->promotable, key);
    };
    store::Guard guard{.primary = primary.key,
                       .on = next.on || log.on() || before != nullptr || (given != nullptr && given->on),
                       .certain = next.on &&
                                  (log.heard() ? log.certain() : before != nullptr && before->certain) &&
                                  (given == nullptr || given->on),
                       .lease_ms = std::max(next.lease, log.lease()).count(),
                       .members = {}};
    if (before != nullptr) guard.lease_ms = std::max(guard.lease_ms, before->lease_ms);
    const auto add = [&](const InstanceKey& key, const std::string& address) {
        const bool there =
            std::ranges::find(guard.members, key, &store::Guard::Member::key) != guard.members.end();
        if (!there && promotable(key) && (!next.on || has(next.promotable, key)))
            guard.members.push_back({key, address});
    };
    for (const auto& m : next.promotable)
        add(m.key, m.agent_address);
    for (const auto& m : log.last_acknowledged().promotable)
        add(m.key, m.agent_address);
    if (before != nullptr) {
        for (const auto& m : before->members)
            add(m.key, m.agent_address);
    }
    return guard;
}

/// The agent has acknowledged what was given last: the record may say so in full.
void Impl::record_acknowledged(const Watched& watched, const topology::Instance& primary,
                               const agent::Seen& seen) {
    const auto& log = seen.grants;
    if (!log.heard() || log.pending() > 0 || !same_content(log.last_acknowledged(), *watched.granted)) return;
    const auto guard = narrowed(watched, primary, seen, *watched.granted);
    const auto* known = guard_of(*watched.snapshot);
    if (known == nullptr || *known != guard) store_.apply(store::PutGuard{watched.snapshot->id, guard});
}

void Impl::keep_grant(Watched& watched) {
    const auto* primary = watched.snapshot->primary();
    if (primary == nullptr || watched.granting) return;
    const auto* seen = agent::connected(agents_, primary->key);
    // A server that is kept down, or that its agent takes for a standby, is bound by nothing.
    if (seen == nullptr || seen->status.hold != agent::Hold::none || seen->status.standby_signal) return;
    if (doubtful(*watched.snapshot)) return;
    withhold(primary->key, false);
    const auto wanted = wanted_grant(watched, *primary);
    if (watched.granted && watched.granted_to == primary->key && same_content(*watched.granted, wanted) &&
        watched.granted_by == agents_.epoch()) {
        record_acknowledged(watched, *primary, *seen);
        return;
    }
    const auto* known = guard_of(*watched.snapshot);
    const bool never_on = !wanted.on && !seen->grants.on() && (known == nullptr || !known->on);
    if (never_on && known == nullptr && !watched.granted) return;
    if (seen->grants.pending() >= unacknowledged_limit) return;
    watched.granting = true;
    spawn(clock_.executor(), give_grant(watched.snapshot->id, primary->key, wanted));
}

/// The record first: after a restart it tells whom the agent may count on.
Task<void> Impl::give_grant(std::string id, InstanceKey key, agent::Grant grant) {
    const auto self = shared_from_this();
    const auto ready = [&]() -> const topology::Instance* {
        const auto at = watched_.find(id);
        if (at == watched_.end() || !may_grant(at->second)) return nullptr;
        return agents_.of(key) != nullptr ? at->second.snapshot->find(key) : nullptr;
    };
    Result<void> written;
    if (const auto* primary = ready()) {
        const auto& watched = watched_[id];
        const auto guard = narrowed(watched, *primary, *agents_.of(key), grant);
        const auto* known = guard_of(*watched.snapshot);
        if (known == nullptr || *known != guard)
            written = co_await store_.apply_durably(store::PutGuard{id, guard});
    }
    const auto at = watched_.find(id);
    if (at == watched_.end() || stopped_) co_return;
    auto& watched = at->second;
    watched.granting = false;
    if (!written) {
        spdlog::error("{}: the lease stays as it is: {}", key.text(), written.error().text());
        co_return;
    }
    if (ready() == nullptr) co_return;
    const bool was_on = watched.granted && watched.granted_to == key && watched.granted->on;
    if (was_on != grant.on) {
        spdlog::info("{}: the lease is {}", key.text(),
                     grant.on ? "on" : "off: a standby that could take over has no agent that vouches");
    }
    watched.granted = grant;
    watched.granted_to = key;
    watched.granted_by = agents_.epoch();
    agents_.grant(key, grant);
    keep_grant(watched);
}

// ---- On return

/// Its own word that it leads may come before the answer to the one who asked.
bool Impl::was_asked_to_lead(const store::Recovery& r, const topology::Instance& i) const {
    const auto steps = store_.state().steps.find(r.uid);
    if (steps == store_.state().steps.end()) return false;
    return std::ranges::any_of(steps->second, [&](const store::RecoveryStep& step) {
        if (!step.deed.starts_with("promote ")) return false;
        const auto key = topology::parse_instance_key(step.deed.substr(8), 0);
        return key && i.known_as(*key);
    });
}

/// Did a recovery put somebody else in its place, and nobody put it back since?
bool Impl::was_replaced(const topology::Cluster& cluster, const topology::Instance& i) const {
    for (auto at = store_.state().recoveries.rbegin(); at != store_.state().recoveries.rend(); ++at) {
        const auto& r = at->second;
        if (r.cluster_id != cluster.id || r.kind == "intermediate") continue;
        // A switchover looks after the old primary and the new one by itself; and whom a recovery has just
        // asked to lead was replaced once, perhaps, and is not now.
        const bool running = r.state == store::RecoveryState::running;
        if (running && (r.kind == switchover_kind || was_asked_to_lead(r, i))) return false;
        if (!r.successor) continue;
        if (i.known_as(*r.successor)) return false;
        if (i.known_as(r.failed)) return true;
    }
    return false;
}

/// It was started with standby.signal and has not answered since: what is known of its role is of the time
/// before.
bool Impl::starts_as_standby(const topology::Instance& i, const agent::Seen& seen) {
    if (!seen.status.standby_signal) return false;
    switch (seen.status.state) {
        case agent::ServerState::down:
        case agent::ServerState::starting:
        case agent::ServerState::stopping:
            return true;
        default:
            return i.health.last_answer < seen.heard - seen.status.in_state;
    }
}

/// A former primary that comes back with its agent is ended before anything else: on its older branch it
/// would take writes that nobody else has. One that is only kept down must stay so until it has a new role.
void Impl::end_former_primaries(Watched& watched) {
    const auto& cluster = *watched.snapshot;
    const auto* leader = cluster.primary();
    for (const auto& i : cluster.instances) {
        const auto* seen = agent::connected(agents_, i->key);
        if (seen == nullptr || i.get() == leader) continue;
        if (i->is_standby() && seen->status.standby_signal) {
            // What bound it as a primary does so no more.
            withhold(i->key, false);
            if (seen->grants.on())
                agents_.grant(i->key, {.on = false, .lease = options_.lease, .promotable = {}});
            continue;
        }
        if (seen->status.hold == agent::Hold::fenced) {
            // No lease lets it run again: its agent need not be left without answers any longer.
            if (!watched.recovering) withhold(i->key, false);
            continue;
        }
        if (seen->status.job || starts_as_standby(*i, *seen)) continue;
        if (seen->status.state == agent::ServerState::no_data || !was_replaced(cluster, *i)) continue;
        withhold(i->key, true);
        auto& last = watched.fenced_at[i->key];
        if (last != MonoTime{} && clock_.now() - last < fence_pause) continue;
        last = clock_.now();
        spawn(clock_.executor(), end_former_primary(i->key, cluster.name));
    }
}

Task<void> Impl::end_former_primary(InstanceKey key, std::string cluster_name) {
    const auto self = shared_from_this();
    const auto done = co_await order(key, agent::Verb::fence, options_.fence_deadline);
    const auto failure = done ? done->error : std::optional(done.error());
    if (stopped_) co_return;
    audit("fence", key, cluster_name,
          failure
              ? "is a former primary and could not be stopped by its agent: " + failure->text()
              : "is a former primary: its agent has stopped it and keeps it down until it has a new role");
}

// ---- Nobody takes its place

/// Why it should be started again; nothing: it should not, or not yet.
std::optional<std::string> Impl::reason_to_start(Watched& watched, const topology::Instance& primary,
                                                 const agent::Seen& seen) {
    const auto& says = seen.status;
    const bool held = says.hold == agent::Hold::down ||
                      (says.hold == agent::Hold::fenced && stopped_in_vain(*watched.snapshot, primary));
    if (says.state != agent::ServerState::down || !held || says.job || !says.quarantine.empty() ||
        says.standby_signal)
        return std::nullopt;
    if (says.crashes >= options_.analysis.crash_loop || left_alone(primary)) return std::nullopt;
    if (was_replaced(*watched.snapshot, primary)) return std::nullopt;
    if (clock_.now() - started_ < options_.start_delay || says.in_state < start_after) return std::nullopt;
    if (doubtful(*watched.snapshot)) return std::nullopt;
    const auto at = std::ranges::find_if(watched.problems, [&](const Problem& p) {
        return p.instance == primary.key &&
               analysis::info(p.code).action == analysis::Action::recover_primary;
    });
    if (at == watched.problems.end()) return "it is down, and nothing else mends that";
    if (!at->held_back.empty()) return at->held_back;
    return gate(*watched.snapshot, watched, *at);
}

/// Somebody was asked to promote itself, and nobody knows whether it did.
bool Impl::doubtful(const topology::Cluster& cluster) const {
    return std::ranges::any_of(store_.state().recoveries, [&](const auto& row) {
        return row.second.cluster_id == cluster.id && in_doubt(row.second);
    });
}

/// `primary`; or who was asked to lead in its place and is kept down, and did not come down as a standby: he
/// led. Null: it is not known what became of the one who was asked. That its port refuses proves nothing.
const topology::Instance* Impl::who_was_to_lead(const topology::Cluster& cluster,
                                                const topology::Instance& primary) const {
    const auto& recoveries = store_.state().recoveries;
    for (auto at = recoveries.rbegin(); at != recoveries.rend(); ++at) {
        const auto& r = at->second;
        if (r.cluster_id != cluster.id || r.kind == "intermediate") continue;
        if (r.successor && primary.known_as(*r.successor)) return &primary;
        if (!primary.known_as(r.failed)) continue;
        for (const auto& i : cluster.instances) {
            if (i.get() == &primary || !was_asked_to_lead(r, *i)) continue;
            const auto* seen = agent::connected(agents_, i->key);
            if (i->health.ok() || (seen != nullptr && seen->status.standby_signal)) continue;
            return kept_down(cluster, i->key) ? i.get() : nullptr;
        }
    }
    return &primary;
}

/// The agent of a dead primary keeps it down so that somebody else can be promoted at once. Where that is not
/// to be, a crash costs a restart and not an outage. One that somebody stopped in order is not started, but
/// he may.
void Impl::keep_running(Watched& watched) {
    const auto* primary = watched.snapshot->primary();
    // Who was not seen alive by us may have been replaced before our time, unless the record says otherwise.
    const bool unseen = primary == nullptr || !is_known_to_lead(*watched.snapshot, *primary);
    if (unseen) primary = unseen_leader(watched);
    if (primary != nullptr) primary = who_was_to_lead(*watched.snapshot, *primary);
    const auto* seen = primary != nullptr ? agent::connected(agents_, primary->key) : nullptr;
    if (seen == nullptr) return;
    auto why = reason_to_start(watched, *primary, *seen);
    if (!why) return;
    if (unseen) *why += "; all members are there, and none was promoted in its place";
    auto& last = watched.started_at[primary->key];
    if (last != MonoTime{} && clock_.now() - last < start_pause) return;
    last = clock_.now();
    if (seen->status.control.shut_down()) {
        spawn(clock_.executor(), let_start(primary->key, watched.snapshot->name, *why));
    } else {
        spawn(clock_.executor(), start_again(primary->key, watched.snapshot->name, *why));
    }
}

Task<void> Impl::start_again(InstanceKey key, std::string cluster_name, std::string why) {
    const auto self = shared_from_this();
    // start does not lift what was stopped because it might be replaced.
    const auto* seen = agents_.of(key);
    if (seen != nullptr && seen->status.hold == agent::Hold::fenced)
        co_await order(key, agent::Verb::unfence, short_deadline);
    const auto done = co_await order(key, agent::Verb::start, start_deadline);
    const auto failure = done ? done->error : std::optional(done.error());
    if (stopped_) co_return;
    audit("start", key, cluster_name,
          fmt::format("{}: {}", why,
                      failure ? "its agent could not start it again: " + failure->text()
                              : std::string("its agent was asked to start it again")));
    spdlog::warn("{} (cluster {}): is started again by its agent: {}", key.text(), cluster_name, why);
}

Task<void> Impl::let_start(InstanceKey key, std::string cluster_name, std::string why) {
    const auto self = shared_from_this();
    const auto done = co_await order(key, agent::Verb::unfence, short_deadline);
    const auto failure = done ? done->error : std::optional(done.error());
    if (stopped_) co_return;
    audit("unfence", key, cluster_name,
          failure ? "was shut down in order, and its agent could not be told that it may be started: " +
                        failure->text()
                  : fmt::format("was shut down in order, and may be started by whoever did it ({})", why));
}

}  // namespace baton::recovery
