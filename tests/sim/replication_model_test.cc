// The model of receivers and senders: who starts them, how one hears of the other's end, what is sent again.
// And who leads, where more than one server is out of recovery.
#include "scenario.h"

namespace baton::sim {
namespace {

bool sends_to_s1(World& world) {
    return world["p"].slots().at("s1_slot").active;
}

TEST(ModelReceiver, AStoppedPostmasterForksNoReceiver) {
    auto world = three_servers();
    world->client();
    world->run_for(seconds(1));
    auto& s1 = (*world)["s1"];
    s1.hang_postmaster();
    const auto before = s1.position();
    world->run_for(seconds(5));
    EXPECT_TRUE(s1.streaming()) << "one that runs goes on";
    EXPECT_GT(s1.position(), before);
    s1.restart_receiver([](const auto&) {});
    ASSERT_TRUE(world->run_until([&] { return !s1.streaming(); }, seconds(1)));
    EXPECT_FALSE(world->run_until([&] { return s1.streaming(); }, seconds(60))) << world->trace().text();
    EXPECT_TRUE((*world)["s2"].streaming());
    s1.resume();
    EXPECT_TRUE(world->run_until([&] { return s1.streaming(); }, seconds(1))) << world->trace().text();
}

/// It tries again every wal_retrieve_retry_interval, each time with a new process.
TEST(ModelReceiver, AStoppedPostmasterForksNoneThatTriesAgain) {
    auto world = three_servers();
    world->run_for(seconds(1));
    auto &p = (*world)["p"], &s1 = (*world)["s1"];
    p.kill();
    world->run_for(seconds(1));
    s1.hang_postmaster();
    p.start();
    EXPECT_TRUE(world->run_until([&] { return (*world)["s2"].streaming(); }, seconds(10)));
    EXPECT_FALSE(world->run_until([&] { return s1.streaming(); }, seconds(60))) << world->trace().text();
    s1.resume();
    EXPECT_TRUE(world->run_until([&] { return s1.streaming(); }, seconds(6))) << world->trace().text();
}

struct Cut {
    const char* what;
    bool both_ways;
    Duration lasts;
    Duration heard_within;  ///< of its end; each FIN comes after twice the wait for the one before it
};

TEST(ModelSender, HearsOfItsReceiversEndWhenACutHeals) {
    const Cut cases[] = {
        {"no cut", true, {}, milliseconds(10)},
        {"between the first and the second FIN", true, milliseconds(300), milliseconds(310)},
        {"between the third and the fourth", true, milliseconds(1500), milliseconds(1510)},
        {"one way: it hears nothing of what it sends", false, milliseconds(1500), milliseconds(1510)},
    };
    for (const auto& c : cases) {
        auto world = three_servers();
        if (!c.both_ways) world->client();
        world->run_for(seconds(1));
        ASSERT_TRUE(sends_to_s1(*world)) << c.what;
        if (c.lasts > Duration{}) {
            world->network().set_one_way("s1", "p", Link::silent);
            if (c.both_ways) world->network().set_one_way("p", "s1", Link::silent);
        }
        (*world)["s1"].kill();
        world->run_for(c.lasts);
        EXPECT_TRUE(sends_to_s1(*world)) << c.what;
        for (const auto& client : world->clients())
            client->stop();
        // Not World::heal(): there p would send what waited, and be told.
        world->network().heal();
        EXPECT_TRUE(world->run_until([&] { return !sends_to_s1(*world); }, c.heard_within)) << c.what;
    }
}

TEST(ModelSender, HearsOfItsReceiversEndAtOnceWhenItSends) {
    auto world = three_servers();
    world->run_for(seconds(1));
    world->network().set("p", "s1", Link::silent);
    (*world)["s1"].kill();
    world->run_for(seconds(30));
    world->network().heal();
    world->run_for(seconds(10));
    EXPECT_TRUE(sends_to_s1(*world)) << "the next FIN comes after 51 s";
    world->client();
    EXPECT_TRUE(world->run_until([&] { return !sends_to_s1(*world); }, milliseconds(100)));
    EXPECT_TRUE((*world)["s2"].streaming());
}

TEST(ModelSender, GivesUpAReceiverOfWhichItHearsNothing) {
    auto world = three_servers();
    (*world)["p"].settings.wal_sender_timeout_ms = 5000;
    world->run_for(seconds(1));
    world->network().set("p", "s1", Link::silent);
    (*world)["s1"].kill();
    EXPECT_FALSE(world->run_until([&] { return !sends_to_s1(*world); }, milliseconds(4900)));
    EXPECT_TRUE(world->run_until([&] { return !sends_to_s1(*world); }, milliseconds(200)));
}

struct LostSyn {
    int loss_percent;
    Duration lasts;
    Duration streams_at;  ///< after the first SYN
};

TEST(ModelReceiver, ALostSynIsSentAgain) {
    // 99 % there and back: practically none gets through, and still packets are lost, not links.
    const LostSyn cases[] = {
        {99, milliseconds(500), seconds(1)},   {99, milliseconds(1500), seconds(3)},
        {99, seconds(5), seconds(7)},          {99, seconds(10), seconds(15)},
        {99, seconds(100), seconds(127)},      {100, milliseconds(500), seconds(1)},
        {100, milliseconds(5500), seconds(6)},
    };
    for (const auto& c : cases) {
        const auto what = testing::Message() << c.loss_percent << " % for " << to_ms(c.lasts) << " ms";
        auto world = three_servers();
        world->run_for(seconds(1));
        auto& s1 = (*world)["s1"];
        const auto lossy =
            world->network().add(Network::Pairs{{"p", "s1"}, {"s1", "p"}}, {.loss_percent = c.loss_percent});
        s1.restart_receiver([](const auto&) {});
        world->run_for(milliseconds(10));
        ASSERT_FALSE(s1.streaming()) << what;
        world->run_for(c.lasts);
        world->network().remove(lossy);
        world->links_changed();
        const auto streams = [&] { return s1.streaming(); };
        const Duration left = c.streams_at - c.lasts;
        EXPECT_FALSE(world->run_until(streams, left - milliseconds(50))) << what;
        EXPECT_TRUE(world->run_until(streams, milliseconds(150))) << what << "\n" << world->trace().text();
    }
}

TEST(ModelWorld, OfTwoOnOneTimelineTheOneWithStandbysLeads) {
    for (const std::string with_standby : {"a", "b"}) {
        World world(1);
        auto& p = world.primary("p");
        auto &a = world.standby("a"), &b = world.standby("b"), &c = world.standby("c");
        auto& leader = world[with_standby];
        world.run_for(seconds(1));
        EXPECT_EQ(world.leader(), &p);
        p.kill();
        world.run_for(seconds(1));
        EXPECT_EQ(world.leader(), &p) << "dead or alive";
        for (auto* s : {&a, &b})
            ASSERT_TRUE(s->request_promotion());
        leader.create_slot("c_slot", [](const auto&) {});
        world.run_for(seconds(1));
        ASSERT_EQ(a.timeline(), b.timeline());
        c.follow({.upstream = leader.key()}, [](const auto&) {});
        ASSERT_TRUE(world.run_until([&] { return c.streaming(); }, seconds(10))) << world.trace().text();
        world.run_for(seconds(1));
        EXPECT_EQ(world.leader(), &leader);
        leader.kill();
        c.kill();
        world.run_for(seconds(1));
        EXPECT_EQ(world.leader(), &leader) << "dead or alive";
    }
}

}  // namespace
}  // namespace baton::sim
