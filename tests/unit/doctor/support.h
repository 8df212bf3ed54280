#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "doctor/checks.h"
#include "topology/world.h"

/// A healthy night: configuration, machine, manager and a cluster of three, about which every check has
/// nothing to say but good. Tests change one thing and see who notices.
namespace baton::doctor::sample {

using baton::sample::key;
using baton::sample::World;
using topology::Observation;

inline void good_settings(Observation& seen) {
    auto& s = seen.settings;
    s.wal_log_hints = true;
    s.synchronous_commit = "on";
    s.wal_retrieve_retry_interval_ms = 200;
    s.max_slot_wal_keep_size_mb = 51200;
    s.max_connections = 100;
    s.max_wal_senders = 10;
    s.max_worker_processes = 8;
    s.max_locks_per_transaction = 64;
    s.max_replication_slots = 10;
}

/// p <- s1, s2: all stream through slots of their own.
inline World good_world() {
    World world;
    world.primary("p").standby("s1").standby("s2");
    for (const auto* name : {"s1", "s2"}) {
        const std::string slot = std::string("slot_") + name;
        world.on(name).slot(slot).with([&](auto&, Observation& seen) {
            seen.receiver->slot = slot;
            seen.upstream.hosts = {key("p")};
        });
        world.on("p").with([&](auto&, Observation& seen) {
            seen.slots.push_back({.name = slot,
                                  .active = true,
                                  .restart = baton::sample::lsn("0/5000000"),
                                  .wal_status = "reserved"});
            seen.senders.push_back(
                {.application_name = name, .client_addr = name, .state = "streaming", .slot = slot});
        });
    }
    for (const auto* name : {"p", "s1", "s2"})
        world.on(name).with([](auto&, Observation& seen) { good_settings(seen); });
    return world;
}

inline engine::Examination good_examination() {
    return {.privileges = {{"monitor", true, true, "GRANT pg_monitor TO baton;"},
                           {"promote", true, true,
                            "GRANT EXECUTE ON FUNCTION pg_catalog.pg_promote(boolean, integer) TO baton;"},
                           {"synchronous_standby_names", true, false,
                            "GRANT ALTER SYSTEM ON PARAMETER synchronous_standby_names TO baton;"},
                           {"read_only", true, false,
                            "GRANT ALTER SYSTEM ON PARAMETER default_transaction_read_only TO baton;"}},
            .clock_offset = milliseconds(3)};
}

inline Manager good_manager(const Cluster& cluster) {
    Manager manager{
        .address = "http://127.0.0.1:3000",
        .reachable = true,
        .healthy = true,
        .health = "well",
        .recoveries_enabled = true,
        .recoveries = {},
        .instances = {},
        .clusters = {
            {.name = cluster.name, .alias = "", .recovers_primary = true, .recovers_intermediate = true}}};
    for (const auto& i : cluster.instances)
        manager.instances.push_back({.key = i->key, .cluster_name = cluster.name});
    return manager;
}

inline Facts facts_of(const World& world) {
    Facts facts;
    auto& c = facts.config.loaded.values;
    c.ProviderType = "postgresql";
    c.PostgreSQLTopologyUser = "baton";
    c.PostgreSQLTopologyPassword = "hunter2-password";
    c.PostgreSQLSSLMode = "require";
    c.SQLite3DataFile = "/var/lib/baton/baton.sqlite3";
    c.RecoverMasterClusterFilters = {"*"};
    c.RecoverIntermediateMasterClusterFilters = {"*"};
    facts.machine = {.user = "baton", .shell = "bash", .shell_found = true};
    const auto cluster = std::make_shared<Cluster>(world.build());
    facts.manager = good_manager(*cluster);
    auto topology = std::make_shared<topology::Topology>();
    topology->clusters[cluster->id] = cluster;
    for (const auto& i : cluster->instances) {
        topology->cluster_of[i->key] = cluster->id;
        facts.asked.push_back(i->key);
        facts.examined.push_back({i->key, good_examination()});
    }
    facts.topology = std::move(topology);
    facts.clusters = {cluster};
    facts.now = baton::sample::now;
    facts.wall = WallTime(std::chrono::hours(24 * 20000));
    return facts;
}

inline Facts good_facts() {
    return facts_of(good_world());
}

inline engine::Examination& examination(Facts& facts, const std::string& host) {
    const auto at = std::ranges::find(facts.examined, key(host), &Examined::key);
    return *at->outcome;
}

inline std::vector<Finding> findings_of(const Report& report, std::string_view check,
                                        Level at_least = Level::pass) {
    std::vector<Finding> found;
    std::ranges::copy_if(report.findings, std::back_inserter(found),
                         [&](const Finding& f) { return f.check == check && f.level >= at_least; });
    return found;
}

/// All that is not a pass, for messages: "check level subject: text".
inline std::string complaints(const Report& report) {
    std::string text;
    for (const auto& f : report.findings) {
        if (f.level != Level::pass)
            text += f.check + " " + std::string(to_string(f.level)) + " " + f.subject + ": " + f.text + "\n";
    }
    return text;
}

/// Something in the world is changed; exactly what `check` says of it.
struct Case {
    std::string name;
    std::string check;
    Level level;
    std::string subject;  ///< "" = whatever
    std::string text;     ///< part of the sentence
    std::string remedy;   ///< part of it
    std::function<Facts()> facts;
};

inline void expect(const Case& c) {
    SCOPED_TRACE(c.name);
    const auto report = diagnose(c.facts());
    const auto found = findings_of(report, c.check);
    const auto fits = std::ranges::find_if(found, [&](const Finding& f) {
        return f.level == c.level && (c.subject.empty() || f.subject == c.subject) &&
               f.text.contains(c.text) && f.remedy.contains(c.remedy);
    });
    std::string said;
    for (const auto& f : found)
        said += "  " + std::string(to_string(f.level)) + " " + f.subject + ": " + f.text + "\n    > " +
                f.remedy + "\n";
    EXPECT_NE(fits, found.end()) << c.check << " said:\n" << said;
    if (c.level != Level::pass)
        EXPECT_EQ(report.exit_code(), std::max(c.level == Level::fail ? 2 : 1, report.exit_code()));
}

}  // namespace baton::doctor::sample
