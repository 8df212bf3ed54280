#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "analysis/problem.h"
#include "topology/topology.h"

/// Decisions as values: who is promoted and why not the others, and which steps in which order. Pure.
namespace baton::plan {

using topology::Cluster;
using topology::Instance;
using topology::InstanceKey;
using topology::Lsn;

enum class SynchronousPolicy : uint8_t { keep, relax };

struct Policy {
    uint64_t maximum_lag_bytes = 0;                ///< 0 = no limit
    Duration maximum_disconnected = seconds(300);  ///< 0 = no limit
    bool prevent_cross_data_center = false;
    bool prevent_cross_region = false;
    bool manage_slots = true;
    SynchronousPolicy synchronous = SynchronousPolicy::relax;
    milliseconds promotion_timeout{30000};
    milliseconds follow_timeout{10000};
    uint64_t reasonable_move_lag_bytes = 0;  ///< 0 = no limit
    std::function<bool(const InstanceKey&)> ignored_for_promotion;
};

enum class Rejection : uint8_t {
    unreachable,
    not_a_standby,
    foreign_system,
    foreign_timeline,
    diverged,
    half_copied,
    replay_paused,
    delayed,
    must_not,
    ignored_by_filter,
    downtimed,
    in_maintenance,
    slot_wal_lost,
    too_far_behind,
    disconnected_too_long,
    not_synchronous,
    other_data_center,
    other_region,
    older_major_version,
    other_upstream,
    less_advanced,
    lower_preference,
    not_permitted,
    another_may_lead,
    not_requested,
    quarantined,
    being_rebuilt,
    held,
    disk_trouble
};
std::string_view to_string(Rejection reason);

struct Rejected {
    InstanceKey instance;
    Rejection reason;
    std::string detail;  ///< numbers and names
};

struct Choice {
    std::optional<InstanceKey> chosen;
    /// Where the chosen one is behind the most advanced: it streams from there first.
    std::optional<InstanceKey> donor;
    std::vector<Rejected> rejected;
    std::string why;            ///< one sentence: why this one, or why nobody
    uint64_t bytes_behind = 0;  ///< of the chosen behind the last known position of the failed primary
};

enum class StepKind : uint8_t {
    catch_up,  ///< target streams the missing WAL from `upstream` (slot `argument` if not empty) until it has
               ///< `position`
    promote,   ///< the point of no return
    create_slot,  ///< slot `argument` on target
    follow,       ///< target streams from upstream, slot `argument` if not empty
    verify_streaming,
    set_synchronous_standby_names,  ///< to `argument` on target
    allow_writes,                   ///< default_transaction_read_only off on target
    drop_slot,  ///< slot `argument` on target, which nobody uses any more: it would hold back WAL
    // of a switchover
    checkpoint,     ///< on target, so that its shutdown has little to write
    stand_clear,    ///< target's agent promises nobody any more that it is not promoted
    pause_clients,  ///< at router `argument`
    stop_primary,   ///< target's agent stops it in order, and keeps it down
    has_received,   ///< target has the shutdown checkpoint of `upstream`
    route_clients,  ///< router `argument` leads to target, and lets clients go on
    make_standby    ///< target's agent starts it as a standby of upstream, slot `argument`
};
std::string_view to_string(StepKind kind);

struct Step {
    StepKind kind;
    InstanceKey target;
    InstanceKey upstream;
    std::string argument;
    InstanceKey served;  ///< create_slot, drop_slot: the standby whose slot it is
    Lsn position;
    milliseconds deadline{10000};
    bool first = false;  ///< follow: of the hosts that the standby lists, `upstream` becomes the first
    int phase = 0;       ///< steps of one phase run side by side; phases in order
    bool irreversible = false;
    bool required = false;  ///< its failure ends the plan; otherwise it is reported and the replica is lost
    std::string what;       ///< a sentence for people
    std::string undo;       ///< what undoes it, for people; "" when nothing can or need
};

/// The standby that a step is about: where one fails, later ones about the same standby are left out.
inline const InstanceKey& about(const Step& s) {
    return s.served.valid() ? s.served : s.target;
}

enum class Kind : uint8_t {
    primary_failover,
    intermediate_failover,
    follow,
    move_up,
    take_siblings,
    regroup,
    switchover
};
std::string_view to_string(Kind kind);

struct Plan {
    Kind kind;
    std::string cluster_id;
    InstanceKey subject;  ///< the failed or moved instance
    Choice choice;        ///< of a failover
    std::vector<Step> steps;
    std::vector<InstanceKey> lost;       ///< replicas that cannot follow, known beforehand
    std::vector<std::string> remarks;    ///< what the operator should know
    std::vector<std::string> obstacles;  ///< of a switchover: why it is not begun
    std::string text() const;            ///< readable, for --dry-run and the audit
};

/// `requested` names the operator's candidate; `forced` lifts the limits that protect against data loss
/// (never: other system, diverged, not a standby), and says so in `why`.
Choice choose_candidate(const Cluster& cluster, const InstanceKey& failed, const Policy& policy,
                        const std::optional<InstanceKey>& requested, bool forced, MonoTime now);

/// The plan for `choice`, which has chosen somebody.
Plan plan_primary_failover(const Cluster& cluster, const InstanceKey& failed, const Choice& choice,
                           const Policy& policy, MonoTime now);

/// What lets the commits of a new primary go on.
struct Relaxation {
    Step step;
    std::string waits;      ///< a sentence: for whom they wait
    bool may_pass = false;  ///< those that answer and follow it satisfy the setting once they stream
};
/// Nothing when commits wait for nobody, when enough standbys stream from `leader`, or when the policy is to
/// wait.
std::optional<Relaxation> plan_relaxation(const Cluster& cluster, const InstanceKey& leader,
                                          const Policy& policy);
/// Moves the direct replicas of a dead intermediate to its own upstream or to the best sibling of it.
Result<Plan> plan_intermediate_failover(const Cluster& cluster, const InstanceKey& failed,
                                        const Policy& policy, MonoTime now);

/// Guards: same system, standby, timeline ancestry, no cycle, upstream not behind, not itself. Errors say
/// which.
Result<Plan> plan_follow(const Cluster& cluster, const InstanceKey& replica, const InstanceKey& upstream,
                         const Policy& policy, MonoTime now);
Result<Plan> plan_move_up(const Cluster& cluster, const InstanceKey& replica, const Policy& policy,
                          MonoTime now);
Result<Plan> plan_take_siblings(const Cluster& cluster, const InstanceKey& replica, const Policy& policy,
                                MonoTime now);
/// All replicas of `from` (those that `pick` accepts) to `to`.
Result<Plan> plan_relocate_replicas(const Cluster& cluster, const InstanceKey& from, const InstanceKey& to,
                                    const std::function<bool(const InstanceKey&)>& pick, const Policy& policy,
                                    MonoTime now);
/// Best replica of `upstream` takes its siblings; Choice::chosen names it.
Result<Plan> plan_regroup(const Cluster& cluster, const InstanceKey& upstream, const Policy& policy,
                          MonoTime now);

/// A name for the physical slot of `standby`: what it uses now, else made from its application name or key
/// ([a-z0-9_], ≤ 63).
std::string slot_name_for(const Instance& standby);

/// Could `value` of synchronous_standby_names be satisfied by standbys with these names? (PostgreSQL
/// manual 20.6.1.)
bool synchronous_satisfiable(const std::string& value, const std::vector<std::string>& standby_names);

/// `replica` looks for the primary itself, and may wait at a listed host that gives no answer: one before
/// `upstream`, or one behind it, when that refused it for a moment.
bool may_hang(const Cluster& cluster, const Instance& replica, const Instance& upstream);

}  // namespace baton::plan
