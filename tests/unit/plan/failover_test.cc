#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "plan/plan.h"
#include "topology/world.h"

namespace baton::plan {
namespace {

using sample::key;
using sample::lsn;
using sample::make_cluster;
using sample::now;
using sample::World;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using topology::Observation;
using topology::PromotionRule;

Plan failover(const World& world, const Policy& policy = {}, const char* requested = "",
              bool forced = false) {
    const auto cluster = world.build();
    std::optional<InstanceKey> wanted;
    if (*requested != '\0') wanted = key(requested);
    const auto choice = choose_candidate(cluster, key("p"), policy, wanted, forced, now);
    return plan_primary_failover(cluster, key("p"), choice, policy, now);
}

std::vector<std::string> steps(const Plan& plan) {
    std::vector<std::string> lines;
    for (const auto& s : plan.steps)
        lines.push_back(std::to_string(s.phase) + " " + s.what);
    return lines;
}

void expect_sound(const Plan& plan) {
    int last = 1;
    bool promoted = false;
    for (const auto& s : plan.steps) {
        EXPECT_GE(s.phase, last) << "phases must rise: " << s.what;
        EXPECT_LE(s.phase, last + 1) << "no phase is left out: " << s.what;
        last = s.phase;
        EXPECT_FALSE(s.what.empty());
        EXPECT_GT(s.deadline.count(), 0) << s.what;
        EXPECT_EQ(s.irreversible, s.kind == StepKind::promote) << s.what;
        EXPECT_TRUE(!s.irreversible || s.undo.empty()) << s.what;
        if (promoted)
            EXPECT_FALSE(s.required) << "what follows the promotion must not end the recovery: " << s.what;
        promoted = promoted || s.kind == StepKind::promote;
    }
}

TEST(PrimaryFailover, promotes_first_and_rewires_side_by_side) {
    const auto plan = failover(make_cluster()
                                   .primary("p")
                                   .standby("s1")
                                   .slot("s1")
                                   .standby("s2")
                                   .slot("s2")
                                   .standby("s3")
                                   .standby("c", "s2")
                                   .dies("p"));
    expect_sound(plan);
    EXPECT_EQ(plan.text(),
              "primary-failover for p:5432 in cluster 7300000000000000001\n"
              "  choice: s1:5432 (neutral) has the most WAL, up to 0/5000000; 0 bytes behind the last known "
              "position of p:5432\n"
              "  not c:5432: other-upstream, it streams from s2:5432; a direct standby of p:5432 is there\n"
              "  not s2:5432: lower-preference, s1:5432 is as good and comes first by name\n"
              "  not s3:5432: lower-preference, s1:5432 is as good and comes first by name\n"
              "  1. promote s1:5432 (required, within 30000 ms, point of no return)\n"
              "  2. create slot s2 on s1:5432 for s2:5432 (within 10000 ms)\n"
              "     undo: drop slot s2 on s1:5432\n"
              "  3. s2:5432 follows s1:5432 through slot s2 (within 10000 ms)\n"
              "  3. s3:5432 follows s1:5432 (within 10000 ms)\n"
              "  4. s2:5432 streams from s1:5432 (within 10000 ms)\n"
              "  4. s3:5432 streams from s1:5432 (within 10000 ms)\n");
}

TEST(PrimaryFailover, catches_up_before_the_point_of_no_return) {
    const auto plan = failover(make_cluster()
                                   .primary("p")
                                   .standby("s1")
                                   .slot("a")
                                   .received("0/6000000")
                                   .standby("s2")
                                   .slot("b")
                                   .rule(PromotionRule::prefer)
                                   .dies("p"));
    expect_sound(plan);
    EXPECT_THAT(steps(plan),
                ElementsAre("1 create slot b on s1:5432, for s2:5432 to catch up through",
                            "2 s2:5432 streams the missing 16.0 MiB from s1:5432, up to 0/6000000",
                            "3 promote s2:5432", "4 create slot a on s2:5432 for s1:5432",
                            "5 s1:5432 follows s2:5432 through slot a", "6 s1:5432 streams from s2:5432",
                            "7 drop slot b on s1:5432, which served the catching up"));
    const auto& catch_up = plan.steps.at(1);
    EXPECT_EQ(catch_up.kind, StepKind::catch_up);
    EXPECT_EQ(catch_up.upstream, key("s1"));
    EXPECT_EQ(catch_up.position, lsn("0/6000000"));
    EXPECT_TRUE(catch_up.required);
    EXPECT_EQ(plan.steps.at(2).position, lsn("0/6000000"));
}

TEST(PrimaryFailover, without_slots_nothing_is_made_or_dropped) {
    const auto plan = failover(make_cluster()
                                   .primary("p")
                                   .standby("s1")
                                   .received("0/6000000")
                                   .standby("s2")
                                   .rule(PromotionRule::prefer)
                                   .dies("p"));
    EXPECT_THAT(
        steps(plan),
        ElementsAre("1 s2:5432 streams the missing 16.0 MiB from s1:5432, up to 0/6000000",
                    "2 promote s2:5432", "3 s1:5432 follows s2:5432", "4 s1:5432 streams from s2:5432"));
}

TEST(PrimaryFailover, one_that_lists_all_hosts_does_not_wait_for_a_silent_one) {
    using enum topology::Reach;
    struct Case {
        const char* what;
        topology::Reach reach;  ///< of p
        std::vector<InstanceKey> listed;
        const char* attributes;
        bool first;
    };
    const Case cases[] = {
        {"p is silent", silent, {key("p"), key("s1")}, "read-write", true},
        {"p hangs", unresponsive, {key("p"), key("s1")}, "primary", true},
        {"p refuses", refused, {key("p"), key("s1")}, "read-write", false},
        {"the new one comes first, and p is silent behind it",
         silent,
         {key("s1"), key("p")},
         "read-write",
         true},
        {"only the new one and those that answer", refused, {key("s1"), key("p")}, "read-write", false},
        {"a host that nobody knows comes first", refused, {key("x"), key("s1")}, "read-write", true},
        {"it does not look for the primary", silent, {key("p"), key("s1")}, "", false},
    };
    for (const auto& c : cases) {
        const auto looks = [&](auto&, Observation& o) {
            o.upstream = {.hosts = c.listed, .target_session_attrs = c.attributes};
        };
        const auto plan =
            failover(make_cluster().primary("p").standby("s1").standby("s2").with(looks).dies("p", c.reach));
        const auto follow = std::ranges::find(plan.steps, StepKind::follow, &Step::kind);
        ASSERT_NE(follow, plan.steps.end()) << c.what;
        EXPECT_EQ(follow->first, c.first) << c.what;
    }
}

TEST(PrimaryFailover, uses_the_slot_that_the_donor_has) {
    const auto behind = [] { return make_cluster().primary("p").standby("s1").received("0/6000000"); };
    const auto there = behind()
                           .with([](auto&, Observation& o) { o.slots = {{.name = "b"}}; })
                           .standby("s2")
                           .slot("b")
                           .rule(PromotionRule::prefer)
                           .dies("p");
    EXPECT_EQ(steps(failover(there)).back(), "5 s1:5432 streams from s2:5432")
        << "a slot that was there before is not dropped";
    const auto child = behind()
                           .rule(PromotionRule::must_not)
                           .with([](auto&, Observation& o) { o.slots = {{.name = "c", .active = true}}; })
                           .standby("c", "s1")
                           .slot("c")
                           .dies("p");
    EXPECT_THAT(steps(failover(child)),
                ElementsAre("1 c:5432 streams the missing 16.0 MiB from s1:5432, up to 0/6000000",
                            "2 promote c:5432", "3 s1:5432 follows c:5432", "4 s1:5432 streams from c:5432"));
}

TEST(PrimaryFailover, a_lone_standby_is_only_promoted) {
    const auto plan = failover(make_cluster().primary("p").standby("s").standby("c", "s").dies("p"));
    EXPECT_THAT(steps(plan), ElementsAre("1 promote s:5432"));
    EXPECT_THAT(plan.lost, IsEmpty());
}

TEST(PrimaryFailover, names_who_cannot_follow_and_why) {
    struct {
        const char* name;
        World world;
        const char* remark;
    } const cases[] = {
        {"unreachable", make_cluster().primary("p").standby("s1").standby("s2").down().dies("p"),
         "s2:5432 is not answering; it will be rewired when it returns"},
        {"73: on another branch",
         make_cluster().primary("p").standby("s1").standby("s2").timeline(2).dies("p"),
         "s2:5432 is on another branch (timeline 2, 0/5000000) than s1:5432 (timeline 1); it needs a rewind"},
        {"stays on its timeline",
         make_cluster()
             .primary("p")
             .standby("s1")
             .standby("s2")
             .with([](auto&, Observation& o) { o.settings.recovery_target_timeline = "current"; })
             .dies("p"),
         "s2:5432 cannot follow to a new timeline: recovery_target_timeline is current; set it to latest and "
         "restart it"},
    };
    for (const auto& c : cases) {
        const auto plan = failover(c.world, {}, "s1");
        EXPECT_THAT(plan.lost, ElementsAre(key("s2"))) << c.name;
        EXPECT_THAT(plan.remarks, ElementsAre(c.remark)) << c.name;
        EXPECT_THAT(steps(plan), ElementsAre("1 promote s1:5432")) << c.name;
    }
}

TEST(PrimaryFailover, who_is_ahead_of_the_promotion_point_needs_a_rewind) {
    const auto cluster =
        make_cluster().primary("p").standby("s1").standby("s2").received("0/5000100").dies("p").build();
    const Choice choice{.chosen = key("s1"), .why = "as told"};
    const auto plan = plan_primary_failover(cluster, key("p"), choice, {}, now);
    EXPECT_THAT(plan.lost, ElementsAre(key("s2")));
    EXPECT_THAT(
        plan.remarks,
        ElementsAre("s2:5432 is 256 bytes ahead of the promotion point 0/5000000; it needs a rewind"));
}

TEST(PrimaryFailover, whom_a_resumed_recovery_finds_promoted_keeps_the_others) {
    const auto cluster =
        make_cluster().primary("p").standby("s1").standby("s2").dies("p").primary("n").build();
    Choice choice;
    choice.chosen = key("n");
    const auto plan = plan_primary_failover(cluster, key("p"), choice, {}, now);
    EXPECT_THAT(plan.lost, IsEmpty());
    const auto followers = std::ranges::count(plan.steps, StepKind::follow, &Step::kind);
    EXPECT_EQ(followers, 2) << plan.text();
}

TEST(PrimaryFailover, lets_a_server_write_that_was_once_made_read_only) {
    const auto plan =
        failover(make_cluster()
                     .primary("p")
                     .standby("s1")
                     .with([](auto&, Observation& o) { o.settings.default_transaction_read_only = true; })
                     .standby("s2")
                     .dies("p"));
    EXPECT_THAT(steps(plan),
                ElementsAre("1 promote s1:5432",
                            "2 turn default_transaction_read_only off on s1:5432, or it would refuse writes",
                            "3 s2:5432 follows s1:5432", "4 s2:5432 streams from s1:5432"));
}

TEST(PrimaryFailover, does_not_let_writes_hang_for_synchronous_standbys) {
    const auto world = [](const char* names) {
        return make_cluster()
            .primary("p")
            .standby("s1")
            .synchronous(names)
            .standby("s2")
            .standby("below", "s1")
            .dies("p");
    };
    const auto relaxed = failover(world("FIRST 2 (s2, s3)"));
    expect_sound(relaxed);
    EXPECT_THAT(steps(relaxed),
                ElementsAre("1 promote s1:5432",
                            "2 empty synchronous_standby_names on s1:5432, or commits would hang",
                            "3 s2:5432 follows s1:5432", "4 s2:5432 streams from s1:5432"));
    EXPECT_EQ(relaxed.steps.at(1).argument, "");
    EXPECT_EQ(relaxed.steps.at(1).undo, "set synchronous_standby_names = 'FIRST 2 (s2, s3)' on s1:5432");
    EXPECT_THAT(relaxed.remarks, ElementsAre(HasSubstr("commits are not synchronous until it is set again")));

    const auto kept = failover(world("FIRST 2 (s2, s3)"), {.synchronous = SynchronousPolicy::keep});
    EXPECT_EQ(kept.steps.size(), 3U);
    EXPECT_THAT(kept.remarks, ElementsAre(HasSubstr("commits will wait")));

    EXPECT_EQ(failover(world("ANY 2 (*)").on("below").down()).steps.size(), 4U)
        << "who is gone does not count";
    EXPECT_EQ(failover(world("FIRST 1 (s2, s3)")).steps.size(), 3U) << "the survivor satisfies it";
    EXPECT_EQ(failover(world("ANY 2 (*)")).steps.size(), 3U)
        << "who streams from the candidate already counts";
    EXPECT_EQ(failover(world("FIRST 1 (s3)").on("s1").with([](auto&, Observation& o) {
                  o.settings.synchronous_commit = "off";
              })).steps.size(),
              3U);
}

TEST(PrimaryFailover, warns_of_what_the_new_primary_lacks) {
    const auto plan = failover(make_cluster()
                                   .primary("p")
                                   .synchronous("s1")
                                   .sender("s1", "sync")
                                   .with([](auto&, Observation& o) {
                                       o.slots = {{.name = "cdc", .physical = false}, {.name = "s1"}};
                                   })
                                   .standby("s1")
                                   .dies("p"));
    EXPECT_THAT(
        plan.remarks,
        ElementsAre(
            "p:5432 had synchronous_standby_names = 's1', s1:5432 has none: commits are not synchronous",
            "logical slots of p:5432 that s1:5432 does not have: cdc"));
}

TEST(PrimaryFailover, leaves_slots_alone_when_told_to) {
    const auto plan = failover(make_cluster().primary("p").standby("s1").standby("s2").slot("s2").dies("p"),
                               {.manage_slots = false});
    EXPECT_THAT(steps(plan), ElementsAre("1 promote s1:5432", "2 s2:5432 follows s1:5432 through slot s2",
                                         "3 s2:5432 streams from s1:5432"));
    EXPECT_THAT(plan.remarks,
                ElementsAre("slots are not managed: s2:5432 needs slot s2 on s1:5432, see that it is there"));
}

TEST(PrimaryFailover, two_standbys_never_share_a_slot) {
    auto world =
        make_cluster().primary("p").standby("s1").standby("s2").slot("same").standby("s3").slot("same").dies(
            "p");
    EXPECT_THAT(steps(failover(world)),
                ElementsAre("1 promote s1:5432", "2 create slot same on s1:5432 for s2:5432",
                            "2 create slot s3_5432 on s1:5432 for s3:5432",
                            "3 s2:5432 follows s1:5432 through slot same",
                            "3 s3:5432 follows s1:5432 through slot s3_5432",
                            "4 s2:5432 streams from s1:5432", "4 s3:5432 streams from s1:5432"));
    const auto taken = make_cluster()
                           .primary("p")
                           .standby("s1")
                           .with([](auto&, Observation& o) { o.slots = {{.name = "x", .active = true}}; })
                           .standby("s2")
                           .slot("x")
                           .dies("p");
    EXPECT_EQ(failover(taken).steps.at(1).argument, "s2_5432");
}

TEST(PrimaryFailover, of_nobody_is_empty_and_says_so) {
    const auto plan = failover(make_cluster().primary("p").down());
    EXPECT_THAT(plan.steps, IsEmpty());
    EXPECT_THAT(plan.text(), HasSubstr("nothing to do"));
    EXPECT_THAT(plan.remarks,
                ElementsAre(HasSubstr("nobody was chosen: nobody can be promoted in place of p:5432")));
}

TEST(IntermediateFailover, moves_the_replicas_to_the_upstream) {
    const auto world = make_cluster()
                           .primary("p")
                           .standby("s1")
                           .standby("s2")
                           .standby("c1", "s1")
                           .slot("c1")
                           .standby("c2", "s1")
                           .standby("d", "c1")
                           .dies("s1");
    const auto plan = plan_intermediate_failover(world.build(), key("s1"), {}, now);
    ASSERT_TRUE(plan) << plan.error().text();
    expect_sound(*plan);
    EXPECT_EQ(plan->kind, Kind::intermediate_failover);
    EXPECT_EQ(plan->choice.chosen, key("p"));
    EXPECT_THAT(steps(*plan),
                ElementsAre("1 create slot c1 on p:5432 for c1:5432",
                            "2 c1:5432 follows p:5432 through slot c1", "2 c2:5432 follows p:5432",
                            "3 c1:5432 streams from p:5432", "3 c2:5432 streams from p:5432"));
}

TEST(IntermediateFailover, falls_back_on_the_most_advanced_sibling) {
    const auto world = make_cluster()
                           .primary("p")
                           .standby("s1")
                           .standby("s2")
                           .standby("s3")
                           .received("0/5000100")
                           .standby("c", "s1")
                           .dies("s1")
                           .dies("p");
    const auto plan = plan_intermediate_failover(world.build(), key("s1"), {}, now);
    ASSERT_TRUE(plan) << plan.error().text();
    EXPECT_EQ(plan->choice.chosen, key("s3"));
    EXPECT_THAT(plan->choice.why, HasSubstr("p:5432 does not answer"));
    EXPECT_THAT(steps(*plan), ElementsAre("1 c:5432 follows s3:5432", "2 c:5432 streams from s3:5432"));
}

TEST(IntermediateFailover, goes_to_whoever_leads_now) {
    const auto world = make_cluster()
                           .primary("p")
                           .standby("s1")
                           .standby("c", "s1")
                           .primary("n")
                           .timeline(2)
                           .written("0/6000000")
                           .dies("s1")
                           .dies("p");
    const auto plan = plan_intermediate_failover(world.build(), key("s1"), {}, now);
    ASSERT_TRUE(plan) << plan.error().text();
    EXPECT_EQ(plan->choice.chosen, key("n")) << "it was promoted a moment ago, and p is gone";
    EXPECT_THAT(plan->choice.why, HasSubstr("n:5432 leads the cluster"));
}

TEST(IntermediateFailover, says_why_it_cannot) {
    const auto alone = make_cluster().primary("p").standby("s1").standby("c", "s1").dies("s1").dies("p");
    EXPECT_THAT(plan_intermediate_failover(alone.build(), key("s1"), {}, now).error().message,
                HasSubstr("neither p:5432 nor a sibling of s1:5432 answers"));
    const auto gone = make_cluster().primary("p").standby("s1").standby("c", "s1").down().dies("s1");
    EXPECT_THAT(plan_intermediate_failover(gone.build(), key("s1"), {}, now).error().message,
                HasSubstr("c:5432 is not answering"));
    EXPECT_EQ(plan_intermediate_failover(gone.build(), key("x"), {}, now).error().kind, ErrorKind::not_found);
    EXPECT_THAT(
        plan_intermediate_failover(make_cluster().primary("p").standby("s").build(), key("s"), {}, now)
            .error()
            .message,
        HasSubstr("it has no replicas"));
}

TEST(IntermediateFailover, loses_only_those_that_are_not_there) {
    const auto world =
        make_cluster().primary("p").standby("s1").standby("c1", "s1").standby("c2", "s1").down().dies("s1");
    const auto plan = plan_intermediate_failover(world.build(), key("s1"), {}, now);
    ASSERT_TRUE(plan);
    EXPECT_THAT(plan->lost, ElementsAre(key("c2")));
    EXPECT_THAT(steps(*plan), ElementsAre("1 c1:5432 follows p:5432", "2 c1:5432 streams from p:5432"));
}

}  // namespace
}  // namespace baton::plan
