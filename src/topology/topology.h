#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "topology/instance.h"
#include "topology/shared_map.h"

namespace baton::topology {

using InstancePtr = std::shared_ptr<const Instance>;

/// All servers with one system identifier. Immutable.
struct Cluster {
    std::string id;    ///< the system identifier; never changes
    std::string name;  ///< host:port of its primary, as users know it; kept while the primary is away
    std::string alias;
    std::string domain;
    std::vector<std::string> former_names;  ///< earlier values of name: scripts go on using them
    std::vector<InstancePtr> instances;     ///< by depth, then key
    /// Ancestry of the primary's timeline, when it could be read.
    std::shared_ptr<const TimelineHistory> history;

    const Instance* find(const InstanceKey& key) const;  ///< by key or alias; null if not here
    /// The one that leads: not in recovery, highest timeline, answering before not. Null when none is known.
    const Instance* primary() const;
    /// Everyone whose last known role is primary.
    std::vector<const Instance*> primaries() const;
    std::vector<const Instance*> replicas_of(const InstanceKey& key) const;
    /// Is `ancestor` above `key` in the tree (or the same)?
    bool is_below(const InstanceKey& key, const InstanceKey& ancestor) const;
    /// How `standby` stands to `upstream`, which is on the primary's branch. Both were seen.
    Ancestry ancestry_of(const Instance& standby, const Instance& upstream) const;
};

/// Of two primaries of one cluster: does `a` lead rather than `b`? The higher timeline, then the one that
/// answers, then the one that is followed.
bool leads_before(const Instance& a, const Instance& b);

using ClusterPtr = std::shared_ptr<const Cluster>;

/// Everything that is known at one moment. Immutable; read by any thread through a shared_ptr.
struct Topology {
    uint64_t version = 0;
    std::map<std::string, ClusterPtr> clusters;  ///< by id
    SharedMap<std::unordered_map<InstanceKey, std::string>>
        cluster_of;  ///< key or alias of an instance -> cluster id
    SharedMap<std::unordered_map<std::string, std::string>>
        names;  ///< name, former name, alias, domain -> cluster id

    ClusterPtr cluster(const std::string& id) const;
    /// By name, former name, alias, id, or host:port of a member. Null if nothing fits.
    ClusterPtr find_cluster(const std::string& hint, uint16_t default_port = 0) const;
    InstancePtr find_instance(const InstanceKey& key) const;
    size_t instance_count() const;
};

using TopologyPtr = std::shared_ptr<const Topology>;

}  // namespace baton::topology
