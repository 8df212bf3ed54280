#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "agent/agents.h"
#include "analysis/problem.h"
#include "base/clock.h"
#include "config/config.h"
#include "plan/plan.h"
#include "recovery/rejoin_state.h"
#include "store/records.h"
#include "topology/topology.h"

/// Everything that an operator can see and ask for, in Baton's words. http/ and the doctor stand on this;
/// orchestrator's vocabulary begins on their side.
namespace baton::control {

using topology::InstanceKey;
using topology::InstancePtr;
using topology::TopologyPtr;
using AgentsPtr = std::shared_ptr<const std::vector<agent::Seen>>;

/// What readers on any thread may see: immutable, replaced as a whole.
struct View {
    TopologyPtr topology;
    std::shared_ptr<const std::vector<analysis::Problem>>
        problems;  ///< of all clusters, downtimed ones included
    std::shared_ptr<const config::Config> config;
    AgentsPtr agents;  ///< every guarded server; null where no agent ever told of one
    MonoTime now{};    ///< when it was made (control clock)
    WallTime wall{};
    bool recoveries_enabled = true;
    bool ready = false;         ///< discovery has looked at everything once, store healthy
    std::string node_hostname;  ///< of this manager
    std::string node_token;
    WallTime started{};
};
using ViewPtr = std::shared_ptr<const View>;

/// One thing that happened, for the live stream. `json` is one object without line breaks.
struct Event {
    uint64_t id = 0;
    /// "topology", "problem", "problem-cleared", "recovery", "recovery-step", "agent", "job", "rejoin"
    std::string type;
    std::string json;
};

/// How many probes, since the process began; gauges are of this moment.
struct Metrics {
    uint64_t probes = 0, probe_failures = 0, snapshots = 0, events = 0, events_dropped = 0;
    double probe_latency_p50_ms = 0, probe_latency_p99_ms = 0;
    double probe_delay_p50_ms = 0, probe_delay_p99_ms = 0;
    size_t instances = 0, clusters = 0, downtimed = 0, active_recoveries = 0;
    std::map<std::string, size_t> problems_by_code;
    std::map<std::pair<std::string, std::string>, uint64_t>
        recoveries;                        ///< (code, "success" | "failed") -> count
    std::vector<double> recovery_seconds;  ///< durations of finished recoveries, newest last, at most 1000
    size_t store_queue = 0;
    agent::Counters agents;
    size_t rss_bytes = 0;
};

struct DiscoveryMetric {
    WallTime at{};
    InstanceKey key;
    double seconds = 0;
    std::string error;
};

struct RecoveryRequest {
    InstanceKey failed;        ///< empty host: use cluster
    std::string cluster_hint;  ///< name, alias, id, member
    std::optional<InstanceKey> candidate;
    bool force_failover = false;  ///< regardless of the analysis
    bool skip_hooks = false;
    std::string command_hint;  ///< "force-master-failover", "force-master-takeover", …
};

struct RecoveryOutcome {
    store::Recovery recovery;
    bool attempted = false;
    std::string not_attempted_because;
};

/// A server is to come back below the primary (recovery/rejoin.h).
struct RejoinCommand {
    InstanceKey key;
    bool force = false;               ///< what it committed past the fork may be lost
    bool anew = false;                ///< made anew, whatever state it is in
    std::optional<InstanceKey> from;  ///< made anew from this one; nothing: from the primary
};

/// Somebody else is to lead, without anything being lost (recovery/switchover.h).
struct SwitchoverCommand {
    std::string cluster_hint;              ///< name, alias, id, member
    std::optional<InstanceKey> candidate;  ///< nothing: the best is chosen
    std::string command_hint;              ///< "" = "graceful-master-takeover"
    bool skip_hooks = false;
};

struct SwitchoverOutcome {
    store::Recovery recovery;  ///< of an attempt
    bool attempted = false;
    std::vector<std::string> obstacles;  ///< why it was not begun: all at once
};

/// A switchover that is to begin later.
struct ScheduledSwitchover {
    std::string cluster_id;
    std::string cluster_name;
    std::optional<InstanceKey> candidate;
    WallTime at{};
    std::string by;
};
/// "2026-11-21T03:00:00Z", with an offset, or "+30m". Error invalid_argument: no time, over, or too far away.
Result<WallTime> when_of(std::string_view text, WallTime now);

/// A caller for the audit: user name or address.
struct Caller {
    std::string name;
};

struct RecoveryFilter {
    std::optional<std::string> cluster_hint;
    std::optional<std::string> alias;
    std::optional<int64_t> id;
    std::optional<std::string> uid;
    bool unacknowledged = false;
    bool active = false;  ///< in active period and not ended
    std::optional<seconds> ended_within;
    std::optional<InstanceKey> successor;
    int page = 0;  ///< 20 a page; -1 = all
};

enum class Verb : uint8_t {
    pause_replication,
    resume_replication,
    restart_replication,
    set_read_only,
    set_writeable
};

/// All methods run on the control thread (control::Control::executor()), and return within the deadlines of
/// the configuration. view(), subscribe() and metrics snapshots are safe from any thread.
class Control {
  public:
    virtual ~Control() = default;
    virtual asio::any_io_executor executor() = 0;
    virtual ViewPtr view() const = 0;  ///< any thread

    // Events (any thread). The callback runs on the control thread and must not block.
    virtual uint64_t subscribe(std::function<void(const Event&)> callback) = 0;
    virtual void unsubscribe(uint64_t id) = 0;

    // Reading the record (control thread).
    virtual std::vector<store::Recovery> recoveries(const RecoveryFilter& filter) const = 0;
    virtual std::vector<store::RecoveryStep> recovery_steps(const std::string& uid) const = 0;
    virtual std::vector<store::Detection> detections(const RecoveryFilter& filter) const = 0;
    virtual std::vector<store::BlockedRecovery> blocked(
        const std::optional<std::string>& cluster_hint) const = 0;
    virtual std::vector<store::AuditEntry> audit(const std::optional<InstanceKey>& key, int page) const = 0;
    virtual std::vector<store::Maintenance> maintenance() const = 0;
    virtual std::vector<store::PromotionRuleRecord> promotion_rules() const = 0;
    virtual const store::State& record() const = 0;
    virtual Metrics metrics() const = 0;
    virtual std::vector<DiscoveryMetric> discovery_metrics(seconds within) const = 0;
    virtual Result<void> health() const = 0;

    // Discovery.
    virtual Task<Result<InstancePtr>> discover(InstanceKey key, Caller caller) = 0;
    virtual Task<Result<InstancePtr>> refresh(InstanceKey key) = 0;
    virtual Task<Result<void>> forget(InstanceKey key, Caller caller) = 0;
    virtual Task<Result<std::string>> forget_cluster(std::string hint, Caller caller) = 0;
    virtual Task<Result<InstanceKey>> resolve(InstanceKey key) = 0;

    // Topology changes. Each returns the instance as it is afterwards.
    virtual Task<Result<InstancePtr>> relocate(InstanceKey key, InstanceKey below, Caller caller) = 0;
    virtual Task<Result<InstancePtr>> repoint(InstanceKey key, InstanceKey below, Caller caller) = 0;
    virtual Task<Result<InstancePtr>> move_up(InstanceKey key, Caller caller) = 0;
    virtual Task<Result<InstancePtr>> move_below(InstanceKey key, InstanceKey sibling, Caller caller) = 0;
    virtual Task<Result<InstancePtr>> take_siblings(InstanceKey key, Caller caller) = 0;
    struct Moved {
        std::vector<InstancePtr> moved;
        std::vector<std::string> errors;
        std::optional<InstanceKey> promoted;  ///< regroup: who took the others
    };
    virtual Task<Result<Moved>> relocate_replicas(InstanceKey from, InstanceKey below, std::string pattern,
                                                  Caller caller) = 0;
    virtual Task<Result<Moved>> move_up_replicas(InstanceKey key, std::string pattern, Caller caller) = 0;
    virtual Task<Result<Moved>> repoint_replicas(InstanceKey key, std::string pattern, Caller caller) = 0;
    virtual Task<Result<Moved>> regroup_replicas(InstanceKey key, Caller caller) = 0;
    virtual Result<void> can_replicate_from(const InstanceKey& key, const InstanceKey& below) const = 0;
    virtual Task<Result<InstancePtr>> act(InstanceKey key, Verb verb, Caller caller) = 0;
    virtual Task<Result<InstancePtr>> end_session(InstanceKey key, int pid, Caller caller) = 0;

    // Recovery.
    virtual Task<Result<RecoveryOutcome>> recover(RecoveryRequest request, Caller caller) = 0;
    /// What would be done now if the cluster's primary died; changes nothing.
    virtual Result<plan::Plan> preview(const std::string& cluster_hint,
                                       const std::optional<InstanceKey>& candidate) const = 0;
    /// What a switchover would do now, and all that hinders it (Plan::obstacles); changes nothing.
    virtual Task<Result<plan::Plan>> preview_switchover(SwitchoverCommand command) = 0;
    /// Error conflict: another switchover, or a recovery, of that cluster is under way.
    virtual Task<Result<SwitchoverOutcome>> switchover(SwitchoverCommand command, Caller caller) = 0;
    virtual Task<Result<ScheduledSwitchover>> schedule_switchover(SwitchoverCommand command, std::string when,
                                                                  Caller caller) = 0;
    virtual Task<Result<ScheduledSwitchover>> cancel_switchover(std::string cluster_hint, Caller caller) = 0;
    virtual std::vector<ScheduledSwitchover> scheduled_switchovers() const = 0;
    virtual Task<Result<int>> acknowledge(RecoveryFilter which, std::string by, std::string comment) = 0;
    virtual Task<Result<void>> set_global_recoveries(bool enabled, Caller caller) = 0;

    /// Begins, and returns then; rejoins() tells how it goes on.
    virtual Task<Result<recovery::RejoinState>> rejoin(RejoinCommand command, Caller caller) = 0;
    /// What rejoin() would do, and why; changes nothing.
    virtual Result<plan::Rejoin> preview_rejoin(const RejoinCommand& command) const = 0;
    virtual Result<void> cancel_rejoin(const InstanceKey& key, const Caller& caller) = 0;
    virtual std::vector<recovery::RejoinState> rejoins() const = 0;

    // Annotations.
    virtual Task<Result<void>> begin_downtime(InstanceKey key, std::string owner, std::string reason,
                                              seconds duration) = 0;
    virtual Task<Result<void>> end_downtime(InstanceKey key) = 0;
    virtual Task<Result<int64_t>> begin_maintenance(InstanceKey key, std::string owner,
                                                    std::string reason) = 0;
    virtual Task<Result<void>> end_maintenance(InstanceKey key) = 0;
    virtual Task<Result<void>> end_maintenance_id(int64_t id) = 0;
    virtual Task<Result<void>> set_promotion_rule(InstanceKey key, topology::PromotionRule rule) = 0;
    virtual Task<Result<void>> tag(InstanceKey key, topology::Tag tag) = 0;
    /// Removes from one instance, or from all when key is empty; a value restricts it to that value.
    virtual Task<Result<std::vector<InstanceKey>>> untag(std::optional<InstanceKey> key, std::string name,
                                                         std::optional<std::string> value) = 0;
    virtual Task<Result<void>> set_cluster_alias(std::string cluster_hint, std::string alias) = 0;
    virtual Task<Result<void>> submit_pool(std::string pool, std::vector<InstanceKey> instances) = 0;
    virtual Task<Result<void>> set_hostname_unresolve(InstanceKey key, std::string name) = 0;
    virtual Task<Result<std::vector<std::pair<std::string, std::string>>>> submit_primaries_to_kv(
        std::optional<std::string> cluster_hint) = 0;
    virtual std::map<std::string, std::string> resolve_cache() const = 0;
    virtual void reset_resolve_cache() = 0;

    // Configuration.
    /// Reads the files again; returns the names of changed keys, and those that need a restart, as a
    /// sentence.
    virtual Task<Result<std::string>> reload_configuration(std::string extra_file) = 0;
};

}  // namespace baton::control
