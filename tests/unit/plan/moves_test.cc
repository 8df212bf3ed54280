#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plan/plan.h"
#include "topology/world.h"

namespace baton::plan {
namespace {

using sample::key;
using sample::make_cluster;
using sample::now;
using sample::World;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using topology::Observation;
using topology::PromotionRule;

World tree() {
    return make_cluster().primary("p").standby("s1").standby("s2").standby("c1", "s1").standby("c2", "s1");
}

std::vector<std::string> steps(const Plan& plan) {
    std::vector<std::string> lines;
    for (const auto& s : plan.steps)
        lines.push_back(std::to_string(s.phase) + " " + s.what);
    return lines;
}

std::string refusal(const World& world, const char* replica, const char* upstream,
                    const Policy& policy = {}) {
    const auto plan = plan_follow(world.build(), key(replica), key(upstream), policy, now);
    return plan ? "planned" : plan.error().text();
}

TEST(Follow, moves_a_standby_with_its_slot) {
    const auto world = tree().on("c1").slot("c1").on("s1").with(
        [](auto&, Observation& o) { o.slots = {{.name = "c1", .active = true}}; });
    const auto plan = plan_follow(world.build(), key("c1"), key("s2"), {}, now);
    ASSERT_TRUE(plan) << plan.error().text();
    EXPECT_THAT(steps(*plan),
                ElementsAre("1 create slot c1 on s2:5432 for c1:5432",
                            "2 c1:5432 follows s2:5432 through slot c1", "3 c1:5432 streams from s2:5432",
                            "4 drop slot c1 on s1:5432, which c1:5432 no longer uses"));
    EXPECT_EQ(plan->steps.at(1).undo, "make c1:5432 follow s1:5432 again");
    EXPECT_TRUE(plan->steps.at(1).required && plan->steps.at(2).required);
    EXPECT_FALSE(plan->steps.at(3).required) << "a slot that is left behind is not a failed move";
}

TEST(Follow, to_the_same_upstream_keeps_the_slot) {
    const auto world = tree().on("c1").slot("c1").on("s1").with(
        [](auto&, Observation& o) { o.slots = {{.name = "c1", .active = true}}; });
    const auto plan = plan_follow(world.build(), key("c1"), key("s1"), {}, now);
    ASSERT_TRUE(plan) << plan.error().text();
    EXPECT_THAT(steps(*plan),
                ElementsAre("1 create slot c1 on s1:5432 for c1:5432",
                            "2 c1:5432 follows s1:5432 through slot c1", "3 c1:5432 streams from s1:5432"));
}

TEST(Follow, takes_a_slot_that_waits_for_it_and_none_that_is_in_use) {
    const auto slot_on_s2 = [](bool active, bool physical) {
        const auto world = tree().on("c1").slot("c1").on("s2").with([=](auto&, Observation& o) {
            o.slots = {{.name = "c1", .physical = physical, .active = active}};
        });
        return plan_follow(world.build(), key("c1"), key("s2"), {}, now)->steps.at(0).argument;
    };
    EXPECT_EQ(slot_on_s2(false, true), "c1");
    EXPECT_EQ(slot_on_s2(true, true), "c1_5432");
    EXPECT_EQ(slot_on_s2(false, false), "c1_5432") << "a logical slot of that name";
}

TEST(Follow, is_refused_with_the_reason) {
    using topology::Reach;
    struct {
        const char* name;
        World world;
        const char* replica;
        const char* upstream;
        const char* says;
    } const cases[] = {
        {"itself", tree(), "s1", "s1",
         "s1:5432 cannot replicate from s1:5432. Reason: instance cannot replicate from itself: s1:5432"},
        {"unknown replica", tree(), "x", "p", "x:5432: unknown instance; discover it first"},
        {"unknown upstream", tree(), "s1", "x", "x:5432: unknown instance; discover it first"},
        {"a circle", tree(), "s1", "c1",
         "Relocating s1:5432 below c1:5432 turns to be too complex; please do it manually: c1:5432 "
         "replicates from s1:5432, so the move would close a "
         "circle"},
        {"a primary below its standby", tree(), "p", "s1",
         "Relocating p:5432 below s1:5432 turns to be too complex"},
        {"a primary", tree().primary("q"), "q", "p",
         "q:5432 cannot replicate from p:5432. Reason: q:5432 is a primary; make it a standby first"},
        {"replica is silent", tree().on("c1").down(Reach::silent), "c1", "p",
         "c1:5432 does not answer (silent)"},
        {"upstream is silent", tree().on("s2").down(), "c1", "s2", "s2:5432 does not answer (refused)"},
        {"another system", tree().on("s2").with([](auto&, Observation& o) { o.system_identifier = "1"; }),
         "c1", "s2", "system identifiers differ"},
        {"another major version", tree().on("s2").with([](auto&, Observation& o) { o.version_num = 160004; }),
         "c1", "s2", "major versions differ: 15 and 16"},
        {"75: past a fork", tree().history(2, "1\t0/4FFFFFF\tr\n").on("s2").timeline(2), "c1", "s2",
         "past the fork to timeline 2: rewind it first"},
        {"75: another branch", tree().history(3, "1\t0/4\tr\n").on("p").timeline(3).on("c1").timeline(2),
         "c1", "p", "on timeline 2, which is not in the history of timeline 3"},
        {"upstream on an older timeline", tree().on("c1").timeline(2), "c1", "s2",
         "on timeline 2, which is not in the history of timeline 1"},
        {"cannot change timelines",
         tree().history(2, "1\t0/5000000\tr\n").on("s2").timeline(2).on("c1").with([](auto&, Observation& o) {
             o.settings.recovery_target_timeline = "current";
         }),
         "c1", "s2", "recovery_target_timeline is current"},
        {"upstream behind and not receiving", tree().on("s2").received("0/4FFFF00").not_streaming(seconds(9)),
         "c1", "s2", "s2:5432 is behind: it lacks 256 bytes that c1:5432 has"},
        {"its own upstream, behind and not receiving",
         tree().on("s1").received("0/4FFFF00").not_streaming(seconds(9)), "c1", "s1", "s1:5432 is behind"},
        {"another primary, behind", tree().primary("q").written("0/1"), "c1", "q", "q:5432 is behind"},
    };
    for (const auto& c : cases)
        EXPECT_THAT(refusal(c.world, c.replica, c.upstream), HasSubstr(c.says)) << c.name;
}

TEST(Follow, is_allowed_where_it_works) {
    struct {
        const char* name;
        World world;
        const char* replica;
        const char* upstream;
    } const cases[] = {
        {"up", tree(), "c1", "p"},
        {"to a sibling of the upstream", tree(), "c1", "s2"},
        {"below a sibling", tree(), "c1", "c2"},
        {"where it is already", tree(), "c1", "s1"},
        {"to a primary that was looked at earlier", tree().on("p").written("0/4FFFF00"), "c1", "p"},
        {"to a standby that streams and was looked at earlier", tree().on("s2").received("0/4FFFF00"), "c1",
         "s2"},
        {"to a newer timeline, at the fork", tree().history(2, "1\t0/5000000\tr\n").on("s2").timeline(2),
         "c1", "s2"},
    };
    for (const auto& c : cases)
        EXPECT_EQ(refusal(c.world, c.replica, c.upstream), "planned") << c.name;
}

TEST(Follow, obeys_the_limit_on_lag) {
    const auto lagging =
        tree().on("c1").with([](topology::Instance& i, auto&) { i.lag.receive_bytes = 2000; });
    EXPECT_EQ(refusal(lagging, "c1", "p"), "planned");
    EXPECT_THAT(refusal(lagging, "c1", "p", {.reasonable_move_lag_bytes = 1000}),
                HasSubstr("it lags by 2000 bytes, 1000 bytes are allowed"));
    const auto slow = tree().on("s2").received("0/4FF0000");
    EXPECT_THAT(refusal(slow, "c1", "s2", {.reasonable_move_lag_bytes = 1000}),
                HasSubstr("s2:5432 is behind"));
}

TEST(MoveUp, goes_one_step) {
    const auto plan = plan_move_up(tree().build(), key("c1"), {}, now);
    ASSERT_TRUE(plan) << plan.error().text();
    EXPECT_EQ(plan->kind, Kind::move_up);
    EXPECT_THAT(steps(*plan), ElementsAre("1 c1:5432 follows p:5432", "2 c1:5432 streams from p:5432"));
    EXPECT_THAT(plan_move_up(tree().build(), key("s1"), {}, now).error().message,
                HasSubstr("replicates from the primary p:5432 already"));
    EXPECT_THAT(plan_move_up(tree().build(), key("p"), {}, now).error().message,
                HasSubstr("it is a primary"));
    EXPECT_EQ(plan_move_up(tree().build(), key("x"), {}, now).error().kind, ErrorKind::not_found);
    const auto orphan = make_cluster().standby("s", "unknown");
    EXPECT_THAT(plan_move_up(orphan.build(), key("s"), {}, now).error().message,
                HasSubstr("unknown:5432 is not known"));
}

TEST(TakeSiblings, moves_all_that_can) {
    const auto plan = plan_take_siblings(tree().standby("s3").down().build(), key("s1"), {}, now);
    ASSERT_TRUE(plan) << plan.error().text();
    EXPECT_EQ(plan->kind, Kind::take_siblings);
    EXPECT_THAT(steps(*plan), ElementsAre("1 s2:5432 follows s1:5432", "2 s2:5432 streams from s1:5432"));
    EXPECT_THAT(plan->lost, ElementsAre(key("s3")));
    EXPECT_FALSE(plan->steps.at(0).required) << "one that fails must not stop the others";
}

TEST(TakeSiblings, without_siblings_has_nothing_to_do) {
    const auto plan = plan_take_siblings(make_cluster().primary("p").standby("s").build(), key("s"), {}, now);
    ASSERT_TRUE(plan);
    EXPECT_THAT(plan->steps, IsEmpty());
    EXPECT_THAT(plan->remarks, ElementsAre("there is nobody to move below s:5432"));
    EXPECT_FALSE(plan_take_siblings(tree().build(), key("p"), {}, now));
}

TEST(RelocateReplicas, moves_those_that_were_picked) {
    const auto cluster = tree().standby("c3", "s1").build();
    const auto picked = [](const InstanceKey& k) { return k.host != "c2"; };
    const auto plan = plan_relocate_replicas(cluster, key("s1"), key("s2"), picked, {}, now);
    ASSERT_TRUE(plan) << plan.error().text();
    EXPECT_THAT(steps(*plan),
                ElementsAre("1 c1:5432 follows s2:5432", "1 c3:5432 follows s2:5432",
                            "2 c1:5432 streams from s2:5432", "2 c3:5432 streams from s2:5432"));
    const auto below_one = plan_relocate_replicas(cluster, key("s1"), key("c1"), nullptr, {}, now);
    ASSERT_TRUE(below_one);
    EXPECT_THAT(steps(*below_one),
                ElementsAre("1 c2:5432 follows c1:5432", "1 c3:5432 follows c1:5432",
                            "2 c2:5432 streams from c1:5432", "2 c3:5432 streams from c1:5432"));
    EXPECT_THAT(plan_relocate_replicas(cluster, key("s1"), key("s1"), nullptr, {}, now)->steps, IsEmpty());
}

TEST(RelocateReplicas, fails_when_nobody_can_move) {
    const auto plan = plan_relocate_replicas(
        tree().build(), key("p"), key("c1"), [](const InstanceKey& k) { return k.host == "s1"; }, {}, now);
    ASSERT_FALSE(plan);
    EXPECT_THAT(plan.error().message, HasSubstr("turns to be too complex"));
    EXPECT_FALSE(plan_relocate_replicas(tree().build(), key("s1"), key("x"), nullptr, {}, now));
}

TEST(Regroup, lets_the_most_advanced_lead) {
    auto world = make_cluster()
                     .primary("p")
                     .standby("s1")
                     .standby("s2")
                     .received("0/5000100")
                     .standby("s3")
                     .received("0/5000200")
                     .rule(PromotionRule::must_not)
                     .dies("p");
    world.on("s3").received("0/4000000");
    const auto plan = plan_regroup(world.build(), key("p"), {}, now);
    ASSERT_TRUE(plan) << plan.error().text();
    EXPECT_EQ(plan->choice.chosen, key("s2"));
    EXPECT_THAT(steps(*plan),
                ElementsAre("1 s1:5432 follows s2:5432", "1 s3:5432 follows s2:5432",
                            "2 s1:5432 streams from s2:5432", "2 s3:5432 streams from s2:5432"));
    const auto none =
        plan_regroup(make_cluster().primary("p").standby("s").down().build(), key("p"), {}, now);
    EXPECT_THAT(none.error().message,
                HasSubstr("no replica that could take over its siblings; s:5432: it does not answer"));
}

TEST(SlotName, is_what_it_uses_or_fits_postgresql) {
    struct {
        const char* name;
        World world;
        std::string expected;
    } const cases[] = {
        {"what it uses", make_cluster().standby("s", "p").slot("Its Own"), "Its Own"},
        {"what its receiver uses",
         make_cluster().standby("s", "p").with([](auto&, Observation& o) { o.receiver->slot = "live"; }),
         "live"},
        {"application name", make_cluster().standby("s", "p").name("PG-Two.eu"), "pg_two_eu"},
        {"cluster name", make_cluster().standby("s", "p"), "s"},
        {"the default name belongs to nobody", make_cluster().standby("db-1", "p").name("walreceiver"),
         "db_1_5432"},
        {"never seen", make_cluster().standby("s", "p").never_seen(), "s_5432"},
        {"too long", make_cluster().standby("s", "p").name(std::string(80, 'x')), std::string(63, 'x')},
    };
    for (const auto& c : cases)
        EXPECT_EQ(slot_name_for(*c.world.build().instances.front()), c.expected) << c.name;
}

TEST(Names, all_reasons_steps_and_kinds_have_one) {
    for (int i = 0; i <= static_cast<int>(Rejection::not_requested); ++i)
        EXPECT_NE(to_string(static_cast<Rejection>(i)), "unknown") << i;
    for (int i = 0; i <= static_cast<int>(StepKind::drop_slot); ++i)
        EXPECT_NE(to_string(static_cast<StepKind>(i)), "unknown") << i;
    for (int i = 0; i <= static_cast<int>(Kind::regroup); ++i)
        EXPECT_NE(to_string(static_cast<Kind>(i)), "unknown") << i;
    EXPECT_TRUE(synchronous_satisfiable("ANY 1 (*)", {"x"}));
    EXPECT_FALSE(synchronous_satisfiable("ANY 2 (*)", {"x"}));
}

}  // namespace
}  // namespace baton::plan
