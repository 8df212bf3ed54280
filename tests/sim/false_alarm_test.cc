// The primary is in trouble, or looks like it, and must stay what it is.
#include "scenario.h"

namespace baton::sim {
namespace {

void expect_no_failover(World& world) {
    EXPECT_EQ(world.promotions(), 0) << world.trace().text();
    expect_healthy(world, {"s1", "s2"});
}

TEST(FalseAlarms, Scenario2BackendCrash) {
    auto world = three_nodes();
    (*world)["p"].crash_backend();
    world->run_for(seconds(15));
    expect_no_failover(*world);
    expect_golden(*world, "02_backend_crash");
}

TEST(FalseAlarms, CrashRecoveryThatNeverEndsIsAFailureAfterItsTime) {
    auto world = three_servers(recovers_all_and(R"("PrimaryStartTimeoutSeconds": 10)"));
    (*world)["p"].pace.crash_recovery = {seconds(3600), seconds(3600)};
    begin(*world);
    (*world)["p"].crash_backend();
    world->run_for(seconds(9));
    EXPECT_EQ(world->promotions(), 0) << world->trace().text();
    world->run_for(seconds(10));
    EXPECT_EQ(world->promotions(), 1) << world->trace().text();
    expect_golden(*world, "11_crash_recovery_never_ends");
}

TEST(FalseAlarms, PostmasterStoppedWhileItsBackendsServe) {
    auto world = three_nodes();
    (*world)["p"].hang_postmaster();
    world->run_for(seconds(20));
    (*world)["p"].resume();
    world->run_for(seconds(5));
    expect_no_failover(*world);
}

TEST(FalseAlarms, Scenario10PauseOfTheWholeMachineBelowTheDeadline) {
    auto world = three_nodes();
    (*world)["p"].hang();
    world->run_for(milliseconds(600));
    (*world)["p"].resume();
    world->run_for(seconds(10));
    expect_no_failover(*world);
}

// The broken session says nothing about the witness, and even less about the primary.
TEST(FalseAlarms, SessionsOfTheOnlyWitnessAreEnded) {
    auto world = three_nodes();
    world->network().set("manager", "p", Link::silent);
    world->network().set("s2", "p", Link::silent);
    for (int i = 0; i < 30; ++i) {
        world->run_for(milliseconds(437));
        (*world)["s1"].break_sessions("manager");
    }
    EXPECT_EQ(world->promotions(), 0) << world->trace().text();
}

TEST(FalseAlarms, Scenario35ManagerCutOffFromThePrimaryOnlyBusy) {
    auto world = three_nodes();
    world->network().set("manager", "p", Link::silent);
    world->run_for(seconds(30));
    expect_no_failover(*world);
    world->heal();
    world->run_for(seconds(5));
    expect_no_failover(*world);
    expect_golden(*world, "35_manager_cut_off_busy");
}

TEST(FalseAlarms, Scenario35ManagerCutOffFromThePrimaryOnlyIdle) {
    auto world = three_servers();
    begin(*world, true);
    world->network().set("manager", "p", Link::silent);
    world->run_for(seconds(8));
    expect_no_failover(*world);
    expect_golden(*world, "35_manager_cut_off_idle");
}

TEST(FalseAlarms, Scenario35FirewallRefusesTheManagerOnly) {
    auto world = three_nodes();
    world->network().set("manager", "p", Link::refused);
    world->run_for(seconds(20));
    expect_no_failover(*world);
}

TEST(FalseAlarms, Scenario39OneWayLossBetweenManagerAndPrimary) {
    for (const bool towards : {true, false}) {
        auto world = three_nodes();
        world->network().set_one_way(towards ? "manager" : "p", towards ? "p" : "manager", Link::silent);
        world->run_for(seconds(15));
        expect_no_failover(*world);
    }
}

TEST(FalseAlarms, ManagerCutOffFromEverybody) {
    auto world = three_nodes();
    for (const auto* name : {"p", "s1", "s2"})
        world->network().set("manager", name, Link::silent);
    world->run_for(seconds(30));
    expect_no_failover(*world);
    world->heal();
    world->run_for(seconds(10));
    expect_no_failover(*world);
    expect_golden(*world, "manager_cut_off_from_everybody");
}

TEST(FalseAlarms, Scenario44LatencySpike) {
    auto world = three_nodes();
    for (const auto* name : {"p", "s1", "s2"})
        world->network().slow_down("manager", name, milliseconds(250));
    world->run_for(seconds(30));
    expect_no_failover(*world);
}

TEST(FalseAlarms, Scenario53ConnectionsExhausted) {
    auto world = three_nodes();
    (*world)["p"].exhaust_connections(true);
    world->run_for(seconds(3));
    EXPECT_TRUE(world->trace().text().empty()) << "the kept session answers\n" << world->trace().text();
    (*world)["p"].break_sessions("manager");
    world->run_for(seconds(10));
    EXPECT_EQ(world->promotions(), 0) << world->trace().text();
    (*world)["p"].exhaust_connections(false);
    world->run_for(seconds(5));
    expect_no_failover(*world);
    expect_golden(*world, "53_connections_exhausted");
}

TEST(FalseAlarms, Scenario54ManagerMayNotLogIn) {
    auto world = three_nodes();
    (*world)["p"].refuse_logins(true);
    (*world)["p"].break_sessions("manager");
    world->run_for(seconds(10));
    EXPECT_EQ(world->promotions(), 0) << world->trace().text();
    (*world)["p"].refuse_logins(false);
    world->run_for(seconds(5));
    expect_no_failover(*world);
    expect_golden(*world, "54_may_not_log_in");
}

TEST(FalseAlarms, Scenario57LockBlocksTheLook) {
    auto world = three_nodes();
    (*world)["p"].block_looks(true);
    world->run_for(seconds(10));
    EXPECT_EQ(world->promotions(), 0) << world->trace().text();
    (*world)["p"].block_looks(false);
    world->run_for(seconds(5));
    expect_no_failover(*world);
    expect_golden(*world, "57_look_blocked");
}

TEST(FalseAlarms, OneStandbyStillReceives) {
    auto world = three_nodes();
    world->network().set("manager", "p", Link::silent);
    world->network().set("s1", "p", Link::silent);
    world->run_for(seconds(70));
    EXPECT_EQ(world->promotions(), 0) << world->trace().text();
    expect_golden(*world, "one_standby_still_receives");
}

TEST(FalseAlarms, NobodyMaySeeReceivers) {
    auto world = three_servers();
    for (const auto* name : {"s1", "s2"})
        (*world)[name].can_see_all = false;
    begin(*world);
    world->network().set("manager", "p", Link::silent);
    world->run_for(seconds(20));
    expect_no_failover(*world);
}

}  // namespace
}  // namespace baton::sim
