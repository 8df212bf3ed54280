// A search over orders of messages, restarts and clocks: never is anybody promoted while the old primary
// takes writes. Each rule of the law is left out once, and the search must notice.
#include <gtest/gtest.h>

#include "lease_model.h"

namespace baton::agent::model {
namespace {

constexpr Ms story = 30000;
constexpr uint64_t stories = 2000;

TEST(LeaseSearch, NeverTwoPrimaries) {
    int promoted = 0;
    int ended = 0;
    int vouched = 0;
    for (uint64_t seed = 1; seed <= stories; ++seed) {
        const auto result = World(seed, Without::nothing).run(story);
        ASSERT_EQ(result.two_primaries, "") << "seed " << seed;
        promoted += result.promoted;
        ended += result.lease_ended;
        vouched += result.vouched_through;
    }
    // The search is worth something only if all this happens often.
    EXPECT_GT(promoted, static_cast<int>(stories / 4));
    EXPECT_GT(ended, static_cast<int>(stories / 4));
    EXPECT_GT(vouched, static_cast<int>(stories / 5));
}

class EveryRule : public testing::TestWithParam<std::pair<Without, const char*>> {};

TEST_P(EveryRule, IsNeeded) {
    for (uint64_t seed = 1; seed <= 20 * stories; ++seed) {
        if (!World(seed, GetParam().first).run(story).two_primaries.empty()) return;
    }
    FAIL() << "nobody notices that it is missing";
}

INSTANTIATE_TEST_SUITE_P(
    LeaseSearch, EveryRule,
    testing::Values(std::pair(Without::margin, "Margin"), std::pair(Without::stand_clear, "StandClear"),
                    std::pair(Without::final_word, "FinalWord"),
                    std::pair(Without::durable_clear, "DurableClear"),
                    std::pair(Without::restart_promise, "RestartPromise"),
                    std::pair(Without::grant_log, "GrantLog"), std::pair(Without::withholding, "Withholding"),
                    std::pair(Without::guard, "Guard"), std::pair(Without::epochs, "Epochs")),
    [](const auto& about) { return about.param.second; });

}  // namespace
}  // namespace baton::agent::model
