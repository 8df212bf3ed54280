// Stories drawn from seeds: the same each time and in every build, without a violation.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "sim/campaign.h"
#include "sim/shrink.h"

namespace baton::sim {
namespace {

TEST(Stories, TheSameSeedTwice) {
    for (uint64_t seed = 100; seed < 115; ++seed) {
        const auto a = run(draw_story(seed), {.keep_trace = true});
        const auto b = run(draw_story(seed), {.keep_trace = true});
        EXPECT_EQ(a.hash, b.hash) << "seed " << seed;
        EXPECT_EQ(a.steps, b.steps) << "seed " << seed;
        EXPECT_EQ(a.trace, b.trace) << "seed " << seed;
    }
}

/// The file was written by some build; this one, whatever it is, must come to the same.
void compare_hashes(const std::string& file, Story (*draw)(uint64_t)) {
    const auto path = std::string(BATON_GOLDEN_DIR) + "/" + file;
    std::string hashes;
    for (uint64_t seed = 1; seed <= 40; ++seed) {
        const auto outcome = run(draw(seed));
        hashes += fmt::format("{} {:016x} {}\n", seed, outcome.hash, outcome.steps);
    }
    if (std::getenv("BATON_UPDATE_GOLDEN") != nullptr) {
        std::ofstream(path) << hashes;
        return;
    }
    std::ostringstream expected;
    expected << std::ifstream(path).rdbuf();
    EXPECT_EQ(hashes, expected.str()) << "golden hashes " << path;
}

TEST(Stories, TheSameHashesInEachBuild) {
    compare_hashes("hashes.txt", draw_story);
}

TEST(Stories, TheSameHashesInEachBuildWithAgents) {
    compare_hashes("hashes_with_agents.txt", draw_story_with_agents);
}

/// Jobs share nothing: the order in which they tell stories changes nothing.
TEST(Stories, ManyJobsComeToTheSame) {
    const auto one = run_many({.first = 500, .runs = 40, .jobs = 1});
    const auto two = run_many({.first = 500, .runs = 40, .jobs = 2});
    EXPECT_EQ(one.hash(), two.hash());
    EXPECT_EQ(two.runs(), 40U);
}

TEST(Stories, StopsAtAStep) {
    const auto whole = run(draw_story(7));
    const auto part = run(draw_story(7), {.most_steps = 200});
    EXPECT_LT(part.steps, whole.steps);
    EXPECT_GE(part.steps, 200U);
}

void expect_none(const Campaign& campaign) {
    for (const auto& [seed, violations] : campaign.violations())
        ADD_FAILURE() << "seed " << seed << ": " << violations.front().checker << ": "
                      << violations.front().text;
}

TEST(Stories, NoViolation) {
    expect_none(run_many({.first = 1000, .runs = 150, .jobs = 2}));
}

TEST(Stories, NoViolationWithAgents) {
    expect_none(run_many({.first = 1000, .runs = 100, .jobs = 2, .agents = true}));
}

TEST(Stories, TextNamesEachFaultAndEverythingUnusual) {
    const auto story = draw_story(3);
    const auto text = story.text();
    EXPECT_THAT(text, testing::HasSubstr("seed 3: p, s1"));
    for (const auto& fault : story.faults)
        EXPECT_THAT(text, testing::HasSubstr(std::string(info(fault.kind).name)));
}

TEST(Stories, EveryKindOfFaultIsDrawnAndHasItsRow) {
    std::set<FaultKind> drawn;
    for (uint64_t seed = 1; seed <= 600; ++seed) {
        for (const auto& fault : draw_story(seed).faults)
            drawn.insert(fault.kind);
    }
    for (const auto& row : faults()) {
        EXPECT_EQ(drawn.contains(row.kind), row.weight > 0) << row.name;
        EXPECT_EQ(info(row.kind).name, row.name);
        EXPECT_EQ(parse_fault(row.name), row.kind);
    }
    EXPECT_EQ(parse_fault("no-such-fault"), std::nullopt);
}

}  // namespace
}  // namespace baton::sim
