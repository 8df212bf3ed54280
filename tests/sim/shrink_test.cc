// A shortened story fails in the same way as the long one, and no fault is left in it that it can do without.
#include "sim/shrink.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/defect.h"

namespace baton::sim {
namespace {

/// More than any story here needs: shrinking ends because nothing can be left out any more.
constexpr int ample = 5000;
constexpr uint64_t most_seeds = 300;
constexpr size_t many_faults = 3;

/// How a story fails: by the first checker that complains. "" = it does not.
std::string failure_of(const Story& story) {
    const auto outcome = run(story);
    return outcome.failed() ? outcome.violations.front().checker : std::string{};
}

struct Failing {
    Story story;
    std::string checker;
};

/// The first seed whose story has many faults and fails.
std::optional<Failing> first_failing() {
    for (uint64_t seed = 1; seed <= most_seeds; ++seed) {
        auto story = draw_story(seed);
        if (story.faults.size() < many_faults) continue;
        if (const auto checker = failure_of(story); !checker.empty()) return Failing{story, checker};
    }
    return std::nullopt;
}

/// What is wrong is a deliberate defect, which ends with the test.
class Shrink : public testing::TestWithParam<std::string> {
  protected:
    void SetUp() override {
        if (!has_defects) GTEST_SKIP() << "this build has no deliberate defects (-DBATON_DEFECTS=ON)";
        ASSERT_TRUE(activate_defect(GetParam()));
        auto found = first_failing();
        ASSERT_TRUE(found) << GetParam() << " is not noticed in " << most_seeds << " stories";
        long_ = std::move(found->story);
        checker_ = std::move(found->checker);
    }
    ~Shrink() override {
        if (has_defects) (void)activate_defect({});
    }
    bool fails_alike(const Story& story) const { return run(story).count(checker_) > 0; }

    Story long_;
    std::string checker_;
};

TEST_P(Shrink, TheSameCheckerComplains) {
    const auto shorter = shrink(long_, ample);
    EXPECT_TRUE(fails_alike(shorter)) << checker_ << "\n" << long_.text() << shorter.text();
}

TEST_P(Shrink, NoFaultIsLeftThatIsNotNeeded) {
    const auto shorter = shrink(long_, ample);
    EXPECT_LE(shorter.faults.size(), long_.faults.size());
    for (size_t i = 0; i < shorter.faults.size(); ++i) {
        auto without = shorter;
        without.faults.erase(without.faults.begin() + static_cast<std::ptrdiff_t>(i));
        EXPECT_FALSE(fails_alike(without))
            << checker_ << " complains without fault " << shorter.faults[i].number << ", too\n"
            << shorter.text();
    }
}

/// Nothing is made up: what is left is of the long story, and no longer than there.
TEST_P(Shrink, WhatIsLeftWasThere) {
    const auto shorter = shrink(long_, ample);
    EXPECT_EQ(shorter.seed, long_.seed);
    EXPECT_LE(shorter.layout.standbys.size(), long_.layout.standbys.size());
    for (const auto& fault : shorter.faults) {
        const auto was = std::ranges::find(long_.faults, fault.number, &Fault::number);
        ASSERT_NE(was, long_.faults.end()) << fault.text();
        EXPECT_LE(fault.lasts, was->lasts) << fault.text();
        auto as_long = fault;
        as_long.lasts = was->lasts;
        EXPECT_EQ(as_long.text(), was->text());
    }
}

TEST_P(Shrink, StopsAfterSoManyTries) {
    EXPECT_EQ(shrink(long_, 0).text(), long_.text());
    const auto once = shrink(long_, 1);
    EXPECT_GE(once.faults.size() + 1, long_.faults.size());
    EXPECT_TRUE(fails_alike(once)) << once.text();
}

/// Of the first defect one death is enough; of the second somebody must come back late, too.
INSTANTIATE_TEST_SUITE_P(Defects, Shrink, testing::Values("skip-slots", "leave-stranded"),
                         [](const auto& defect) {
                             auto name = defect.param;
                             std::ranges::replace(name, '-', '_');
                             return name;
                         });

TEST(ShrinkNothing, AStoryThatDoesNotFailStaysAsItIs) {
    for (uint64_t seed = 1; seed <= 10; ++seed) {
        const auto story = draw_story(seed);
        ASSERT_EQ(failure_of(story), "") << "seed " << seed;
        EXPECT_EQ(shrink(story).text(), story.text());
    }
}

}  // namespace
}  // namespace baton::sim
