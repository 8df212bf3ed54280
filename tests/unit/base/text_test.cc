#include "base/text.h"

#include <gtest/gtest.h>

#include <array>
#include <limits>

#include "base/error.h"
#include "base/time.h"

namespace baton {
namespace {

TEST(Text, PrintableShowsWhatCannotBeSeen) {
    EXPECT_EQ(printable("plain, Grüße"), "plain, Grüße");
    EXPECT_EQ(printable("a\x1b[2J\n\x7f"), R"(a\x1b[2J\x0a\x7f)");
    EXPECT_EQ(printable("\xff\xc3"), R"(\xff\xc3)");
    EXPECT_EQ(printable("\xc2\x9b"
                        "2J"),
              R"(\xc2\x9b2J)")
        << "the C1 set controls terminals too";
    EXPECT_EQ(printable("äää", 5), "ää…") << "no character is cut in two";
    EXPECT_EQ(printable("äää", 6), "äää");
}

TEST(Text, Utf8HasNoOverlongFormsAndNoSurrogates) {
    for (const auto* good : {"", "a", "ä", "€", "\U0001F600", "\uFFFF"})
        EXPECT_TRUE(is_utf8(good)) << good;
    for (const auto* bad : {"\xC0\xAF", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\x80", "\xE2\x82", "\xFF"})
        EXPECT_FALSE(is_utf8(bad));
}

TEST(Text, Trim) {
    EXPECT_EQ(trim("  a b\t\r\n"), "a b");
    EXPECT_EQ(trim(" \v\f "), "");
    EXPECT_EQ(trim(""), "");
    EXPECT_EQ(trim("x"), "x");
}

TEST(Text, LowerTouchesAsciiOnly) {
    EXPECT_EQ(lower("PG-Ä1"), "pg-Ä1");
    EXPECT_TRUE(iequals("HOST", "host"));
    EXPECT_FALSE(iequals("host", "hosts"));
}

TEST(Text, SplitKeepsEmptyParts) {
    using Parts = std::vector<std::string>;
    EXPECT_EQ(split("a,,b", ','), (Parts{"a", "", "b"}));
    EXPECT_EQ(split("", ','), Parts{""});
    EXPECT_EQ(split(",", ','), (Parts{"", ""}));
    EXPECT_EQ(join(Parts{"a", "", "b"}, ", "), "a, , b");
    EXPECT_EQ(join(Parts{}, ","), "");
}

TEST(Text, NumbersAreTheWholeText) {
    EXPECT_EQ(parse_int("-42"), -42);
    EXPECT_EQ(parse_int("9223372036854775807"), std::numeric_limits<int64_t>::max());
    EXPECT_EQ(parse_uint("18446744073709551615"), std::numeric_limits<uint64_t>::max());
    for (const auto* bad : {"", "-", "+1", "1 ", " 1", "1x", "0x10", "1.5", "9223372036854775808"})
        EXPECT_FALSE(parse_int(bad)) << bad;
    for (const auto* bad : {"", "-1", "18446744073709551616"})
        EXPECT_FALSE(parse_uint(bad)) << bad;
}

TEST(Text, NearestNameFindsSlipsOnly) {
    constexpr std::array<std::string_view, 3> known{"RecoveryPeriodBlockSeconds", "ListenAddress", "Debug"};
    EXPECT_EQ(nearest_name("RecoveryPeriodBlockSecond", known), "RecoveryPeriodBlockSeconds");
    EXPECT_EQ(nearest_name("listenadress", known), "ListenAddress");
    EXPECT_EQ(nearest_name("Dbeug", known), "Debug");
    EXPECT_FALSE(nearest_name("SomethingElse", known));
    EXPECT_FALSE(nearest_name("", known));
}

TEST(Text, RandomHexIsLongEnoughAndDiffers) {
    const auto a = random_hex(16);
    EXPECT_EQ(a.size(), 32U);
    EXPECT_EQ(a.find_first_not_of("0123456789abcdef"), std::string::npos);
    EXPECT_NE(a, random_hex(16));
    EXPECT_EQ(random_hex(0), "");
}

TEST(Errors, TextNamesWhoAndState) {
    EXPECT_EQ((Error{ErrorKind::sql, "no", "db1:5432", "42501"}).text(), "db1:5432: no (SQLSTATE 42501)");
    EXPECT_EQ((Error{ErrorKind::io, "disk full", {}, {}}).text(), "disk full");
}

TEST(Times, TextOfWallTimes) {
    const WallTime t{std::chrono::microseconds(1'767'225'600'123'456)};
    EXPECT_EQ(iso_time(t), "2026-01-01T00:00:00Z");
    EXPECT_EQ(plain_time(t), "2026-01-01 00:00:00");
    EXPECT_EQ(clock_time(t), "00:00:00.123");
    EXPECT_EQ(iso_time(WallTime{}), "");
    EXPECT_EQ(plain_time(WallTime{}), "");
}

}  // namespace
}  // namespace baton
