// What host agents say becomes evidence: at once when something changed, and once a second as a whole.
#include "control/evidence.h"

#include "control/manager.h"

namespace baton::control {

topology::Host host_of(const agent::Seen& seen) {
    const auto& status = seen.status;
    return {.connected = seen.connected,
            .heard = seen.heard,
            .state = status.state,
            .state_since = seen.heard - status.in_state,
            .standby_signal = status.standby_signal,
            .crashes = status.crashes,
            .last_failure = status.last_failure,
            .hold = status.hold,
            .quarantine = status.quarantine,
            .data_disk = status.data_disk,
            .wal_disk = status.wal_disk,
            .job = status.job,
            .lease_on = status.lease.on,
            .system_identifier = status.system_identifier,
            .certificate_left = status.certificate_left};
}

void Manager::listen_to_agents() {
    parts_.agents.on_change([this, alive = std::weak_ptr(alive_)](const InstanceKey& key) {
        const auto still = alive.lock();
        if (still && *still) hear_agent(key);
    });
}

void Manager::hear_agent(const InstanceKey& key) {
    const auto* seen = parts_.agents.of(key);
    if (seen == nullptr) return;
    guarded_.insert(seen->status.key);
    discovery_->host_says(seen->status.key, host_of(*seen));
}

/// What moves without being a change (how full a disk is), servers that an agent guards and that were not
/// found yet, and agents that were forgotten.
void Manager::hear_all_agents() {
    auto gone = std::exchange(guarded_, {});
    for (const auto& seen : parts_.agents.all()) {
        guarded_.insert(seen.status.key);
        gone.erase(seen.status.key);
        discovery_->host_says(seen.status.key, host_of(seen));
    }
    for (const auto& key : gone)
        discovery_->host_says(key, std::nullopt);
}

/// An agent may have said its first word before its server was known, and nobody kept it.
void Manager::hear_agents_of(const topology::Cluster& cluster) {
    for (const auto& i : cluster.instances) {
        if (!i->host) hear_agent(i->key);
    }
}

std::set<std::string> Manager::client_hosts() const {
    std::set<std::string> hosts(config_->ClientAgents.begin(), config_->ClientAgents.end());
    for (const auto& router : config_->Routers)
        hosts.insert(router.Agent);
    hosts.erase("");
    return hosts;
}

}  // namespace baton::control
