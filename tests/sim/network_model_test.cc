// The model of the network: faults that come and go one by one, loss, order, names, and the router.
#include "scenario.h"

namespace baton::sim {
namespace {

TEST(ModelNetwork, EndingOneFaultDoesNotEndAnother) {
    Network network(1);
    const auto first = network.add("a", "b", {.state = Link::silent});
    const auto second = network.add("a", "b", {.state = Link::refused});
    const auto third = network.add("a", "b", {.loss_percent = 30});
    EXPECT_EQ(network.between("a", "b"), Link::silent) << "the worst counts";
    network.remove(first);
    EXPECT_EQ(network.between("a", "b"), Link::refused);
    network.remove(first);
    network.remove(second);
    EXPECT_EQ(network.between("a", "b"), Link::up) << "with loss it still passes";
    EXPECT_EQ(network.loss("a", "b"), 30);
    EXPECT_EQ(network.loss("b", "a"), 0);
    EXPECT_FALSE(network.clear("a", "b", seconds(1)));
    network.set("a", "b", Link::silent);
    network.remove(third);
    EXPECT_EQ(network.between("a", "b"), Link::silent) << "the plain state is one's own to end";
    network.set("a", "b", Link::up);
    EXPECT_TRUE(network.clear("a", "b", seconds(1)));
}

struct ShapeCase {
    const char* what;
    std::function<uint64_t(Network&)> make;
    const char *reached, *cut;  ///< pairs of letters
};

TEST(ModelNetwork, ShapesOfPartitions) {
    const ShapeCase cases[] = {
        {"partition", [](Network& n) { return n.partition({{"a", "b"}, {"c", "d"}}); }, "ab cd ae ec",
         "ac bd da"},
        {"ring", [](Network& n) { return n.ring({"a", "b", "c", "d", "e"}); }, "ab ba bc ea ae af",
         "ac ad bd ec"},
        {"isolate", [](Network& n) { return n.isolate("a"); }, "bc cd", "ab ba az"},
        {"total loss", [](Network& n) { return n.add("a", "b", {.loss_percent = 100}); }, "cd", "ab ba"},
    };
    for (const auto& c : cases) {
        Network network(1);
        const auto id = c.make(network);
        const auto all = [&](std::string_view pairs, Link expected) {
            for (size_t i = 0; i + 1 < pairs.size(); i += 3) {
                const std::string from(1, pairs[i]), to(1, pairs[i + 1]);
                EXPECT_EQ(network.between(from, to), expected) << c.what << " " << from << to;
            }
        };
        all(c.reached, Link::up);
        all(c.cut, Link::silent);
        network.remove(id);
        all(c.cut, Link::up);
    }
}

struct DelayCase {
    const char* what;
    LinkFault fault;
    milliseconds mean_least, mean_most, longest_least;
};

// What a message costs on the average, and the longest of a thousand.
TEST(ModelNetwork, WhatAMessageCosts) {
    const DelayCase cases[] = {
        {"plain", {.slower = milliseconds(10)}, milliseconds(10), milliseconds(11), milliseconds(10)},
        {"spread", {.spread = milliseconds(40)}, milliseconds(15), milliseconds(25), milliseconds(38)},
        {"long tail",
         {.slower = milliseconds(10), .long_tail = true},
         milliseconds(11),
         milliseconds(16),
         milliseconds(100)},
        {"10 % lost", {.loss_percent = 10}, milliseconds(10), milliseconds(50), milliseconds(600)},
        {"half lost", {.loss_percent = 50}, milliseconds(300), milliseconds(1200), milliseconds(3000)},
    };
    for (const auto& c : cases) {
        Network network(7);
        network.add("a", "b", c.fault);
        Duration sum{}, longest{};
        for (int i = 0; i < 1000; ++i) {
            const auto took = network.delay("a", "b");
            sum += took;
            longest = std::max(longest, took);
        }
        EXPECT_GE(sum / 1000, c.mean_least) << c.what;
        EXPECT_LE(sum / 1000, c.mean_most) << c.what;
        EXPECT_GE(longest, c.longest_least) << c.what;
        EXPECT_LE(network.delay("b", "a"), milliseconds(1)) << c.what << ": the other direction is well";
    }
}

TEST(ModelNetwork, WithLossRowsArriveLateAndInOrder) {
    auto world = three_servers();
    auto& client = world->client();
    world->network().add(Network::Pairs{{"p", "s1"}, {"client", "p"}}, {.loss_percent = 20});
    world->run_for(seconds(20));
    EXPECT_GT(client.acknowledged().size(), 100U);
    EXPECT_LT(client.acknowledged().size(), 1500U);
    client.stop();
    world->run_for(seconds(20));
    EXPECT_THAT(world->missing_on("s1"), testing::IsEmpty());
    EXPECT_TRUE((*world)["s1"].streaming());
}

TEST(ModelNames, AFailedLookupFallsBackOnWhatWasKnown) {
    auto world = three_servers();
    begin(*world, true);
    world->break_dns(true);
    (*world)["p"].kill();
    EXPECT_TRUE(world->run_until([&] { return world->promotions() == 1; }, seconds(10)))
        << world->trace().text();
}

Task<void> look_up(SimEngine& engine, Process& process,
                   std::optional<Result<std::vector<std::string>>>& out) {
    out = co_await engine.resolve("p", process.now() + milliseconds(500));
}

TEST(ModelNames, FailuresAndSlowAnswers) {
    for (const auto takes : {milliseconds(0), milliseconds(400), milliseconds(2000)}) {
        for (const bool fails : {false, true}) {
            Ground ground(1);
            ground.addresses["p"] = "10.0.0.2";
            ground.names.names["p"] = {.fails = fails, .takes = takes};
            Process process(ground.scheduler);
            SimEngine engine(ground, process, "manager");
            std::optional<Result<std::vector<std::string>>> answer;
            spawn(process.executor(), look_up(engine, process, answer));
            ground.scheduler.run_for(std::min<Duration>(takes, milliseconds(500)) - milliseconds(1));
            EXPECT_FALSE(answer.has_value()) << takes.count();
            ground.scheduler.run_for(milliseconds(3));
            ASSERT_TRUE(answer.has_value()) << takes.count();
            EXPECT_EQ(answer->has_value(), !fails && takes < milliseconds(500)) << takes.count();
        }
    }
}

TEST(ModelRouter, LeadsToTheServerThatTakesWrites) {
    auto world = three_servers();
    auto& router = world->router();
    auto& client = world->client();
    world->start_manager();
    ASSERT_TRUE(world->settle());
    EXPECT_EQ(router.target(), at("p"));
    EXPECT_GT((*world)["p"].sessions_of("router"), 0U);
    EXPECT_EQ((*world)["p"].sessions_of("client"), 0U);
    const auto before = client.acknowledged().size();
    EXPECT_GT(before, 100U);
    (*world)["p"].kill();
    world->run_for(seconds(10));
    ASSERT_EQ(world->writable().size(), 1U) << world->trace().text();
    EXPECT_EQ(router.target(), at(world->writable()[0]));
    EXPECT_EQ(client.writes_to(), *router.target());
    EXPECT_GE(client.longest_outage(), milliseconds(500)) << "two checks";
    EXPECT_LE(client.longest_outage(), seconds(2)) << world->trace().text();
    EXPECT_GT(client.acknowledged().size(), before + 100);
}

TEST(ModelRouter, EndsItsSessionsAndComesBack) {
    auto world = three_servers();
    auto& router = world->router(Router::Kind::told);
    auto& client = world->client();
    const auto grows = [&](Duration within) {
        const auto before = client.acknowledged().size();
        return world->run_until([&] { return client.acknowledged().size() > before + 20; }, within);
    };
    ASSERT_TRUE(grows(seconds(2)));
    router.restart();
    EXPECT_FALSE(grows(milliseconds(480)));
    EXPECT_TRUE(grows(seconds(3)));
    router.hang();
    world->run_for(milliseconds(10));
    EXPECT_FALSE(grows(seconds(5)));
    router.resume();
    EXPECT_TRUE(grows(seconds(5)));
    world->network().set("client", "router", Link::silent);
    world->run_for(milliseconds(10));
    EXPECT_FALSE(grows(seconds(5)));
    world->network().set("client", "router", Link::up);
    EXPECT_TRUE(grows(seconds(5)));
    router.point_at(at("s1"));
    EXPECT_FALSE(grows(seconds(3))) << "a standby takes no rows";
    ASSERT_TRUE((*world)["s1"].request_promotion());
    EXPECT_TRUE(grows(seconds(8)));
    EXPECT_EQ(client.acknowledgements().back().server, at("s1"));
    EXPECT_EQ(client.acknowledgements().back().timeline, 2U);
}

TEST(ModelClient, BurstsAndWhereEachRowWent) {
    auto world = three_servers();
    auto& client = world->client({.pause = milliseconds(0), .burst = 50, .rest = seconds(1)});
    world->run_for(milliseconds(900));
    EXPECT_EQ(client.acknowledged().size(), 50U);
    world->run_for(milliseconds(1000));
    EXPECT_EQ(client.acknowledged().size(), 100U);
    const auto& last = client.acknowledgements().back();
    EXPECT_EQ(last.row, client.acknowledged().back());
    EXPECT_EQ(last.server, at("p"));
    EXPECT_EQ(last.timeline, 1U);
    EXPECT_GT(last.at, MonoTime(seconds(2)));
    auto& other = world->client();
    world->run_for(seconds(1));
    EXPECT_GT(other.acknowledged().front(), client.acknowledged().back()) << "rows are told apart";
    world->run_for(milliseconds(5));
    EXPECT_THAT(world->missing_on("p"), testing::IsEmpty());
}

}  // namespace
}  // namespace baton::sim
