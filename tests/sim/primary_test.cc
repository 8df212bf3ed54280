// The primary fails: what is seen, what is decided, and when.
#include "scenario.h"

namespace baton::sim {
namespace {

TEST(PrimaryFaults, Scenario1PostmasterKilled) {
    auto world = three_nodes();
    (*world)["p"].kill();
    world->run_for(seconds(10));
    expect_healthy(*world, {"s1", "s2"});
    EXPECT_EQ(world->promotions(), 1);
    expect_golden(*world, "01_postmaster_killed");
}

TEST(PrimaryFaults, Scenario1WithTheFiveSecondTrap) {
    auto world = three_servers();
    for (const auto* name : {"s1", "s2"}) {
        (*world)[name].pace.trap_percent = 100;
        (*world)[name].pace.trap_window = seconds(1);
    }
    begin(*world);
    (*world)["p"].kill();
    world->run_for(seconds(2));
    expect_healthy(*world, {"s1", "s2"});
    expect_golden(*world, "01_five_second_trap");
}

TEST(PrimaryFaults, Scenario1PrimaryRestartedAtOnceByItsSupervisor) {
    auto world = three_servers();
    (*world)["p"].pace.start = {milliseconds(5), milliseconds(5)};
    begin(*world);
    (*world)["p"].restart();
    world->run_for(seconds(10));
    EXPECT_EQ(world->promotions(), 0) << world->trace().text();
    expect_healthy(*world, {"s1", "s2"});
}

TEST(PrimaryFaults, Scenario3AllProcessesStopped) {
    auto world = three_nodes();
    (*world)["p"].hang();
    world->run_for(seconds(10));
    EXPECT_EQ(world->promotions(), 1);
    EXPECT_TRUE((*world)["s1"].accepts_writes()) << world->trace().text();
    expect_golden(*world, "03_all_processes_stopped");
}

/// Whoever was asked may still do it: that it lets nobody in afterwards says nothing.
TEST(PrimaryFaults, Scenario20ALoginRefusedAfterTheRequestIsNoRefusalOfIt) {
    for (const auto asked_for : {milliseconds(300), milliseconds(2500)}) {
        auto world = three_nodes();
        auto& s1 = (*world)["s1"];
        s1.stall_promotions(true);
        (*world)["p"].kill();
        world->run_for(asked_for);
        s1.refuse_logins(true);
        s1.break_sessions("manager");
        world->run_for(seconds(3));
        s1.refuse_logins(false);
        s1.stall_promotions(false);
        world->run_for(seconds(20));
        EXPECT_EQ(world->promotions(), 1) << world->trace().text();
        EXPECT_TRUE(s1.accepts_writes()) << world->trace().text();
    }
}

TEST(PrimaryFaults, Scenario7HostGoneIdle) {
    auto world = three_servers();
    begin(*world, true);
    (*world)["p"].power_off();
    world->run_for(seconds(10));
    expect_healthy(*world, {"s1", "s2"});
    expect_golden(*world, "07_host_gone_idle");
}

TEST(PrimaryFaults, Scenario7HostGoneBusy) {
    auto world = three_nodes();
    (*world)["p"].power_off();
    world->run_for(seconds(10));
    expect_healthy(*world, {"s1", "s2"});
    expect_golden(*world, "07_host_gone_busy");
}

TEST(PrimaryFaults, Scenario8HostGoneAndBackAfterTheFailover) {
    auto world = three_nodes();
    (*world)["p"].power_off();
    world->run_for(seconds(8));
    (*world)["p"].power_on();
    world->run_for(seconds(10));
    EXPECT_EQ(world->promotions(), 1);
    EXPECT_TRUE(world->trace().contains("p:5432 StalePrimary")) << world->trace().text();
    expect_golden(*world, "08_host_gone_and_back");
}

TEST(PrimaryFaults, Scenario20CandidateDiesDuringItsPromotion) {
    auto world = three_nodes();
    (*world)["p"].kill();
    ASSERT_TRUE(
        world->run_until([&] { return world->trace().contains("recovery promote s1:5432"); }, seconds(2)));
    world->run_for(milliseconds(5));
    (*world)["s1"].kill();
    world->run_for(seconds(3));
    EXPECT_EQ(world->promotions(), 1) << world->trace().text();
    expect_healthy(*world, {"s2"});
    expect_golden(*world, "20_candidate_dies");
    (*world)["s1"].start();
    world->run_for(seconds(20));
    expect_healthy(*world, {"s1", "s2"});
}

TEST(PrimaryFaults, Scenario61PromotionThatNeverEndsIsNotFollowedByAnother) {
    auto world = three_nodes(recovers_all_and(R"("PromotionTimeoutSeconds": 5)"));
    (*world)["s1"].stall_promotions(true);
    (*world)["p"].kill();
    world->run_for(seconds(20));
    EXPECT_EQ(world->promotions(), 0) << world->trace().text();
    EXPECT_EQ(world->disk().recoveries.size(), 1U) << world->trace().text();
    expect_golden(*world, "61_promotion_never_ends");
}

TEST(PrimaryFaults, AskedCandidateOutOfSightIsNotReplacedByAnother) {
    auto world = three_nodes(recovers_all_and(R"("PromotionTimeoutSeconds": 5)"));
    (*world)["p"].kill();
    ASSERT_TRUE(
        world->run_until([&] { return world->trace().contains("recovery promote s1:5432"); }, seconds(2)));
    world->run_for(milliseconds(5));
    world->network().set("manager", "s1", Link::silent);
    world->run_for(seconds(60));
    EXPECT_EQ(world->promotions(), 1) << world->trace().text();
    world->heal();
    world->run_for(seconds(30));
    EXPECT_EQ(world->promotions(), 1) << world->trace().text();
    expect_healthy(*world, {"s1", "s2"});
    expect_golden(*world, "asked_candidate_out_of_sight");
}

TEST(PrimaryFaults, NobodyMayBePromotedIsTriedOnce) {
    auto world = three_nodes();
    (*world)["s1"].forbidden = (*world)["s2"].forbidden = {"promote"};
    (*world)["p"].kill();
    world->run_for(seconds(60));
    EXPECT_EQ(world->promotions(), 0) << world->trace().text();
    EXPECT_EQ(world->disk().recoveries.size(), 1U) << world->trace().text();
    expect_golden(*world, "nobody_may_be_promoted");
}

TEST(PrimaryFaults, PromotionNotPermittedOnTheFirstChoice) {
    auto world = three_nodes();
    (*world)["s1"].forbidden = {"promote"};
    (*world)["p"].kill();
    world->run_for(seconds(10));
    EXPECT_TRUE((*world)["s2"].accepts_writes()) << world->trace().text();
    EXPECT_EQ(world->promotions(), 1);
}

TEST(PrimaryFaults, MultiHostStandbysAreOnlyNudged) {
    auto world = three_servers();
    for (const auto* name : {"s1", "s2"}) {
        auto& conninfo = (*world)[name].conninfo;
        conninfo.hosts = {at("p"), at("s1"), at("s2")};
        conninfo.target_session_attrs = "read-write";
        (*world)[name].forbidden = {"create_slot"};
        (*world)[name].settings.primary_slot_name.clear();
    }
    begin(*world);
    (*world)["p"].kill();
    world->run_for(seconds(10));
    expect_healthy(*world, {"s1", "s2"});
    EXPECT_EQ((*world)["s2"].conninfo.hosts.size(), 3U);
}

TEST(PrimaryFaults, Scenario21PrimariesDieOneAfterTheOther) {
    auto world = std::make_unique<World>(
        7, recovers_all_and(R"("RecoveryPeriodBlockSeconds": 1, "FailureDetectionPeriodBlockSeconds": 1)"));
    world->primary("p");
    for (const auto* name : {"a", "b", "c", "d"})
        world->standby(name);
    begin(*world);
    for (int round = 1; round <= 4; ++round) {
        ASSERT_EQ(world->writable().size(), 1U) << world->trace().text();
        (*world)[world->writable()[0]].kill();
        world->run_for(seconds(20));
        EXPECT_EQ(world->promotions(), round) << world->trace().text();
    }
    expect_healthy(*world, {});
}

}  // namespace
}  // namespace baton::sim
