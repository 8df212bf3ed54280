// Trees: an intermediate dies, or the root of a chain does.
#include "scenario.h"

namespace baton::sim {
namespace {

/// p - m - a, b and p - s.
WorldPtr tree(uint64_t seed = 1) {
    auto world = std::make_unique<World>(seed, recovers_all);
    world->primary("p");
    world->standby("m");
    world->standby("s");
    world->standby("a", "m");
    world->standby("b", "m");
    begin(*world);
    return world;
}

TEST(Cascades, Scenario22UpstreamDies) {
    auto world = tree();
    (*world)["m"].kill();
    world->run_for(seconds(10));
    EXPECT_EQ(world->promotions(), 0) << world->trace().text();
    expect_healthy(*world, {"s", "a", "b"});
    EXPECT_EQ((*world)["a"].streams_from(), at("p"));
    expect_golden(*world, "22_upstream_of_standbys_dies");
}

TEST(Cascades, Scenario22UpstreamAndPrimaryDie) {
    auto world = tree();
    (*world)["p"].kill();
    (*world)["m"].kill();
    world->run_for(seconds(30));
    EXPECT_EQ(world->promotions(), 1) << world->trace().text();
    expect_healthy(*world, {"s", "a", "b"});
    expect_golden(*world, "22_upstream_and_primary_die");
}

TEST(Cascades, Scenario22UpstreamLostInTheFailoverOfItsPrimary) {
    auto world = tree();
    (*world)["p"].kill();
    (*world)["m"].power_off();
    world->run_for(seconds(30));
    EXPECT_EQ(world->promotions(), 1) << world->trace().text();
    expect_healthy(*world, {"s", "a", "b"});
    expect_golden(*world, "22_upstream_host_lost_with_the_primary");
}

TEST(Cascades, Scenario22UpstreamDiesLateInTheFailoverOfItsPrimary) {
    for (int ms = 0; ms <= 400; ms += 20) {
        auto world = tree();
        (*world)["p"].kill();
        world->run_for(milliseconds(ms));
        if ((*world)["m"].accepts_writes()) break;
        (*world)["m"].kill();
        world->run_for(seconds(90));
        EXPECT_EQ(world->promotions(), 1) << world->trace().text();
        expect_healthy(*world, {"s", "a", "b"});
        if (HasFailure()) return;
    }
}

TEST(Cascades, ReplicasThatMayNotBeMovedAreNotTriedWithoutEnd) {
    auto world = tree();
    (*world)["a"].forbidden = (*world)["b"].forbidden = {"follow"};
    (*world)["m"].kill();
    world->run_for(seconds(60));
    EXPECT_EQ(world->promotions(), 0);
    EXPECT_LE(world->disk().recoveries.size(), 3U) << world->trace().text();
    expect_golden(*world, "22_replicas_may_not_be_moved");
}

TEST(Cascades, Scenario22PrimaryDiesRightAfterTheUpstream) {
    auto world = tree();
    (*world)["m"].kill();
    world->run_for(seconds(5));
    (*world)["p"].kill();
    world->run_for(seconds(10));
    EXPECT_EQ(world->promotions(), 1) << "moving standbys promotes nobody, so it blocks no failover\n"
                                      << world->trace().text();
    expect_healthy(*world, {"s", "a", "b"});
}

TEST(Cascades, Scenario22UpstreamDiesRightAfterAFailover) {
    auto world = tree();
    (*world)["p"].kill();
    world->run_for(seconds(5));
    (*world)["m"].accepts_writes() ? (*world)["s"].kill() : (*world)["m"].kill();
    world->run_for(seconds(10));
    EXPECT_EQ(world->promotions(), 1) << world->trace().text();
    expect_healthy(*world, {"a", "b"});
}

TEST(Cascades, Scenario22ReturningUpstreamIsLeftAlone) {
    auto world = tree();
    (*world)["m"].crash_backend();
    world->run_for(seconds(10));
    EXPECT_EQ((*world)["a"].streams_from(), at("m")) << world->trace().text();
    expect_healthy(*world, {"m", "s", "a", "b"});
}

TEST(Cascades, Scenario23ChainOfThreeLosesItsRoot) {
    auto world = std::make_unique<World>(5, recovers_all);
    world->primary("p");
    world->standby("a");
    world->standby("b", "a");
    world->standby("c", "b");
    world->standby("d");
    (*world)["d"].settings.recovery_min_apply_delay_ms = 3'600'000;
    begin(*world);
    (*world)["p"].kill();
    world->run_for(seconds(15));
    EXPECT_TRUE((*world)["a"].accepts_writes()) << world->trace().text();
    expect_healthy(*world, {"a", "b", "c", "d"});
    EXPECT_EQ((*world)["c"].streams_from(), at("b"));
    expect_golden(*world, "23_chain_of_three");
}

TEST(Cascades, StandbyOfTheCandidateFollowsByItself) {
    auto world = tree();
    (*world)["p"].kill();
    world->run_for(seconds(10));
    EXPECT_EQ(world->promotions(), 1);
    expect_healthy(*world, {"m", "s", "a", "b"});
}

}  // namespace
}  // namespace baton::sim
