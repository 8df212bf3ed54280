#include "doctor/collect.h"

#include <algorithm>

#include "base/async.h"
#include "control/options.h"
#include "control/routers.h"
#include "discovery/discovery.h"

namespace baton::doctor {
namespace {

constexpr milliseconds pause{100};
// Places where a standby could be are tried one after another, with pauses that grow: whoever is still to be
// found gets the longer wait.
constexpr milliseconds quiet_when_complete{1000};
constexpr milliseconds quiet_when_incomplete{6000};
constexpr seconds examination_time{5};
constexpr seconds router_time{3};
constexpr size_t side_by_side = 50;

/// What must stop changing before the picture is taken.
std::string shape_of(const topology::Topology& topology) {
    std::string shape;
    for (const auto& [id, cluster] : topology.clusters) {
        for (const auto& i : cluster->instances) {
            shape += id + i->key.text() + std::string(topology::to_string(i->role)) +
                     std::string(topology::to_string(i->health.reach)) +
                     (i->upstream ? i->upstream->text() : "") + (i->upstream_known ? "+" : "-") +
                     std::to_string(i->aliases.size()) + ";";
        }
    }
    return shape;
}

/// Everybody who is known to be there was found.
bool complete(const topology::Topology& topology) {
    for (const auto& [id, cluster] : topology.clusters) {
        for (const auto& i : cluster->instances) {
            if (!i->health.ok() || !i->seen) continue;
            if (i->is_standby() && !i->upstream_known) return false;
            if (i->seen->senders.size() > i->downstream.size()) return false;
        }
    }
    return true;
}

Task<bool> wait_until_stable(Clock& clock, const discovery::Discovery& discovery, MonoTime deadline) {
    std::string shape;
    auto since = clock.now();
    while (clock.now() < deadline) {
        const auto topology = discovery.topology();
        auto now = shape_of(*topology);
        if (now != shape || !discovery.settled()) {
            shape = std::move(now);
            since = clock.now();
        }
        const auto quiet = complete(*topology) ? quiet_when_complete : quiet_when_incomplete;
        if (clock.now() - since >= quiet) co_return true;
        co_await clock.sleep_for(pause);
    }
    co_return false;
}

Task<Result<discovery::InstancePtr>> discover_one(discovery::Discovery& discovery, InstanceKey key,
                                                  MonoTime deadline) {
    co_return co_await discovery.discover(std::move(key), deadline);
}

Task<void> discover_all(Clock& clock, discovery::Discovery& discovery, const std::vector<InstanceKey>& seeds,
                        MonoTime deadline, Facts& facts) {
    for (size_t from = 0; from < seeds.size(); from += side_by_side) {
        const auto until = std::min(seeds.size(), from + side_by_side);
        std::vector<Task<Result<discovery::InstancePtr>>> tasks;
        for (size_t i = from; i < until; ++i)
            tasks.push_back(discover_one(discovery, seeds[i], deadline));
        const auto results = co_await gather(clock, std::move(tasks));
        for (size_t i = from; i < until; ++i) {
            const auto& result = results[i - from];
            if (!result) facts.unanswered.push_back({seeds[i], result.error()});
        }
    }
}

Task<Examined> examine_one(Clock& clock, engine::Engine& engine, InstanceKey key) {
    const auto actor = engine.make_actor(key);
    auto outcome = co_await actor->examine(clock.now() + examination_time);
    co_return Examined{std::move(key), std::move(outcome)};
}

Task<void> examine_all(Clock& clock, engine::Engine& engine, const std::vector<InstanceKey>& keys,
                       Facts& facts) {
    for (size_t from = 0; from < keys.size(); from += side_by_side) {
        std::vector<Task<Examined>> tasks;
        for (size_t i = from; i < std::min(keys.size(), from + side_by_side); ++i)
            tasks.push_back(examine_one(clock, engine, keys[i]));
        for (auto& examined : co_await gather(clock, std::move(tasks)))
            facts.examined.push_back(std::move(examined));
    }
}

Task<RouterLook> look_at_router(Clock& clock, config::RouterEntry entry, MonoTime deadline) {
    const auto router = control::router_of(entry, clock);
    auto standing = co_await router->check(deadline);
    co_return RouterLook{entry.Name, entry.Clusters, !entry.Agent.empty(), std::move(standing)};
}

std::vector<InstanceKey> answering_keys(const topology::Topology& topology) {
    std::vector<InstanceKey> keys;
    for (const auto& [id, cluster] : topology.clusters) {
        for (const auto& i : cluster->instances) {
            if (i->health.ok()) keys.push_back(i->key);
        }
    }
    return keys;
}

}  // namespace

Task<void> look_at_servers(Clock& clock, engine::Engine& engine, store::Store& store,
                           std::vector<InstanceKey> seeds, MonoTime deadline, Facts& facts) {
    auto options = control::discovery_options(facts.settings());
    options.poll_interval = std::min(options.poll_interval, milliseconds(1000));
    const auto discovery = discovery::make_discovery(clock, engine, store, options);
    discovery->start({});
    facts.asked = seeds;
    co_await discover_all(clock, *discovery, seeds, deadline, facts);
    if (facts.unanswered.size() < seeds.size())
        facts.stable = co_await wait_until_stable(clock, *discovery, deadline);
    const auto keys = answering_keys(*discovery->topology());
    co_await examine_all(clock, engine, keys, facts);
    co_await discovery->look_again(keys, clock.now() + 2 * options.probe_timeout);
    facts.topology = discovery->topology();
    facts.now = clock.now();
    facts.wall = clock.wall();
    // A seed that did not answer at first may have been found since.
    std::erase_if(facts.unanswered,
                  [&](const Unanswered& u) { return facts.topology->find_instance(u.key) != nullptr; });
    discovery->stop();
}

Task<void> look_at_routers(Clock& clock, MonoTime deadline, Facts& facts) {
    std::vector<Task<RouterLook>> looks;
    for (const auto& entry : facts.settings().Routers)
        looks.push_back(look_at_router(clock, entry, std::min(deadline, clock.now() + router_time)));
    facts.routers = co_await gather(clock, std::move(looks));
}

std::vector<ClusterPtr> select_clusters(const topology::Topology& topology,
                                        const std::optional<InstanceKey>& server, const std::string& cluster,
                                        const std::vector<InstanceKey>& members, uint16_t default_port) {
    std::vector<ClusterPtr> found;
    const auto add = [&](const ClusterPtr& c) {
        if (c && std::ranges::find(found, c) == found.end()) found.push_back(c);
    };
    const auto cluster_with = [&](const InstanceKey& key) {
        const auto at = topology.cluster_of.find(key);
        return at == topology.cluster_of.end() ? nullptr : topology.cluster(at->second);
    };
    if (server) {
        add(cluster_with(*server));
    } else if (!cluster.empty()) {
        for (const auto& key : members)
            add(cluster_with(key));
        if (found.empty()) add(topology.find_cluster(cluster, default_port));
    } else {
        for (const auto& [id, c] : topology.clusters)
            add(c);
    }
    return found;
}

}  // namespace baton::doctor
