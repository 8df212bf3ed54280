// Recoveries that end without a successor: what they leave open, and that they are not repeated without end.
#include "scenario.h"

namespace baton::sim {
namespace {

const std::string asks_for_five_seconds = recovers_all_and(R"("PromotionTimeoutSeconds": 5)");

void acknowledge_everything(World& world) {
    control::RecoveryFilter all;
    all.page = -1;
    const auto done = world.command(world.manager().acknowledge(all, "ann", "it is down for good"));
    ASSERT_TRUE(done) << done.error().text();
}

/// s1 was asked to promote itself, does not, and is out of sight.
WorldPtr one_in_doubt() {
    auto world = three_nodes(asks_for_five_seconds);
    (*world)["s1"].stall_promotions(true);
    (*world)["p"].kill();
    world->run_for(seconds(2));
    world->network().set("manager", "s1", Link::silent);
    return world;
}

TEST(InVain, WhoMayHavePromotedItselfIsNotPassedOver) {
    auto world = one_in_doubt();
    world->run_for(seconds(60));
    EXPECT_EQ(world->promotions(), 0) << "s2 beside s1 would be two primaries\n" << world->trace().text();
    EXPECT_EQ(world->disk().recoveries.size(), 1U) << world->trace().text();
}

TEST(InVain, TheDoubtOutlastsTheBlockPeriodAndARestart) {
    auto world = one_in_doubt();
    world->run_for(std::chrono::hours(2));
    world->kill_manager();
    world->start_manager();
    world->run_for(seconds(60));
    EXPECT_EQ(world->promotions(), 0) << world->trace().text();
}

TEST(InVain, AcknowledgementEndsTheDoubt) {
    auto world = one_in_doubt();
    world->run_for(seconds(30));
    acknowledge_everything(*world);
    world->run_for(seconds(20));
    EXPECT_EQ(world->promotions(), 1) << world->trace().text();
    EXPECT_TRUE((*world)["s2"].accepts_writes()) << world->trace().text();
}

TEST(InVain, WhatTheRoleMayNotDoIsNotTriedAgainAndAgain) {
    auto world = std::make_unique<World>(1, recovers_all);
    world->primary("p");
    world->standby("s1").forbidden = {"promote"};
    begin(*world);
    (*world)["p"].kill();
    world->run_for(seconds(60));
    EXPECT_EQ(world->promotions(), 0);
    EXPECT_EQ(world->disk().recoveries.size(), 1U) << world->trace().text();
}

TEST(InVain, ReplicasThatNobodyCanTakeAreNotTriedAgainAndAgain) {
    auto world = std::make_unique<World>(1, recovers_all);
    world->primary("p");
    world->standby("m");
    world->standby("c", "m");
    begin(*world);
    (*world)["p"].kill();
    (*world)["m"].kill();
    world->run_for(seconds(60));
    EXPECT_EQ(world->promotions(), 0);
    EXPECT_LE(world->disk().recoveries.size(), 1U) << world->trace().text();
}

/// The primary and an intermediate fail, and neither has a way out: the end of one recovery is no reason to
/// try the other again.
TEST(InVain, TwoFailuresWithoutAWayOutAreNotTriedInTurn) {
    auto world = std::make_unique<World>(1, recovers_all);
    world->primary("p");
    world->standby("s1").settings.recovery_min_apply_delay_ms = 3'600'000;
    world->standby("m");
    world->standby("c", "m").become_diverged(1 << 20);
    begin(*world);
    (*world)["m"].hang();
    world->run_for(seconds(5));
    (*world)["p"].kill();
    world->run_for(seconds(30));
    EXPECT_EQ(world->promotions(), 0) << world->trace().text();
    const auto& recoveries = world->disk().recoveries;
    EXPECT_LE(recoveries.size(), 3U) << world->trace().text();
    for (const auto* failed : {"p", "m"}) {
        const auto tried = std::ranges::any_of(recoveries, [&](const auto& r) {
            return r.second.failed == at(failed) && r.second.state == store::RecoveryState::failed;
        });
        EXPECT_TRUE(tried) << failed << "\n" << world->trace().text();
    }
    EXPECT_FALSE(world->recovery_open()) << world->trace().text();
}

}  // namespace
}  // namespace baton::sim
