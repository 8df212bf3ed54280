#include "plan/switchover.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "topology/world.h"

namespace baton::plan {
namespace {

using sample::key;
using sample::lsn;
using sample::make_cluster;
using sample::World;
using testing::Contains;
using testing::HasSubstr;
using topology::Disk;
using topology::DiskHealth;
using topology::Host;
using topology::Instance;
using topology::Observation;
using topology::ServerState;

void roomy(Instance& i, Observation& seen) {
    i.host = Host{.connected = true, .state = ServerState::running};
    seen.settings.max_connections = 100;
    seen.settings.max_wal_senders = 10;
    seen.settings.max_worker_processes = 8;
    seen.settings.max_locks_per_transaction = 64;
    seen.settings.max_replication_slots = 10;
}

World healthy() {
    return make_cluster().primary("p").with(roomy).standby("s1").with(roomy).standby("s2").with(roomy);
}

SwitchoverWish wish(const char* candidate = "s1") {
    SwitchoverWish w;
    if (*candidate != '\0') w.candidate = key(candidate);
    w.activity[key("p")] = {};
    return w;
}

/// "p:no-agent s1:lagging; s1"
std::string summary(const Preflight& found) {
    std::string text;
    for (const auto& f : found.failures)
        text += (text.empty() ? "" : " ") + f.instance.host + ":" + std::string(to_string(f.what));
    return text + ";" + (found.candidate ? " " + found.candidate->host : "");
}

struct Case {
    const char* name;
    World world;
    const char* expected;
    const char* candidate = "s1";
    std::function<void(SwitchoverWish&)> change = [](SwitchoverWish&) {};
};

using Change = std::function<void(Instance&, Observation&)>;

World on(const char* server, const Change& change) {
    return healthy().on(server).with(change);
}

void check(std::span<const Case> cases) {
    for (const auto& c : cases) {
        auto w = wish(c.candidate);
        c.change(w);
        const auto found = preflight_switchover(c.world.build(), w, Policy{});
        EXPECT_EQ(summary(found), c.expected) << c.name;
        for (const auto& f : found.failures)
            EXPECT_FALSE(f.text.empty()) << c.name;
    }
}

TEST(SwitchoverPreflight, looks_at_the_hosts) {
    const Case cases[] = {
        {"all is well", healthy(), "; s1"},
        {"no agent anywhere", make_cluster().primary("p").standby("s1").with([](auto&, auto& seen) {
             seen.settings.max_replication_slots = seen.settings.max_wal_senders = 10;
         }),
         "p:no-agent s1:no-agent p:settings; s1"},
        {"the primary's agent is away", on("p", [](auto& i, auto&) { i.host->connected = false; }),
         "p:no-agent; s1"},
        {"only the sibling has none: it does not matter", on("s2", [](auto& i, auto&) { i.host.reset(); }),
         "; s1"},
        {"quarantine", on("s1", [](auto& i, auto&) { i.host->quarantine = "a rewind was interrupted"; }),
         "s1:unfit-host; s1"},
        {"fenced", on("p", [](auto& i, auto&) { i.host->hold = topology::Hold::fenced; }),
         "p:unfit-host; s1"},
        {"hung", on("p", [](auto& i, auto&) { i.host->state = ServerState::hung; }), "p:unfit-host; s1"},
        {"a clone", on("s1", [](auto& i, auto&) { i.host->job = topology::Job{.verb = "clone"}; }),
         "s1:unfit-host; s1"},
        {"disk of the candidate",
         on("s1", [](auto& i, auto&) { i.host->data_disk = Disk{.path = "/d", .health = DiskHealth::full}; }),
         "s1:disk; s1"},
        {"WAL disk of the primary",
         on("p",
            [](auto& i, auto&) { i.host->wal_disk = Disk{.path = "/w", .health = DiskHealth::read_only}; }),
         "p:disk; s1"},
        {"a disk that was not looked at yet",
         on("s1", [](auto& i, auto&) { i.host->data_disk = Disk{.path = "/d"}; }), "; s1"},
    };
    // The word without agents is about agents, not about what their servers have not been asked.
    auto bare = cases[1];
    bare.world.on("p").with([](auto&, auto& seen) { seen.settings.max_wal_senders = 10; });
    bare.expected = "p:no-agent s1:no-agent; s1";
    check({&cases[0], 1});
    check({&bare, 1});
    check(std::span(cases).subspan(2));
}

TEST(SwitchoverPreflight, looks_at_the_candidate) {
    const Case cases[] = {
        {"does not stream", healthy().on("s1").not_streaming(), "s1:not-streaming; s1"},
        {"another timeline", healthy().on("s1").timeline(2), "s1:other-timeline; s1"},
        {"paused and delayed: both are said", healthy().on("s1").paused().delayed(),
         "s1:replay-paused s1:delayed; s1"},
        {"half a copy", on("s1", [](auto&, auto& seen) { seen.half_copied = lsn("0/4000000"); }),
         "s1:half-copied; s1"},
        {"must not", healthy().on("s1").rule(topology::PromotionRule::must_not), "s1:must-not; s1"},
        {"downtimed", healthy().on("s1").downtimed(), "s1:downtimed; s1"},
        {"in maintenance", healthy().on("s1").in_maintenance(), "s1:in-maintenance; s1"},
        {"behind by bytes", on("s1", [](auto& i, auto&) { i.lag.replay_bytes = 1UL << 30; }),
         "s1:lagging; s1"},
        {"behind by seconds", on("s1", [](auto& i, auto&) { i.lag.seconds = 21; }), "s1:lagging; s1"},
        {"silent", healthy().on("s1").down(topology::Reach::silent), "s1:unreachable; s1"},
        {"blind", on("s1", [](auto&, auto& seen) { seen.can_see_all = false; }), "s1:unreachable; s1"},
        {"older major version", on("s1", [](auto&, auto& seen) { seen.version_num = 140009; }),
         "s1:other-version; s1"},
        {"fewer connections than the primary",
         on("s1", [](auto&, auto& seen) { seen.settings.max_connections = 50; }), "s1:settings; s1"},
        {"more than the primary, which has to become its standby",
         on("s1", [](auto&, auto& seen) { seen.settings.max_worker_processes = 16; }), "s1:settings; s1"},
        {"the primary keeps its timeline",
         on("p", [](auto&, auto& seen) { seen.settings.recovery_target_timeline = "current"; }),
         "s1:settings; s1"},
        {"no room for slots", on("s1", [](auto&, auto& seen) { seen.settings.max_replication_slots = 0; }),
         "s1:no-room; s1"},
        {"no room for senders",
         healthy()
             .on("p")
             .with([](auto&, auto& seen) { seen.settings.max_wal_senders = 1; })
             .on("s1")
             .with([](auto&, auto& seen) { seen.settings.max_wal_senders = 1; }),
         "s1:no-room; s1"},
        {"commits would wait for ever", healthy().on("s1").synchronous("FIRST 1 (x)"), "s1:synchronous; s1"},
        {"the old primary will do", healthy().on("s1").synchronous("FIRST 1 (p)"), "; s1"},
    };
    check(cases);
}

TEST(SwitchoverPreflight, looks_at_what_goes_on_at_the_primary) {
    const auto slots = [](topology::LogicalSlot here, std::vector<topology::LogicalSlot> there) {
        return [=](SwitchoverWish& w) {
            w.activity[key("p")].logical_slots = {here};
            w.activity[key("s1")].logical_slots = there;
        };
    };
    const Case cases[] = {
        {"a base backup", healthy(), "p:base-backup; s1", "s1",
         [](auto& w) { w.activity[key("p")].base_backups = {"pg_basebackup of repl from 10.0.0.5"}; }},
        {"it could not be asked", healthy(), "p:not-asked; s1", "s1", [](auto& w) { w.activity.clear(); }},
        {"long transactions and a failing archive only warn", healthy(), "; s1", "s1",
         [](auto& w) {
             w.activity[key("p")] = {.transactions = {{.pid = 7, .user = "app", .state = "active"}},
                                     .archiving_fails = true};
         }},
        {"an ordinary logical slot only warns", healthy(), "; s1", "s1", slots({.name = "cdc"}, {})},
        {"a failover slot without its copy", healthy(), "s1:logical-slots; s1", "s1",
         slots({.name = "cdc", .failover = true}, {})},
        {"its copy is not ready", healthy(), "s1:logical-slots; s1", "s1",
         slots({.name = "cdc", .failover = true}, {{.name = "cdc", .synced = true, .temporary = true}})},
        {"its copy is not valid", healthy(), "s1:logical-slots; s1", "s1",
         slots({.name = "cdc", .failover = true},
               {{.name = "cdc", .synced = true, .invalid = "wal_removed"}})},
        {"its copy is good", healthy(), "; s1", "s1",
         slots({.name = "cdc", .failover = true}, {{.name = "cdc", .failover = true, .synced = true}})},
    };
    check(cases);
}

TEST(SwitchoverPreflight, says_what_hinders_the_consumers_of_logical_slots) {
    const auto said = [](const World& world, const std::function<void(SwitchoverWish&)>& change) {
        auto w = wish();
        for (const auto* name : {"p", "s1"})
            w.activity[key(name)] = {
                .logical_slots = {{.name = "cdc", .failover = true, .synced = *name == 's'}},
                .copies_slots = true};
        change(w);
        const auto found = preflight_switchover(world.build(), w, Policy{});
        std::vector<std::string> all;
        for (const auto* list : {&found.failures, &found.warnings}) {
            for (const auto& f : *list)
                all.push_back(f.text);
        }
        return all;
    };
    const auto copying = [](auto&, auto& seen) {
        seen.settings.hot_standby_feedback = true;
        seen.upstream.readable = seen.upstream.has_dbname = true;
    };
    const auto world = [&] {
        return healthy().on("p").with(copying).on("s1").with(copying).slot("s1").on("s2").slot("s2_slot");
    };
    EXPECT_THAT(said(world(), [](auto&) {}), testing::IsEmpty());
    EXPECT_THAT(said(world(), [](auto& w) { w.activity[key("s1")] = {}; }),
                testing::ElementsAre(
                    "the failover slot cdc is not there at s1:5432: sync_replication_slots is off there"));
    EXPECT_THAT(said(world()
                         .on("s1")
                         .with([](auto&, auto& seen) {
                             seen.settings.hot_standby_feedback = seen.upstream.has_dbname = false;
                         })
                         .on("p"),
                     [](auto& w) { w.activity[key("s1")].logical_slots[0].temporary = true; }),
                testing::ElementsAre("the failover slot cdc has not been brought up to date yet at s1:5432: "
                                     "hot_standby_feedback is off, primary_conninfo has no dbname there"));
    EXPECT_THAT(said(world(), [](auto& w) { w.activity[key("p")].copies_slots = false; }),
                testing::ElementsAre("p:5432 would keep no copies of failover slots as a standby: "
                                     "sync_replication_slots is off there"));
    EXPECT_THAT(said(world(),
                     [](auto& w) {
                         w.activity[key("s1")].consumers_wait_for = {"s2_slot", "p", "nobody"};
                         w.activity[key("p")].logical_slots[0].confirmed = lsn("1/0");
                         w.activity[key("s1")].logical_slots[0].confirmed = lsn("0/1");
                     }),
                testing::ElementsAre(HasSubstr("behind its consumer"), HasSubstr("names nobody")));
}

TEST(SwitchoverPreflight, chooses_or_says_what_is_wrong_with_each) {
    const Case cases[] = {
        {"asked for nobody: the preferred one", healthy().on("s2").rule(topology::PromotionRule::prefer),
         "; s2", ""},
        {"the first is not fit", healthy().on("s1").paused(), "; s2", ""},
        {"nobody is fit", healthy().on("s1").paused().on("s2").downtimed(), "s1:replay-paused s2:downtimed;",
         ""},
        {"unknown", healthy(), "x:unknown-instance;", "x"},
        {"the primary itself", healthy(), "p:not-a-direct-replica;", "p"},
        {"a cascaded one", healthy().standby("s3", "s1").with(roomy), "s3:not-a-direct-replica;", "s3"},
        {"nobody replicates", make_cluster().primary("p").with(roomy), "p:no-replica;", ""},
        {"two primaries", healthy().primary("q").with(roomy), "q:several-primaries; s1"},
        {"no primary", make_cluster().standby("s1", "p").with(roomy), ":no-primary;"},
        {"the primary does not answer: all that can be said is", healthy().on("p").down().on("s1").paused(),
         "p:unreachable s1:replay-paused; s1"},
    };
    check(cases);
}

std::vector<std::string> words(const Plan& plan) {
    std::vector<std::string> all;
    for (const auto& s : plan.steps)
        all.push_back(std::to_string(s.phase) + " " + std::string(to_string(s.kind)) + " " + s.target.host +
                      (s.argument.empty() ? "" : " " + s.argument) + (s.irreversible ? " !" : "") +
                      (s.required ? "" : " ?"));
    return all;
}

TEST(SwitchoverPlan, says_each_step_with_its_undo) {
    const auto cluster = healthy().on("s2").slot("s2_slot").build();
    auto w = wish();
    w.routers = {"pb1"};
    const auto plan = plan_switchover(cluster, preflight_switchover(cluster, w, Policy{}), w, Policy{});
    EXPECT_THAT(words(plan),
                testing::ElementsAre("1 create-slot s1 s2_slot", "1 create-slot s1 p", "2 checkpoint p",
                                     "3 pause-clients p pb1", "4 stop-primary p", "4 stand-clear s1",
                                     "5 has-received s1", "6 promote s1 !", "7 route-clients s1 pb1 ?",
                                     "8 make-standby p p ?", "8 follow s2 s2_slot ?",
                                     "9 verify-streaming p ?", "9 verify-streaming s2 ?"));
    for (const auto& step : plan.steps) {
        EXPECT_GT(step.deadline.count(), 0) << step.what;
        if (step.phase < 6 && step.kind != StepKind::checkpoint) {
            EXPECT_FALSE(step.undo.empty()) << step.what;
        }
    }
    EXPECT_TRUE(plan.obstacles.empty());
    EXPECT_THAT(plan.text(), HasSubstr("point of no return"));
}

TEST(SwitchoverPlan, does_without_routers_and_with_slots_that_are_there) {
    const auto cluster =
        healthy().on("s1").with([](auto&, auto& seen) { seen.slots = {{.name = "p"}}; }).build();
    const auto w = wish();
    const auto plan = plan_switchover(cluster, preflight_switchover(cluster, w, Policy{}), w, Policy{});
    EXPECT_THAT(words(plan),
                testing::ElementsAre("1 checkpoint p", "2 stop-primary p", "2 stand-clear s1",
                                     "3 has-received s1", "4 promote s1 !", "5 make-standby p p ?",
                                     "5 follow s2 ?", "6 verify-streaming p ?", "6 verify-streaming s2 ?"));
}

TEST(SwitchoverPlan, goes_on_after_the_promotion) {
    const auto cluster =
        healthy().on("s1").with([](auto& i, auto&) { i.role = topology::Role::primary; }).build();
    auto w = wish();
    w.routers = {"pb1"};
    EXPECT_THAT(
        words(plan_after_promotion(cluster, key("p"), key("s1"), w, Policy{})),
        testing::ElementsAre("1 route-clients s1 pb1 ?", "2 create-slot s1 p ?", "3 make-standby p p ?",
                             "3 follow s2 ?", "4 verify-streaming p ?", "4 verify-streaming s2 ?"));
}

TEST(SwitchoverPlan, lists_all_obstacles_at_once) {
    const auto cluster = make_cluster().primary("p").standby("s1").paused().build();
    const auto w = wish();
    const auto plan = plan_switchover(cluster, preflight_switchover(cluster, w, Policy{}), w, Policy{});
    EXPECT_GE(plan.obstacles.size(), 3U);
    EXPECT_THAT(plan.obstacles, Contains(HasSubstr("baton failover, which is forced")));
    EXPECT_THAT(plan.text(), HasSubstr("it cannot begin now"));
}

TEST(SwitchoverPlan, says_who_cannot_follow) {
    const auto cluster = healthy().on("s2").down().build();
    const auto w = wish();
    const auto plan = plan_switchover(cluster, preflight_switchover(cluster, w, Policy{}), w, Policy{});
    EXPECT_THAT(plan.lost, testing::ElementsAre(key("s2")));
    EXPECT_THAT(plan.remarks, Contains(HasSubstr("s2:5432 is not answering")));
}

TEST(ShutdownCheckpoint, is_received_whole_or_not_at_all) {
    struct {
        const char* received;
        const char* checkpoint;
        bool whole;
    } const cases[] = {
        {"0/4000028", "0/4000028", false},  // it begins where the standby's WAL ends
        {"0/4000098", "0/4000028", false},  // a part of it
        {"0/40000A0", "0/4000028", true},   // to its aligned end, as a server says it
        {"0/5000000", "0/4000028", true},
        {"0/4004000", "0/4003FD0", false},  // its second part is on the next page
        {"0/4004060", "0/4003FD0", true},
        {"0/5000000", "0/0", false},  // nobody knows where it is
    };
    for (const auto& c : cases)
        EXPECT_EQ(has_shutdown_checkpoint(lsn(c.received), lsn(c.checkpoint)), c.whole)
            << c.received << " " << c.checkpoint;
}

}  // namespace
}  // namespace baton::plan
