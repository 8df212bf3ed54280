// Who is promoted: standbys that are paused, delayed, behind, old, or alike.
#include "scenario.h"

namespace baton::sim {
namespace {

TEST(Candidates, Scenario59PausedReplayIsPassedOver) {
    auto world = three_nodes();
    (*world)["s1"].pause_replay(true);
    world->run_for(seconds(3));
    world->trace().mark();
    (*world)["p"].kill();
    world->run_for(seconds(10));
    EXPECT_TRUE((*world)["s2"].accepts_writes()) << world->trace().text();
    EXPECT_FALSE((*world)["s1"].streaming());
    (*world)["s1"].pause_replay(false);
    world->run_for(seconds(10));
    expect_healthy(*world, {"s1", "s2"});
    expect_golden(*world, "59_paused_replay");
}

TEST(Candidates, Scenario60DelayedReplicaIsADonorButNeverPromoted) {
    auto world = three_servers();
    (*world)["s1"].settings.recovery_min_apply_delay_ms = 3'600'000;
    begin(*world);
    world->network().set("p", "s2", Link::silent);
    world->run_for(milliseconds(300));
    (*world)["p"].kill();
    world->heal();
    world->run_for(seconds(15));
    EXPECT_TRUE((*world)["s2"].accepts_writes()) << world->trace().text();
    expect_healthy(*world, {"s1", "s2"});
    expect_golden(*world, "60_delayed_replica_donates");
}

TEST(Candidates, Scenario60OnlyADelayedReplica) {
    auto world = std::make_unique<World>(3, recovers_all);
    world->primary("p");
    world->standby("s1").settings.recovery_min_apply_delay_ms = 3'600'000;
    begin(*world);
    (*world)["p"].kill();
    world->run_for(seconds(30));
    EXPECT_EQ(world->promotions(), 0) << world->trace().text();
    expect_golden(*world, "60_only_a_delayed_replica");
}

TEST(Candidates, Scenario71EqualPositionsGoByName) {
    for (uint64_t seed = 1; seed <= 5; ++seed) {
        auto world = three_servers(recovers_all, seed);
        begin(*world, true);
        (*world)["p"].kill();
        world->run_for(seconds(5));
        EXPECT_TRUE((*world)["s1"].accepts_writes()) << world->trace().text();
    }
}

TEST(Candidates, Scenario71EqualPositionsGoByPreferenceFirst) {
    auto world = three_nodes();
    ASSERT_TRUE(world->command([](World& w) -> Task<Result<bool>> {
        const auto done = co_await w.manager().set_promotion_rule(at("s2"), topology::PromotionRule::prefer);
        co_return done.has_value();
    }(*world)));
    (*world)["p"].kill();
    world->run_for(seconds(5));
    EXPECT_TRUE((*world)["s2"].accepts_writes()) << world->trace().text();
    expect_golden(*world, "71_preference");
}

TEST(Candidates, PreferredButBehindCatchesUpFirst) {
    auto world = three_nodes();
    ASSERT_TRUE(world->command([](World& w) -> Task<Result<bool>> {
        const auto done = co_await w.manager().set_promotion_rule(at("s2"), topology::PromotionRule::prefer);
        co_return done.has_value();
    }(*world)));
    world->network().set("p", "s2", Link::silent);
    world->run_for(milliseconds(400));
    (*world)["p"].kill();
    world->heal();
    world->run_for(seconds(15));
    EXPECT_TRUE((*world)["s2"].accepts_writes()) << world->trace().text();
    expect_healthy(*world, {"s1", "s2"});
    expect_golden(*world, "catch_up_before_promotion");
}

TEST(Candidates, Scenario76OutdatedStandbyIsNotPromoted) {
    auto world = std::make_unique<World>(4, recovers_all);
    world->primary("p");
    world->standby("s1");
    begin(*world);
    (*world)["s1"].kill();
    world->run_for(seconds(400));
    (*world)["p"].kill();
    world->run_for(seconds(2));
    world->trace().mark();
    (*world)["s1"].start();
    world->run_for(seconds(20));
    EXPECT_EQ(world->promotions(), 0) << world->trace().text();
    expect_golden(*world, "76_outdated_standby");
}

TEST(Candidates, Scenario13StandbyDies) {
    auto world = three_nodes();
    (*world)["s1"].kill();
    world->run_for(seconds(10));
    EXPECT_EQ(world->promotions(), 0);
    EXPECT_EQ(world->writable(), std::vector<std::string>{"p"});
    expect_golden(*world, "13_standby_dies");
}

TEST(Candidates, Scenario73SurvivorAheadIsLostNotRewired) {
    // s1 may not be promoted and got rows that s2 has not: s2 catches up from it, and nobody is lost.
    auto world = three_nodes();
    ASSERT_TRUE(world->command([](World& w) -> Task<Result<bool>> {
        const auto done =
            co_await w.manager().set_promotion_rule(at("s1"), topology::PromotionRule::must_not);
        co_return done.has_value();
    }(*world)));
    world->network().set("p", "s2", Link::silent);
    world->run_for(milliseconds(300));
    (*world)["p"].kill();
    world->heal();
    world->run_for(seconds(15));
    EXPECT_TRUE((*world)["s2"].accepts_writes()) << world->trace().text();
    expect_healthy(*world, {"s1", "s2"});
}

TEST(Candidates, SlotLostMakesAStandbyUnfit) {
    auto world = three_servers();
    begin(*world);
    (*world)["s1"].kill();
    world->run_for(seconds(2));
    (*world)["p"].lose_slot("s1_slot");
    (*world)["s1"].start();
    world->run_for(seconds(5));
    world->trace().mark();
    (*world)["p"].kill();
    world->run_for(seconds(10));
    EXPECT_TRUE((*world)["s2"].accepts_writes()) << world->trace().text();
    expect_golden(*world, "slot_lost");
}

/// Both come back as they were, streaming: without fencing the former primary writes on, and what follows it
/// belongs elsewhere.
TEST(Candidates, StandbyThatStillStreamsFromAReplacedPrimaryIsLedAway) {
    auto world = three_servers();
    begin(*world, true);
    for (const auto* away : {"p", "s1"})
        world->network().set_host(away, false);
    world->links_changed();
    ASSERT_TRUE(world->run_until([&] { return (*world)["s2"].accepts_writes(); }, seconds(10)))
        << world->trace().text();
    world->run_for(seconds(2));
    world->heal();
    world->run_for(seconds(10));
    EXPECT_EQ((*world)["s1"].streams_from(), at("s2")) << world->trace().text();
    EXPECT_EQ((*world)["s1"].timeline(), 2U);
}

/// Nobody asked Baton for this promotion: the mistake may be on that side, and the standby stays.
TEST(Candidates, StandbyStaysWhenSomebodyElsePromoted) {
    auto world = three_servers();
    begin(*world, true);
    ASSERT_TRUE((*world)["s2"].request_promotion());
    world->run_for(seconds(15));
    EXPECT_TRUE((*world)["s2"].accepts_writes());
    EXPECT_EQ((*world)["s1"].streams_from(), at("p")) << world->trace().text();
}

/// The new primary restarts in the moment in which slots are made on it.
TEST(Candidates, SlotThatCouldNotBeMadeIsMadeLater) {
    auto world = three_nodes();
    (*world)["p"].kill();
    ASSERT_TRUE(world->run_until([&] { return (*world)["s1"].accepts_writes(); }, seconds(5)));
    (*world)["s1"].restart();
    ASSERT_TRUE(world->run_until([&] { return (*world)["s2"].streaming(); }, seconds(40)))
        << world->trace().text();
    EXPECT_EQ((*world)["s2"].streams_from(), at("s1"));
    EXPECT_EQ((*world)["s2"].timeline(), 2U);
}

}  // namespace
}  // namespace baton::sim
