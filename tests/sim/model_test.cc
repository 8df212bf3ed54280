// The model itself: time, processes, network, WAL and synchronous commit behave as the real things do.
#include "scenario.h"

namespace baton::sim {
namespace {

Task<void> count(Process& process, int& ticks) {
    for (;;) {
        co_await process.sleep_for(seconds(1));
        ++ticks;
    }
}

TEST(VirtualTime, JumpsToTheNextEventAndIsNotSlept) {
    Scheduler scheduler;
    Process process(scheduler);
    int ticks = 0;
    spawn(process.executor(), count(process, ticks));
    const auto began = std::chrono::steady_clock::now();
    scheduler.run_for(std::chrono::hours(1));
    EXPECT_EQ(ticks, 3600);
    EXPECT_LT(std::chrono::steady_clock::now() - began, seconds(20));
}

TEST(VirtualTime, EventsOfOneMomentKeepTheirOrder) {
    Scheduler scheduler;
    std::string order;
    for (const char c : std::string("abc"))
        scheduler.after(seconds(1), [&order, c] { order += c; });
    scheduler.after(milliseconds(999), [&order] { order += '0'; });
    scheduler.run_for(seconds(2));
    EXPECT_EQ(order, "0abc");
}

TEST(VirtualTime, OfAKilledProcessNothingRunsAnyMore) {
    Scheduler scheduler;
    int ticks = 0;
    {
        Process process(scheduler);
        spawn(process.executor(), count(process, ticks));
        scheduler.run_for(milliseconds(2500));
    }
    scheduler.run_for(seconds(10));
    EXPECT_EQ(ticks, 2);
}

TEST(ModelNetwork, DirectionsAreApart) {
    Network network(1);
    network.set_one_way("a", "b", Link::silent);
    EXPECT_FALSE(network.passes("a", "b"));
    EXPECT_TRUE(network.passes("b", "a"));
    EXPECT_EQ(network.between("b", "a"), Link::silent) << "the answer does not come back";
    network.set("a", "b", Link::refused);
    EXPECT_EQ(network.between("a", "b"), Link::refused);
    network.set_host("b", false);
    EXPECT_EQ(network.between("a", "b"), Link::silent);
    network.heal();
    EXPECT_EQ(network.between("a", "b"), Link::up);
}

TEST(ModelWal, BranchesShareWhatLiesBeforeTheFork) {
    const auto one = std::make_shared<Branch>();
    one->rows = {{Lsn{100}, 1}, {Lsn{200}, 2}, {Lsn{300}, 3}};
    const auto two = std::make_shared<Branch>();
    two->timeline = 2;
    two->parent = one;
    two->begins = Lsn{200};
    two->rows = {{Lsn{300}, 4}};
    EXPECT_EQ(rows_of(two, Lsn{300}), (std::vector<uint64_t>{1, 2, 4}));
    EXPECT_EQ(rows_of(two, Lsn{250}), (std::vector<uint64_t>{1, 2}));
    EXPECT_TRUE(leads_to(one, Lsn{200}, two));
    EXPECT_FALSE(leads_to(one, Lsn{300}, two)) << "it is past the fork";
    EXPECT_FALSE(leads_to(two, Lsn{300}, one));
    EXPECT_EQ(history_of(*two).left_at(1), Lsn{200});
    const auto twin = std::make_shared<Branch>();
    twin->timeline = 2;
    twin->parent = one;
    twin->begins = Lsn{200};
    EXPECT_TRUE(leads_to(twin, Lsn{200}, two)) << "it has nothing but the number";
    EXPECT_FALSE(leads_to(twin, Lsn{300}, two));
    EXPECT_FALSE(leads_to(twin, Lsn{200}, one)) << "it went over to timeline 2";
}

struct CommitCase {
    const char* names;
    Lsn s1, s2;
    bool confirmed;
};

// A commit that ends at 100.
TEST(ModelCommit, WaitsForWhomItMust) {
    const CommitCase cases[] = {
        {"", Lsn{0}, Lsn{0}, true},
        {"s1", Lsn{99}, Lsn{200}, false},
        {"s1", Lsn{100}, Lsn{0}, true},
        {"FIRST 1 (s2, s1)", Lsn{100}, Lsn{0}, false},
        {"FIRST 2 (s1, s2)", Lsn{100}, Lsn{100}, true},
        {"FIRST 2 (s1, s2)", Lsn{100}, Lsn{99}, false},
        {"ANY 1 (s1, s2)", Lsn{0}, Lsn{100}, true},
        {"ANY 2 (s1, s2)", Lsn{0}, Lsn{100}, false},
        {"ANY 1 (*)", Lsn{0}, Lsn{100}, true},
        {"2 (s1, s2, s3)", Lsn{100}, Lsn{100}, true},
        {"s9", Lsn{100}, Lsn{100}, false},
    };
    for (const auto& c : cases) {
        const auto rule = SynchronousNames::parse(c.names);
        EXPECT_EQ(rule.confirmed(Lsn{100}, {{"s1", c.s1}, {"s2", c.s2}}), c.confirmed) << c.names;
    }
}

TEST(ModelCommit, HangsWhileNobodyConfirms) {
    auto world = three_servers();
    (*world)["p"].settings.synchronous_standby_names = "ANY 1 (s1, s2)";
    auto& client = world->client();
    world->run_for(seconds(1));
    const auto before = client.acknowledged().size();
    EXPECT_GT(before, 50U);
    world->network().set("p", "s1", Link::silent);
    world->run_for(seconds(1));
    EXPECT_GT(client.acknowledged().size(), before + 50) << "one is enough";
    world->network().set("p", "s2", Link::silent);
    world->run_for(milliseconds(10));
    const auto stuck = client.acknowledged().size();
    world->run_for(seconds(1));
    EXPECT_EQ(client.acknowledged().size(), stuck);
    world->heal();
    world->run_for(seconds(5));
    EXPECT_GT(client.acknowledged().size(), stuck);
    EXPECT_THAT(world->missing_on("p"), testing::IsEmpty());
}

TEST(ModelServer, AStandbyPastTheForkIsRefused) {
    auto world = three_servers();
    world->client();
    world->run_for(seconds(1));
    world->network().set("p", "s1", Link::silent);
    world->run_for(seconds(1));
    ASSERT_TRUE((*world)["s1"].request_promotion());
    world->run_for(seconds(1));
    (*world)["p"].kill();
    (*world)["s1"].create_slot("s2_slot", [](const auto&) {});
    world->run_for(milliseconds(10));
    (*world)["s2"].follow({.upstream = at("s1")}, [](const auto&) {});
    world->heal();
    world->run_for(seconds(10));
    EXPECT_FALSE((*world)["s2"].streaming());
    EXPECT_TRUE(world->trace().contains("not in this server's history")) << world->trace().text();
}

TEST(ModelTrace, MasksWhatDiffersFromRunToRun) {
    Scheduler scheduler;
    Trace trace(scheduler);
    trace.note("who",
               "acknowledge recovery 1767225600000000000:" + std::string(64, 'a') + " to go on, 12:34");
    EXPECT_TRUE(trace.contains("acknowledge recovery UID to go on, 12:34")) << trace.text();
}

}  // namespace
}  // namespace baton::sim
