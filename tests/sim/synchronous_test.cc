// Commits that wait for standbys: nothing acknowledged may be lost, and nothing may hang for ever unsaid.
#include "scenario.h"

namespace baton::sim {
namespace {

WorldPtr synchronous(const std::string& names, const std::string& more = {}, uint64_t seed = 1) {
    auto world = three_servers(more.empty() ? recovers_all : recovers_all_and(more), seed);
    for (const auto* name : {"p", "s1", "s2"})
        (*world)[name].settings.synchronous_standby_names = names;
    begin(*world);
    return world;
}

TEST(Synchronous, QuorumFailoverLosesNothing) {
    auto world = synchronous("ANY 1 (s1, s2)");
    (*world)["p"].kill();
    world->run_for(seconds(10));
    expect_healthy(*world, {"s1", "s2"});
    expect_golden(*world, "sync_quorum");
}

TEST(Synchronous, QuorumFailoverLosesNothingWhenOneStandbyWasCutOff) {
    for (uint64_t seed = 1; seed <= 5; ++seed) {
        auto world = synchronous("ANY 1 (s1, s2)", {}, seed);
        world->network().set("p", "s1", Link::silent);
        world->run_for(milliseconds(300));
        (*world)["p"].kill();
        world->heal();
        world->run_for(seconds(15));
        expect_healthy(*world, {"s1", "s2"});
    }
}

TEST(Synchronous, PriorityListPromotesTheSynchronousOne) {
    auto world = synchronous("FIRST 1 (s2, s1)");
    (*world)["p"].kill();
    world->run_for(seconds(10));
    EXPECT_TRUE((*world)["s2"].accepts_writes()) << world->trace().text();
    expect_healthy(*world, {"s1", "s2"});
    expect_golden(*world, "sync_priority");
}

TEST(Synchronous, UnsatisfiableAfterTheFailoverIsRelaxed) {
    auto world = synchronous("FIRST 1 (s1)");
    (*world)["p"].kill();
    world->run_for(seconds(10));
    EXPECT_TRUE((*world)["s1"].accepts_writes()) << world->trace().text();
    EXPECT_EQ((*world)["s1"].settings.synchronous_standby_names, "");
    expect_healthy(*world, {"s1", "s2"});
    expect_golden(*world, "sync_relaxed");
}

TEST(Synchronous, UnsatisfiableAfterTheFailoverIsKeptByPolicy) {
    auto world = synchronous("FIRST 1 (s1)", R"("SynchronousFailoverPolicy": "keep")");
    (*world)["p"].kill();
    world->run_for(seconds(10));
    EXPECT_EQ((*world)["s1"].settings.synchronous_standby_names, "FIRST 1 (s1)");
    EXPECT_TRUE(world->trace().contains("as the policy demands")) << world->trace().text();
}

TEST(Synchronous, Scenario18OnlyAnAsynchronousStandbyIsLeft) {
    auto world = synchronous("FIRST 1 (s1)");
    (*world)["s1"].kill();
    (*world)["p"].kill();
    world->run_for(seconds(20));
    EXPECT_EQ(world->promotions(), 0) << world->trace().text();
    expect_golden(*world, "sync_only_asynchronous_left");
}

TEST(Synchronous, Scenario14TheOnlySynchronousStandbyIsNotDisturbed) {
    auto world = synchronous("FIRST 1 (s1)");
    world->network().set("manager", "p", Link::silent);
    world->run_for(seconds(10));
    EXPECT_EQ(world->promotions(), 0) << world->trace().text();
    EXPECT_FALSE(world->trace().contains("s1       its receiver is made to reconnect"))
        << world->trace().text();
}

TEST(Synchronous, Scenario15AllSynchronousStandbysDie) {
    auto world = synchronous("ANY 1 (s1, s2)");
    (*world)["s1"].kill();
    (*world)["s2"].kill();
    world->run_for(seconds(10));
    EXPECT_EQ(world->promotions(), 0);
    EXPECT_EQ((*world)["p"].settings.synchronous_standby_names, "ANY 1 (s1, s2)");
    expect_golden(*world, "15_all_synchronous_standbys_die");
}

/// A restarted manager has not seen the primary, nor the two standbys on which the last commits may be.
TEST(Synchronous, RestartedManagerDoesNotForgetThatCommitsWaited) {
    auto world = std::make_unique<World>(3, recovers_all);
    world->primary("p").settings.synchronous_standby_names = "ANY 1 (p, s1, s2, s3)";
    for (const auto* name : {"s1", "s2", "s3"})
        world->standby(name).settings.synchronous_standby_names = "ANY 1 (p, s1, s2, s3)";
    begin(*world);
    world->kill_manager();
    for (const auto* away : {"p", "s1", "s2"})
        world->network().set("manager", away, Link::silent);
    world->network().set("s3", "p", Link::silent);
    world->start_manager();
    world->run_for(seconds(90));
    EXPECT_EQ(world->promotions(), 0) << world->trace().text();
    EXPECT_TRUE(world->trace().contains("this manager has not seen for which")) << world->trace().text();
}

/// The clients write, whoever leads.
void expect_commits_go_on(World& world) {
    const auto before = world.clients().at(0)->acknowledged().size();
    world.run_for(seconds(1));
    EXPECT_GT(world.clients().at(0)->acknowledged().size(), before + 20) << world.trace().text();
}

/// It answers on the session that the manager has, and lets nobody in who would lead it to the new primary.
TEST(Synchronous, ASurvivorThatDoesNotComeIsNotWaitedFor) {
    auto world = synchronous("ANY 1 (s1, s2)");
    (*world)["s2"].exhaust_connections(true);
    (*world)["p"].kill();
    world->run_for(seconds(20));
    ASSERT_TRUE((*world)["s1"].accepts_writes()) << world->trace().text();
    EXPECT_FALSE((*world)["s2"].streaming()) << world->trace().text();
    EXPECT_EQ((*world)["s1"].settings.synchronous_standby_names, "") << world->trace().text();
    EXPECT_TRUE(world->trace().contains("is not satisfied by those that stream: none"))
        << world->trace().text();
    expect_commits_go_on(*world);
}

TEST(Synchronous, ALoginRefusedForAMomentDoesNotLeaveCommitsHanging) {
    const std::string names = "FIRST 1 (s1)";
    auto world = synchronous(names);
    auto& s1 = (*world)["s1"];
    (*world)["p"].kill();
    const auto known = [&] { return world->trace().contains("promoted s1:5432: it accepts writes"); };
    ASSERT_TRUE(world->run_until(known, seconds(10))) << world->trace().text();
    s1.refuse_logins(true);
    s1.break_sessions("manager");
    world->run_for(seconds(3));
    EXPECT_EQ(s1.settings.synchronous_standby_names, names) << "nobody could empty it";
    s1.refuse_logins(false);
    world->run_for(seconds(10));
    EXPECT_EQ(s1.settings.synchronous_standby_names, "") << world->trace().text();
    EXPECT_TRUE(world->trace().contains("is not satisfied by those that stream")) << world->trace().text();
    expect_commits_go_on(*world);
}

TEST(Synchronous, WhoStreamsBelowTheCandidateKeepsItSynchronous) {
    const std::string names = "ANY 1 (s1, s2)";
    auto world = std::make_unique<World>(1, recovers_all);
    world->primary("p").settings.synchronous_standby_names = names;
    world->standby("s1").settings.synchronous_standby_names = names;
    world->standby("s2", "s1").settings.synchronous_standby_names = names;
    begin(*world);
    (*world)["p"].kill();
    world->run_for(seconds(20));
    EXPECT_TRUE((*world)["s1"].accepts_writes()) << world->trace().text();
    EXPECT_EQ((*world)["s1"].settings.synchronous_standby_names, names) << world->trace().text();
    expect_healthy(*world, {"s1", "s2"});
    expect_commits_go_on(*world);
}

}  // namespace
}  // namespace baton::sim
