#pragma once

#include <map>

#include "plan/plan.h"
#include "topology/activity.h"

/// The planned switchover: the old primary is stopped in order before anybody is promoted, so that nothing is
/// lost and nothing has to be rewound. Pure.
namespace baton::plan {

/// Why a switchover is not begun.
enum class Obstacle : uint8_t {
    no_primary,
    several_primaries,
    no_replica,
    unknown_instance,
    not_a_direct_replica,
    no_agent,
    unfit_host,  ///< the agent says why: a fenced or quarantined server, a job under way
    disk,
    unreachable,
    foreign_system,
    other_version,
    not_streaming,
    other_timeline,
    half_copied,
    replay_paused,
    delayed,
    lagging,
    must_not,
    ignored_by_filter,
    downtimed,
    in_maintenance,
    settings,
    no_room,  ///< for slots or senders
    base_backup,
    logical_slots,
    synchronous,
    not_asked  ///< what is going on at the primary could not be learned
};
std::string_view to_string(Obstacle what);

struct Finding {
    Obstacle what;
    InstanceKey instance;
    std::string text;  ///< a sentence: what is so, and what to do about it
};

struct SwitchoverWish {
    std::optional<InstanceKey> candidate;  ///< nothing: the best is chosen
    std::vector<std::string> routers;      ///< those that serve the cluster, by name
    milliseconds pause{5000};              ///< longest time for which clients are held
    int64_t lag_seconds = 20;              ///< a candidate that lags more is refused
    uint64_t lag_bytes = 16UL << 20;       ///< likewise
    /// By server, as far as it could be asked.
    std::map<InstanceKey, topology::Activity> activity;
    std::string activity_unknown;  ///< why the primary could not be asked; ""
};

/// Everything that is looked at before anything is changed.
struct Preflight {
    std::optional<InstanceKey> primary;
    std::optional<InstanceKey> candidate;
    std::vector<Finding> failures;  ///< all of them at once; none = it may begin
    std::vector<Finding> warnings;
    std::string why;  ///< of the choice
    bool ok() const { return failures.empty() && candidate.has_value(); }
};

Preflight preflight_switchover(const Cluster& cluster, const SwitchoverWish& wish, const Policy& policy);

/// The plan for what preflight found; with failures it has Plan::obstacles, and steps as far as they are
/// known.
Plan plan_switchover(const Cluster& cluster, const Preflight& preflight, const SwitchoverWish& wish,
                     const Policy& policy);

/// What is left to be done once `leader` leads: for a manager that was restarted in between.
Plan plan_after_promotion(const Cluster& cluster, const InstanceKey& old_primary, const InstanceKey& leader,
                          const SwitchoverWish& wish, const Policy& policy);

/// Has a server that received everything up to `received` the whole record of the shutdown checkpoint that
/// begins at `checkpoint`?
bool has_shutdown_checkpoint(Lsn received, Lsn checkpoint);

}  // namespace baton::plan
