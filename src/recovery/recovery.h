#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/agents.h"
#include "analysis/problem.h"
#include "base/clock.h"
#include "engine/engine.h"
#include "plan/plan.h"
#include "recovery/hooks.h"
#include "recovery/observer.h"
#include "recovery/rejoin.h"
#include "recovery/slots.h"
#include "recovery/switchover.h"
#include "store/store.h"

/// Watches problems, decides whether to act (gates), runs plans step by step with a journal, and resumes
/// after a restart by looking again. Control thread only.
namespace baton::recovery {

struct HookLists {
    std::vector<std::string> on_failure_detection, pre_failover, post_failover, post_unsuccessful_failover,
        post_primary_failover, post_intermediate_failover, pre_graceful_takeover, post_graceful_takeover;
};

struct Options {
    analysis::Policy analysis;
    plan::Policy plan;
    Duration detection_block = seconds(3600);  ///< a repeated detection within this runs no hooks
    Duration recovery_block = seconds(3600);   ///< anti-flapping
    Duration start_delay = seconds(3);         ///< no automatic recovery earlier after our start
    Duration receiver_check_interval = seconds(1);
    Duration receiver_check_deadline = milliseconds(750);
    bool receiver_check = true;
    bool fail_on_failed_post_hooks = false;
    std::function<bool(const topology::Cluster&)> recovers_primary;  ///< cluster filters
    std::function<bool(const topology::Cluster&)> recovers_intermediate;
    HookLists hooks;
    HookOptions hook_options;
    std::string node_hostname, node_token;
    std::string kv_prefix = "mysql/master/";  ///< as orchestrator's KVClusterMasterPrefix
    RejoinOptions rejoin;
    SwitchoverOptions switchover;
    SlotOptions slots;
    milliseconds lease{2000};           ///< of a primary whose standbys have agents, as it has
    milliseconds fence_deadline{3000};  ///< for an agent to stop its server
};

/// What the outside hears of: "problem", "problem-cleared", "recovery", "recovery-step", with a JSON object.
using Announce = std::function<void(const std::string& type, const std::string& json)>;

struct Request {
    std::string cluster_id;
    InstanceKey failed;
    std::optional<InstanceKey> candidate;
    bool force_failover = false;  ///< regardless of the analysis
    bool skip_hooks = false;
    std::string command_hint;
};

struct Outcome {
    store::Recovery recovery;
    bool attempted = false;
    std::string not_attempted_because;
    std::vector<std::string> obstacles;  ///< of a switchover: the same, one by one
};

/// Result of running a plan that is no recovery (relocate and the like).
struct Executed {
    std::vector<InstanceKey> done;
    std::vector<std::pair<InstanceKey, Error>> failed;
};

class Recovery {
  public:
    virtual ~Recovery() = default;
    /// Takes up recoveries that an earlier life left open.
    virtual void start() = 0;
    virtual void stop() = 0;
    virtual void set_options(Options options) = 0;
    /// A new snapshot of a cluster; nullptr: it is gone.
    virtual void on_cluster(const std::string& id, const ClusterPtr& cluster) = 0;
    /// Problems of all clusters, as of their last snapshots.
    virtual std::vector<analysis::Problem> problems() const = 0;
    virtual uint64_t problems_version() const = 0;

    /// By an operator: skips the gates that only bind automatic recovery.
    virtual Task<Result<Outcome>> recover(Request request) = 0;
    virtual Task<Result<Executed>> execute(plan::Plan plan) = 0;
    /// What a switchover would do now, with all that hinders it; changes nothing.
    virtual Task<Result<plan::Plan>> plan_switchover(SwitchoverRequest request) = 0;
    /// Returns when it is over, or was not begun because of obstacles. Error conflict: another one, or a
    /// recovery, is under way.
    virtual Task<Result<Outcome>> switchover(SwitchoverRequest request) = 0;
    /// It begins at `at`, whatever happens to this process until then; an earlier one of the cluster is
    /// replaced.
    virtual Task<Result<void>> schedule_switchover(SwitchoverRequest request, WallTime at) = 0;
    virtual Task<Result<ScheduledSwitchover>> cancel_switchover(std::string cluster_id, std::string by) = 0;
    virtual std::vector<ScheduledSwitchover> scheduled_switchovers() const = 0;
    /// Rejoiner's commands (rejoin.h).
    virtual Task<Result<RejoinState>> rejoin(RejoinRequest request) = 0;
    virtual Result<plan::Rejoin> preview_rejoin(const RejoinRequest& request) const = 0;
    virtual Result<void> cancel_rejoin(const InstanceKey& key, const std::string& by) = 0;
    virtual std::vector<RejoinState> rejoins() const = 0;
    virtual Result<int> acknowledge(const std::vector<int64_t>& recovery_ids, std::string by,
                                    std::string comment) = 0;
};

std::unique_ptr<Recovery> make_recovery(Clock& clock, engine::Engine& engine, store::Store& store,
                                        Observer& observer, ProcessRunner& processes, agent::Agents& agents,
                                        Announce announce, Options options);

}  // namespace baton::recovery
