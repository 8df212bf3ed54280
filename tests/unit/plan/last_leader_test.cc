#include "plan/last_leader.h"

#include <gmock/gmock.h>

namespace baton::plan {
namespace {

using testing::HasSubstr;
using topology::InstanceKey;

InstanceKey at(const std::string& host) {
    return {host, 5432};
}

MemberWord held(const std::string& name, std::vector<std::string> promotable = {"s1", "s2"}) {
    MemberWord m{.key = at(name), .agent = true, .kept_down = true, .no_standby = true, .timeline = 1};
    m.promotable.emplace();
    for (const auto& p : promotable)
        m.promotable->push_back(at(p));
    return m;
}

MemberWord standby(const std::string& name) {
    return {.key = at(name), .agent = true, .standby = true, .timeline = 1};
}

TEST(LastLeader, who_is_kept_down_and_whom_all_others_follow_led_last) {
    const auto last = last_leader({held("p"), standby("s1"), standby("s2")}, {at("p")});
    ASSERT_TRUE(last);
    EXPECT_EQ(last->key, at("p"));
    EXPECT_EQ(last->missing, "");
}

TEST(LastLeader, where_nobody_could_take_over_nobody_is_asked) {
    const auto last = last_leader({held("p", {})}, {});
    ASSERT_TRUE(last);
    EXPECT_EQ(last->missing, "");
}

TEST(LastLeader, a_standby_that_could_not_take_over_needs_no_agent) {
    auto seen = standby("s3");
    seen.agent = false;
    const auto last = last_leader({held("p"), standby("s1"), standby("s2"), seen}, {});
    ASSERT_TRUE(last);
    EXPECT_EQ(last->missing, "");
}

TEST(LastLeader, an_older_primary_is_left_to_be_brought_back) {
    auto newer = held("s1", {"s2"});
    newer.timeline = 2;
    for (const auto& members :
         {std::vector{held("p"), newer, standby("s2")}, std::vector{standby("s2"), newer, held("p")}}) {
        const auto last = last_leader(members, {});
        ASSERT_TRUE(last);
        EXPECT_EQ(last->key, at("s1"));
        EXPECT_EQ(last->missing, "");
    }
}

TEST(LastLeader, where_somebody_leads_or_nobody_is_held_there_is_nothing_to_do) {
    auto leader = standby("s1");
    leader.standby = false;
    leader.leads = true;
    EXPECT_FALSE(last_leader({held("p"), leader, standby("s2")}, {}));
    EXPECT_FALSE(last_leader({standby("s1"), standby("s2")}, {}));
    auto silent = held("p");
    silent.agent = false;
    EXPECT_FALSE(last_leader({silent, standby("s1"), standby("s2")}, {}));
    auto down_standby = held("p");
    down_standby.no_standby = false;
    down_standby.standby = true;
    EXPECT_FALSE(last_leader({down_standby, standby("s1"), standby("s2")}, {}));
}

struct MissingCase {
    std::string name;
    std::function<void(std::vector<MemberWord>&, std::vector<InstanceKey>&)> spoil;
    std::string says;
};

class Missing : public testing::TestWithParam<MissingCase> {};

TEST_P(Missing, is_said) {
    std::vector members{held("p"), standby("s1"), standby("s2"), standby("s3")};
    std::vector<InstanceKey> followed{at("p")};
    GetParam().spoil(members, followed);
    const auto last = last_leader(members, followed);
    ASSERT_TRUE(last);
    EXPECT_EQ(last->key, at("p"));
    EXPECT_THAT(last->missing, HasSubstr(GetParam().says));
}

INSTANTIATE_TEST_SUITE_P(
    LastLeader, Missing,
    testing::Values(
        MissingCase{"no_lease", [](auto& m, auto&) { m[0].promotable.reset(); }, "knows of no lease"},
        MissingCase{"in_quarantine", [](auto& m, auto&) { m[0].obstacle = "it is in quarantine"; },
                    "it is in quarantine"},
        MissingCase{"a_member_is_not_known", [](auto& m, auto&) { m.erase(m.begin() + 1); },
                    "s1:5432 may have been promoted in its place, and its agent is not connected"},
        MissingCase{"the_agent_of_a_member_is_away", [](auto& m, auto&) { m[1].agent = false; },
                    "s1:5432 may have been promoted in its place, and its agent is not connected"},
        MissingCase{"a_member_is_no_standby", [](auto& m, auto&) { m[2].standby = false; },
                    "s2:5432 may have been promoted in its place, and is no standby"},
        MissingCase{"another_one_is_unclear", [](auto& m, auto&) { m[3].standby = false; },
                    "nobody can tell what s3:5432 is"},
        MissingCase{"a_newer_timeline", [](auto& m, auto&) { m[3].timeline = 2; },
                    "s3:5432 knows of timeline 2"},
        MissingCase{"two_primaries_of_one_timeline", [](auto& m, auto&) { m[3] = held("s3"); },
                    "s3:5432 was a primary, too"},
        MissingCase{"an_upstream_that_nobody_knows", [](auto&, auto& f) { f.push_back(at("x")); },
                    "follows x:5432"}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace baton::plan
