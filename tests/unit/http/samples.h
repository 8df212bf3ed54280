#pragma once

#include "control/control.h"

/// The sample cluster of the tests of http/, and what is remembered of it.
namespace baton::http::testing {

using topology::InstanceKey;
using topology::InstancePtr;

inline InstanceKey key_of(const std::string& text) {
    return *topology::parse_instance_key(text, 5432);
}

inline const WallTime sample_wall{std::chrono::sys_days{std::chrono::year{2026} / 11 / 20} +
                                  std::chrono::hours(10)};
inline constexpr MonoTime sample_now{seconds(100000)};
inline constexpr auto sample_cluster_id = "7380000000000000001";

/// What a healthy server of the sample cluster would answer.
inline topology::Observation sample_observation(topology::Role role, uint64_t lsn) {
    topology::Observation o;
    o.engine = topology::Engine::postgresql;
    o.asked_at = sample_now - milliseconds(202);
    o.answered_at = sample_now - milliseconds(200);
    o.system_identifier = sample_cluster_id;
    o.version_num = 150018;
    o.version = "15.18";
    o.data_directory = "/var/lib/postgresql/15/main";
    o.port = 5432;
    o.started_at_us = sample_wall.time_since_epoch().count() - 86'400'000'000;
    o.role = role;
    o.timeline = 3;
    if (role == topology::Role::primary) {
        o.written = {lsn};
    } else {
        o.received = o.replayed = {lsn};
    }
    return o;
}

inline topology::Instance sample_instance(const std::string& name, topology::Observation seen) {
    topology::Instance i;
    i.key = key_of(name);
    i.health.reach = topology::Reach::answering;
    i.health.attempt_began = seen.asked_at;
    i.health.last_attempt = i.health.last_answer = seen.answered_at;
    i.health.latency = milliseconds(2);
    i.last_seen = sample_wall - milliseconds(200);
    i.cluster_id = seen.system_identifier;
    i.role = seen.role;
    i.seen = std::make_shared<const topology::Observation>(std::move(seen));
    return i;
}

inline topology::Instance sample_primary(const std::string& name = "db1:5432", uint64_t lsn = 0x1'6B374D848) {
    auto i = sample_instance(name, sample_observation(topology::Role::primary, lsn));
    i.lag = {.receive_bytes = 0, .replay_bytes = 0, .seconds = 0};
    return i;
}

inline topology::Instance sample_standby(const std::string& name, const std::string& upstream = "db1:5432",
                                         uint64_t lsn = 0x1'6B374D848) {
    auto seen = sample_observation(topology::Role::standby, lsn);
    const auto up = key_of(upstream);
    seen.upstream.hosts = {up};
    seen.receiver = topology::Receiver{.status = "streaming",
                                       .sender_host = up.host,
                                       .sender_port = up.port,
                                       .slot = "standby",
                                       .received_timeline = 3,
                                       .written = {lsn},
                                       .flushed = {lsn},
                                       .latest_end = {lsn},
                                       .last_message_age = milliseconds(10)};
    auto i = sample_instance(name, std::move(seen));
    i.upstream = up;
    i.upstream_known = true;
    i.depth = 1;
    i.lag = {.receive_bytes = 0, .replay_bytes = 0, .seconds = 0};
    i.streamed_until = sample_now - milliseconds(200);
    return i;
}

/// Puts a cluster into `topology` and enters all its names. `former` are names that it had earlier.
inline void add_cluster(topology::Topology& topology, topology::Cluster cluster) {
    const auto shared = std::make_shared<const topology::Cluster>(std::move(cluster));
    topology.clusters[shared->id] = shared;
    for (const auto& i : shared->instances) {
        topology.cluster_of[i->key] = shared->id;
        for (const auto& alias : i->aliases)
            topology.cluster_of[alias] = shared->id;
    }
    topology.names[shared->name] = shared->id;
    if (!shared->alias.empty()) topology.names[shared->alias] = shared->id;
    if (!shared->domain.empty()) topology.names[shared->domain] = shared->id;
    for (const auto& name : shared->former_names)
        topology.names[name] = shared->id;
}

/// db1 leads; db2 and db3 stream from it. Alias "shop", formerly "db0:5432".
inline topology::TopologyPtr sample_topology() {
    auto primary = sample_primary();
    primary.downstream = {key_of("db2:5432"), key_of("db3:5432")};
    topology::Cluster cluster;
    cluster.id = sample_cluster_id;
    cluster.name = "db1:5432";
    cluster.alias = "shop";
    cluster.domain = "shop.db.example.com";
    cluster.former_names = {"db0:5432"};
    cluster.instances = {std::make_shared<const topology::Instance>(primary),
                         std::make_shared<const topology::Instance>(sample_standby("db2:5432")),
                         std::make_shared<const topology::Instance>(sample_standby("db3:5432"))};
    auto topology = std::make_shared<topology::Topology>();
    topology->version = 1;
    add_cluster(*topology, std::move(cluster));
    return topology;
}

/// One cluster of `count` instances (a primary and its standbys), for measuring.
inline topology::TopologyPtr wide_topology(size_t count) {
    topology::Cluster cluster;
    cluster.id = sample_cluster_id;
    cluster.name = "db1:5432";
    cluster.alias = "shop";
    auto primary = sample_primary();
    std::vector<InstancePtr> standbys;
    for (size_t n = 2; n <= count; ++n) {
        const auto name = "db" + std::to_string(n) + ":5432";
        primary.downstream.push_back(key_of(name));
        standbys.push_back(std::make_shared<const topology::Instance>(sample_standby(name)));
    }
    cluster.instances.push_back(std::make_shared<const topology::Instance>(primary));
    cluster.instances.insert(cluster.instances.end(), standbys.begin(), standbys.end());
    auto topology = std::make_shared<topology::Topology>();
    add_cluster(*topology, std::move(cluster));
    return topology;
}

/// A finished failover db0 -> db1, two hours before sample_wall.
inline store::Recovery sample_recovery() {
    store::Recovery r;
    r.id = 17;
    r.uid = "1714557605123456789:0f3c";
    r.code = "DeadPrimary";
    r.kind = "primary";
    r.cluster_id = sample_cluster_id;
    r.cluster_name = "db0:5432";
    r.cluster_alias = "shop";
    r.failed = key_of("db0:5432");
    r.replicas = {key_of("db1:5432"), key_of("db2:5432")};
    r.description = "db0:5432 refuses connections; 2 of 2 standbys lost it";
    r.state = store::RecoveryState::succeeded;
    r.successor = key_of("db1:5432");
    r.successor_position = "1/6B000000";
    r.participating = {key_of("db1:5432"), key_of("db2:5432")};
    r.started = sample_wall - std::chrono::hours(2);
    r.ended = r.started + milliseconds(230);
    r.detection_id = 16;
    r.node_hostname = "manager1";
    r.node_token = "c1a5";
    return r;
}

inline std::vector<store::RecoveryStep> sample_steps() {
    const auto r = sample_recovery();
    return {{.id = 18,
             .uid = r.uid,
             .at = r.started,
             .elapsed_us = 4000,
             .message = "db0:5432 is dead",
             .deed = ""},
            {.id = 19,
             .uid = r.uid,
             .at = r.started + milliseconds(40),
             .elapsed_us = 44000,
             .message = "promote db1:5432",
             .deed = "promote db1:5432"}};
}

}  // namespace baton::http::testing
