#include <gtest/gtest.h>

#include <set>

#include "analysis/problem.h"
#include "topology/world.h"

namespace baton::analysis {
namespace {

using sample::key;
using sample::make_cluster;
using sample::now;
using sample::World;
using topology::Observation;
using topology::Reach;

/// "p:DeadPrimary s1:ReplayPaused"
std::string summary(const std::vector<Problem>& problems) {
    std::string text;
    for (const auto& p : problems) {
        text += (text.empty() ? "" : " ") + p.instance.host + ":" + std::string(info(p.code).name);
    }
    return text;
}

std::string summary(const World& world, const Policy& policy = {}) {
    return summary(analyse(world.build(), policy, now));
}

World three() {
    return make_cluster().primary("p").standby("s1").standby("s2");
}

/// Numbers in the names are those of the catalogue of fault scenarios.
struct Case {
    const char* name;
    World world;
    const char* expected;
};

void check(std::span<const Case> cases) {
    for (const auto& c : cases)
        EXPECT_EQ(summary(c.world), c.expected) << c.name;
}

TEST(Analyse, a_healthy_cluster_has_no_problem) {
    const Case cases[] = {
        {"three", three(), ""},
        {"alone", make_cluster().primary("p"), ""},
        {"a cascade", three().standby("c", "s1"), ""},
        {"60: a delayed replica is as it should be", three().delayed(), ""},
        {"idle: the last message is half a minute old", three().last_message(seconds(29)), ""},
    };
    check(cases);
}

TEST(Analyse, a_dead_primary_needs_every_witness) {
    const Case cases[] = {
        {"1: refused, all receivers gone", three().dies("p"), "p:DeadPrimary"},
        {"7: silent host, all receivers gone", three().dies("p", Reach::silent), "p:DeadPrimary"},
        {"3: hung, all receivers gone", three().dies("p", Reach::unresponsive), "p:DeadPrimary"},
        {"48: name does not resolve, all receivers gone", three().dies("p", Reach::unreachable),
         "p:DeadPrimary"},
        {"one replica is enough when it is the only one", make_cluster().primary("p").standby("s").dies("p"),
         "p:DeadPrimary"},
        {"not yet confirmed over a new connection",
         three().dies("p").down(Reach::refused, milliseconds(5), false), ""},
        {"35: a replica still receives", three().dies("p").on("s2").with([](auto&, Observation& o) {
             o.receiver = topology::Receiver{.status = "streaming", .last_message_age = milliseconds(0)};
         }),
         "p:UnreachablePrimary"},
        {"7: a replica still says streaming, with no news", three().on("p").down(Reach::silent),
         "p:UnreachablePrimary"},
        {"a replica was not asked since", three().dies("p").on("s2").not_asked_since(),
         "p:UnreachablePrimary"},
        {"a replica is blind",
         three().dies("p").on("s2").with([](auto&, Observation& o) { o.can_see_all = false; }),
         "p:UnreachablePrimary s2:MissingPrivilege"},
        {"one replica gone too", three().dies("p").on("s2").down(),
         "p:DeadPrimaryAndSomeStandbys s2:DeadStandby"},
        {"the session to a replica broke, and it was not asked over a new one: it may still veto",
         three().dies("p").on("s2").down(Reach::unresponsive, milliseconds(1), false),
         "p:UnreachablePrimary"},
        {"one replica gone, the other unheard", three().dies("p").on("s1").not_asked_since().on("s2").down(),
         "p:UnreachablePrimary s2:DeadStandby"},
        {"our own link: nobody answers", three().dies("p").on("s1").down().on("s2").down(),
         "p:DeadPrimaryAndStandbys s1:DeadStandby s2:DeadStandby"},
        {"no replicas", make_cluster().primary("p").down(), "p:DeadPrimaryWithoutReplicas"},
        {"hung, and a replica vetoes",
         three().last_message(milliseconds(1)).on("p").down(Reach::unresponsive), "p:PrimaryUnresponsive"},
        {"known only from before a restart", three().dies("p").never_seen(), "p:DeadPrimary"},
        {"23: only direct replicas testify", three().standby("c", "s1").dies("p"), "p:DeadPrimary"},
        {"receiver is waiting, not streaming", three().dies("p").on("s2").with([](auto&, Observation& o) {
             o.receiver = topology::Receiver{.status = "waiting"};
         }),
         "p:DeadPrimary"},
    };
    check(cases);
}

TEST(Analyse, a_primary_that_lives_is_never_dead) {
    const Case cases[] = {
        {"2: crash recovery", three().dies("p", Reach::starting), "p:PrimaryCrashRecovery"},
        {"11: starts for ever and the replicas agree", three().dies("p").down(Reach::starting, seconds(31)),
         "p:DeadPrimary"},
        {"11: starts for ever, a replica streams on", three().on("p").down(Reach::starting, seconds(31)),
         "p:UnreachablePrimary"},
        {"starts for ever, by one attempt only", three().dies("p").down(Reach::starting, seconds(31), false),
         ""},
        {"53: too many connections", three().dies("p", Reach::too_many_connections), "p:TooManyConnections"},
        {"53: and for ever", three().dies("p").down(Reach::too_many_connections, seconds(3600)),
         "p:TooManyConnections"},
        {"54: not let in", three().dies("p", Reach::not_permitted), "p:AuthenticationFailed"},
        {"57: the question fails", three().dies("p", Reach::failing), "p:UnreachablePrimary"},
    };
    check(cases);
}

TEST(Analyse, only_agreement_is_actionable) {
    for (const auto& c : all_codes()) {
        const bool acts = c.action == Action::recover_primary || c.action == Action::recover_intermediate;
        const bool expected = c.code == Code::dead_primary ||
                              c.code == Code::dead_primary_and_some_standbys ||
                              c.code == Code::dead_intermediate_primary ||
                              c.code == Code::dead_intermediate_primary_with_single_standby ||
                              c.code == Code::dead_intermediate_primary_and_some_standbys || c.fence_first;
        EXPECT_EQ(acts, expected) << c.name;
    }
}

TEST(Analyse, a_former_primary_is_not_failed_over_again) {
    const auto after =
        make_cluster().primary("old").primary("new").timeline(2).standby("s", "new").timeline(2);
    const Case cases[] = {
        {"gone, nobody follows it", World(after).on("old").down(), "old:DeadPrimaryWithoutReplicas"},
        {"gone, a lost replica still points at it",
         World(after).standby("lost", "old").not_streaming(seconds(60)).on("old").down(),
         "lost:StrandedStandby"},
        {"gone, a survivor is being rewired this moment",
         World(after).standby("lost", "old").not_streaming(milliseconds(80)).on("old").down(), ""},
        {"known from before a restart only", World(after).on("old").never_seen().down(),
         "old:DeadPrimaryWithoutReplicas"},
        {"the new one is known from before a restart only, the old one is back: the standbys tell who is "
         "newer",
         make_cluster()
             .primary("old")
             .primary("new")
             .standby("s", "new")
             .timeline(2)
             .dies("new")
             .never_seen(),
         "new:DeadPrimary s:ReplicaDiverged"},
        {"77: back and writable", after, "old:StalePrimary"},
        {"77: back and writable while the new one is gone too", World(after).dies("new"),
         "new:DeadPrimary old:StalePrimary"},
    };
    check(cases);
}

TEST(Analyse, tells_a_split_brain_from_a_stale_primary) {
    const auto two = [](topology::Timeline a, topology::Timeline b) {
        return make_cluster().primary("a").timeline(a).primary("b").timeline(b);
    };
    const Case cases[] = {
        {"same timeline", two(1, 1), "a:SplitBrain b:SplitBrain"},
        {"two promotions of one ancestor", two(2, 3).history(3, "1\t0/4000000\tr\n"),
         "a:SplitBrain b:SplitBrain"},
        {"a descendant", two(2, 3).history(3, "1\t0/4000000\tr\n2\t0/4500000\tr\n"), "a:StalePrimary"},
        {"history unknown", two(2, 3), "a:StalePrimary"},
        {"the rival does not answer", two(1, 1).down(), "b:DeadPrimaryWithoutReplicas"},
        {"the rival is only suspect", two(1, 1).down(Reach::silent, milliseconds(5), false), ""},
    };
    check(cases);
}

TEST(Analyse, a_dead_intermediate_is_recovered_by_the_same_evidence) {
    const auto tree = [] { return three().standby("c1", "s1").standby("c2", "s1"); };
    const Case cases[] = {
        {"22: its replicas have lost it", tree().dies("s1"), "s1:DeadIntermediatePrimary"},
        {"22: its only replica has lost it", three().standby("c1", "s1").dies("s1"),
         "s1:DeadIntermediatePrimaryWithSingleStandby"},
        {"one is gone too", tree().dies("s1").on("c2").down(),
         "s1:DeadIntermediatePrimaryAndSomeStandbys c2:DeadStandby"},
        {"all are gone", tree().dies("s1").on("c1").down().on("c2").down(),
         "s1:DeadIntermediatePrimaryAndStandbys c1:DeadStandby c2:DeadStandby"},
        {"one still streams", tree().on("s1").down(), "s1:UnreachableIntermediatePrimary"},
        {"starting up", tree().dies("s1", Reach::starting), ""},
        {"leaf", three().down(), "s2:DeadStandby"},
        {"leaf, suspect only", three().down(Reach::refused, milliseconds(5), false), ""},
        {"23: with the primary", tree().dies("s1").dies("p"),
         "p:DeadPrimaryAndSomeStandbys s1:DeadIntermediatePrimary"},
    };
    for (const auto& c : cases) {
        auto problems = analyse(c.world.build(), {}, now);
        std::erase_if(problems, [](const Problem& p) { return p.code == Code::standby_not_replicating; });
        EXPECT_EQ(summary(problems), c.expected) << c.name;
    }
}

TEST(Analyse, says_who_does_not_receive) {
    const Case cases[] = {
        {"all", three().not_streaming(seconds(9)).on("s1").not_streaming(seconds(9)),
         "p:AllStandbyNotReplicating"},
        {"one", three().not_streaming(seconds(9)), "p:StandbyNotReplicating"},
        {"13: one is dead", three().down(), "p:StandbyNotReplicating s2:DeadStandby"},
        {"a receiver that reconnects is not news", three().not_streaming(milliseconds(900)), ""},
        {"a suspect one counts as it was", three().down(Reach::silent, milliseconds(9), false), ""},
        {"59: paused is not the same as not receiving", three().paused(), "s2:ReplayPaused"},
        {"below a standby", three().standby("c", "s1").not_streaming(seconds(9)),
         "s1:AllIntermediateStandbyNotReplicating"},
    };
    for (const auto& c : cases) {
        auto problems = analyse(c.world.build(), {}, now);
        EXPECT_EQ(summary(problems), c.expected) << c.name;
    }
}

TEST(Analyse, sees_what_is_wrong_with_the_structure) {
    using topology::Slot;
    const auto slot = [](const char* name, bool active, const char* restart, const char* status,
                         bool physical = true) {
        return [=](auto&, Observation& o) {
            o.written = sample::lsn("1/0");
            o.slots.push_back(Slot{.name = name,
                                   .physical = physical,
                                   .active = active,
                                   .restart = sample::lsn(restart),
                                   .wal_status = status});
        };
    };
    const auto alone = [] { return make_cluster().primary("p"); };
    const Case cases[] = {
        {"73: a replica past the fork",
         make_cluster()
             .primary("p")
             .timeline(2)
             .history(2, "1\t0/4FFFFFF\tr\n")
             .standby("s")
             .not_streaming(seconds(1)),
         "s:ReplicaDiverged"},
        {"75: one that streams from another branch of one number, which its agent lets us know in time",
         make_cluster()
             .primary("p")
             .timeline(2)
             .history(2, "1\t0/4000000\tr\n")
             .standby("s")
             .timeline(2)
             .with([](topology::Instance& i, auto&) {
                 i.history = std::make_shared<topology::TimelineHistory>(
                     topology::parse_timeline_history(2, "1\t0/3000000\tr\n").value());
             })
             .agent(),
         "s:ReplicaDiverged"},
        {"75: a replica on another branch",
         make_cluster()
             .primary("p")
             .timeline(3)
             .history(3, "1\t0/4\tr\n")
             .standby("s")
             .timeline(2)
             .not_streaming(seconds(1)),
         "s:ReplicaDiverged"},
        {"at the fork, and on its way",
         make_cluster()
             .primary("p")
             .timeline(2)
             .history(2, "1\t0/5000000\tr\n")
             .standby("s")
             .not_streaming(seconds(1)),
         ""},
        {"history unknown", make_cluster().primary("p").timeline(2).standby("s").not_streaming(seconds(1)),
         ""},
        {"67: slot lost", alone().with(slot("s1", false, "0/1", "lost")), "p:SlotWalLost"},
        {"67: slot about to be lost", alone().with(slot("s1", true, "0/FFFFFFFF", "unreserved")),
         "p:SlotWalLost"},
        {"26: slot of a dead consumer", alone().with(slot("s1", false, "0/1", "extended")),
         "p:SlotHoldsBackWal"},
        {"26: a logical one", alone().with(slot("cdc", false, "0/1", "reserved", false)),
         "p:SlotHoldsBackWal"},
        {"slot in use", alone().with(slot("s1", true, "0/1", "extended")), ""},
        {"slot that holds little", alone().with(slot("s1", false, "0/FFFFFFF0", "reserved")), ""},
        {"14: nobody can confirm", three().on("p").synchronous("FIRST 1 (x, y)").sender("s1"),
         "p:UnsatisfiableSynchronousStandbys"},
        {"the name fits", three().on("p").synchronous("s1, s2").sender("s1"), ""},
        {"it only catches up", three().on("p").synchronous("s1").sender("s1", "async", "catchup"),
         "p:UnsatisfiableSynchronousStandbys"},
        {"commits do not wait", three().on("p").synchronous("x").with([](auto&, Observation& o) {
             o.settings.synchronous_commit = "local";
         }),
         ""},
        {"the five-second trap",
         three().with([](auto&, Observation& o) { o.settings.wal_retrieve_retry_interval_ms = 5000; }),
         "s2:SlowPromotionSetting"},
        {"read-only primary",
         alone().with([](auto&, Observation& o) { o.settings.default_transaction_read_only = true; }),
         "p:ReadOnlyPrimary"},
        {"blind", alone().with([](auto&, Observation& o) { o.can_see_all = false; }), "p:MissingPrivilege"},
        {"standbys only", make_cluster().standby("s1", "p").standby("s2", "p"), "s1:NoPrimary"},
    };
    check(cases);
}

TEST(Analyse, leaves_out_maintenance_and_ignored_hosts) {
    EXPECT_EQ(summary(three().dies("p").in_maintenance()), "");
    Policy policy;
    policy.ignored = [](const InstanceKey& k) { return k.host == "p"; };
    EXPECT_EQ(summary(three().dies("p"), policy), "");
    EXPECT_EQ(summary(three().dies("p").on("s2").in_maintenance().not_asked_since()), "p:UnreachablePrimary")
        << "a server in maintenance is still a witness";
}

TEST(Analyse, downtime_marks_and_does_not_hide) {
    const auto downtimed = [](const World& world) { return analyse(world.build(), {}, now).at(0).downtimed; };
    EXPECT_TRUE(downtimed(three().dies("p").downtimed()));
    EXPECT_FALSE(downtimed(three().dies("p")));
    const auto quiet_replicas = three().downtimed().on("s1").downtimed();
    EXPECT_FALSE(downtimed(World(quiet_replicas).dies("p")))
        << "a dead primary is not silenced by its replicas";
    EXPECT_TRUE(downtimed(
        World(quiet_replicas).on("s1").not_streaming(seconds(9)).on("s2").not_streaming(seconds(9))));
    EXPECT_TRUE(downtimed(three().standby("c", "s1").downtimed().dies("s1").on("p").down(
        Reach::silent, milliseconds(1), false)));
    EXPECT_FALSE(downtimed(three().downtimed().on("s1").not_streaming(seconds(9))));
    const auto one = analyse(three().downtimed().dies("p").build(), {}, now);
    EXPECT_FALSE(one.at(0).downtimed || one.at(0).replicas_downtimed) << "one of two is not all";
}

TEST(Analyse, orders_primaries_first_then_by_replicas_then_by_name) {
    const auto world =
        make_cluster()
            .primary("p")
            .downtimed()
            .standby("b")
            .paused()
            .standby("a")
            .paused()
            .standby("c", "b")
            .paused()
            .on("p")
            .with([](auto&, Observation& o) { o.settings.default_transaction_read_only = true; });
    EXPECT_EQ(summary(world), "p:ReadOnlyPrimary b:ReplayPaused a:ReplayPaused c:ReplayPaused");
}

/// A standby that streams from a name that no known server has may be served by the silent one, on a network
/// of their own.
TEST(Analyse, a_standby_that_receives_from_an_unknown_name_is_a_witness) {
    const auto world = [](Reach reach) {
        return three().dies("p", reach).standby("s3", "vip").with([](auto&, Observation& o) {
            o.receiver = topology::Receiver{.status = "streaming", .last_message_age = milliseconds(0)};
        });
    };
    EXPECT_EQ(summary(world(Reach::silent)).find("DeadPrimary"), std::string::npos)
        << summary(world(Reach::silent));
    EXPECT_NE(summary(world(Reach::refused)).find("DeadPrimary"), std::string::npos)
        << summary(world(Reach::refused));
}

TEST(Analyse, counts_the_direct_replicas) {
    const auto cluster =
        make_cluster()
            .primary("p")
            .standby("agrees")
            .downtimed()
            .standby("vetoes")
            .with([](topology::Instance& i, auto&) { i.lag.seconds = 11; })
            .standby("undecided")
            .delayed()
            .standby("unheard")
            .standby("gone")
            .down()
            .standby("below", "agrees")
            .dies("p")
            .on("vetoes")
            .with([](auto&, Observation& o) {
                o.receiver = topology::Receiver{.status = "streaming", .last_message_age = milliseconds(0)};
            })
            .on("undecided")
            .with([](auto&, Observation& o) { o.receiver = topology::Receiver{.status = "streaming"}; })
            .on("unheard")
            .not_asked_since()
            .build();
    const auto problems = analyse(cluster, {}, now);
    ASSERT_EQ(problems.at(0).code, Code::unreachable_primary);
    const auto& c = problems.at(0).counts;
    EXPECT_EQ(c.replicas, 5);
    EXPECT_EQ(c.valid, 4);
    EXPECT_EQ(c.replicating, 2);
    EXPECT_EQ(c.failing_to_connect, 2);
    EXPECT_EQ(c.downtimed, 1);
    EXPECT_EQ(c.lagging, 1);
    EXPECT_EQ(c.delayed, 1);
    EXPECT_EQ(c.agree, 1);
    EXPECT_EQ(c.veto, 1);
    EXPECT_EQ(c.undecided, 1);
    EXPECT_EQ(c.unheard, 2);
    EXPECT_EQ(problems.at(0).replicas.size(), 5U);
    EXPECT_TRUE(problems.at(0).is_primary);
}

TEST(Analyse, describes_the_evidence) {
    struct {
        const char* name;
        World world;
        const char* expected;
    } const cases[] = {
        {"agreement", three().dies("p"),
         "p:5432 refuses connections for 12 ms; 2 of 2 standbys lost it: s1:5432, s2:5432"},
        {"partly", three().dies("p").on("s2").down(),
         "p:5432 refuses connections for 12 ms; 1 of 2 standbys lost it: s1:5432; 1 of 2 standbys not "
         "reachable: s2:5432"},
        {"hung", three().dies("p", Reach::unresponsive),
         "p:5432 accepts connections but does not answer (hung) for 12 ms; 2 of 2 standbys lost it: s1:5432, "
         "s2:5432"},
        {"veto", three().dies("p", Reach::silent).on("s2").with([](auto&, Observation& o) {
             o.receiver = topology::Receiver{.status = "streaming", .last_message_age = milliseconds(2)};
         }),
         "p:5432 gives no answer at all for 12 ms; 1 of 2 standbys lost it: s1:5432; s2:5432 received a "
         "message from it 3 ms "
         "ago, after our last attempt began, so it lives"},
        {"doubt",
         make_cluster().primary("p").standby("s").last_message(seconds(12)).on("p").down(Reach::silent),
         "p:5432 gives no answer at all for 12 ms; s:5432 still says streaming, its last message came 12.0 s "
         "ago: undecided"},
        {"stale", make_cluster().primary("old").primary("new").timeline(2).history(2, "1\t0/4FFFF00\tr\n"),
         "old:5432 is writable on timeline 1, but new:5432 leads on timeline 2; it has 256 bytes past the "
         "fork at 0/4FFFF00"},
        {"diverged",
         make_cluster()
             .primary("p")
             .timeline(2)
             .history(2, "1\t0/4FFFF00\tr\n")
             .standby("s")
             .not_streaming(seconds(1)),
         "s:5432 is at 0/5000000 on timeline 1, 256 bytes past 0/4FFFF00 where p:5432 left it for timeline "
         "2; rewind it or clone "
         "it again"},
        {"synchronous", three().on("p").synchronous("ANY 2 (s1, s2)").sender("s1"),
         "p:5432 waits for synchronous_standby_names = 'ANY 2 (s1, s2)', and only these standbys stream: s1"},
        {"not receiving", three().not_streaming(seconds(9)),
         "p:5432 answers; 1 of 2 standbys does not receive from it: s2:5432"},
    };
    for (const auto& c : cases) {
        const auto problems = analyse(c.world.build(), {}, now);
        ASSERT_FALSE(problems.empty()) << c.name;
        EXPECT_EQ(problems.at(0).description, c.expected) << c.name;
    }
}

TEST(Codes, have_names_of_their_own_and_a_meaning) {
    std::set<std::string_view> names;
    for (const auto& c : all_codes()) {
        EXPECT_TRUE(names.insert(c.name).second) << c.name;
        EXPECT_FALSE(c.v1_name.empty()) << c.name;
        EXPECT_TRUE(c.meaning.ends_with('.')) << c.name;
        EXPECT_EQ(&info(c.code), &c);
        EXPECT_FALSE(c.structure && c.action != Action::none) << c.name << ": structure codes start nothing";
    }
    EXPECT_EQ(info(Code::dead_primary).v1_name, "DeadMaster");
    EXPECT_EQ(info(Code::all_standbys_not_replicating).name, "AllStandbyNotReplicating");
}

}  // namespace
}  // namespace baton::analysis
