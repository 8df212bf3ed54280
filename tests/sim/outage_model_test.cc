// The model of a server's harder days: full, shut down, dead within a record, without the WAL that it needs,
// wiped.
#include "scenario.h"

namespace baton::sim {
namespace {

TEST(ModelSessions, AreCountedAgainstTheLimit) {
    auto world = three_servers();
    auto& p = (*world)["p"];
    p.settings.max_connections = 5;
    std::vector<Client*> clients;
    for (int i = 0; i < 4; ++i)
        clients.push_back(&world->client(milliseconds(50)));
    world->run_for(seconds(2));
    EXPECT_EQ(p.sessions(), 2U) << "three places are reserved";
    EXPECT_EQ(p.sessions_of("client"), 2U);
    EXPECT_EQ(p.refuses_login("manager")->error.sqlstate, "53300");
    p.settings.max_connections = 100;
    world->run_for(seconds(2));
    EXPECT_EQ(p.sessions_of("client"), 4U);
    EXPECT_FALSE(p.refuses_login("manager"));
}

TEST(ModelShutdown, FastLosesNothingAndComesBack) {
    auto world = three_servers();
    auto& client = world->client();
    world->run_for(seconds(1));
    (*world)["p"].shutdown();
    EXPECT_EQ((*world)["p"].refuses_login("manager")->error.sqlstate, "57P03");
    EXPECT_EQ((*world)["p"].refuses_login("manager")->reach, Reach::starting);
    world->run_for(seconds(1));
    EXPECT_FALSE((*world)["p"].listens());
    EXPECT_GT(client.acknowledged().size(), 50U);
    for (const auto* name : {"s1", "s2"}) {
        EXPECT_EQ((*world)[name].position(), (*world)["p"].position()) << name;
        EXPECT_THAT(world->missing_on(name), testing::IsEmpty()) << name;
    }
    (*world)["p"].start();
    world->run_for(seconds(10));
    EXPECT_TRUE((*world)["p"].accepts_writes());
    EXPECT_TRUE((*world)["s1"].streaming());
}

TEST(ModelShutdown, APrimaryWaitsForAStandbyThatLags) {
    auto world = three_servers();
    world->client();
    world->run_for(seconds(1));
    world->network().set("p", "s1", Link::silent);
    world->run_for(seconds(1));
    (*world)["p"].shutdown();
    world->run_for(seconds(5));
    EXPECT_TRUE((*world)["p"].listens());
    EXPECT_FALSE((*world)["p"].accepts_writes());
    world->heal();
    world->run_for(milliseconds(100));
    EXPECT_FALSE((*world)["p"].listens());
    EXPECT_THAT(world->missing_on("s1"), testing::IsEmpty());
}

TEST(ModelShutdown, SmartLetsClientsFinishAndAStandbyDoesNotWait) {
    auto world = three_servers();
    auto& client = world->client();
    world->run_for(seconds(1));
    (*world)["p"].shutdown(false);
    const auto before = client.acknowledged().size();
    world->run_for(seconds(5));
    EXPECT_GT(client.acknowledged().size(), before + 100);
    (*world)["s1"].shutdown();
    world->run_for(milliseconds(300));
    EXPECT_FALSE((*world)["s1"].listens());
    EXPECT_TRUE((*world)["p"].listens());
    world->run_for(seconds(30));
    EXPECT_FALSE((*world)["p"].listens()) << "patience ends";
}

TEST(ModelPartialRecord, StandbysReceivedMoreThanTheyKeep) {
    auto world = three_servers();
    world->client();
    world->run_for(seconds(1));
    auto &p = (*world)["p"], &s1 = (*world)["s1"], &s2 = (*world)["s2"];
    p.leave_partial_record();
    p.kill();
    world->run_for(seconds(1));
    EXPECT_GT(s1.received(), s1.position());
    EXPECT_EQ(s1.received().value % 8192, 0U);
    EXPECT_EQ(s1.received(), s2.received());
    const auto whole = s1.position();
    ASSERT_TRUE(s1.request_promotion());
    s1.create_slot("s2_slot", [](const auto&) {});
    world->run_for(seconds(1));
    EXPECT_EQ(s1.branch()->begins, whole) << "it forks after its last complete record";
    s2.follow({.upstream = at("s1")}, [](const auto&) {});
    world->run_for(seconds(1));
    EXPECT_TRUE(s2.streaming()) << world->trace().text();
    EXPECT_EQ(s2.timeline(), 2U);
    EXPECT_EQ(s2.received(), s2.position());
}

TEST(ModelPartialRecord, APrimaryThatComesBackGoesOnAfterThePage) {
    auto world = three_servers();
    world->client();
    world->run_for(seconds(1));
    auto &p = (*world)["p"], &s1 = (*world)["s1"];
    p.leave_partial_record();
    const auto page = p.received();
    p.kill();
    world->run_for(seconds(1));
    EXPECT_EQ(s1.received(), page);
    p.start();
    world->run_for(seconds(10));
    EXPECT_GT(p.position(), page);
    EXPECT_TRUE(s1.streaming()) << world->trace().text();
    EXPECT_THAT(world->missing_on("s1"), testing::IsEmpty());
}

TEST(ModelSegmentCopy, PromotedBeforeItsEndAServerStops) {
    for (const bool whole : {true, false}) {
        auto world = three_servers();
        auto &s1 = (*world)["s1"], &s2 = (*world)["s2"];
        s2.pace.segment_copy = {milliseconds(30), milliseconds(30)};
        world->client();
        world->run_for(seconds(1));
        (*world)["p"].kill();
        ASSERT_TRUE(s1.request_promotion());
        s1.create_slot("s2_slot", [](const auto&) {});
        world->run_for(seconds(1));
        s2.follow({.upstream = at("s1")}, [](const auto&) {});
        ASSERT_TRUE(world->run_until([&] { return s2.timeline() == 2; }, seconds(1)));
        ASSERT_TRUE(s2.half_copied());
        if (whole) world->run_for(milliseconds(40));
        EXPECT_EQ(s2.half_copied().has_value(), !whole);
        s1.kill();
        ASSERT_TRUE(s2.request_promotion());
        world->run_for(seconds(6));
        EXPECT_EQ(s2.listens(), whole) << world->trace().text();
        EXPECT_EQ(world->promotions(), whole ? 2 : 1);
    }
}

TEST(ModelWalRemoval, AStandbyWithoutASlotIsLeftBehind) {
    for (const bool slot : {true, false}) {
        World world(1, recovers_all);
        auto& p = world.primary("p");
        auto& s = world.standby("s", {}, 5432, slot);
        p.wal_keep_bytes = 4096;
        world.client();
        world.run_for(seconds(1));
        s.kill();
        world.run_for(seconds(2));
        s.start();
        world.run_for(seconds(12));
        EXPECT_EQ(s.streaming(), slot) << world.trace().text();
        EXPECT_EQ(world.trace().contains("already been removed"), !slot);
    }
}

TEST(ModelWalRemoval, ASlotThatHoldsTooMuchIsLost) {
    auto world = three_servers();
    auto &p = (*world)["p"], &s1 = (*world)["s1"];
    p.max_slot_wal_keep_bytes = 16'384;
    world->client();
    world->run_for(seconds(1));
    world->network().set("p", "s1", Link::silent);
    world->run_for(seconds(5));
    EXPECT_EQ(p.slots().at("s1_slot").wal_status, "lost");
    EXPECT_EQ(p.slots().at("s2_slot").wal_status, "reserved");
    world->heal();
    world->run_for(seconds(70));
    EXPECT_FALSE(s1.streaming());
    p.mend_slot("s1_slot");
    s1.reclone(p, true);
    world->run_for(seconds(10));
    EXPECT_TRUE(s1.streaming()) << world->trace().text();
}

TEST(ModelReclone, MakesAStandbyOfWhateverItWas) {
    for (const bool dead : {true, false}) {
        auto world = three_servers();
        world->client();
        world->run_for(seconds(1));
        world->network().set("p", "s1", Link::silent);
        world->run_for(seconds(1));
        auto &p = (*world)["p"], &s1 = (*world)["s1"];
        if (dead) p.kill();
        ASSERT_TRUE(s1.request_promotion());
        world->run_for(seconds(1));
        ASSERT_FALSE(p.in_recovery());
        world->heal();
        p.reclone(s1, !dead, seconds(3));
        world->run_for(seconds(2));
        EXPECT_FALSE(p.listens());
        world->run_for(seconds(3));
        EXPECT_TRUE(p.in_recovery());
        EXPECT_TRUE(p.streaming()) << world->trace().text();
        EXPECT_EQ(p.timeline(), 2U);
        EXPECT_EQ(s1.slots().contains("p_slot"), !dead);
    }
}

TEST(ModelReclone, OfOneThatDiesMeanwhileComesToNothing) {
    auto world = three_servers();
    world->run_for(seconds(1));
    (*world)["s1"].reclone((*world)["s2"], true);
    world->run_for(seconds(1));
    (*world)["s2"].kill();
    world->run_for(seconds(5));
    EXPECT_FALSE((*world)["s1"].listens());
    EXPECT_TRUE(world->trace().contains("comes to nothing"));
}

// What Baton makes of it: with the full page that both standbys received, neither is past the fork.
TEST(ModelPartialRecord, ALateSiblingIsLedToTheNewPrimary) {
    for (uint64_t seed = 1; seed <= 5; ++seed) {
        auto world = three_nodes(recovers_all, seed);
        world->network().set("manager", "s2", Link::silent);
        world->run_for(seconds(5));
        (*world)["p"].leave_partial_record();
        (*world)["p"].kill();
        world->run_for(milliseconds(500));
        world->network().set("manager", "s2", Link::up);
        world->run_for(seconds(30));
        ASSERT_EQ(world->writable().size(), 1U) << world->trace().text();
        const auto other = world->writable()[0] == "s1" ? "s2" : "s1";
        EXPECT_TRUE((*world)[other].streaming()) << "seed " << seed << "\n" << world->trace().text();
    }
}

}  // namespace
}  // namespace baton::sim
