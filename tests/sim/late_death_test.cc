// Scenario 20, late: the chosen one is promoted, and dies before or just after somebody has followed it.
#include "scenario.h"

namespace baton::sim {
namespace {

const std::string hardly_blocks = recovers_all_and(R"("RecoveryPeriodBlockSeconds": 1)");

/// p with s1 to s3; p dies, and s1 so long after its promotion.
WorldPtr successor_dies(Duration after, const std::string& config, uint64_t seed, bool idle = false) {
    auto world = three_servers(config, seed);
    world->standby("s3");
    begin(*world, idle);
    (*world)["p"].kill();
    EXPECT_TRUE(world->run_until([&] { return world->promotions() == 1; }, seconds(10)));
    world->run_for(after);
    for (const auto& name : world->writable())
        (*world)[name].kill();
    return world;
}

/// What the dead one acknowledged is lost: nobody else had it. All else is well.
void expect_led_and_followed(World& world, const std::string& what) {
    ASSERT_EQ(world.writable().size(), 1U) << what << "\n" << world.trace().text();
    int following = 0;
    for (const auto& server : world.servers())
        following += server->running() && server->streaming();
    EXPECT_EQ(following, 1) << what << "\n" << world.trace().text();
    EXPECT_FALSE(world.recovery_open()) << what << "\n" << world.trace().text();
}

TEST(LateDeath, Scenario20WheneverTheNewPrimaryDiesAnotherTakesOver) {
    for (const int ms : {0, 1, 2, 3, 5, 8, 12, 20, 30, 45, 60, 80, 120, 200, 1000}) {
        for (uint64_t seed = 1; seed <= 4; ++seed) {
            const auto what = "killed after " + std::to_string(ms) + " ms, seed " + std::to_string(seed);
            auto world = successor_dies(milliseconds(ms), hardly_blocks, seed, seed % 2 == 0);
            world->run_for(seconds(30));
            expect_led_and_followed(*world, what);
        }
    }
}

TEST(LateDeath, Scenario20NobodyFollowedSoNoBlockPeriodHolds) {
    auto world = successor_dies(milliseconds(4), recovers_all, 1);
    world->run_for(seconds(5));
    expect_led_and_followed(*world, "default block period");
    EXPECT_EQ(world->disk().recoveries.size(), 1U) << world->trace().text();
    expect_golden(*world, "20_successor_dies_unfollowed");
}

TEST(LateDeath, Scenario20OnceSomebodyFollowedTheBlockPeriodHolds) {
    auto world = successor_dies(seconds(2), recovers_all, 1);
    world->run_for(seconds(20));
    EXPECT_TRUE(world->writable().empty()) << world->trace().text();
    EXPECT_EQ(world->promotions(), 1) << world->trace().text();
}

/// A starting postmaster removes the file that asks for a promotion: whom its supervisor started again may be
/// chosen again.
TEST(LateDeath, Scenario20CandidateIsStartedAgainDuringItsPromotion) {
    for (const auto* point : {"recovery failed after", "choosing another candidate"}) {
        auto world = three_nodes();
        auto& s1 = (*world)["s1"];
        s1.pace.start = {seconds(3), seconds(3)};
        (*world)["p"].kill();
        const auto told = [&](const char* what) {
            return world->run_until([&] { return world->trace().contains(what); }, seconds(5));
        };
        ASSERT_TRUE(told("recovery promote s1:5432")) << world->trace().text();
        world->run_for(milliseconds(5));
        s1.kill();
        ASSERT_TRUE(told(point)) << world->trace().text();
        s1.start();
        world->run_for(seconds(30));
        EXPECT_EQ(world->promotions(), 1) << point << "\n" << world->trace().text();
        EXPECT_EQ(world->writable().size(), 1U) << point << "\n" << world->trace().text();
    }
}

TEST(LateDeath, Scenario20NobodyIsPassedOverForOneThatIsOutOfSight) {
    auto world = three_nodes();
    (*world)["p"].kill();
    ASSERT_TRUE(world->run_until([&] { return world->promotions() == 1; }, seconds(10)));
    const auto first = world->writable().at(0);
    world->network().set("manager", first, Link::silent);
    world->run_for(seconds(60));
    EXPECT_EQ(world->promotions(), 1) << "two primaries\n" << world->trace().text();
}

}  // namespace
}  // namespace baton::sim
