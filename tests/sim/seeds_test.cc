// The same seed gives the same world; other seeds give other worlds, in which the same must hold.
#include "scenario.h"

namespace baton::sim {
namespace {

uint64_t hash_of_failover(uint64_t seed) {
    auto world = three_nodes(recovers_all, seed);
    (*world)["p"].kill();
    world->run_for(seconds(10));
    return world->trace().hash();
}

TEST(Seeds, SameSeedSameTrace) {
    for (uint64_t seed = 1; seed <= 10; ++seed)
        EXPECT_EQ(hash_of_failover(seed), hash_of_failover(seed)) << "seed " << seed;
    EXPECT_NE(hash_of_failover(1), hash_of_failover(2));
}

TEST(Seeds, Scenario1InManyWorlds) {
    for (uint64_t seed = 1; seed <= 100; ++seed) {
        auto world = three_servers(recovers_all, seed);
        auto& client = world->client();
        world->start_manager();
        ASSERT_TRUE(world->settle());
        (*world)["p"].kill();
        world->run_for(seconds(10));
        ASSERT_EQ(world->promotions(), 1) << "seed " << seed << "\n" << world->trace().text();
        ASSERT_EQ(world->writable().size(), 1U) << "seed " << seed;
        EXPECT_LE(client.longest_outage(), milliseconds(600)) << "seed " << seed << "\n"
                                                              << world->trace().text();
        // Asynchronous: at most what was written in the last moment is lost.
        EXPECT_LE(world->missing_on(world->writable()[0]).size(), 2U) << "seed " << seed;
    }
}

TEST(Seeds, Scenario2InManyWorlds) {
    for (uint64_t seed = 1; seed <= 50; ++seed) {
        auto world = three_nodes(recovers_all, seed);
        (*world)["p"].crash_backend();
        world->run_for(seconds(10));
        ASSERT_EQ(world->promotions(), 0) << "seed " << seed << "\n" << world->trace().text();
    }
}

TEST(Seeds, Scenario7InManyWorlds) {
    for (uint64_t seed = 1; seed <= 50; ++seed) {
        const bool idle = seed % 2 == 0;
        auto world = three_servers(recovers_all, seed);
        begin(*world, idle);
        (*world)["p"].power_off();
        const bool promoted = world->run_until([&] { return world->promotions() == 1; }, milliseconds(3500));
        ASSERT_TRUE(promoted) << "seed " << seed << "\n" << world->trace().text();
    }
}

}  // namespace
}  // namespace baton::sim
