#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "topology/topology.h"

/// What is wrong with a cluster: a table of pure predicates over one immutable snapshot and `now`.
namespace baton::analysis {

using topology::Cluster;
using topology::Instance;
using topology::InstanceKey;

enum class Code : uint8_t {
    no_problem,
    dead_primary_without_replicas,
    dead_primary,
    dead_primary_and_some_standbys,
    dead_primary_and_standbys,  ///< nobody of the cluster answers: our own link may be at fault
    unreachable_primary,
    primary_crash_recovery,
    primary_unresponsive,
    too_many_connections,
    authentication_failed,
    stale_primary,
    split_brain,
    all_standbys_not_replicating,
    standby_not_replicating,
    dead_standby,
    dead_intermediate_primary,
    dead_intermediate_primary_with_single_standby,
    dead_intermediate_primary_and_some_standbys,
    dead_intermediate_primary_and_standbys,
    unreachable_intermediate_primary,
    all_intermediate_standbys_not_replicating,
    replica_diverged,
    slot_wal_lost,
    slot_holds_back_wal,
    replay_paused,
    unsatisfiable_synchronous_standbys,
    slow_promotion_setting,
    no_primary,         ///< standbys only, and no primary was ever seen in this process's life
    read_only_primary,  ///< default_transaction_read_only is on
    missing_privilege,  ///< receiver and sender rows are blind without pg_monitor
    stranded_standby,   ///< still points at a former primary that was replaced and is gone
    // By the word of the agent beside the server (docs/gray-failures.md).
    hung_primary,
    primary_crash_loop,
    primary_disk_hung,
    primary_disk_read_only,
    primary_disk_failing,
    primary_disk_full,
    blind_primary,  ///< its agent was there and is not heard any more
    blind_standby,
    standby_disk_hung,
    standby_disk_read_only,
    standby_disk_failing,
    standby_disk_full,
    quarantined,
    disk_space_notice,
    disk_space_low,
    disk_space_critical,
    primary_lost_to_clients,  ///< by the word of agents on the hosts of clients
    certificate_expires
};

enum class Action : uint8_t { none, detection, recover_primary, recover_intermediate };
enum class Severity : uint8_t { info, warning, critical };

struct CodeInfo {
    Code code;
    std::string_view name;     ///< "DeadPrimary": API, hooks, audit
    std::string_view v1_name;  ///< the older name where routes need one ("DeadMaster"), else as name
    std::string_view meaning;  ///< one sentence
    Action action;
    Severity severity;
    bool structure;  ///< listed beside the failure code (StructureAnalysis) rather than as one
    /// A downtime of all direct replicas silences it, as one of the instance itself does.
    bool silenced_by_replicas = false;
    /// The primary may still run and take writes: nobody is promoted before its agent has stopped it for
    /// good.
    bool fence_first = false;
};
const CodeInfo& info(Code code);
/// Of the code with this name.
bool fence_first(std::string_view name);
std::span<const CodeInfo> all_codes();

/// What a standby says about its primary that we cannot reach.
enum class Testimony : uint8_t {
    agrees,     ///< its receiver is gone or not streaming, seen after the suspicion began
    vetoes,     ///< it received a message after our last failed attempt began: the primary lives
    undecided,  ///< still "streaming", but no message since: make it reconnect to find out
    unheard     ///< not asked yet since the suspicion began, or unreachable itself
};
Testimony testimony(const Instance& standby, const Instance& primary);

/// Counts over the direct replicas of one instance.
struct Counts {
    int replicas = 0;
    /// Its last check was good, or it may still answer: no new connection to it has failed yet.
    int valid = 0;
    int replicating = 0;         ///< last check good, receiving, replay not paused
    int failing_to_connect = 0;  ///< last check good, not receiving
    int downtimed = 0;
    int lagging = 0;
    int delayed = 0;
    int agree = 0, veto = 0, undecided = 0, unheard = 0;  ///< testimonies
};

struct Policy {
    int64_t reasonable_lag_seconds = 10;
    Duration primary_start_timeout = seconds(30);
    int64_t slow_promotion_retry_ms = 500;
    uint64_t slot_alarm_bytes = 1ULL << 30;
    /// A standby that was streaming within this time is not called "not replicating": receivers reconnect.
    Duration receiver_grace = seconds(3);
    /// So many starts that failed or did not last make a loop.
    int crash_loop = 3;
    /// A disk in trouble is acted on when it has been so for so long. What fills a disk is often a query's
    /// own files, which go with it; a write that hangs was waited for by the agent already; a file system
    /// that went read-only does not come back by itself; one failed write may be the last.
    Duration disk_full_hold = seconds(5);
    Duration disk_hung_hold = seconds(1);
    Duration disk_read_only_hold = seconds(1);
    Duration disk_failing_hold = seconds(2);
    /// A primary that answers and that clients do not reach is replaced. Otherwise it is only told.
    bool recover_lost_to_clients = false;
    /// … when it has been so for so long: that way may be mended as fast.
    Duration lost_to_clients_hold = seconds(5);
    /// A certificate of an agent that is good for less than this is told of; 0 = never.
    Duration certificate_notice = std::chrono::hours(14 * 24);
    /// A disk that is used by so much is told of; 0 = never.
    int disk_notice_percent = 70;
    int disk_low_percent = 85;
    int disk_critical_percent = 95;
    /// Hosts that analysis leaves out altogether.
    std::function<bool(const InstanceKey&)> ignored;
};

struct Problem {
    Code code = Code::no_problem;
    InstanceKey instance;
    std::string cluster_id;
    std::string description;  ///< the evidence, in a sentence with names and numbers
    Counts counts;
    std::vector<InstanceKey> replicas;
    bool is_primary = false;
    bool downtimed = false;  ///< the instance, or all its replicas: automatic recovery leaves it alone
    bool replicas_downtimed = false;
    std::string held_back;  ///< why nothing is done about it yet, where its code starts a recovery; ""
    bool actionable() const {
        const auto action = info(code).action;
        return held_back.empty() &&
               (action == Action::recover_primary || action == Action::recover_intermediate);
    }
};

/// All problems of a cluster; per instance at most one failure code (first match in table order), any number
/// of structure codes. Ordered: primaries first, then by replica count descending, then key.
std::vector<Problem> analyse(const Cluster& cluster, const Policy& policy, MonoTime now);

}  // namespace baton::analysis
