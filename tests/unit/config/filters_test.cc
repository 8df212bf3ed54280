#include "config/filters.h"

#include "config/support.h"

namespace baton::config {
namespace {

TEST(HostFilter, TakesAddressesLiterallyAndTheRestAsPatterns) {
    const struct {
        Texts entries;
        const char* host;
        int64_t port;
        bool matches;
    } cases[] = {
        {{"10.0.0.1"}, "10.0.0.1", 5432, true},
        {{"10.0.0.1"}, "10.0.0.11", 5432, false},
        {{"10.0.0.1"}, "110.0.0.1", 5432, false},
        {{"10.0.0.1:"}, "10.0.0.1", 5432, true},
        {{"10[.]0[.]0[.]1[0-9]:"}, "10.0.0.11", 5432, true},
        {{"fd00::1"}, "fd00::1", 5432, true},
        {{"fd00::1"}, "[fd00::1]", 5432, true},
        {{"fd00::1"}, "fd00::11", 5432, false},
        {{"^backup-"}, "backup-7", 5432, true},
        {{"^backup-"}, "db-backup-7", 5432, false},
        {{":6432$"}, "db1", 6432, true},
        {{":6432$"}, "db1", 5432, false},
        {{"", "db2"}, "db1", 5432, false},
        {{"x", "y", "db1"}, "db1", 5432, true},
        {{}, "db1", 5432, false},
    };
    for (const auto& c : cases) {
        const auto filter = HostFilter::compile(c.entries);
        ASSERT_TRUE(filter) << filter.error().message;
        EXPECT_EQ(filter->matches(c.host, c.port), c.matches)
            << testing::PrintToString(c.entries) << " " << c.host;
    }
}

TEST(HostFilter, NamesTheEntryThatMatched) {
    const auto filter = HostFilter::compile(Texts{"^a", "^b"});
    ASSERT_TRUE(filter);
    EXPECT_EQ(filter->matching_entry("b1", 1), "^b");
    EXPECT_FALSE(filter->empty());
    EXPECT_TRUE(HostFilter().empty());
}

TEST(HostFilter, RefusesABadEntryByName) {
    const auto filter = HostFilter::compile(Texts{"fine", "a("});
    ASSERT_FALSE(filter);
    EXPECT_THAT(filter.error().message, testing::HasSubstr("\"a(\" is not a regular expression"));
}

TEST(ClusterFilter, FollowsEachFormOfEntry) {
    const Texts names{"db2:5432", "db1:5432", "7301234567890123456"};
    const struct {
        const char* entry;
        const char* alias;
        bool matches;
    } cases[] = {
        {"*", "", true},
        {"*", "orders", true},
        {"db2:5432", "orders", true},             // current name
        {"db1:5432", "orders", true},             // former name
        {"7301234567890123456", "orders", true},  // id
        {"db3:5432", "orders", false},
        {"orders", "orders", true},
        {"order", "orders", false},  // a regular expression looks at the name, not at the alias
        {"alias=orders", "orders", true},
        {"alias=order", "orders", false},
        {"alias=", "", false},
        {"alias~=^ord", "orders", true},
        {"alias~=^rd", "orders", false},
        {"alias~=.*", "", false},
        {"^db[12]:", "orders", true},
        {"^db[34]:", "orders", false},
        {"(?i)^DB2", "", true},
        {"", "", false},
    };
    for (const auto& c : cases) {
        const auto filter = ClusterFilter::compile(Texts{c.entry});
        ASSERT_TRUE(filter) << c.entry;
        EXPECT_EQ(filter->matches(names, c.alias), c.matches) << c.entry << " with alias " << c.alias;
    }
}

TEST(ClusterFilter, RefusesBadPatternsAndMatchesNothingWhenEmpty) {
    EXPECT_FALSE(ClusterFilter::compile(Texts{"alias~=["}));
    EXPECT_FALSE(ClusterFilter::compile(Texts{"*", "**"}));
    EXPECT_TRUE(ClusterFilter::compile(Texts{"alias=["}));
    EXPECT_TRUE(ClusterFilter().empty());
    EXPECT_FALSE(ClusterFilter().matches(Texts{"db1:5432"}, "a"));
}

TEST(ClusterFilter, NamesTheEntryThatMatched) {
    const auto filter = ClusterFilter::compile(Texts{"alias=x", "^db"});
    ASSERT_TRUE(filter);
    EXPECT_EQ(filter->matching_entry(Texts{"db1:5432"}, ""), "^db");
}

TEST(AliasMap, GivesTheAliasOfTheFirstPattern) {
    const auto map = AliasMap::compile({{"^db1:", "orders"}, {"^db[12]:", "both"}});
    ASSERT_TRUE(map);
    EXPECT_EQ(map->alias_of("db1:5432"), "orders");
    EXPECT_EQ(map->alias_of("db2:5432"), "both");
    EXPECT_EQ(map->alias_of("db3:5432"), "");
    EXPECT_FALSE(AliasMap::compile({{"(", "x"}}));
}

}  // namespace
}  // namespace baton::config
