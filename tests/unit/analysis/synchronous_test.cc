#include "analysis/synchronous.h"

#include <gtest/gtest.h>

#include "topology/world.h"

namespace baton::analysis {
namespace {

using sample::key;
using sample::make_cluster;

TEST(SynchronousStandbyNames, reads_the_whole_grammar) {
    struct {
        std::string_view text;
        bool any;
        int needed;
        std::vector<std::string> names;
    } const cases[] = {
        {"s1", false, 1, {"s1"}},
        {" s1 , s2\t", false, 1, {"s1", "s2"}},
        {"*", false, 1, {"*"}},
        {"FIRST 2 (s1, s2, s3)", false, 2, {"s1", "s2", "s3"}},
        {"first 1(s1)", false, 1, {"s1"}},
        {"ANY 2 (s1,s2)", true, 2, {"s1", "s2"}},
        {"2 (s1, s2)", false, 2, {"s1", "s2"}},
        {"any 1 (*)", true, 1, {"*"}},
        {R"("my standby", "say ""hi""")", false, 1, {"my standby", "say \"hi\""}},
        {R"("any", "first")", false, 1, {"any", "first"}},
        {R"("")", false, 1, {""}},
        {"1, 2", false, 1, {"1", "2"}},
        {"2", false, 1, {"2"}},
        {"s$1, _x, \xC3\xA9t\xC3\xA9", false, 1, {"s$1", "_x", "\xC3\xA9t\xC3\xA9"}},
    };
    for (const auto& c : cases) {
        const auto rule = parse_synchronous_standby_names(c.text);
        ASSERT_TRUE(rule) << c.text;
        EXPECT_EQ(rule->any, c.any) << c.text;
        EXPECT_EQ(rule->needed, c.needed) << c.text;
        EXPECT_EQ(rule->names, c.names) << c.text;
    }
}

TEST(SynchronousStandbyNames, refuses_what_the_server_refuses) {
    for (const auto* text : {"", "  ", ",", "s1,", "s1 s2", "FIRST (s1)", "FIRST 1 s1", "ANY", "ANY 1 ()",
                             "ANY 1 (s1", "1 (s1))", "0 (s1)", "ANY 0 (s1)", "first", "\"s1", "s-1",
                             "99999999999999999999 (s1)", "1 (s1), s2"}) {
        EXPECT_FALSE(parse_synchronous_standby_names(text)) << text;
    }
}

TEST(SynchronousStandbyNames, are_satisfied_by_enough_matching_standbys) {
    struct {
        std::string_view value;
        std::vector<std::string> standbys;
        bool expected;
    } const cases[] = {
        {"", {}, true},
        {"s1", {}, false},
        {"s1", {"s1"}, true},
        {"S1", {"s1"}, true},
        {"\"S1\"", {"s1"}, true},
        {"s1", {"s2"}, false},
        {"*", {"anybody"}, true},
        {"*", {}, false},
        {"FIRST 2 (s1, s2, s3)", {"s3"}, false},
        {"FIRST 2 (s1, s2, s3)", {"s3", "s1"}, true},
        {"ANY 2 (*)", {"a", "b"}, true},
        {"ANY 2 (*)", {"a"}, false},
        {"2 (walreceiver)", {"walreceiver", "walreceiver"}, true},
        {"2 (s1, s1)", {"s1"}, false},
        {"not ( valid", {}, true},
    };
    for (const auto& c : cases)
        EXPECT_EQ(synchronous_satisfiable(c.value, c.standbys), c.expected) << c.value;
}

TEST(StandbyName, is_what_the_server_would_attach_with) {
    auto world = make_cluster().primary("p").standby("s1").name("pg-two").standby("s2").standby("s3").with(
        [](auto&, auto& o) { o.settings.cluster_name.clear(); });
    const auto cluster = world.build();
    EXPECT_EQ(standby_name(*cluster.find(key("s1"))), "pg-two");
    EXPECT_EQ(standby_name(*cluster.find(key("s2"))), "s2");
    EXPECT_EQ(standby_name(*cluster.find(key("s3"))), "walreceiver");
}

TEST(ListedAsSynchronous, finds_the_row_by_slot_then_name_then_address) {
    const auto row = [](const char* slot, const char* name, const char* address, const char* state) {
        return topology::Sender{.application_name = name,
                                .client_addr = address,
                                .state = "streaming",
                                .slot = slot,
                                .sync_state = state};
    };
    struct {
        const char* name;
        std::vector<topology::Sender> rows;
        bool expected;
    } const cases[] = {
        {"no row", {}, false},
        {"by name", {row("", "s1", "", "sync")}, true},
        {"quorum", {row("", "s1", "", "quorum")}, true},
        {"potential is not enough", {row("", "s1", "", "potential")}, false},
        {"another's row", {row("", "s2", "", "sync")}, false},
        {"slot outranks name", {row("", "s1", "", "async"), row("slot1", "renamed", "", "sync")}, true},
        {"two of the name, told apart by address",
         {row("", "s1", "10.0.0.9", "async"), row("", "s1", "10.0.0.1", "sync")},
         true},
        {"two of the name, not to be told apart",
         {row("", "s1", "", "async"), row("", "s1", "", "sync")},
         false},
        {"two of the name, both synchronous",
         {row("", "s1", "", "quorum"), row("", "s1", "", "quorum")},
         true},
    };
    for (const auto& c : cases) {
        const auto cluster = make_cluster()
                                 .primary("p")
                                 .with([&](auto&, auto& o) { o.senders = c.rows; })
                                 .standby("s1")
                                 .slot("slot1")
                                 .with([](auto& i, auto&) { i.aliases = {{"10.0.0.1", 5432}}; })
                                 .build();
        EXPECT_EQ(listed_as_synchronous(*cluster.find(key("p")), *cluster.find(key("s1"))), c.expected)
            << c.name;
    }
}

}  // namespace
}  // namespace baton::analysis
