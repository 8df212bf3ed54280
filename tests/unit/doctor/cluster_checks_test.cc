#include "doctor/support.h"

namespace baton::doctor {
namespace {

using namespace sample;
using baton::sample::lsn;
using topology::Instance;

Facts with(const std::string& host, const std::function<void(Instance&, Observation&)>& change) {
    auto world = good_world();
    world.on(host).with(change);
    return facts_of(world);
}
Facts changed(const std::function<void(World&)>& change) {
    auto world = good_world();
    change(world);
    return facts_of(world);
}
Facts everywhere(const std::function<void(Observation&)>& change) {
    auto world = good_world();
    for (const auto* host : {"p", "s1", "s2"})
        world.on(host).with([&](Instance&, Observation& seen) { change(seen); });
    return facts_of(world);
}
Facts examined(const std::string& host, const std::function<void(engine::Examination&)>& change) {
    auto facts = good_facts();
    change(examination(facts, host));
    return facts;
}

TEST(Checks, AHealthyClusterPassesThemAll) {
    const auto report = diagnose(good_facts());
    EXPECT_EQ(report.exit_code(), 0) << complaints(report);
    EXPECT_FALSE(findings_of(report, "promotion").empty());
}

TEST(Checks, WhoIsWho) {
    const std::vector<Case> cases{
        {"two primaries", "one-primary", Level::fail, "", "s2:5432 (timeline 1)", "stop the one",
         [] {
             return with("s2",
                         [](Instance& i, Observation& o) { i.role = o.role = topology::Role::primary; });
         }},
        {"no primary", "one-primary", Level::fail, "", "no server", "baton failover",
         [] { return changed([](World& w) { w.on("p").down(); }); }},
        {"down", "connection", Level::fail, "s1:5432", "refused", "log",
         [] { return changed([](World& w) { w.on("s1").down(); }); }},
        {"not streaming", "streaming", Level::fail, "s1:5432", "no WAL receiver", "pg_hba.conf",
         [] { return changed([](World& w) { w.on("s1").not_streaming(seconds(20)); }); }},
        {"unknown upstream", "streaming", Level::fail, "s1:5432", "elsewhere:5432", "baton discover",
         [] { return with("s1", [](Instance& i, Observation&) { i.upstream = key("elsewhere"); }); }},
        {"hidden standby", "hidden-standbys", Level::warn, "p:5432", "\"s9\" from 10.0.0.9", "DiscoverySeeds",
         [] {
             return with("p", [](Instance&, Observation& o) {
                 o.senders.push_back(
                     {.application_name = "s9", .client_addr = "10.0.0.9", .state = "streaming"});
             });
         }},
        {"foreign upstream", "one-cluster", Level::fail, "s1:5432", "another system", "",
         [] {
             auto facts = with("s1", [](Instance&, Observation& o) { o.upstream.hosts = {key("alien")}; });
             auto topology = std::make_shared<topology::Topology>(*facts.topology);
             topology->cluster_of[key("alien")] = "42";
             facts.topology = topology;
             return facts;
         }},
        {"other names are shown", "one-cluster", Level::pass, "", "s1:5432 is also 10.0.0.1:5432", "",
         [] { return with("s1", [](Instance& i, Observation&) { i.aliases = {{"10.0.0.1", 5432}}; }); }},
        {"diverged", "timeline", Level::fail, "s1:5432", "has WAL that p:5432 never had", "pg_rewind",
         [] {
             return changed([](World& w) {
                 w.on("p").timeline(2).history(2, "1\t0/4000000\tno recovery target specified\n");
                 w.on("s1").with([](Instance&, Observation& o) { o.timeline = 1; });
                 w.on("s2").timeline(2);
             });
         }},
        {"no history", "timeline", Level::warn, "s1:5432", "could not be read", "REPLICATION",
         [] { return changed([](World& w) { w.on("p").timeline(2).on("s2").timeline(2); }); }},
    };
    for (const auto& c : cases)
        expect(c);
}

TEST(Checks, LagAndHeldStandbys) {
    const std::vector<Case> cases{
        {"slow", "lag", Level::warn, "s1:5432", "60.0 s behind", "",
         [] {
             return with("s1", [](Instance& i, Observation&) {
                 i.lag = {.receive_bytes = 0, .replay_bytes = 4096, .seconds = 60};
             });
         }},
        {"too far", "lag", Level::fail, "s1:5432", "MaximumLagOnFailoverBytes", "",
         [] {
             auto facts = with("s1", [](Instance& i, Observation&) {
                 i.lag = {.receive_bytes = 5 << 20, .replay_bytes = 5 << 20, .seconds = 1};
             });
             facts.config.loaded.values.MaximumLagOnFailoverBytes = 1 << 20;
             return facts;
         }},
        {"paused", "held-standbys", Level::warn, "s1:5432", "paused", "pg_wal_replay_resume",
         [] { return changed([](World& w) { w.on("s1").paused(); }); }},
        {"delayed", "held-standbys", Level::warn, "s1:5432", "late on purpose",
         "promotion-rule s1:5432 must_not", [] { return changed([](World& w) { w.on("s1").delayed(); }); }},
        {"delayed and known to be", "held-standbys", Level::pass, "", "no standby", "",
         [] {
             return changed([](World& w) { w.on("s1").delayed().rule(topology::PromotionRule::must_not); });
         }},
    };
    for (const auto& c : cases)
        expect(c);
}

TEST(Checks, Privileges) {
    const auto lacking = [](bool required) {
        auto facts = good_facts();
        for (auto& e : facts.examined) {
            for (auto& p : e.outcome->privileges)
                if (p.required == required) p.granted = false;
        }
        return facts;
    };
    const auto report = diagnose(lacking(true));
    const auto found = findings_of(report, "privileges", Level::fail);
    ASSERT_EQ(found.size(), 1U) << "the same grants are missing on all: told once";
    EXPECT_EQ(found[0].text, "role baton may not do on p:5432, s1:5432, s2:5432: monitor, promote");
    EXPECT_EQ(found[0].remedy,
              "-- on p:5432, in database postgres (the standbys get it by replication):\n"
              "GRANT pg_monitor TO baton;\n"
              "GRANT EXECUTE ON FUNCTION pg_catalog.pg_promote(boolean, integer) TO baton;");

    const std::vector<Case> cases{
        {"optional", "privileges", Level::pass, "", "not granted on p:5432", "GRANT ALTER SYSTEM",
         [&] { return lacking(false); }},
        {"one server only", "privileges", Level::fail, "", "may not do on s2:5432: monitor",
         "GRANT pg_monitor TO baton;",
         [] { return examined("s2", [](engine::Examination& e) { e.privileges[0].granted = false; }); }},
        {"needless superuser", "superuser", Level::warn, "", "superuser on p:5432", "NOSUPERUSER",
         [] { return examined("p", [](engine::Examination& e) { e.superuser = true; }); }},
        {"superuser on 14", "superuser", Level::pass, "", "13 and 14", "",
         [] {
             auto facts = everywhere([](Observation& o) { o.version_num = 140009; });
             examination(facts, "p").superuser = true;
             return facts;
         }},
        {"no session", "connection", Level::fail, "s1:5432", "a session for deeds", "",
         [] {
             auto facts = good_facts();
             facts.examined[1].outcome =
                 fail(ErrorKind::too_many_connections, "too many", "s1:5432", "53300");
             return facts;
         }},
    };
    for (const auto& c : cases)
        expect(c);
}

TEST(Checks, VersionsClocksAndTheRest) {
    const auto version = [](const std::string& host, int number) {
        return with(host, [&](Instance&, Observation& o) {
            o.version_num = number;
            o.version = "?";
        });
    };
    const std::vector<Case> cases{
        {"major", "versions", Level::fail, "s1:5432", "one major version", "",
         [&] { return version("s1", 160002); }},
        {"older", "versions", Level::warn, "s1:5432", "downgrade", "", [&] { return version("s1", 150003); }},
        {"newer", "versions", Level::warn, "s1:5432", "newer", "", [&] { return version("s1", 150019); }},
        {"too old", "versions", Level::fail, "p:5432", "manages 13 to 18", "",
         [&] { return version("p", 120001); }},
        {"clock", "clock", Level::warn, "s2:5432", "90.0 s behind", "timedatectl",
         [] {
             return examined("s2", [](engine::Examination& e) { e.clock_offset = milliseconds(-90000); });
         }},
        {"prepared", "prepared-transactions", Level::warn, "p:5432", "'it''s'", "ROLLBACK PREPARED",
         [] { return examined("p", [](engine::Examination& e) { e.prepared_transactions = {"it's"}; }); }},
        {"archive", "archive", Level::fail, "p:5432", "00000001000000000000000A", "archive_command",
         [] {
             return examined("p", [](engine::Examination& e) {
                 e.archiving = engine::Archiving{
                     .mode = "on", .failing = true, .last_failed_wal = "00000001000000000000000A"};
             });
         }},
        {"no ALTER SYSTEM", "alter-system", Level::fail, "s1:5432", "allow_alter_system", "",
         [] {
             return with("s1", [](Instance&, Observation& o) {
                 o.version_num = 170002;
                 o.settings.allow_alter_system = false;
             });
         }},
        {"no ALTER SYSTEM, finds it itself", "alter-system", Level::warn, "s1:5432", "itself", "",
         [] {
             return with("s1", [](Instance&, Observation& o) {
                 o.version_num = 170002;
                 o.settings.allow_alter_system = false;
                 o.upstream.hosts = {key("p"), key("s2")};
                 o.upstream.target_session_attrs = "read-write";
             });
         }},
    };
    for (const auto& c : cases)
        expect(c);
}

TEST(Checks, Conninfo) {
    const auto hosts = [](std::vector<InstanceKey> list, const std::string& attributes = "") {
        return with("s1", [&](Instance&, Observation& o) {
            o.upstream.hosts = list;
            o.upstream.target_session_attrs = attributes;
        });
    };
    const std::vector<Case> cases{
        {"unreadable", "conninfo", Level::fail, "s1:5432", "missing \"=\"", "",
         [] {
             return with("s1", [](Instance&, Observation& o) {
                 o.upstream = {.readable = false, .problem = "missing \"=\" after \"x\""};
             });
         }},
        {"no host", "conninfo", Level::fail, "s1:5432", "no host", "ALTER SYSTEM", [&] { return hosts({}); }},
        {"itself", "conninfo", Level::fail, "s1:5432", "itself", "", [&] { return hosts({key("s1")}); }},
        {"loopback", "conninfo", Level::warn, "s1:5432", "127.0.0.1:5432", "everywhere",
         [&] { return hosts({key("127.0.0.1")}); }},
        {"socket", "conninfo", Level::warn, "s1:5432", "Unix socket", "", [&] { return hosts({key("")}); }},
        {"several, any", "conninfo", Level::warn, "s1:5432", "without target_session_attrs", "read-write",
         [&] { return hosts({key("p"), key("s2")}); }},
        {"several, one absent", "conninfo", Level::warn, "s1:5432", "but not s2:5432", "",
         [&] { return hosts({key("p"), key("s1")}, "primary"); }},
        {"several, all well", "conninfo", Level::pass, "", "can be read", "",
         [&] { return hosts({key("p"), key("s1"), key("s2")}, "read-write"); }},
        {"same names", "application-names", Level::warn, "", "s1:5432, s2:5432 all go by the name \"x\"",
         "cluster_name", [] { return changed([](World& w) { w.on("s1").name("x").on("s2").name("x"); }); }},
        {"same names, synchronous", "application-names", Level::fail, "", "synchronous_standby_names", "",
         [] {
             return changed(
                 [](World& w) { w.on("s1").name("x").on("s2").name("x").on("p").synchronous("ANY 1 (x)"); });
         }},
    };
    for (const auto& c : cases)
        expect(c);
}

TEST(Checks, Slots) {
    const auto slot = [](const std::function<void(topology::Slot&)>& change) {
        return with("p", [&](Instance&, Observation& o) { change(o.slots[0]); });
    };
    const auto more = [](topology::Slot extra) {
        return with("p", [&](Instance&, Observation& o) { o.slots.push_back(extra); });
    };
    const std::vector<Case> cases{
        {"none", "slots", Level::warn, "s1:5432", "without a slot",
         "on p:5432: SELECT pg_create_physical_replication_slot('s1', true);\non s1:5432: ALTER SYSTEM SET "
         "primary_slot_name = 's1'",
         [] {
             return with("s1", [](Instance&, Observation& o) {
                 o.settings.primary_slot_name.clear();
                 o.receiver->slot.clear();
             });
         }},
        {"missing", "slots", Level::fail, "s1:5432", "does not exist on p:5432", "'slot_s1', true",
         [] { return with("p", [](Instance&, Observation& o) { o.slots.erase(o.slots.begin()); }); }},
        {"not in use", "slots", Level::fail, "s1:5432", "not in use", "",
         [&] { return slot([](auto& s) { s.active = false; }); }},
        {"lost", "slot-wal", Level::fail, "p:5432", "has lost WAL", "pg_drop_replication_slot('slot_s1')",
         [&] { return slot([](auto& s) { s.wal_status = "lost"; }); }},
        {"unreserved", "slot-wal", Level::fail, "p:5432", "about to lose", "",
         [&] { return slot([](auto& s) { s.wal_status = "unreserved"; }); }},
        {"forgotten", "slot-wal", Level::warn, "p:5432", "holds back 64.0 MiB",
         "pg_drop_replication_slot('old')",
         [&] { return more({.name = "old", .restart = lsn("0/1000000")}); }},
        {"kept for a standby", "slot-wal", Level::pass, "", "none forgotten", "",
         [] {
             return with("s2", [](Instance&, Observation& o) {
                 o.slots.push_back({.name = "slot_s1", .restart = lsn("0/1000000")});
             });
         }},
        {"unlimited", "slot-limit", Level::warn, "", "unlimited on p:5432, s1:5432, s2:5432",
         "on s2:5432: ALTER SYSTEM",
         [] { return everywhere([](Observation& o) { o.settings.max_slot_wal_keep_size_mb = -1; }); }},
        {"too small", "slot-limit", Level::warn, "p:5432", "64 MB", "",
         [] {
             return with("p", [](Instance&, Observation& o) { o.settings.max_slot_wal_keep_size_mb = 64; });
         }},
        {"logical, 15", "logical-slots", Level::warn, "p:5432", "do not survive", "",
         [&] { return more({.name = "cdc", .physical = false, .active = true}); }},
        {"logical, 17 without dbname", "logical-slots", Level::warn, "s1:5432", "no dbname",
         "sync_replication_slots",
         [] {
             auto world = good_world();
             for (const auto* host : {"p", "s1", "s2"})
                 world.on(host).with([](Instance&, Observation& o) { o.version_num = 170002; });
             world.on("p").with([](Instance&, Observation& o) {
                 o.slots.push_back({.name = "cdc", .physical = false, .active = true});
             });
             return facts_of(world);
         }},
        {"too few senders", "capacity", Level::fail, "s1:5432", "max_wal_senders = 1", "(restart)",
         [] { return with("s1", [](Instance&, Observation& o) { o.settings.max_wal_senders = 1; }); }},
    };
    for (const auto& c : cases)
        expect(c);
}

TEST(Checks, Settings) {
    const auto set = [](const std::string& host, const std::function<void(topology::Settings&)>& change) {
        return with(host, [&](Instance&, Observation& o) { change(o.settings); });
    };
    const std::vector<Case> cases{
        {"rewind", "rewind", Level::warn, "p:5432", "pg_rewind refuses", "wal_log_hints = on",
         [&] { return set("p", [](auto& s) { s.wal_log_hints = false; }); }},
        {"checksums do", "rewind", Level::pass, "", "", "",
         [&] {
             return set("p", [](auto& s) {
                 s.wal_log_hints = false;
                 s.data_checksums = true;
             });
         }},
        {"five seconds", "retry-interval", Level::warn, "", "s2:5432 (5.0 s)",
         "on s2:5432: ALTER SYSTEM SET wal_retrieve_retry_interval = '200ms'",
         [&] { return set("s2", [](auto& s) { s.wal_retrieve_retry_interval_ms = 5000; }); }},
        {"exactly 500 ms", "retry-interval", Level::pass, "", "", "",
         [&] { return set("s2", [](auto& s) { s.wal_retrieve_retry_interval_ms = 500; }); }},
        {"for ever", "receiver-timeout", Level::warn, "s1:5432", "for ever", "wal_receiver_timeout",
         [&] { return set("s1", [](auto& s) { s.wal_receiver_timeout_ms = 0; }); }},
        {"timeline on a standby", "timeline-target", Level::fail, "s1:5432", "current", "latest",
         [&] { return set("s1", [](auto& s) { s.recovery_target_timeline = "current"; }); }},
        {"timeline on the primary", "timeline-target", Level::warn, "p:5432", "when it is a standby", "",
         [&] { return set("p", [](auto& s) { s.recovery_target_timeline = "current"; }); }},
        {"smaller standby", "hot-standby-settings", Level::fail, "s1:5432", "max_connections is 50",
         "max_connections = 100", [&] { return set("s1", [](auto& s) { s.max_connections = 50; }); }},
        {"larger standby", "hot-standby-settings", Level::warn, "s1:5432", "more than", "",
         [&] { return set("s1", [](auto& s) { s.max_worker_processes = 16; }); }},
        {"read-only primary", "read-only", Level::fail, "p:5432", "refuses writes", "RESET",
         [&] { return set("p", [](auto& s) { s.default_transaction_read_only = true; }); }},
        {"read-only standby", "read-only", Level::warn, "s1:5432", "promoted", "RESET",
         [&] { return set("s1", [](auto& s) { s.default_transaction_read_only = true; }); }},
    };
    for (const auto& c : cases)
        expect(c);
}

TEST(Checks, Synchronous) {
    const auto names = [](const std::string& value) {
        return everywhere([&](Observation& o) { o.settings.synchronous_standby_names = value; });
    };
    const std::vector<Case> cases{
        {"asynchronous", "synchronous", Level::pass, "", "asynchronous", "", [] { return good_facts(); }},
        {"satisfied, after a failover too", "synchronous", Level::pass, "", "can be met", "",
         [&] { return names("ANY 1 (p, s1, s2)"); }},
        {"hangs now", "synchronous", Level::fail, "p:5432", "commits hang now", "",
         [&] { return names("3 (s1, s2, p)"); }},
        {"unknown name", "synchronous", Level::warn, "p:5432", "\"s7\"", "",
         [&] { return names("ANY 1 (s1, s2, s7)"); }},
        {"would be relaxed", "synchronous", Level::pass, "s1:5432", "Baton would relax it", "",
         [&] { return names("2 (s1, s2)"); }},
        {"would hang: no privilege", "synchronous", Level::fail, "s1:5432", "may not change it",
         "GRANT ALTER SYSTEM",
         [&] {
             auto facts = names("2 (s1, s2)");
             examination(facts, "s1").privileges[2].granted = false;
             return facts;
         }},
        {"would hang: policy", "synchronous", Level::warn, "s1:5432", "\"keep\"", "",
         [&] {
             auto facts = names("2 (s1, s2)");
             facts.config.loaded.values.SynchronousFailoverPolicy = "keep";
             return facts;
         }},
        {"differs", "synchronous", Level::warn, "s1:5432", "changes what commits wait for", "",
         [] { return changed([](World& w) { w.on("p").synchronous("ANY 1 (s1, s2)"); }); }},
        {"no commit waits", "synchronous", Level::warn, "p:5432", "no commit waits",
         "synchronous_commit = on",
         [] {
             return everywhere([](Observation& o) {
                 o.settings.synchronous_standby_names = "*";
                 o.settings.synchronous_commit = "local";
             });
         }},
    };
    for (const auto& c : cases)
        expect(c);
}

TEST(Checks, WouldAFailoverHappen) {
    const auto managed = [](const std::function<void(Manager&)>& change) {
        auto facts = good_facts();
        change(facts.manager);
        return facts;
    };
    const std::vector<Case> cases{
        {"the choice", "promotion", Level::pass, "", "s1:5432 would be promoted", "",
         [] { return good_facts(); }},
        {"nobody", "promotion", Level::fail, "", "nobody would be promoted", "s1:5432: must-not",
         [] {
             return changed([](World& w) {
                 w.on("s1")
                     .rule(topology::PromotionRule::must_not)
                     .on("s2")
                     .rule(topology::PromotionRule::must_not);
             });
         }},
        {"filter", "automatic-recovery", Level::warn, "", "RecoverMasterClusterFilters",
         "[\"7300000000000000001\"]",
         [] {
             auto facts = good_facts();
             facts.manager = {.address = "http://127.0.0.1:3000", .problem = "refused"};
             facts.config.loaded.values.RecoverMasterClusterFilters = {"another"};
             return facts;
         }},
        {"the running manager knows better", "automatic-recovery", Level::warn, "",
         "RecoverMasterClusterFilters", "",
         [&] { return managed([](Manager& m) { m.clusters[0].recovers_primary = false; }); }},
        {"cascade", "automatic-recovery", Level::warn, "", "RecoverIntermediateMasterClusterFilters", "",
         [] {
             auto world = good_world();
             world.standby("s3", "s1");
             auto facts = facts_of(world);
             facts.manager.clusters[0].recovers_intermediate = false;
             return facts;
         }},
        {"ignored", "automatic-recovery", Level::warn, "p:5432", "RecoveryIgnoreHostnameFilters", "",
         [] {
             auto facts = good_facts();
             facts.config.loaded.values.RecoveryIgnoreHostnameFilters = {"^p:"};
             return facts;
         }},
        {"blocked", "stale-recoveries", Level::warn, "", "keeps the next one", "baton ack p:5432 --comment",
         [&] {
             return managed([](Manager& m) {
                 m.recoveries = {{.uid = "1:a",
                                  .code = "DeadPrimary",
                                  .cluster_name = "old:5432",
                                  .started = "t",
                                  .ended = "u",
                                  .failed = key("old"),
                                  .successor = key("p"),
                                  .active = true}};
             });
         }},
        {"under way", "stale-recoveries", Level::warn, "", "under way", "baton timeline 1:a",
         [&] {
             return managed(
                 [](Manager& m) { m.recoveries = {{.uid = "1:a", .failed = key("p"), .active = true}}; });
         }},
        {"acknowledged", "stale-recoveries", Level::pass, "", "nothing keeps", "",
         [&] {
             return managed([](Manager& m) {
                 m.recoveries = {
                     {.uid = "1:a", .ended = "u", .failed = key("p"), .active = true, .acknowledged = true}};
             });
         }},
        {"downtime of the primary", "downtimes", Level::warn, "p:5432", "its death is not acted on",
         "baton end-downtime p:5432",
         [&] { return managed([](Manager& m) { m.instances[0].downtimed = true; }); }},
        {"unknown to the manager", "known-to-manager", Level::warn, "s2:5432", "not known",
         "baton discover s2:5432", [&] { return managed([](Manager& m) { m.instances.pop_back(); }); }},
        {"a failure right now", "problems", Level::fail, "p:5432", "DeadPrimary", "",
         [] { return changed([](World& w) { w.dies("p"); }); }},
    };
    for (const auto& c : cases)
        expect(c);
}

/// Every server of the good night with an agent, and a lease on the primary.
Facts with_agents(const std::function<void(std::vector<ManagerAgent>&)>& change) {
    auto facts = good_facts();
    for (const auto* host : {"p", "s1", "s2"}) {
        facts.manager.agents.push_back({.key = key(host),
                                        .host = host,
                                        .version = "0.1.0",
                                        .peer_address = std::string(host) + ":3002",
                                        .hold = "none",
                                        .quarantine = "",
                                        .connected = true,
                                        .lease_on = host == std::string("p")});
    }
    change(facts.manager.agents);
    return facts;
}

TEST(Checks, HostAgents) {
    const std::vector<Case> cases{
        {"none", "agents", Level::pass, "", "optional", "", good_facts},
        {"all", "agents", Level::pass, "", "3 host agents, all connected", "",
         [] { return with_agents([](auto&) {}); }},
        {"lease", "lease", Level::pass, "", "p:5432 holds its lease of 2 s", "",
         [] { return with_agents([](auto&) {}); }},
        {"one lacks", "agents", Level::warn, "s2:5432", "no host agent guards it", "run baton agent on s2",
         [] { return with_agents([](auto& a) { a.pop_back(); }); }},
        {"lost", "agents", Level::fail, "s1:5432", "not connected", "log",
         [] { return with_agents([](auto& a) { a[1].connected = false; }); }},
        {"mute", "agents", Level::warn, "s1:5432", "cannot vouch", "PeerListenAddress",
         [] { return with_agents([](auto& a) { a[1].peer_address.clear(); }); }},
        {"versions", "agents", Level::warn, "", "0.1.0, 0.2.0", "manager's version",
         [] { return with_agents([](auto& a) { a[2].version = "0.2.0"; }); }},
        {"systemd starts what the agent ends", "agents", Level::warn, "s1:5432", "Restart=always",
         "docs/agent.md", [] { return with_agents([](auto& a) { a[1].in_the_way = "Restart=always"; }); }},
        {"quarantined", "agents", Level::fail, "s2:5432", "rewind was interrupted", "baton reinit s2:5432",
         [] { return with_agents([](auto& a) { a[2].quarantine = "rewind was interrupted"; }); }},
        {"held", "agents", Level::warn, "s2:5432", "fenced", "baton rejoin s2:5432",
         [] { return with_agents([](auto& a) { a[2].hold = "fenced"; }); }},
        {"lease off", "lease", Level::warn, "p:5432", "s2:5432: no host agent guards it", "must_not",
         [] {
             return with_agents([](auto& a) {
                 a.pop_back();
                 a[0].lease_on = false;
             });
         }},
    };
    for (const auto& c : cases)
        expect(c);
}

/// The good night behind a router that leads to `to`.
Facts routed(const std::string& to, const std::function<void(RouterLook&)>& change = {}) {
    auto facts = good_facts();
    routing::Standing standing;
    standing.routes = {{.database = "app", .to = {to, 5432}}};
    RouterLook router{.name = "pb1", .clusters = {"*"}, .has_agent = true, .standing = std::move(standing)};
    if (change) change(router);
    facts.routers.push_back(std::move(router));
    return facts;
}

TEST(Checks, Routers) {
    const std::vector<Case> cases{
        {"none", "routers", Level::pass, "", "no routers", "", good_facts},
        {"good", "routers", Level::pass, "", "one router leads to the primary", "",
         [] { return routed("p"); }},
        {"of others", "routers", Level::pass, "", "no routers", "",
         [] { return routed("s1", [](auto& r) { r.clusters = {"alias=other"}; }); }},
        {"elsewhere", "routers", Level::fail, "", "to s1:5432, which is not the primary", "targets",
         [] { return routed("s1"); }},
        {"a name", "routers", Level::warn, "", "not known to be the primary's", "p:5432",
         [] { return routed("db.example"); }},
        {"silent", "routers", Level::fail, "", "cannot be asked: pb1:6432: refused", "Address",
         [] {
             return routed("p",
                           [](auto& r) { r.standing = fail(ErrorKind::refused, "refused", "pb1:6432"); });
         }},
        {"forbidden", "routers", Level::fail, "", "may look, but not PAUSE", "admin_users",
         [] { return routed("p", [](auto& r) { r.standing->forbidden = "u may look, but not PAUSE"; }); }},
        {"remark", "routers", Level::warn, "", "no database app", "Databases",
         [] { return routed("p", [](auto& r) { r.standing->remarks = {"it has no database app"}; }); }},
        {"held", "routers", Level::warn, "", "holds the clients of database app", "RESUME app",
         [] { return routed("p", [](auto& r) { r.standing->routes[0].paused = true; }); }},
        {"alone", "routers", Level::warn, "", "no Agent", "PgBouncers",
         [] { return routed("p", [](auto& r) { r.has_agent = false; }); }},
    };
    for (const auto& c : cases)
        expect(c);
}

}  // namespace
}  // namespace baton::doctor
