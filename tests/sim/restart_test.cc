// The manager is killed anywhere in a recovery and started again: it ends with one primary that was promoted
// once.
#include "scenario.h"

namespace baton::sim {
namespace {

struct Span {
    uint64_t first = 0, last = 0;
};

/// The steps of the world between the primary's death and the end of the recovery.
Span recovery_span(const std::function<WorldPtr()>& make) {
    auto world = make();
    Span span{.first = world->steps()};
    (*world)["p"].kill();
    const bool ended = world->run_until(
        [&] { return world->trace().contains("recovery of p:5432 is complete"); }, seconds(30));
    EXPECT_TRUE(ended) << world->trace().text();
    span.last = world->steps() + 50;
    return span;
}

/// All is well again, or the time is up; then a little longer, for what should not happen any more.
void run_to_the_end(World& world, const std::vector<std::string>& members) {
    const auto well = [&] {
        return world.writable().size() == 1 && !world.recovery_open() &&
               std::ranges::all_of(members, [&](const auto& name) {
                   return world[name].accepts_writes() || world[name].streaming();
               });
    };
    for (int i = 0; i < 250 && !well(); ++i)
        world.run_for(milliseconds(100));
    world.run_for(seconds(2));
}

void kill_at(const std::function<WorldPtr()>& make, uint64_t step, Duration away) {
    auto world = make();
    (*world)["p"].kill();
    world->run_until([&] { return world->steps() >= step; }, seconds(30));
    world->kill_manager();
    world->run_for(away);
    world->start_manager();
    world->run_for(seconds(1));
    run_to_the_end(*world, {"s1", "s2"});
    ASSERT_EQ(world->promotions(), 1) << "killed at step " << step << "\n" << world->trace().text();
    expect_healthy(*world, {"s1", "s2"});
}

TEST(Restart, KilledAtEveryStepOfAFailover) {
    const auto make = [] { return three_nodes(); };
    const auto span = recovery_span(make);
    for (auto step = span.first; step <= span.last; ++step) {
        kill_at(make, step, milliseconds(100));
        if (HasFailure()) return;
    }
}

TEST(Restart, KilledAtEveryStepWithHooksAndALongAbsence) {
    const auto make = [] {
        return three_nodes(recovers_all_and(
            R"("PreFailoverProcesses": ["pre"], "PostFailoverProcesses": ["post"], "InstancePollSeconds": 1)"));
    };
    const auto span = recovery_span(make);
    for (auto step = span.first; step <= span.last; step += 3) {
        kill_at(make, step, seconds(5));
        if (HasFailure()) return;
    }
}

TEST(Restart, KilledWhileTheCandidateIsPromotedTimeline) {
    auto world = three_nodes();
    (*world)["p"].kill();
    ASSERT_TRUE(
        world->run_until([&] { return world->trace().contains("recovery promote s1:5432"); }, seconds(2)));
    world->run_for(milliseconds(10));
    world->kill_manager();
    world->run_for(milliseconds(200));
    world->start_manager();
    world->run_for(seconds(20));
    EXPECT_EQ(world->promotions(), 1);
    expect_healthy(*world, {"s1", "s2"});
    expect_golden(*world, "88_manager_killed_during_promotion");
}

TEST(Restart, AskedCandidateIsOutOfSightAfterTheRestart) {
    auto world = three_nodes();
    (*world)["p"].kill();
    ASSERT_TRUE(
        world->run_until([&] { return world->trace().contains("recovery promote s1:5432"); }, seconds(2)));
    world->run_for(milliseconds(10));
    world->kill_manager();
    world->network().set("manager", "s1", Link::silent);
    world->run_for(milliseconds(200));
    world->start_manager();
    world->run_for(seconds(15));
    EXPECT_EQ(world->promotions(), 1) << world->trace().text();
    world->heal();
    world->run_for(seconds(40));
    EXPECT_EQ(world->promotions(), 1) << world->trace().text();
    expect_healthy(*world, {"s1", "s2"});
    expect_golden(*world, "88_asked_candidate_out_of_sight");
}

TEST(Restart, Scenario89ManagerAwayForADay) {
    auto world = three_servers();
    world->client(seconds(60));
    world->start_manager();
    ASSERT_TRUE(world->settle());
    world->kill_manager();
    world->run_for(std::chrono::hours(24));
    world->start_manager();
    world->run_for(seconds(30));
    EXPECT_EQ(world->promotions(), 0) << world->trace().text();
    expect_healthy(*world, {"s1", "s2"});
}

TEST(Restart, Scenario93WallClockJumpsForgetNobody) {
    auto world = three_nodes();
    (*world)["s1"].kill();
    world->run_for(seconds(5));
    world->jump_wall(std::chrono::hours(24 * 400));
    world->run_for(std::chrono::minutes(5));
    EXPECT_NE(world->manager().view()->topology->find_instance(at("s1")), nullptr) << world->trace().text();
    world->jump_wall(-std::chrono::hours(24 * 800));
    (*world)["s1"].start();
    world->run_for(seconds(20));
    EXPECT_EQ(world->promotions(), 0);
    expect_healthy(*world, {"s1", "s2"});
}

TEST(Restart, KilledAtEveryStepOfAnIntermediateRecovery) {
    const auto make = [] {
        auto world = std::make_unique<World>(1, recovers_all);
        world->primary("p");
        world->standby("m");
        world->standby("a", "m");
        world->standby("b", "m");
        begin(*world);
        (*world)["m"].kill();
        return world;
    };
    auto whole = make();
    const auto first = whole->steps();
    ASSERT_TRUE(whole->run_until([&] { return whole->trace().contains("is complete"); }, seconds(30)))
        << whole->trace().text();
    for (auto step = first; step <= whole->steps() + 20; step += 2) {
        auto world = make();
        world->run_until([&] { return world->steps() >= step; }, seconds(30));
        world->kill_manager();
        world->run_for(milliseconds(100));
        world->start_manager();
        world->run_for(seconds(1));
        run_to_the_end(*world, {"a", "b"});
        ASSERT_EQ(world->promotions(), 0) << world->trace().text();
        expect_healthy(*world, {"a", "b"});
        if (HasFailure()) return;
    }
}

}  // namespace
}  // namespace baton::sim
