#pragma once

#include <functional>
#include <memory>
#include <span>

#include "discovery/member.h"
#include "store/records.h"
#include "topology/topology.h"

/// Pure: from what is known of each member to the immutable snapshot of a cluster.
namespace baton::discovery {

struct ClusterInput {
    std::string id;
    std::span<const Member* const> members;
    const store::State* record = nullptr;  ///< names, downtime, tags, rules; never null
    std::shared_ptr<const topology::TimelineHistory> history;
    std::function<void(const InstanceKey&, topology::Instance&)> annotate;
    std::function<std::string(const topology::Cluster&)> suggest_alias;
    MonoTime now{};
    WallTime wall{};
};

/// A cluster's name is its primary's host:port; while no primary is known the former name stays, and before
/// any was known it is that of the first member.
std::shared_ptr<const topology::Cluster> build_cluster(const ClusterInput& input);

/// How far `standby` is behind `primary`. Their answers are of different moments: a standby that has all that
/// the primary had when it was last asked, or all that its sender last announced, is not behind.
/// `since_caught_up`: how long before this answer it was last seen with nothing left to receive or replay.
topology::Lag measure_lag(const Observation& standby, const Observation* primary,
                          std::optional<Duration> since_caught_up = {});

}  // namespace baton::discovery
