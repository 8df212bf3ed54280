#pragma once

#include <optional>

#include "control/control.h"

/// What orchestrator's fields say about a server, derived from Baton's view of it.
namespace baton::http::v1 {

using control::View;
using topology::Cluster;
using topology::ClusterPtr;
using topology::Instance;
using topology::InstanceKey;
using topology::InstancePtr;

/// Thread states of the API.
inline constexpr int no_thread = -1, thread_stopped = 0, thread_running = 1;

struct InstanceStatus {
    bool replica = false;  ///< a standby, or one that has an upstream
    bool last_check_valid = false;
    bool up_to_date = false;        ///< checked within InstancePollSeconds
    bool recently_checked = false;  ///< … within five times that
    int receive_thread = no_thread;
    int replay_thread = no_thread;
    std::optional<int64_t> lag_seconds;  ///< of a replica; nothing when it cannot be told
    int64_t delay_seconds = 0;           ///< recovery_min_apply_delay
    bool downtimed = false;

    bool running() const { return receive_thread == thread_running && replay_thread == thread_running; }
    bool lags_more_than(int64_t limit_seconds) const;
};
InstanceStatus status_of(const View& view, const Instance& instance);

/// Begun, and not over yet.
bool in_force(const std::optional<topology::Downtime>& span, WallTime wall);

/// Upper limit for the servers that control a schema change, as orchestrator picks them: the busiest
/// cascading standbys, the busiest of their replicas, and some direct replicas without any. Only servers
/// whose last check was good.
std::vector<InstancePtr> control_replicas(const Cluster& cluster);
/// The greatest lag in seconds of control_replicas(); 0 when there are none.
int64_t heuristic_lag(const Cluster& cluster);

/// The cluster filters of the configuration that the view holds.
struct AutomatedRecovery {
    bool primary = false;       ///< HasAutomatedMasterRecovery
    bool intermediate = false;  ///< HasAutomatedIntermediateMasterRecovery
};
AutomatedRecovery automated_recovery(const View& view, std::span<const std::string> names,
                                     std::string_view alias);
bool ignored_as_problem(const View& view, const InstanceKey& key);
bool ignored_for_promotion(const View& view, const InstanceKey& key);

}  // namespace baton::http::v1
