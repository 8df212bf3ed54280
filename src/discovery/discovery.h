#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "engine/engine.h"
#include "store/store.h"
#include "topology/topology.h"

/// Finds servers, watches them, and turns what they say into immutable snapshots. Control thread only.
namespace baton::discovery {

using topology::ClusterPtr;
using topology::InstanceKey;
using topology::InstancePtr;
using topology::TopologyPtr;

struct Options {
    milliseconds poll_interval{1000};
    milliseconds probe_timeout{750};
    milliseconds heartbeat{500};  ///< extra touch of primaries with replicas; 0 = off
    uint16_t default_port = 5432;
    std::vector<uint16_t>
        port_candidates;  ///< tried, after default_port, for a replica that gives no better hint
    seconds forget_unseen{240 * 3600};
    double dead_poll_factor = 1;  ///< back-off for servers that do not answer
    seconds dead_poll_max{300};
    size_t max_instances = 100000;
    std::function<bool(const InstanceKey&)> ignore;          ///< never discovered
    std::function<bool(const InstanceKey&)> ignore_replica;  ///< not followed downwards
    std::function<bool(const InstanceKey&)> ignore_primary;  ///< not followed upwards
    std::function<void(const InstanceKey&, topology::Instance&)>
        annotate;  ///< data centre, region, environment from the name
    std::function<std::string(const topology::Cluster&)> suggest_alias;  ///< ClusterNameToAlias; "" = none
};

struct Counters {
    uint64_t probes = 0, failures = 0, snapshots = 0;
};

struct Sample {
    WallTime at{};
    InstanceKey key;
    Duration latency{};
    Duration delay{};  ///< how late the probe started against its schedule
    std::string error;
};

class Discovery {
  public:
    virtual ~Discovery() = default;
    /// Begins with what the store knows, and with `seeds`, which are tried until they answer.
    virtual void start(std::vector<InstanceKey> seeds) = 0;
    virtual void stop() = 0;
    virtual void set_options(Options options) = 0;

    virtual TopologyPtr topology() const = 0;
    virtual ClusterPtr cluster(const std::string& id) const = 0;
    /// Called after each change of a cluster (nullptr cluster: it is gone). May call back into anything but
    /// start/stop.
    virtual void on_change(
        std::function<void(const std::string& cluster_id, const ClusterPtr& cluster)> callback) = 0;
    /// Every server known at start was tried once.
    virtual bool settled() const = 0;

    /// Looks at `key` now and follows what it finds. The error is what the server's side said.
    virtual Task<Result<InstancePtr>> discover(InstanceKey key, MonoTime deadline) = 0;
    /// Looks again at these servers now, side by side, and publishes before it returns. Servers that fail are
    /// reported by their Health, not by an error.
    virtual Task<void> look_again(std::vector<InstanceKey> keys, MonoTime deadline) = 0;
    virtual Result<void> forget(const InstanceKey& key) = 0;
    /// Until then the missing receiver of this standby proves nothing: we made it reconnect ourselves.
    virtual void hold_testimony(const InstanceKey& key, MonoTime until) = 0;
    /// Records changed (downtime, tags, rules, alias): rebuild the cluster of `key`, or all.
    virtual void refresh_annotations(const std::optional<InstanceKey>& key) = 0;
    /// What the agent beside `key` says, whenever it says more and about every second; nothing: nobody guards
    /// it any more. What matters is published within one turn of the loop. A server that an agent guards and
    /// nobody knows is looked for there, and one that is down is a member of the cluster that its directory
    /// belongs to. An agent whose data directory belongs to another system than the
    /// server that answers under this name is not believed.
    virtual void host_says(const InstanceKey& key, std::optional<topology::Host> host) = 0;
    /// What the agents on clients' hosts say of `key`; nothing: nobody was asked lately. No-op for one that
    /// is not known.
    virtual void clients_say(const InstanceKey& key, std::optional<topology::Clients> clients) = 0;

    virtual Counters counters() const = 0;
    virtual std::vector<Sample> samples(seconds within) const = 0;
};

std::unique_ptr<Discovery> make_discovery(Clock& clock, engine::Engine& engine, store::Store& store,
                                          Options options);

}  // namespace baton::discovery
