#include <gtest/gtest.h>

#include "topology/wal.h"

namespace baton::topology {
namespace {

TEST(Lsn, reads_and_writes_as_the_server_does) {
    for (const auto* text : {"0/0", "0/1", "16/B374D848", "FFFFFFFF/FFFFFFFF", "1/0"}) {
        const auto lsn = parse_lsn(text);
        ASSERT_TRUE(lsn) << text;
        EXPECT_EQ(lsn->text(), text);
    }
    EXPECT_EQ(parse_lsn("0/05000000"), (Lsn{0x5000000}));
    EXPECT_EQ(parse_lsn("a/b"), parse_lsn("A/B"));
}

TEST(Lsn, refuses_what_is_not_a_position) {
    for (const auto* text :
         {"", "/", "0", "0/", "/0", "0/0/0", "G/0", "0/123456789", "-1/0", " 0/0", "0x1/0"}) {
        EXPECT_FALSE(parse_lsn(text)) << text;
    }
}

TEST(Lsn, counts_bytes_ahead_and_never_below_zero) {
    EXPECT_EQ(bytes_ahead(*parse_lsn("1/0"), *parse_lsn("0/FFFFFFFF")), 1U);
    EXPECT_EQ(bytes_ahead(*parse_lsn("0/1"), *parse_lsn("1/0")), 0U);
    EXPECT_EQ(bytes_ahead(Lsn{7}, Lsn{7}), 0U);
    EXPECT_FALSE(Lsn{});
}

TEST(TimelineHistory, reads_a_history_file) {
    const auto history = parse_timeline_history(
        4, "1\t0/3000060\tno recovery target specified\n\n# a comment\n2\t0/5000028\tx y z\n3 0/7000000\n");
    ASSERT_TRUE(history);
    EXPECT_EQ(history->timeline, 4U);
    ASSERT_EQ(history->ancestors.size(), 3U);
    EXPECT_EQ(history->left_at(2), parse_lsn("0/5000028"));
    EXPECT_EQ(history->left_at(4), std::nullopt);
    EXPECT_EQ(history->left_at(9), std::nullopt);
    EXPECT_TRUE(parse_timeline_history(1, "")->ancestors.empty());
}

TEST(TimelineHistory, refuses_what_is_not_one) {
    for (const auto* text : {"1", "x\t0/1\tr", "1\tnowhere\tr", "0\t0/1\tr", "4\t0/1\tr", "5\t0/1\tr",
                             "2\t0/2\tr\n1\t0/1\tr", "2\t0/1\tr\n2\t0/2\tr"}) {
        EXPECT_FALSE(parse_timeline_history(4, text)) << text;
    }
}

struct AncestryCase {
    std::string_view name;
    Timeline timeline;
    std::string_view position;
    Timeline primary;
    bool history_known;
    Ancestry expected;
};

class Stands : public ::testing::TestWithParam<AncestryCase> {};

TEST_P(Stands, to_the_primary) {
    const auto history = parse_timeline_history(3, "1\t0/3000000\tr\n2\t0/5000000\tr\n");
    const auto& c = GetParam();
    EXPECT_EQ(ancestry(c.timeline, *parse_lsn(c.position), c.primary, c.history_known ? &*history : nullptr),
              c.expected)
        << c.name;
}

INSTANTIATE_TEST_SUITE_P(
    Ancestry, Stands,
    ::testing::Values(AncestryCase{"same timeline, anywhere", 3, "0/9000000", 3, true, Ancestry::same},
                      AncestryCase{"before the fork", 2, "0/4FFFFFF", 3, true, Ancestry::behind},
                      AncestryCase{"exactly at the fork", 2, "0/5000000", 3, true, Ancestry::behind},
                      AncestryCase{"one byte past the fork", 2, "0/5000001", 3, true, Ancestry::diverged},
                      AncestryCase{"grandparent, past its own fork", 1, "0/4000000", 3, true,
                                   Ancestry::diverged},
                      AncestryCase{"a later timeline", 4, "0/1", 3, true, Ancestry::foreign},
                      AncestryCase{"history of another timeline", 3, "0/1", 4, true, Ancestry::unknown},
                      AncestryCase{"no history", 2, "0/1", 3, false, Ancestry::unknown},
                      AncestryCase{"standby's timeline unknown", 0, "0/1", 3, true, Ancestry::unknown},
                      AncestryCase{"primary's timeline unknown", 3, "0/1", 0, true, Ancestry::unknown}));

TEST(Ancestry, a_timeline_that_history_skipped_is_foreign) {
    const auto history = parse_timeline_history(3, "1\t0/3000000\tr\n");
    EXPECT_EQ(ancestry(2, *parse_lsn("0/1"), 3, &*history), Ancestry::foreign);
}

}  // namespace
}  // namespace baton::topology
