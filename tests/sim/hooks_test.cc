// The users' hooks in time: which run, when, with what, and what their failure does.
#include "scenario.h"

namespace baton::sim {
namespace {

const std::string every_list = R"(
    "OnFailureDetectionProcesses": ["detected {failureType} {failedHost}"],
    "PreFailoverProcesses": ["pre {failureCluster}"],
    "PostMasterFailoverProcesses": ["post-primary {successorHost}"],
    "PostFailoverProcesses": ["post {successorHost}:{successorPort}", "slow {failedHost} &"],
    "PostUnsuccessfulFailoverProcesses": ["in vain {failedHost} {successorHost}"])";

WorldPtr with_hooks(std::function<Played(const std::string&)> play = {}, const std::string& more = {}) {
    auto world = three_servers(recovers_all_and(every_list + more));
    world->hooks().play = std::move(play);
    begin(*world);
    return world;
}

std::vector<std::string> commands(const World& world) {
    std::vector<std::string> all;
    for (const auto& ran : world.hooks_run())
        all.push_back(ran.command);
    return all;
}

TEST(Hooks, AllListsInOrder) {
    auto world = with_hooks([](const std::string& command) {
        return Played{.takes =
                          command.starts_with("slow") ? Duration(seconds(5)) : Duration(milliseconds(20))};
    });
    (*world)["p"].kill();
    world->run_for(seconds(10));
    expect_healthy(*world, {"s1", "s2"});
    EXPECT_EQ(world->hooks_run().back().environment.at("ORC_SUCCESSOR_HOST"), "s1");
    expect_golden(*world, "hooks_all_lists");
}

TEST(Hooks, FailingDetectionHookStopsTheRecovery) {
    auto world =
        with_hooks([](const std::string& c) { return Played{.exit_code = c.starts_with("detected")}; });
    (*world)["p"].kill();
    world->run_for(seconds(10));
    EXPECT_EQ(world->promotions(), 0) << world->trace().text();
    expect_golden(*world, "hooks_detection_fails");
}

TEST(Hooks, FailingPreHookStopsTheRecovery) {
    auto world = with_hooks([](const std::string& c) { return Played{.exit_code = c.starts_with("pre")}; });
    (*world)["p"].kill();
    world->run_for(seconds(10));
    EXPECT_EQ(world->promotions(), 0) << world->trace().text();
    EXPECT_THAT(commands(*world), testing::Contains("in vain p {successorHost}"));
    EXPECT_EQ(world->disk().recoveries.size(), 1U) << "one failure, one recovery";
    expect_golden(*world, "hooks_pre_fails");
}

TEST(Hooks, FailingPostHookChangesNothing) {
    auto world = with_hooks([](const std::string& c) { return Played{.exit_code = c.starts_with("post")}; });
    (*world)["p"].kill();
    world->run_for(seconds(10));
    expect_healthy(*world, {"s1", "s2"});
    EXPECT_THAT(commands(*world), testing::Contains("post s1:5432"));
    EXPECT_EQ(world->disk().recoveries.rbegin()->second.state, store::RecoveryState::succeeded);
}

TEST(Hooks, FailingPostHookCountsWhereConfigured) {
    auto world = with_hooks([](const std::string& c) { return Played{.exit_code = c.starts_with("post")}; },
                            R"(, "FailRecoveryOnFailedPostFailoverProcesses": true)");
    (*world)["p"].kill();
    world->run_for(seconds(10));
    EXPECT_THAT(commands(*world), testing::Not(testing::Contains("post s1:5432")));
    EXPECT_EQ(world->disk().recoveries.rbegin()->second.state, store::RecoveryState::failed);
    expect_healthy(*world, {"s1", "s2"});
}

TEST(Hooks, HangingHookIsKilledAtItsDeadline) {
    auto world = with_hooks(
        [](const std::string& c) {
            return Played{.takes =
                              c.starts_with("pre") ? Duration(seconds(600)) : Duration(milliseconds(20))};
        },
        R"(, "ProcessesTimeoutSeconds": 3)");
    (*world)["p"].kill();
    world->run_for(seconds(20));
    EXPECT_EQ(world->promotions(), 0) << world->trace().text();
    EXPECT_EQ(world->disk().recoveries.size(), 1U) << world->trace().text();
}

TEST(Hooks, PrimaryIsBackWhileThePreHookRuns) {
    auto world = with_hooks([](const std::string& c) {
        return Played{.takes = c.starts_with("pre") ? Duration(seconds(5)) : Duration(milliseconds(20))};
    });
    (*world)["p"].kill();
    ASSERT_TRUE(world->run_until([&] { return world->trace().contains("starts: pre"); }, seconds(5)));
    (*world)["p"].start();
    world->run_for(seconds(15));
    EXPECT_EQ(world->promotions(), 0) << world->trace().text();
    expect_healthy(*world, {"s1", "s2"});
    expect_golden(*world, "hooks_primary_back_meanwhile");
}

}  // namespace
}  // namespace baton::sim
