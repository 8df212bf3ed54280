// What must be so before a switchover begins. Every check says what it found; none ends the others.

#include "plan/switchover.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <tuple>

#include "analysis/synchronous.h"
#include "analysis/wording.h"
#include "plan/logical_slots.h"
#include "plan/switchover_parts.h"

namespace baton::plan {
namespace {

using analysis::bytes_text;
using analysis::duration_text;
using topology::Activity;
using topology::Ancestry;
using topology::DiskHealth;
using topology::ServerState;

constexpr std::string_view without_agents =
    "install Baton's agent there (baton agent), or, accepting that the old primary has to be rewound or "
    "cloned "
    "afterwards, use baton failover, which is forced";

struct Survey {
    const Cluster& cluster;
    const SwitchoverWish& wish;
    const Policy& policy;
    const Instance& primary;

    const Activity* activity_of(const InstanceKey& key) const {
        const auto at = wish.activity.find(key);
        return at == wish.activity.end() ? nullptr : &at->second;
    }
};

struct Verdict {
    const Instance* instance = nullptr;
    std::vector<Finding> failures;
    std::vector<Finding> warnings;
};

void object(Verdict& v, Obstacle what, std::string text) {
    v.failures.push_back({what, v.instance->key, std::move(text)});
}

void warn(Verdict& v, Obstacle what, std::string text) {
    v.warnings.push_back({what, v.instance->key, std::move(text)});
}

bool works(const Instance& i) {
    return answers(i) && i.seen->can_see_all;
}

// ---- what concerns any of the two ------------------------------------------------------------------------

void check_disk(Verdict& v, const std::optional<topology::Disk>& disk, std::string_view what) {
    if (!disk || disk->health == DiskHealth::good || disk->health == DiskHealth::unknown) return;
    object(v, Obstacle::disk,
           fmt::format("the {} {} of {} is {}{}{}", what, disk->path, v.instance->key.text(),
                       topology::to_string(disk->health), disk->detail.empty() ? "" : ": ", disk->detail));
}

void check_host(Verdict& v, std::string_view needed_for) {
    const auto name = v.instance->key.text();
    const auto& host = v.instance->host;
    if (!host) {
        object(v, Obstacle::no_agent,
               fmt::format("no agent guards {}, and it takes one {}: {}", name, needed_for, without_agents));
        return;
    }
    if (!host->connected) {
        object(
            v, Obstacle::no_agent,
            fmt::format("the agent of {} is not connected, and it takes one {}: look at its log there, or {}",
                        name, needed_for, without_agents));
        return;
    }
    if (!host->quarantine.empty())
        object(v, Obstacle::unfit_host, fmt::format("{} must not be started: {}", name, host->quarantine));
    if (host->hold != topology::Hold::none)
        object(
            v, Obstacle::unfit_host,
            fmt::format("the agent of {} keeps it from running ({})", name, topology::to_string(host->hold)));
    if (host->state != ServerState::running && host->state != ServerState::unknown)
        object(v, Obstacle::unfit_host,
               fmt::format("its agent says that {} is {}", name, topology::to_string(host->state)));
    if (host->job)
        object(v, Obstacle::unfit_host, fmt::format("a {} is under way at {}", host->job->verb, name));
    check_disk(v, host->data_disk, "data disk");
    check_disk(v, host->wal_disk, "WAL disk");
}

void check_answer(Verdict& v) {
    const auto& i = *v.instance;
    if (!answers(i)) {
        object(v, Obstacle::unreachable,
               fmt::format("{} does not answer ({})", i.key.text(), topology::to_string(i.health.reach)));
    } else if (!i.seen->can_see_all) {
        object(v, Obstacle::unreachable,
               fmt::format("{} does not show who replicates: GRANT pg_monitor to the manager's role",
                           i.key.text()));
    }
}

// ---- the primary -----------------------------------------------------------------------------------------

void check_activity(const Survey& s, Verdict& v) {
    const auto name = s.primary.key.text();
    const auto* activity = s.activity_of(s.primary.key);
    if (activity == nullptr) {
        object(v, Obstacle::not_asked,
               fmt::format("what is going on at {} is not known{}{}", name,
                           s.wish.activity_unknown.empty() ? "" : ": ", s.wish.activity_unknown));
        return;
    }
    for (const auto& backup : activity->base_backups)
        object(v, Obstacle::base_backup,
               fmt::format("a base backup is being taken from {} ({}): wait for its end, or end it", name,
                           backup));
    for (const auto& t : activity->transactions)
        warn(v, Obstacle::not_asked,
             fmt::format(
                 "a transaction of {}{}{} (pid {}, {}) has been open for {} at {}: it will be rolled back",
                 t.user, t.application.empty() ? "" : " by ", t.application, t.pid, t.state,
                 duration_text(t.age), name));
    if (activity->archiving_fails)
        warn(v, Obstacle::not_asked,
             fmt::format("archiving fails at {}: its shutdown may wait for it, and is given up after {}",
                         name, duration_text(s.wish.pause)));
}

Verdict judge_primary(const Survey& s) {
    Verdict v{.instance = &s.primary};
    check_host(v, "to stop it in order and to bring it back as a standby");
    check_answer(v);
    if (works(s.primary)) check_activity(s, v);
    return v;
}

// ---- a candidate -----------------------------------------------------------------------------------------

void check_replication(const Survey& s, Verdict& v) {
    const auto& seen = *v.instance->seen;
    const auto name = v.instance->key.text();
    const auto primary = s.primary.key.text();
    if (seen.system_identifier != s.cluster.id)
        object(v, Obstacle::foreign_system,
               fmt::format("{} belongs to another system ({})", name, seen.system_identifier));
    if (major_version(*v.instance) != major_version(s.primary))
        object(
            v, Obstacle::other_version,
            fmt::format("{} is version {}, {} is {}", name, seen.version, primary, s.primary.seen->version));
    if (!seen.receiving())
        object(v, Obstacle::not_streaming,
               fmt::format("{} does not stream from {}{}", name, primary,
                           seen.receiver ? ": its receiver is " + seen.receiver->status : std::string()));
    if (seen.timeline != s.primary.seen->timeline)
        object(v, Obstacle::other_timeline,
               fmt::format("{} is on timeline {}, {} on {}", name, seen.timeline, primary,
                           s.primary.seen->timeline));
    if (seen.half_copied)
        object(v, Obstacle::half_copied,
               fmt::format("{} has not yet copied all WAL of timeline {}: it has a moment's work left", name,
                           seen.timeline));
    if (seen.replay_paused)
        object(v, Obstacle::replay_paused, fmt::format("somebody paused the replay of {}: resume it", name));
    if (seen.settings.recovery_min_apply_delay_ms > 0)
        object(v, Obstacle::delayed,
               fmt::format("{} replays with a delay of {} (recovery_min_apply_delay)", name,
                           duration_text(milliseconds(seen.settings.recovery_min_apply_delay_ms))));
}

void check_lag(const Survey& s, Verdict& v) {
    const auto& lag = v.instance->lag;
    const auto name = v.instance->key.text();
    const auto bytes = std::max(lag.receive_bytes.value_or(0), lag.replay_bytes.value_or(0));
    if (s.wish.lag_bytes != 0 && bytes > s.wish.lag_bytes)
        object(v, Obstacle::lagging,
               fmt::format("{} lags by {}, {} are allowed (SwitchoverMaximumLagBytes)", name,
                           bytes_text(bytes), bytes_text(s.wish.lag_bytes)));
    if (lag.seconds && *lag.seconds > s.wish.lag_seconds)
        object(v, Obstacle::lagging,
               fmt::format("{} lags by {} s, {} s are allowed (ReasonableMaintenanceReplicationLagSeconds)",
                           name, *lag.seconds, s.wish.lag_seconds));
}

void check_permission(const Survey& s, Verdict& v) {
    const auto& i = *v.instance;
    const auto name = i.key.text();
    if (i.promotion_rule == topology::PromotionRule::must_not)
        object(v, Obstacle::must_not, fmt::format("the promotion rule of {} is must_not", name));
    if (s.policy.ignored_for_promotion && s.policy.ignored_for_promotion(i.key))
        object(v, Obstacle::ignored_by_filter,
               fmt::format("the name of {} matches PromotionIgnoreHostnameFilters", name));
    if (i.downtime)
        object(v, Obstacle::downtimed,
               fmt::format("{} is downtimed by {}: {}", name, i.downtime->owner, i.downtime->reason));
    if (i.maintenance)
        object(
            v, Obstacle::in_maintenance,
            fmt::format("{} is in maintenance by {}: {}", name, i.maintenance->owner, i.maintenance->reason));
}

/// A standby does not start, or stops replaying, where these are lower than at its primary (PostgreSQL
/// manual, 27.4.3).
using topology::Settings;
struct Limit {
    std::string_view name;
    int Settings::* value;
};
constexpr std::array limits{
    Limit{"max_connections", &Settings::max_connections},
    Limit{"max_worker_processes", &Settings::max_worker_processes},
    Limit{"max_wal_senders", &Settings::max_wal_senders},
    Limit{"max_prepared_transactions", &Settings::max_prepared_transactions},
    Limit{"max_locks_per_transaction", &Settings::max_locks_per_transaction},
};

void check_limits(const Survey& s, Verdict& v) {
    const auto& mine = v.instance->seen->settings;
    const auto name = v.instance->key.text();
    for (const auto& [setting, value] : limits) {
        const auto old = s.primary.seen->settings.*value;
        if (mine.*value < old) {
            object(v, Obstacle::settings,
                   fmt::format("{} is {} at {} and {} at {}: raise it there and restart it", setting,
                               mine.*value, name, old, s.primary.key.text()));
        } else if (mine.*value > old) {
            object(
                v, Obstacle::settings,
                fmt::format("{} is {} at {} and only {} at {}, which could not become its standby: raise it "
                            "there and restart it",
                            setting, mine.*value, name, old, s.primary.key.text()));
        }
    }
    const auto& target = s.primary.seen->settings.recovery_target_timeline;
    if (!target.empty() && target != "latest")
        object(
            v, Obstacle::settings,
            fmt::format("recovery_target_timeline is {} at {}, which could not follow to a new timeline: set "
                        "it to latest and restart it",
                        target, s.primary.key.text()));
}

void check_room(const Survey& s, Verdict& v) {
    const auto& seen = *v.instance->seen;
    const auto others = followers(s.cluster, s.primary, *v.instance);
    const auto name = v.instance->key.text();
    const auto there = [&](const std::string& slot) {
        return std::ranges::any_of(seen.slots, [&](const auto& x) { return x.name == slot; });
    };
    const auto of_old = slot_of_old_primary(s.primary, s.policy);
    int wanted = !of_old.empty() && !there(of_old) ? 1 : 0;
    for (const auto* other : others) {
        if (const auto slot = slot_on(*other, *v.instance, {}); !slot.empty() && !there(slot)) ++wanted;
    }
    const int used = static_cast<int>(seen.slots.size());
    if (used + wanted > seen.settings.max_replication_slots)
        object(v, Obstacle::no_room,
               fmt::format("{} has {} replication slots and needs {} more: max_replication_slots is {}", name,
                           used, wanted, seen.settings.max_replication_slots));
    const int senders = static_cast<int>(seen.senders.size() + others.size()) + 1;
    if (senders > seen.settings.max_wal_senders)
        object(v, Obstacle::no_room,
               fmt::format("{} will have {} standbys: max_wal_senders is {}", name, senders,
                           seen.settings.max_wal_senders));
}

/// Physical slots that standbys will stream through at the candidate.
std::set<std::string> slots_in_use_later(const Survey& s, const Instance& candidate) {
    std::set<std::string> names;
    for (const auto& slot : candidate.seen->slots) {
        if (slot.physical && slot.active) names.insert(slot.name);
    }
    names.insert(slot_of_old_primary(s.primary, s.policy));
    for (const auto* other : followers(s.cluster, s.primary, candidate))
        names.insert(slot_on(*other, candidate, {}));
    return names;
}

void check_logical_slots(const Survey& s, Verdict& v) {
    const SlotSide primary{s.primary, s.activity_of(s.primary.key)};
    const SlotSide candidate{*v.instance, s.activity_of(v.instance->key)};
    auto found =
        judge_logical_slots(primary, candidate, slots_in_use_later(s, *v.instance), s.wish.lag_bytes);
    for (auto& text : found.failures)
        object(v, Obstacle::logical_slots, std::move(text));
    for (auto& text : found.warnings)
        warn(v, Obstacle::logical_slots, std::move(text));
}

/// Commits on the new primary must not wait for standbys that it will not have.
void check_synchronous(const Survey& s, Verdict& v) {
    const auto& settings = v.instance->seen->settings;
    const auto name = v.instance->key.text();
    if (!analysis::waits_for_standbys(settings)) {
        if (analysis::waits_for_standbys(s.primary.seen->settings))
            warn(v, Obstacle::synchronous,
                 fmt::format("{} has synchronous_standby_names = '{}', {} has none: commits will not be "
                             "synchronous",
                             s.primary.key.text(), s.primary.seen->settings.synchronous_standby_names, name));
        return;
    }
    std::vector<std::string> names;
    for (const auto* other : followers(s.cluster, s.primary, *v.instance)) {
        if (answers(*other)) names.push_back(analysis::standby_name(*other));
    }
    for (const auto* below : s.cluster.replicas_of(v.instance->key)) {
        if (answers(*below)) names.push_back(analysis::standby_name(*below));
    }
    if (synchronous_satisfiable(settings.synchronous_standby_names, names)) return;
    names.push_back(analysis::standby_name(s.primary));
    const auto value =
        fmt::format("synchronous_standby_names = '{}' on {}", settings.synchronous_standby_names, name);
    if (synchronous_satisfiable(settings.synchronous_standby_names, names)) {
        warn(v, Obstacle::synchronous,
             fmt::format("{}: commits wait until {} is back as a standby", value, s.primary.key.text()));
    } else {
        object(v, Obstacle::synchronous,
               fmt::format("{} cannot be satisfied by {}: commits would wait for ever", value,
                           fmt::join(names, ", ")));
    }
}

Verdict judge_candidate(const Survey& s, const Instance& candidate) {
    Verdict v{.instance = &candidate};
    check_host(v, "to know that it stands clear");
    check_answer(v);
    check_permission(s, v);
    if (!answers(candidate) || !s.primary.seen) return v;
    check_replication(s, v);
    check_lag(s, v);
    check_limits(s, v);
    check_room(s, v);
    check_logical_slots(s, v);
    check_synchronous(s, v);
    return v;
}

auto rank(const Survey& s, const Verdict& v) {
    const auto& i = *v.instance;
    return std::make_tuple(i.promotion_rule, i.data_center != s.primary.data_center,
                           i.region != s.primary.region, v.warnings.size(), i.lag.replay_bytes.value_or(0),
                           i.key);
}

void take(Preflight& out, Verdict&& v) {
    std::ranges::move(v.failures, std::back_inserter(out.failures));
    std::ranges::move(v.warnings, std::back_inserter(out.warnings));
}

void choose(const Survey& s, Preflight& out, std::vector<Verdict> verdicts) {
    const auto best = std::ranges::min_element(
        verdicts, {}, [&](const Verdict& v) { return std::make_tuple(!v.failures.empty(), rank(s, v)); });
    if (best->failures.empty() || verdicts.size() == 1) {
        out.candidate = best->instance->key;
        out.why = verdicts.size() == 1 ? best->instance->key.text() + " is the only replica"
                                       : best->instance->key.text() + " is the best of those that are fit";
        take(out, std::move(*best));
        return;
    }
    // Nobody is fit: what is wrong with each of them, or it would take as many tries as there are replicas.
    for (auto& v : verdicts) {
        v.warnings.clear();
        take(out, std::move(v));
    }
    out.why = "none of the replicas is fit";
}

void judge_requested(const Survey& s, Preflight& out) {
    const auto* wanted = s.cluster.find(*s.wish.candidate);
    const auto name = wanted != nullptr ? wanted->key.text() : s.wish.candidate->text();
    const auto refuse = [&](Obstacle what, std::string text) {
        out.failures.push_back({what, wanted != nullptr ? wanted->key : *s.wish.candidate, std::move(text)});
    };
    if (wanted == nullptr) {
        refuse(Obstacle::unknown_instance, fmt::format("{} is not known in this cluster", name));
    } else if (wanted == &s.primary) {
        refuse(Obstacle::not_a_direct_replica, fmt::format("{} is the primary already", name));
    } else if (!wanted->upstream || !s.primary.known_as(*wanted->upstream)) {
        refuse(Obstacle::not_a_direct_replica,
               fmt::format("{} does not replicate from {} itself but from {}: move it there first", name,
                           s.primary.key.text(),
                           wanted->upstream ? wanted->upstream->text() : "nobody that is known"));
    } else {
        out.candidate = wanted->key;
        out.why = "it was asked for";
        take(out, judge_candidate(s, *wanted));
    }
}

}  // namespace

/// Those that will follow the new primary, without the old one.
std::vector<const Instance*> followers(const Cluster& cluster, const Instance& primary,
                                       const Instance& candidate) {
    auto all = cluster.replicas_of(primary.key);
    std::erase(all, &candidate);
    return all;
}

std::string slot_of_old_primary(const Instance& primary, const Policy& policy) {
    const bool named = primary.seen && !primary.seen->settings.primary_slot_name.empty();
    return policy.manage_slots || named ? slot_name_for(primary) : std::string();
}

std::string_view to_string(Obstacle what) {
    static constexpr std::array<std::string_view, 25> names{
        "no-primary",     "several-primaries", "no-replica",     "unknown-instance",  "not-a-direct-replica",
        "no-agent",       "unfit-host",        "disk",           "unreachable",       "foreign-system",
        "other-version",  "not-streaming",     "other-timeline", "half-copied",       "replay-paused",
        "delayed",        "lagging",           "must-not",       "ignored-by-filter", "downtimed",
        "in-maintenance", "settings",          "no-room",        "base-backup",       "logical-slots"};
    const auto at = static_cast<size_t>(what);
    if (at < names.size()) return names[at];
    return what == Obstacle::synchronous ? "synchronous" : "not-asked";
}

Preflight preflight_switchover(const Cluster& cluster, const SwitchoverWish& wish, const Policy& policy) {
    Preflight out;
    const auto primaries = cluster.primaries();
    const auto* primary = cluster.primary();
    if (primary == nullptr) {
        out.failures.push_back(
            {Obstacle::no_primary, {}, fmt::format("no primary of {} is known", cluster.name)});
        return out;
    }
    out.primary = primary->key;
    for (const auto* other : primaries) {
        if (other != primary)
            out.failures.push_back({Obstacle::several_primaries, other->key,
                                    fmt::format("{} is a primary beside {}: make it a standby, or forget it",
                                                other->key.text(), primary->key.text())});
    }
    const Survey s{cluster, wish, policy, *primary};
    take(out, judge_primary(s));
    if (wish.candidate) {
        judge_requested(s, out);
        return out;
    }
    std::vector<Verdict> verdicts;
    for (const auto* replica : cluster.replicas_of(primary->key))
        verdicts.push_back(judge_candidate(s, *replica));
    if (verdicts.empty()) {
        out.failures.push_back(
            {Obstacle::no_replica, primary->key, fmt::format("{} has no replica", primary->key.text())});
    } else {
        choose(s, out, std::move(verdicts));
    }
    return out;
}

bool has_shutdown_checkpoint(Lsn received, Lsn checkpoint) {
    // A record's header, that of its data, and a CheckPoint of 88 bytes; where the page ends in between, the
    // next one has a header of its own (access/xlogrecord.h, catalog/pg_control.h, xlog_internal.h).
    constexpr uint64_t page = 8192, record = 24 + 2 + 88, page_header = 24;
    if (!checkpoint) return false;
    const bool crosses = checkpoint.value % page + record > page;
    return received.value >= checkpoint.value + record + (crosses ? page_header : 0);
}

}  // namespace baton::plan
