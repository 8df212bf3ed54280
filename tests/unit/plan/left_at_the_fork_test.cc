// A primary that dies soon after its promotion leaves standbys behind on the timeline before, or half way
// over.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plan/choice.h"

namespace baton::plan {
namespace {

using ::testing::HasSubstr;

/// p was promoted to timeline 2 at 0/5000000 and died there; s1 and s2 are still on timeline 1.
World left_at_the_fork(bool history_known = true) {
    auto world = make_cluster().primary("p").timeline(2).written("0/5000200");
    if (history_known) world.history(2, "1\t0/5000000\tr\n");
    return world.standby("s1").standby("s2").dies("p");
}

TEST(ChooseCandidate, scenario_20_late_those_left_at_the_fork_may_lead_when_nobody_followed) {
    const auto ends_in_half_a_record = [](auto&, Observation& o) { o.received = lsn("0/5002000"); };
    const auto half_copied = [](auto&, Observation& o) { o.half_copied = lsn("0/4000000"); };
    const Case cases[] = {
        {"history known", left_at_the_fork(), "s1; s2:lower-preference"},
        {"history not known", left_at_the_fork(false), "s1; s2:lower-preference"},
        {"the most WAL leads", left_at_the_fork().on("s1").received("0/4FFFF00"), "s2; s1:less-advanced"},
        {"one who followed comes first", left_at_the_fork().on("s2").timeline(2), "s2; s1:foreign-timeline"},
        {"one who followed is first for its WAL, too",
         left_at_the_fork().on("s2").timeline(2).rule(PromotionRule::must_not),
         "nobody; s1:foreign-timeline s2:must-not"},
        {"one who followed and is out of reach cannot help", left_at_the_fork().on("s2").timeline(2).down(),
         "s1; s2:unreachable"},
        {"one whose copy is not whole cannot help", left_at_the_fork().on("s2").timeline(2).with(half_copied),
         "s1; s2:half-copied-timeline"},
        {"past the fork", left_at_the_fork().on("s1").received("0/5000001"), "s2; s1:diverged"},
        {"past the fork by half a record", left_at_the_fork().on("s1").with(ends_in_half_a_record),
         "s1; s2:less-advanced"},
        {"history not known, past all that p was known to have",
         left_at_the_fork(false).on("s1").received("0/5000300"), "s2; s1:foreign-timeline"},
        {"history not known, and timelines between", left_at_the_fork(false).on("p").timeline(3),
         "nobody; s1:foreign-timeline s2:foreign-timeline"},
        {"not an ancestor", left_at_the_fork().on("p").timeline(3).history(3, "2\t0/5000000\tr\n"),
         "nobody; s1:foreign-timeline s2:foreign-timeline"},
        {"nobody told it to follow yet",
         left_at_the_fork().primary("old").down().standby("s3", "old").not_streaming(),
         "s1; old:unreachable s2:lower-preference s3:other-upstream"},
        {"nobody told anybody to follow yet",
         make_cluster()
             .primary("p")
             .timeline(2)
             .written("0/5000200")
             .down()
             .primary("old")
             .standby("s3", "old")
             .dies("old"),
         "s3; old:unreachable"},
        {"apart for too long", left_at_the_fork().on("s1").not_streaming(seconds(600)),
         "s2; s1:disconnected-too-long"},
        {"MaximumLagOnFailoverBytes holds",
         left_at_the_fork(),
         "nobody; s1:too-far-behind s2:too-far-behind",
         {.maximum_lag_bytes = 0x100}},
    };
    check(cases);
    const auto choice = choose(left_at_the_fork());
    EXPECT_THAT(choice.why, HasSubstr("nobody who can be asked followed p:5432 to timeline 2"));
    EXPECT_EQ(choice.bytes_behind, 0x200U);
}

TEST(ChooseCandidate, scenario_20_late_where_commits_wait_for_standbys) {
    // old was primary on timeline 1, and p was promoted in its place.
    const auto synchronous = [] {
        return make_cluster()
            .primary("p")
            .timeline(2)
            .written("0/5000200")
            .synchronous("ANY 1 (s1, s2, p)")
            .history(2, "1\t0/5000000\tr\n")
            .standby("s1")
            .standby("s2")
            .primary("old")
            .synchronous("ANY 1 (s1, s2, p)")
            .sender("s1", "quorum")
            .sender("s2", "async")
            .down()
            .dies("p");
    };
    const struct {
        const char* name;
        World world;
        std::optional<InstanceKey> chosen;
    } cases[] = {
        {"nothing was confirmed: one that held all before", synchronous(), key("s1")},
        {"somebody confirmed", synchronous().on("p").sender("s9", "quorum"), {}},
        {"somebody out of sight may have confirmed", synchronous().standby("s3").down(Reach::silent), {}},
        {"the dead are not out of sight", synchronous().standby("s3").down(), key("s1")},
        {"nobody held all before", synchronous().on("s1").down(), {}},
        {"commits waited for p, not for it", synchronous().on("s1").received("0/4FFFF00"), {}},
    };
    for (const auto& c : cases) {
        const auto choice = choose(c.world);
        EXPECT_EQ(choice.chosen, c.chosen) << c.name << ": " << choice.why;
    }
}

TEST(ChooseCandidate, one_whose_copy_of_a_timeline_is_not_whole_is_never_promoted) {
    const auto half = [](auto&, Observation& o) { o.half_copied = lsn("0/4000000"); };
    const auto alone = make_cluster().primary("p").timeline(2).standby("s1").timeline(2).with(half).dies("p");
    const Case cases[] = {
        {"another is there", dead_primary().on("s1").with(half),
         "s2; s1:half-copied-timeline s3:lower-preference"},
        {"it is no donor", dead_primary().on("s1").received("0/6000000").with(half),
         "s2; s1:half-copied-timeline s3:lower-preference"},
        {"alone", alone, "nobody; s1:half-copied-timeline"},
        {"forced", alone, "nobody; s1:half-copied-timeline", {}, "s1", true},
    };
    check(cases);
    EXPECT_THAT(choose(alone).why, HasSubstr("up to 0/4000000 only, short of 0/5000000"));
}

}  // namespace
}  // namespace baton::plan
