// Standbys whose timeline has the right number and the wrong beginning.
#include <gtest/gtest.h>

#include "plan/choice.h"

namespace baton::plan {
namespace {

/// Two servers were promoted apart: their branches have one number, and begin at different points.
TEST(ChooseCandidate, scenario_75_another_branch_of_the_same_number_is_neither_candidate_nor_donor) {
    const auto forked_at = [](const char* lsn) {
        return [text = std::string("1\t") + lsn + "\tr\n"](auto& i, auto&) {
            i.history = std::make_shared<topology::TimelineHistory>(
                topology::parse_timeline_history(2, text).value());
        };
    };
    const auto two = [] {
        return make_cluster()
            .primary("p")
            .timeline(2)
            .history(2, "1\t0/4000000\tr\n")
            .standby("s1")
            .timeline(2)
            .received("0/6000000")
            .standby("s2")
            .timeline(2)
            .dies("p")
            .on("s1");
    };
    const auto other = [&] { return two().with(forked_at("0/4800000")); };
    const Case cases[] = {
        {"its history is not known", two(), "s1; s2:less-advanced"},
        {"the cluster's own branch", two().with(forked_at("0/4000000")), "s1; s2:less-advanced"},
        {"another branch", other(), "s2; s1:foreign-timeline"},
        {"no donor", other().on("s2").rule(PromotionRule::prefer), "s2; s1:foreign-timeline"},
        {"no donor for one that is asked for", other(), "s2; s1:foreign-timeline", {}, "s2"},
        {"no donor by force", other(), "s2; s1:not-requested", {}, "s2", true},
        {"alone", other().on("s2").down(), "nobody; s1:foreign-timeline s2:unreachable"},
    };
    check(cases);
    EXPECT_EQ(choose(other()).rejected.at(0).detail, "it is on another branch of timeline 2");
}

}  // namespace
}  // namespace baton::plan
