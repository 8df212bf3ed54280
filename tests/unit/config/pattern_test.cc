#include "config/pattern.h"
#include "config/support.h"

namespace baton::config {
namespace {

TEST(Pattern, FindsAnywhereInTheSyntaxOfGo) {
    const struct {
        const char* pattern;
        const char* subject;
        bool found;
    } cases[] = {
        {"db", "my-db-1:5432", true},
        {"^db", "my-db-1:5432", false},
        {"(?i)DB[0-9]+", "db17", true},
        {"DB[0-9]+", "db17", false},
        {"(?is)DB.", "db1", true},
        {R"(\Adb\d+\z)", "db17", true},
        {R"(\Adb\d+\z)", "xdb17", false},
        {R"(\Qa.b\E)", "a.b", true},
        {R"(\Qa.b\E)", "axb", false},
        {R"(\Q[x)", "a[xb", true},
        {"(?P<dc>[a-z]+)-", "eu-1", true},
        {"(?<dc>[a-z]+)-", "eu-1", true},
        {"[[:alpha:]]+$", "12ab", true},
        {R"([\]x]+$)", "a]x", true},
        {"(?:a|b)c", "bc", true},
        {"", "anything", true},
        {"a(?i)b", "aB", true},
        {"a(?i)b", "AB", false},
        {R"(^\pL+$)", "db", true},
        {R"(^\pL+$)", "db1", false},
        {R"(\(?<x)", "<x", true},
        {"[(?<x]$", "?", true},
        {"[(?<x]$", "P", false},
        {"^[](?<x]$", "P", false},
        {"^[[:digit:](?<x]$", "P", false},
        {R"(^[\](?<x]$)", "P", false},
        {R"(^\Q(?<x\E$)", "(?<x", true},
        {"[a](?<n>b)", "ab", true},
        {"(?P<n>a)(?<m>b)", "ab", true},
    };
    for (const auto& c : cases) {
        const auto pattern = Pattern::compile(c.pattern);
        ASSERT_TRUE(pattern) << c.pattern << ": " << pattern.error().message;
        EXPECT_EQ(pattern->found_in(c.subject), c.found) << c.pattern << " in " << c.subject;
        EXPECT_EQ(pattern->text(), c.pattern);
    }
}

TEST(Pattern, SaysWhatIsWrong) {
    const struct {
        std::string pattern;
        const char* reason;
    } cases[] = {
        {"(", "parentheses"},
        {"[a", "square brackets"},
        {"*a", "repetition"},
        {"a\\", "backslash"},
        {"[z-a]", "range"},
        {R"(\pX)", R"(\p)"},
        {"(?P<x", "no end"},
        {"[[:foo:]]", "class"},
        {std::string(2000, 'a'), "longer"},
        {"[[:alpha", "square brackets"},
    };
    for (const auto& c : cases) {
        const auto pattern = Pattern::compile(c.pattern);
        ASSERT_FALSE(pattern) << c.pattern;
        EXPECT_EQ(pattern.error().kind, ErrorKind::invalid_argument);
        EXPECT_THAT(pattern.error().message, testing::HasSubstr(c.reason)) << c.pattern;
    }
}

TEST(Pattern, GivesTheFirstGroup) {
    const auto pattern = Pattern::compile("[.]([^.]+)[.]example");
    ASSERT_TRUE(pattern);
    EXPECT_EQ(pattern->groups(), 1U);
    EXPECT_EQ(pattern->first_group("db1.eu-west.example.com"), "eu-west");
    EXPECT_EQ(pattern->first_group("db1"), std::nullopt);
}

TEST(Pattern, GivesTheFirstGroupThatGoWouldGive) {
    const struct {
        const char* pattern;
        const char* subject;
        const char* group;
    } cases[] = {
        {"([a-z]+)", "ab-cd", "ab"},       {"(.*?)-", "a-b-c", "a"},
        {"(.*)-", "a-b-c", "a-b"},         {"(a|ab)(c|bcd)?", "abcd", "a"},
        {"(?:x|(y))z", "xz", ""},          {"(?P<dc>eu|us)-", "db.us-1", "us"},
        {"(a{2,3})", "aaaa", "aaa"},       {"(a{2,3}?)", "aaaa", "aa"},
        {"(\\w+)$", "a b", "b"},           {"\\b(b\\w*)", "ab bc", "bc"},
        {"([]x]+)", "a]x", "]x"},          {"(\\x41\\x{42})", "xAB", "AB"},
        {"(?m)^(b.)$", "a\nbc\nd", "bc"},  {"(a.c)", "a\ncabc", "abc"},
        {"(?s)(a.c)", "a\nc", "a\nc"},     {"(\\Qa+\\E+)", "a++", "a++"},
        {"([^[:digit:]]+)", "12ab", "ab"}, {"(a{x)", "a{x", "a{x"},
    };
    for (const auto& c : cases) {
        const auto pattern = Pattern::compile(c.pattern);
        ASSERT_TRUE(pattern) << c.pattern << ": " << pattern.error().message;
        EXPECT_EQ(pattern->first_group(c.subject), c.group) << c.pattern << " in " << c.subject;
    }
}

TEST(Pattern, RefusesWhatTakesExponentialTimeElsewhere) {
    for (const auto* text : {R"((a)\1)", "(?=a)", "(?!a)", "(?<=a)b", "(?<!a)b"})
        EXPECT_FALSE(Pattern::compile(text)) << text;
    for (const auto* text : {"((((a{9}){9}){9}){9}){9}", "(a?){50000}", "(((a{1000}){1000}){1000}){1000}"})
        EXPECT_FALSE(Pattern::compile(text)) << text;
    EXPECT_FALSE(Pattern::compile(std::string(500, '(') + "a" + std::string(500, ')')));
    // Each of these would take a search that goes back longer than the age of the universe.
    for (const auto* text : {"(a+)+$", "^(a|a)*$", "(a*)*b", "(a|aa)+$", "((a?){30}){30}b"}) {
        const auto pattern = Pattern::compile(text);
        ASSERT_TRUE(pattern) << text << ": " << pattern.error().message;
        EXPECT_FALSE(pattern->found_in(std::string(1000, 'a') + "!")) << text;
        EXPECT_EQ(pattern->first_group(std::string(1000, 'a') + "!"), std::nullopt) << text;
    }
}

TEST(Pattern, SurvivesLongSubjects) {
    const auto pattern = Pattern::compile("(a|b)*c");
    ASSERT_TRUE(pattern);
    EXPECT_FALSE(pattern->found_in(std::string(1'000'000, 'a')));
    EXPECT_FALSE(pattern->found_in(std::string(1000, 'a')));
}

}  // namespace
}  // namespace baton::config
