#include "plan/rewire.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "analysis/wording.h"
#include "base/defect.h"

namespace baton::plan {
namespace {

using analysis::bytes_text;
using topology::Ancestry;

struct Move {
    const Cluster& cluster;
    const Instance& replica;
    const Instance& upstream;
    const Policy& policy;
};

using Reason = std::optional<std::string>;

Reason replica_not_a_standby(const Move& m) {
    if (m.replica.is_standby()) return std::nullopt;
    return m.replica.key.text() + " is a primary; make it a standby first";
}

Reason silent(const Move& m) {
    for (const auto* i : {&m.replica, &m.upstream}) {
        if (answers(*i)) continue;
        return fmt::format("{} does not answer ({})", i->key.text(), topology::to_string(i->health.reach));
    }
    return std::nullopt;
}

Reason other_system(const Move& m) {
    if (m.replica.seen->system_identifier == m.upstream.seen->system_identifier) return std::nullopt;
    return fmt::format("their system identifiers differ: {} and {}", m.replica.seen->system_identifier,
                       m.upstream.seen->system_identifier);
}

Reason other_major_version(const Move& m) {
    if (major_version(m.replica) == major_version(m.upstream)) return std::nullopt;
    return fmt::format("their major versions differ: {} and {}", major_version(m.replica),
                       major_version(m.upstream));
}

Reason off_the_timeline(const Move& m) {
    if (defect("follow-diverged")) return std::nullopt;
    const auto& mine = *m.replica.seen;
    const auto& theirs = *m.upstream.seen;
    const auto how = m.cluster.ancestry_of(m.replica, m.upstream);
    if (how == Ancestry::diverged) {
        return fmt::format("it is at {} on timeline {}, past the fork to timeline {}: rewind it first",
                           mine.received.text(), mine.timeline, theirs.timeline);
    }
    if (how == Ancestry::foreign) {
        return fmt::format(
            "it is on timeline {}, which is not in the history of timeline {}: rewind it first",
            mine.timeline, theirs.timeline);
    }
    const auto& target = mine.settings.recovery_target_timeline;
    if (how == Ancestry::same || target.empty() || target == "latest") return std::nullopt;
    return fmt::format(
        "its recovery_target_timeline is {}, so it stays on timeline {}; set it to latest and restart it",
        target, mine.timeline);
}

/// A primary is never behind its own tree; a standby that streams will catch up, within the limit; another
/// will not.
Reason upstream_behind(const Move& m) {
    if (m.upstream.is_primary() && m.cluster.is_below(m.replica.key, m.upstream.key)) return std::nullopt;
    const auto missing = topology::bytes_ahead(m.replica.seen->end_of_records(), position_of(m.upstream));
    if (missing == 0) return std::nullopt;
    const bool catches_up = m.upstream.is_standby() && m.upstream.seen->receiving();
    const auto limit = m.policy.reasonable_move_lag_bytes;
    if (catches_up && (limit == 0 || missing <= limit)) return std::nullopt;
    return fmt::format("{} is behind: it lacks {} that {} has", m.upstream.key.text(), bytes_text(missing),
                       m.replica.key.text());
}

Reason lagging(const Move& m) {
    const auto behind = m.replica.lag.receive_bytes.value_or(0);
    const auto limit = m.policy.reasonable_move_lag_bytes;
    if (limit == 0 || behind <= limit) return std::nullopt;
    return fmt::format("it lags by {}, {} are allowed", bytes_text(behind), bytes_text(limit));
}

constexpr std::array guards{replica_not_a_standby, silent,          other_system, other_major_version,
                            off_the_timeline,      upstream_behind, lagging};

std::unexpected<Error> unknown_instance(const InstanceKey& key) {
    return fail(ErrorKind::not_found, "unknown instance; discover it first", key.text());
}

}  // namespace

std::optional<Error> objection_to_follow(const Cluster& cluster, const InstanceKey& replica_name,
                                         const InstanceKey& upstream_name, const Policy& policy) {
    const auto* replica = cluster.find(replica_name);
    const auto* upstream = cluster.find(upstream_name);
    if (replica == nullptr) return unknown_instance(replica_name).error();
    if (upstream == nullptr) return unknown_instance(upstream_name).error();
    const auto pair =
        fmt::format("{} cannot replicate from {}. Reason: ", replica->key.text(), upstream->key.text());
    if (replica == upstream) {
        return Error{ErrorKind::invalid_argument,
                     pair + "instance cannot replicate from itself: " + replica->key.text()};
    }
    if (cluster.is_below(upstream->key, replica->key)) {
        return Error{
            ErrorKind::conflict,
            fmt::format(
                "Relocating {0} below {1} turns to be too complex; please do it manually: {1} replicates "
                "from {0}, so the move would close a circle",
                replica->key.text(), upstream->key.text())};
    }
    const Move move{cluster, *replica, *upstream, policy};
    for (const auto guard : guards) {
        if (auto reason = guard(move)) return Error{ErrorKind::conflict, pair + *reason};
    }
    return std::nullopt;
}

std::string slot_on(const Instance& replica, const Instance& upstream, const std::set<std::string>& taken) {
    if (!uses_slot(replica)) return {};
    auto name = slot_name_for(replica);
    const bool at_home = replica.upstream && upstream.known_as(*replica.upstream);
    const bool in_use =
        !at_home && upstream.seen && std::ranges::any_of(upstream.seen->slots, [&](const auto& slot) {
            return slot.name == name && (slot.active || !slot.physical);
        });
    return in_use || taken.contains(name) ? slot_name_from_key(replica.key) : name;
}

bool may_hang(const Cluster& cluster, const Instance& replica, const Instance& upstream) {
    if (!replica.seen) return false;
    const auto& listed = replica.seen->upstream;
    const auto is_upstream = [&](const auto& host) { return upstream.known_as(host); };
    if (!listed.finds_primary_itself() || std::ranges::none_of(listed.hosts, is_upstream)) return false;
    return std::ranges::any_of(listed.hosts, [&](const auto& host) {
        if (is_upstream(host)) return false;
        const auto* i = cluster.find(host);
        return i == nullptr ||
               !(topology::known_alive(i->health.reach) || i->health.reach == topology::Reach::refused);
    });
}

namespace {

struct Mover {
    const Instance* replica;
    const Instance* old_upstream;  ///< null when it is not known, is the new one, or does not answer
    std::string slot;
};

std::vector<Mover> movers_of(const Rewire& how, const std::vector<const Instance*>& replicas) {
    std::vector<Mover> movers;
    std::set<std::string> taken;
    for (const auto* replica : replicas) {
        const auto* old = replica->upstream ? how.cluster.find(*replica->upstream) : nullptr;
        if (old == &how.upstream || (old != nullptr && !answers(*old))) old = nullptr;
        movers.push_back({replica, old, slot_on(*replica, how.upstream, taken)});
        taken.insert(movers.back().slot);
    }
    return movers;
}

Step make_step(StepKind kind, const InstanceKey& target, int phase, const Rewire& how, std::string what) {
    return Step{.kind = kind,
                .target = target,
                .deadline = how.policy.follow_timeout,
                .phase = phase,
                .required = how.required,
                .what = std::move(what)};
}

bool add_slots(Plan& plan, const Rewire& how, const std::vector<Mover>& movers, int phase) {
    bool any = false;
    for (const auto& m : movers) {
        if (m.slot.empty()) continue;
        if (!how.policy.manage_slots || defect("skip-slots")) {
            plan.remarks.push_back(
                fmt::format("slots are not managed: {} needs slot {} on {}, see that it is there",
                            m.replica->key.text(), m.slot, how.upstream.key.text()));
            continue;
        }
        auto step = make_step(StepKind::create_slot, how.upstream.key, phase, how,
                              fmt::format("create slot {} on {} for {}", m.slot, how.upstream.key.text(),
                                          m.replica->key.text()));
        step.argument = m.slot;
        step.served = m.replica->key;
        step.undo = fmt::format("drop slot {} on {}", m.slot, how.upstream.key.text());
        plan.steps.push_back(std::move(step));
        any = true;
    }
    return any;
}

void add_follow(Plan& plan, const Rewire& how, const Mover& m, int phase) {
    auto what = fmt::format("{} follows {}", m.replica->key.text(), how.upstream.key.text());
    if (!m.slot.empty()) what += " through slot " + m.slot;
    auto step = make_step(StepKind::follow, m.replica->key, phase, how, std::move(what));
    step.upstream = how.upstream.key;
    step.argument = m.slot;
    step.first = may_hang(how.cluster, *m.replica, how.upstream);
    if (m.old_upstream) {
        step.undo = fmt::format("make {} follow {} again", m.replica->key.text(), m.old_upstream->key.text());
    }
    plan.steps.push_back(std::move(step));
}

void add_verification(Plan& plan, const Rewire& how, const Mover& m, int phase) {
    auto step = make_step(StepKind::verify_streaming, m.replica->key, phase, how,
                          fmt::format("{} streams from {}", m.replica->key.text(), how.upstream.key.text()));
    step.upstream = how.upstream.key;
    plan.steps.push_back(std::move(step));
}

bool add_tidying(Plan& plan, const Rewire& how, const Mover& m, int phase) {
    if (!how.tidy || !how.policy.manage_slots || m.old_upstream == nullptr || m.slot.empty()) return false;
    const auto old_name = slot_name_for(*m.replica);
    const bool there = std::ranges::any_of(m.old_upstream->seen->slots, [&](const auto& slot) {
        return slot.physical && slot.name == old_name;
    });
    if (!there) return false;
    auto step = make_step(StepKind::drop_slot, m.old_upstream->key, phase, how,
                          fmt::format("drop slot {} on {}, which {} no longer uses", old_name,
                                      m.old_upstream->key.text(), m.replica->key.text()));
    step.argument = old_name;
    step.served = m.replica->key;
    step.required = false;
    plan.steps.push_back(std::move(step));
    return true;
}

}  // namespace

int add_rewire_steps(Plan& plan, const Rewire& how, const std::vector<const Instance*>& replicas, int phase,
                     bool busy) {
    const auto movers = movers_of(how, replicas);
    busy = add_slots(plan, how, movers, phase) || busy;
    if (busy) ++phase;
    if (movers.empty()) return phase;
    for (const auto& m : movers)
        add_follow(plan, how, m, phase);
    ++phase;
    for (const auto& m : movers) {
        // A paused startup process does not start a receiver: it connects when somebody resumes the replay.
        if (m.replica->seen->replay_paused) {
            plan.remarks.push_back(m.replica->key.text() +
                                   "'s replay is paused: it follows when it is resumed");
        } else {
            add_verification(plan, how, m, phase);
        }
    }
    ++phase;
    bool tidied = false;
    for (const auto& m : movers)
        tidied = add_tidying(plan, how, m, phase) || tidied;
    return tidied ? phase + 1 : phase;
}

std::vector<const Instance*> able_to_follow(Plan& plan, const Cluster& cluster, const Instance& upstream,
                                            const std::vector<const Instance*>& replicas,
                                            const Policy& policy) {
    std::vector<const Instance*> able;
    for (const auto* replica : replicas) {
        if (replica == &upstream) continue;
        const auto objection = objection_to_follow(cluster, replica->key, upstream.key, policy);
        if (!objection) {
            able.push_back(replica);
            continue;
        }
        plan.lost.push_back(replica->key);
        plan.remarks.push_back(answers(*replica)
                                   ? objection->message
                                   : replica->key.text() +
                                         " is not answering; it will be rewired when it returns");
    }
    return able;
}

}  // namespace baton::plan
