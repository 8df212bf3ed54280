// What stops a recovery, what it says, and what opens the way again.
#include "scenario.h"

namespace baton::sim {
namespace {

template <class T>
Task<Result<bool>> worked(Task<Result<T>> task) {
    const auto done = co_await std::move(task);
    co_return done.has_value();
}

template <class T>
void must(World& world, Task<Result<T>> task) {
    const auto done = world.command(worked(std::move(task)));
    ASSERT_TRUE(done && *done);
}

TEST(Gates, ClusterMatchesNoFilter) {
    auto world = three_nodes(R"({"RecoverMasterClusterFilters": ["other"]})");
    (*world)["p"].kill();
    world->run_for(seconds(10));
    EXPECT_EQ(world->promotions(), 0);
    expect_golden(*world, "gate_filters");
}

TEST(Gates, DowntimeHoldsAndItsEndLets) {
    auto world = three_nodes();
    must(*world, world->manager().begin_downtime(at("p"), "ann", "disk", seconds(10)));
    world->trace().mark();
    (*world)["p"].kill();
    world->run_for(seconds(8));
    EXPECT_EQ(world->promotions(), 0) << world->trace().text();
    world->run_for(seconds(10));
    EXPECT_EQ(world->promotions(), 1) << world->trace().text();
    expect_golden(*world, "gate_downtime");
}

TEST(Gates, GlobalSwitch) {
    auto world = three_nodes();
    must(*world, world->manager().set_global_recoveries(false, {"ann"}));
    world->trace().mark();
    (*world)["p"].kill();
    world->run_for(seconds(5));
    EXPECT_EQ(world->promotions(), 0) << world->trace().text();
    must(*world, world->manager().set_global_recoveries(true, {"ann"}));
    world->run_for(seconds(5));
    EXPECT_EQ(world->promotions(), 1) << world->trace().text();
    expect_golden(*world, "gate_global_switch");
}

TEST(Gates, BlockPeriodAndItsEnd) {
    auto world = std::make_unique<World>(2, recovers_all_and(R"("RecoveryPeriodBlockSeconds": 30)"));
    world->primary("p");
    for (const auto* name : {"s1", "s2", "s3"})
        world->standby(name);
    begin(*world);
    (*world)["p"].kill();
    world->run_for(seconds(5));
    ASSERT_TRUE((*world)["s1"].accepts_writes()) << world->trace().text();
    (*world)["s1"].kill();
    world->run_for(seconds(20));
    EXPECT_EQ(world->promotions(), 1) << world->trace().text();
    world->run_for(seconds(10));
    EXPECT_EQ(world->promotions(), 2) << world->trace().text();
    expect_healthy(*world, {"s2", "s3"});
    expect_golden(*world, "gate_block_period");
}

/// Four servers, a block period of 30 s, and the moment at which a first failover has promoted somebody.
std::unique_ptr<World> failed_over_once() {
    auto world = std::make_unique<World>(2, recovers_all_and(R"("RecoveryPeriodBlockSeconds": 30)"));
    world->primary("p");
    for (const auto* name : {"s1", "s2", "s3"})
        world->standby(name);
    begin(*world);
    (*world)["p"].kill();
    (void)world->run_until([&] { return world->promotions() == 1; }, seconds(5));
    return world;
}

// Scenario 93, in either direction, as soon as the recovery has begun.
TEST(Gates, WallClockJumpsDoNotMoveTheEndOfTheBlock) {
    for (const auto by : {std::chrono::hours(-1), std::chrono::hours(1)}) {
        const auto world = failed_over_once();
        ASSERT_EQ(world->promotions(), 1) << world->trace().text();
        world->jump_wall(by);
        world->run_for(seconds(5));
        (*world)["s1"].kill();
        world->run_for(seconds(20));
        EXPECT_EQ(world->promotions(), 1) << world->trace().text();
        world->run_for(seconds(10));
        EXPECT_EQ(world->promotions(), 2) << world->trace().text();
    }
}

/// Scenario 93. The monotonic clock outlives the manager: a restart does not make it believe the wall clock.
TEST(Gates, WallClockJumpsDoNotEndTheBlockOfARestartedManager) {
    for (const bool before : {true, false}) {
        for (const auto by : {std::chrono::hours(-1), std::chrono::hours(1)}) {
            const auto world = failed_over_once();
            ASSERT_EQ(world->promotions(), 1) << world->trace().text();
            world->run_for(seconds(2));
            if (before) world->jump_wall(by);
            world->kill_manager();
            if (!before) world->jump_wall(by);
            world->start_manager();
            ASSERT_TRUE(world->run_until([&] { return world->manager().view()->ready; }, seconds(20)));
            world->run_for(seconds(3));
            (*world)["s1"].kill();
            world->run_for(seconds(15));
            EXPECT_EQ(world->promotions(), 1) << world->trace().text();
            world->run_for(seconds(15));
            EXPECT_EQ(world->promotions(), 2) << world->trace().text();
        }
    }
}

TEST(Gates, AcknowledgementOpensTheBlock) {
    auto world = std::make_unique<World>(2, recovers_all);
    world->primary("p");
    for (const auto* name : {"s1", "s2", "s3"})
        world->standby(name);
    begin(*world);
    (*world)["p"].kill();
    world->run_for(seconds(5));
    (*world)["s1"].kill();
    world->run_for(seconds(60));
    EXPECT_EQ(world->promotions(), 1) << world->trace().text();
    control::RecoveryFilter all;
    all.page = -1;
    must(*world, world->manager().acknowledge(all, "ann", "seen"));
    world->run_for(seconds(5));
    EXPECT_EQ(world->promotions(), 2) << world->trace().text();
    expect_golden(*world, "gate_acknowledged");
}

TEST(Gates, ForcedRecoveryIgnoresThem) {
    auto world = three_nodes(R"({})");
    must(*world, world->manager().set_global_recoveries(false, {"ann"}));
    (*world)["p"].kill();
    world->run_for(seconds(5));
    EXPECT_EQ(world->promotions(), 0);
    world->trace().mark();
    must(*world, world->manager().recover({.failed = at("p"), .command_hint = "recover"}, {"ann"}));
    expect_healthy(*world, {"s1", "s2"});
    expect_golden(*world, "forced_recovery");
}

TEST(Gates, ForcedFailoverOfALivingPrimary) {
    auto world = three_nodes(R"({})");
    must(*world, world->manager().recover({.failed = at("p"), .force_failover = true}, {"ann"}));
    world->run_for(seconds(3));
    EXPECT_FALSE((*world)["p"].accepts_writes()) << world->trace().text();
    expect_healthy(*world, {"s1", "s2"});
    expect_golden(*world, "forced_failover_of_a_living_primary");
}

TEST(Gates, NewManagerWaitsForThreePollsBeforeItJudgesTheUnseen) {
    auto world = three_nodes();
    world->kill_manager();
    (*world)["p"].kill();
    world->run_for(seconds(5));
    world->trace().mark();
    world->start_manager();
    world->run_for(milliseconds(2500));
    EXPECT_EQ(world->promotions(), 0) << world->trace().text();
    world->run_for(seconds(10));
    expect_healthy(*world, {"s1", "s2"});
    expect_golden(*world, "gate_new_manager");
}

TEST(Gates, NoCandidateIsTriedAgainWhenThereIsOne) {
    auto world = std::make_unique<World>(3, recovers_all);
    world->primary("p");
    world->standby("s1");
    begin(*world);
    (*world)["s1"].pause_replay(true);
    world->run_for(seconds(2));
    world->trace().mark();
    (*world)["p"].kill();
    world->run_for(seconds(10));
    EXPECT_EQ(world->promotions(), 0) << world->trace().text();
    (*world)["s1"].pause_replay(false);
    world->run_for(seconds(10));
    EXPECT_EQ(world->promotions(), 1) << world->trace().text();
    expect_golden(*world, "no_candidate_at_first");
}

}  // namespace
}  // namespace baton::sim
