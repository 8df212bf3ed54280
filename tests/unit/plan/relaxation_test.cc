// After a promotion: whom do commits wait for, and will they come?
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plan/choice.h"

namespace baton::plan {
namespace {

using ::testing::HasSubstr;

/// p leads; s1 and s2 answer, and none of them streams.
World leads(const char* names = "ANY 1 (s1)", topology::Timeline timeline = 2) {
    auto world = make_cluster().primary("p").synchronous(names).timeline(timeline);
    if (timeline > 1) world.history(timeline, "1\t0/5000000\tr\n");
    return world.standby("s1").not_streaming().standby("s2").not_streaming();
}

World row(World world, const char* name, const char* state = "streaming") {
    return std::move(world.on("p").sender(name, "async", state));
}

auto own_history(topology::Timeline timeline, const char* text) {
    return [=](topology::Instance& i, auto&) {
        i.history = std::make_shared<topology::TimelineHistory>(
            topology::parse_timeline_history(timeline, text).value());
    };
}

World blind(World world) {
    return std::move(world.on("p").with([](auto&, Observation& o) { o.can_see_all = false; }));
}

World streams(World world, const char* name) {
    return std::move(world.on(name).with([](auto&, Observation& o) {
        o.receiver = topology::Receiver{.status = "streaming", .last_message_age = milliseconds(1)};
    }));
}

TEST(Relaxation, where_commits_do_not_wait_nothing_is_to_be_done) {
    const auto commits = [](const char* how) {
        return leads().on("p").with([=](auto&, Observation& o) { o.settings.synchronous_commit = how; });
    };
    const struct {
        const char* name;
        World world;
        Policy policy = {};
        const char* leader = "p";
    } cases[] = {
        {"one streams", row(leads(), "s1")},
        {"one of two streams", row(leads("ANY 1 (s1, s2)"), "s2")},
        {"both stream", row(row(leads("FIRST 2 (s1, s2)"), "s1"), "s2")},
        {"everybody will do", row(leads("*"), "s2")},
        {"no names", leads("")},
        {"synchronous_commit off", commits("off")},
        {"synchronous_commit local", commits("local")},
        {"the policy is to wait", leads(), {.synchronous = SynchronousPolicy::keep}},
        {"nobody knows the leader", leads(), {}, "x"},
        {"nobody has seen the leader", leads().on("p").never_seen()},
        {"rows may not be seen, and its receiver tells", streams(blind(leads()), "s1")},
    };
    for (const auto& c : cases)
        EXPECT_FALSE(plan_relaxation(c.world.build(), key(c.leader), c.policy)) << c.name;
}

TEST(Relaxation, passes_by_itself_only_where_those_who_answer_can_follow) {
    const auto s1 = [](const auto& change) { return leads().on("s1").with(change); };
    const struct {
        const char* name;
        World world;
        bool may_pass;
    } cases[] = {
        {"on its way", leads(), true},
        {"catching up", row(leads(), "s1", "catchup"), true},
        {"on the new timeline", leads().on("s1").timeline(2), true},
        {"one of two on its way", row(leads("ANY 2 (s1, s2)"), "s1"), true},
        {"a third is wanted", row(leads("ANY 3 (s1, s2, s3)"), "s1"), false},
        {"who streams is not counted twice", row(leads("ANY 2 (s1, s3)"), "s1"), false},
        {"not the one that streams", row(leads(), "s2"), true},
        {"a name that nobody has", leads("s9"), false},
        {"gone", leads().on("s1").down(), false},
        {"gone while it was catching up", row(leads().on("s1").down(), "s1", "catchup"), false},
        {"gone, and the other is there", leads("ANY 1 (s1, s2)").on("s1").down(), true},
        {"past the fork", leads().on("s1").received("0/5000001"), false},
        {"on a timeline that the leader never had", leads().on("s1").timeline(3), false},
        {"on a branch of the same number",
         leads().on("s1").timeline(2).with(own_history(2, "1\t0/4000000\tr\n")), false},
        {"on the same branch, as its history says",
         leads().on("s1").timeline(2).with(own_history(2, "1\t0/5000000\tr\n")), true},
        {"no history, apart for a minute, and ahead",
         leads("s1", 1).on("s1").received("0/5000001").not_streaming(seconds(60)), false},
        {"below another one", s1([](auto& i, auto&) { i.upstream = key("s2"); }), false},
        {"still below the former primary",
         leads().primary("old").down().on("s1").with([](auto& i, auto&) { i.upstream = key("old"); }), false},
        {"rows may not be seen, and it has no receiver", row(blind(leads()), "s1"), true},
        {"rows may not be seen, and it is gone", streams(blind(leads()), "s1").on("s1").down(), false},
    };
    for (const auto& c : cases) {
        const auto relaxation = plan_relaxation(c.world.build(), key("p"), {});
        ASSERT_TRUE(relaxation) << c.name;
        EXPECT_EQ(relaxation->may_pass, c.may_pass) << c.name << ": " << relaxation->waits;
    }
}

TEST(Relaxation, says_for_whom_commits_wait_and_how_to_undo_it) {
    const Policy policy{.follow_timeout = milliseconds(4321)};
    const auto some = plan_relaxation(row(leads("FIRST 2 (s1, s2)"), "s2").build(), key("p"), policy);
    ASSERT_TRUE(some);
    EXPECT_EQ(some->waits,
              "synchronous_standby_names = 'FIRST 2 (s1, s2)' on p:5432 is not satisfied by those that "
              "stream: s2");
    EXPECT_EQ(some->step.kind, StepKind::set_synchronous_standby_names);
    EXPECT_EQ(some->step.target, key("p"));
    EXPECT_EQ(some->step.argument, "");
    EXPECT_EQ(some->step.deadline, policy.follow_timeout);
    EXPECT_EQ(some->step.undo, "set synchronous_standby_names = 'FIRST 2 (s1, s2)' on p:5432");
    EXPECT_FALSE(some->step.irreversible || some->step.required);
    const auto none = plan_relaxation(leads().build(), key("p"), policy);
    ASSERT_TRUE(none);
    EXPECT_THAT(none->waits, HasSubstr("those that stream: none"));
}

}  // namespace
}  // namespace baton::plan
