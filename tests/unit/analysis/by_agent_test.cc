#include <gtest/gtest.h>

#include "analysis/problem.h"
#include "topology/world.h"

/// What the agents beside the servers say, together with what the manager sees itself.
namespace baton::analysis {
namespace {

using sample::make_cluster;
using sample::now;
using sample::World;
using topology::DiskHealth;
using topology::Hold;
using topology::Host;
using topology::Observation;
using topology::Reach;
using topology::ServerState;

/// "p:HungPrimary! s1:BlindStandby"; the mark says that a recovery begins.
std::string summary(const World& world, const Policy& policy = {}) {
    std::string text;
    for (const auto& p : analyse(world.build(), policy, now)) {
        text += (text.empty() ? "" : " ") + p.instance.host + ":" + std::string(info(p.code).name);
        text += p.actionable() ? "!" : "";
    }
    return text;
}

std::string description(const World& world) {
    const auto problems = analyse(world.build(), {}, now);
    return problems.empty() ? "" : problems[0].description;
}

World three() {
    return make_cluster().primary("p").standby("s1").standby("s2");
}
/// p has an agent that says that it is in `state` since `ago`.
World guarded(ServerState state = ServerState::running, Duration ago = seconds(60)) {
    return three().on("p").agent(state, ago);
}
/// The standbys were last asked after the death.
World just_died(Duration ago) {
    return guarded(ServerState::down, ago).not_asked_since(ago + milliseconds(10));
}

struct Case {
    const char* name;
    World world;
    const char* expected;
};

void check(std::span<const Case> cases) {
    for (const auto& c : cases)
        EXPECT_EQ(summary(c.world), c.expected) << c.name;
}

auto host(const std::function<void(Host&)>& change) {
    return [change](topology::Instance& i, auto&) { change(*i.host); };
}

TEST(ByAgent, a_certificate_that_ends_soon_is_told_of) {
    const auto left = [](Duration d) {
        return guarded().with(host([d](Host& h) { h.certificate_left = d; }));
    };
    const Case cases[] = {
        {"it shows none", guarded(), ""},
        {"52: long before", left(std::chrono::hours(15 * 24)), ""},
        {"52: days before", left(std::chrono::hours(13 * 24)), "p:CertificateExpires"},
        {"52: it has ended", left(Duration{}), "p:CertificateExpires"},
    };
    check(cases);
    EXPECT_EQ(summary(left(Duration{}), {.certificate_notice = Duration{}}), "") << "switched off";
    EXPECT_EQ(
        description(left(std::chrono::hours(3 * 24) + seconds(5))),
        "the certificate of the agent of p:5432 is good for 3 d more; make a new one (baton certs): the "
        "agent reads it by itself");
    EXPECT_NE(description(left(Duration{})).find("has expired"), std::string::npos);
}

/// p is lost to `lost` of two hosts of clients for `ago`; s1 and s2 to so many of them.
World lost_to_clients(int lost, Duration ago = seconds(30), int s1 = 0, int s2 = 0) {
    const auto clients = [ago](int count) {
        return [=](topology::Instance& i, auto&) {
            i.clients = topology::Clients{
                .asked = 2, .lost = count, .lost_since = now - ago, .detail = "app: no answer"};
        };
    };
    return guarded().with(clients(lost)).on("s1").with(clients(s1)).on("s2").with(clients(s2)).on("p");
}

TEST(ByAgent, a_primary_that_clients_have_lost_is_told_of_and_replaced_only_by_policy) {
    const auto told = "p:PrimaryLostToClients";
    const auto replaced = "p:PrimaryLostToClients!";
    const Policy replace{.recover_lost_to_clients = true};
    EXPECT_EQ(summary(lost_to_clients(0)), "");
    EXPECT_EQ(summary(lost_to_clients(2)), told);
    EXPECT_EQ(summary(lost_to_clients(2), replace), replaced);
    EXPECT_EQ(summary(lost_to_clients(1), replace), told) << "one host still reaches it";
    EXPECT_EQ(summary(lost_to_clients(2, seconds(4)), replace), told) << "it may pass";
    EXPECT_EQ(summary(lost_to_clients(2, seconds(30), 0, 1), replace), told) << "s2 might be chosen";
    EXPECT_EQ(summary(lost_to_clients(2, seconds(30), 0, 1).on("s2").rule(topology::PromotionRule::must_not),
                      replace),
              replaced);
    EXPECT_EQ(summary(lost_to_clients(2).blind(), replace), "p:PrimaryLostToClients p:BlindPrimary")
        << "nobody there can stop it";
    EXPECT_EQ(summary(lost_to_clients(2).dies("p"), replace), "p:UnreachablePrimary")
        << "what we do not see ourselves is another matter";
    EXPECT_NE(description(lost_to_clients(2)).find("2 of 2 hosts of clients do not reach it for 30"),
              std::string::npos);
    EXPECT_NE(description(lost_to_clients(2)).find("RecoverPrimaryLostToClients"), std::string::npos);
}

TEST(ByAgent, a_server_that_is_kept_down_is_dead_at_once) {
    const auto lost_it = [](World world) {
        return world.on("s1").not_streaming().on("s2").not_streaming().on("p");
    };
    const Case cases[] = {
        {"1: the receivers have ended", lost_it(just_died(milliseconds(20))), "p:DeadPrimary!"},
        {"the receivers are still there: for a moment they may take more", just_died(milliseconds(20)),
         "p:UnreachablePrimary"},
        {"and not longer", just_died(milliseconds(100)), "p:DeadPrimary!"},
        {"our session has broken, too", just_died(seconds(1)).down(Reach::refused, milliseconds(900)),
         "p:DeadPrimary!"},
        {"another standby is not there", just_died(seconds(1)).on("s2").down(),
         "p:DeadPrimaryAndSomeStandbys! s2:DeadStandby"},
        {"nobody is left who could take over", just_died(seconds(1)).on("s1").down().on("s2").down(),
         "p:DeadPrimaryAndStandbys s1:DeadStandby s2:DeadStandby"},
        {"30: its data directory is gone",
         guarded(ServerState::no_data, seconds(1)).not_asked_since(seconds(2)), "p:DeadPrimary!"},
        {"fenced", just_died(seconds(1)).with(host([](Host& h) { h.hold = Hold::fenced; })),
         "p:DeadPrimary!"},
        {"nothing holds it: it may come back by itself",
         just_died(seconds(1)).with(host([](Host& h) { h.hold = Hold::none; })), ""},
        {"the agent is not heard any more: its word has no force", just_died(seconds(1)).blind(),
         "p:BlindPrimary"},
        {"it answered after that word: the agent guards another server",
         guarded(ServerState::down, seconds(1)), ""},
        {"a former primary stays what it is",
         make_cluster()
             .primary("old")
             .primary("new")
             .timeline(2)
             .standby("s", "new")
             .timeline(2)
             .on("old")
             .agent(ServerState::down)
             .not_asked_since(seconds(90))
             .down(Reach::refused, seconds(60)),
         "old:DeadPrimaryWithoutReplicas"},
    };
    check(cases);
}

TEST(ByAgent, a_server_that_runs_is_not_dead_by_refusal_or_silence) {
    const auto dies = [](World world, Reach reach) { return World(world).dies("p", reach); };
    const Case cases[] = {
        {"54: refused by a firewall, and the standbys too", dies(guarded(), Reach::refused),
         "p:UnreachablePrimary"},
        {"35: silent", dies(guarded(), Reach::silent), "p:UnreachablePrimary"},
        {"35: no route", dies(guarded(), Reach::unreachable), "p:UnreachablePrimary"},
        {"7: the agent is silent, too", dies(guarded(), Reach::silent).blind(), "p:DeadPrimary!"},
        {"1: killed with its agent", dies(guarded(), Reach::refused).blind(milliseconds(10)),
         "p:DeadPrimary!"},
        {"the agent has not looked yet", dies(guarded(ServerState::unknown), Reach::refused),
         "p:DeadPrimary!"},
        {"2: it is starting", dies(guarded(ServerState::starting, seconds(3)), Reach::refused),
         "p:PrimaryCrashRecovery"},
        {"11: and does not come up", dies(guarded(ServerState::starting, seconds(31)), Reach::refused),
         "p:DeadPrimary!"},
        {"it is stopping", dies(guarded(ServerState::stopping, seconds(3)), Reach::refused),
         "p:UnreachablePrimary"},
        {"53: too many connections", dies(guarded(), Reach::too_many_connections), "p:TooManyConnections"},
        {"54: not let in", dies(guarded(), Reach::not_permitted), "p:AuthenticationFailed"},
        {"54: not let in, and then dead by its agent",
         dies(guarded(ServerState::down, seconds(1)), Reach::not_permitted), "p:DeadPrimary!"},
    };
    check(cases);
}

TEST(ByAgent, a_hung_server_is_ended_where_both_sides_say_so) {
    const auto new_ones_hang = [](topology::Instance& i, Observation&) {
        i.new_sessions_hang_since = now - milliseconds(800);
    };
    const auto hung = [] { return guarded(ServerState::hung, seconds(1)); };
    const Case cases[] = {
        {"3: all of it is stopped", hung().down(Reach::unresponsive), "p:HungPrimary!"},
        {"3: with its host's answers", hung().down(Reach::silent), "p:HungPrimary!"},
        {"3: the postmaster alone", hung().with(new_ones_hang), "p:HungPrimary!"},
        {"the postmaster alone, without an agent", three().on("p").with(new_ones_hang),
         "p:PrimaryUnresponsive"},
        {"the agent is alone with that", hung(), "p:PrimaryUnresponsive"},
        {"the agent has not noticed, and everybody else has", guarded().dies("p", Reach::unresponsive),
         "p:HungPrimary!"},
        {"57: a standby still hears of it",
         guarded().on("s1").last_message(milliseconds(1)).on("p").down(Reach::unresponsive),
         "p:PrimaryUnresponsive"},
        {"refused is not hung", hung().dies("p", Reach::refused), "p:DeadPrimary!"},
        {"the agent is away: as without one", hung().blind().dies("p", Reach::unresponsive),
         "p:DeadPrimary!"},
        {"nobody to take over",
         make_cluster().primary("p").agent(ServerState::hung).down(Reach::unresponsive),
         "p:DeadPrimaryWithoutReplicas"},
    };
    check(cases);
}

TEST(ByAgent, a_crash_loop_ends_in_a_failover) {
    const auto crashed = [](int times, ServerState state, Duration ago) {
        return guarded(state, ago).with(host([=](Host& h) { h.crashes = times; }));
    };
    const Case cases[] = {
        {"11: starting for the third time", crashed(3, ServerState::starting, seconds(1)),
         "p:PrimaryCrashLoop!"},
        {"11: up for a moment", crashed(3, ServerState::running, seconds(9)), "p:PrimaryCrashLoop!"},
        {"up for longer", crashed(3, ServerState::running, seconds(10)), ""},
        {"twice is no loop", crashed(2, ServerState::starting, seconds(1)), ""},
        {"kept down after it: dead",
         crashed(3, ServerState::down, seconds(1)).not_asked_since(seconds(2)).with(host([](Host& h) {
             h.hold = Hold::down;
         })),
         "p:DeadPrimary!"},
        {"nobody is fit",
         crashed(3, ServerState::starting, seconds(1))
             .on("s1")
             .delayed()
             .on("s2")
             .rule(topology::PromotionRule::must_not),
         "p:PrimaryCrashLoop"},
    };
    check(cases);
}

TEST(ByAgent, a_disk_in_trouble_is_acted_on_after_its_time_and_where_it_helps) {
    const auto with = [](DiskHealth health, Duration since) { return guarded().disk(health, since); };
    const auto full = [&] { return with(DiskHealth::full, seconds(9)); };
    const Case cases[] = {
        {"good", with(DiskHealth::good, seconds(9)), ""},
        {"24: full, for a moment", with(DiskHealth::full, seconds(4)), "p:PrimaryDiskFull"},
        {"24: full", with(DiskHealth::full, seconds(5)), "p:PrimaryDiskFull!"},
        {"27: hung, for a moment", with(DiskHealth::hung, milliseconds(900)), "p:PrimaryDiskHung"},
        {"27: hung", with(DiskHealth::hung, seconds(1)), "p:PrimaryDiskHung!"},
        {"27: hung, and the server with it", with(DiskHealth::hung, seconds(1)).down(Reach::unresponsive),
         "p:PrimaryDiskHung!"},
        {"28: read-only", with(DiskHealth::read_only, seconds(1)), "p:PrimaryDiskReadOnly!"},
        {"29: failing, once", with(DiskHealth::failing, seconds(1)), "p:PrimaryDiskFailing"},
        {"29: failing", with(DiskHealth::failing, seconds(2)), "p:PrimaryDiskFailing!"},
        {"the disk of the WAL", guarded().with(host([](Host& h) {
             h.wal_disk = topology::Disk{.health = DiskHealth::full, .since = seconds(9)};
         })),
         "p:PrimaryDiskFull!"},
        {"the agent is away", full().blind(), "p:BlindPrimary"},
        {"every standby's disk is full, too",
         full().on("s1").agent().disk(DiskHealth::full).on("s2").agent().disk(DiskHealth::full),
         "p:PrimaryDiskFull s1:StandbyDiskFull s2:StandbyDiskFull"},
        {"nearly full is not good enough for a full one",
         full().on("s1").agent().disk(DiskHealth::good, seconds(9), 95).on("s2").delayed(),
         "p:PrimaryDiskFull s1:DiskSpaceCritical"},
        {"but for one that hangs",
         with(DiskHealth::hung, seconds(9))
             .on("s1")
             .agent()
             .disk(DiskHealth::good, seconds(9), 95)
             .on("s2")
             .delayed(),
         "p:PrimaryDiskHung! s1:DiskSpaceCritical"},
        {"one is enough",
         full().on("s1").agent().disk(DiskHealth::hung).on("s2").agent().disk(DiskHealth::good),
         "p:PrimaryDiskFull! s1:StandbyDiskHung"},
        {"82: it is just being cloned", full().on("s1").delayed().on("s2").agent().with(host([](Host& h) {
             h.job = topology::Job{.verb = "clone"};
         })),
         "p:PrimaryDiskFull"},
        {"nobody follows it", make_cluster().primary("p").agent().disk(DiskHealth::full),
         "p:PrimaryDiskFull"},
        {"its agent is ending it, which is why nobody receives",
         with(DiskHealth::hung, seconds(9))
             .with(host([](Host& h) {
                 h.state = ServerState::stopping;
                 h.state_since = now - seconds(1);
             }))
             .down(Reach::refused)
             .on("s1")
             .not_streaming(seconds(9))
             .on("s2")
             .not_streaming(seconds(9)),
         "p:PrimaryDiskHung!"},
    };
    check(cases);
}

TEST(ByAgent, what_a_manager_would_miss_is_told) {
    const auto filled = [](int percent) { return guarded().disk(DiskHealth::good, seconds(9), percent); };
    const Case cases[] = {
        {"5: the agent of the primary is gone", guarded().blind(), "p:BlindPrimary"},
        {"5: that of a standby", three().agent().blind(), "s2:BlindStandby"},
        {"with its host", three().agent().blind().down(), "p:StandbyNotReplicating s2:DeadStandby"},
        {"there never was one", three(), ""},
        {"25: disk full on a standby", three().agent().disk(DiskHealth::full), "s2:StandbyDiskFull"},
        {"read-only", three().agent().disk(DiskHealth::read_only), "s2:StandbyDiskReadOnly"},
        {"failing", three().agent().disk(DiskHealth::failing), "s2:StandbyDiskFailing"},
        {"79: a rewind was interrupted",
         three().agent(ServerState::down).down().with(host([](Host& h) { h.quarantine = "half rewound"; })),
         "p:StandbyNotReplicating s2:DeadStandby s2:Quarantined"},
        {"26: enough", filled(69), ""},
        {"26: first limit", filled(70), "p:DiskSpaceNotice"},
        {"26: second limit", filled(85), "p:DiskSpaceLow"},
        {"26: third limit", filled(95), "p:DiskSpaceCritical"},
    };
    check(cases);
    Policy silent{.disk_notice_percent = 0, .disk_low_percent = 0, .disk_critical_percent = 0};
    EXPECT_EQ(summary(filled(99), silent), "");
}

TEST(ByAgent, says_what_the_agent_says) {
    struct {
        const char* name;
        World world;
        const char* expected;
    } const cases[] = {
        {"dead", just_died(milliseconds(120)).down(Reach::refused),
         "p:5432 refuses connections for 12 ms; its agent says that no process of it is left, and keeps it "
         "so, "
         "for 120 ms; s1:5432 still says streaming, its last message came 101 ms ago: undecided; s2:5432 "
         "still "
         "says streaming, its last message came 101 ms ago: undecided"},
        {"dead, before our session broke",
         make_cluster()
             .primary("p")
             .agent(ServerState::down, milliseconds(120))
             .not_asked_since()
             .standby("s")
             .not_streaming(),
         "p:5432 is down: its agent says that no process of it is left, and keeps it so, for 120 ms; 1 of 1 "
         "standby lost it: s:5432"},
        {"35", make_cluster().primary("p").standby("s").dies("p", Reach::silent).agent(),
         "p:5432 gives no answer at all for 12 ms; its agent says that it runs; 1 of 1 standby lost it: "
         "s:5432"},
        {"11", guarded(ServerState::starting, seconds(1)).with(host([](Host& h) {
             h.crashes = 3;
             h.last_failure = "could not locate a valid checkpoint record";
         })),
         "p:5432 does not stay up: its agent says that it is starting, for 1.0 s; 3 starts failed or did not "
         "last (could not locate a valid checkpoint record)"},
        {"28", guarded().disk(DiskHealth::read_only, seconds(4)).with(host([](Host& h) {
             h.data_disk->detail = "Read-only file system";
         })),
         "p:5432: the disk at /data is read-only, for 4.0 s (Read-only file system)"},
        {"24: nobody helps",
         make_cluster()
             .primary("p")
             .agent()
             .disk(DiskHealth::full, seconds(9))
             .standby("s")
             .agent()
             .disk(DiskHealth::full),
         "p:5432: the disk at /data has no space left, for 9.0 s; left alone: no standby could take over: "
         "s:5432 "
         "has a disk in trouble itself (full)"},
        {"24: too early", guarded().disk(DiskHealth::full, seconds(2)),
         "p:5432: the disk at /data has no space left, for 2.0 s; left alone: it may pass: acted on when it "
         "has "
         "been so for 5.0 s"},
        {"5", guarded().blind(), "p:5432 answers, but its agent has not been heard for 2.0 s"},
        {"26", guarded().disk(DiskHealth::good, seconds(9), 86),
         "p:5432: 86.0 GiB of 100.0 GiB at /data are used (86 %)"},
    };
    for (const auto& c : cases)
        EXPECT_EQ(description(c.world), c.expected) << c.name;
}

TEST(ByAgent, codes_that_leave_the_primary_running_are_fenced_first) {
    EXPECT_TRUE(fence_first("HungPrimary"));
    EXPECT_TRUE(fence_first("PrimaryDiskFull"));
    EXPECT_FALSE(fence_first("DeadPrimary"));
    EXPECT_FALSE(fence_first("no such code"));
}

}  // namespace
}  // namespace baton::analysis
