#include "engine/postgresql/dialect.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace baton::engine::postgresql {
namespace {

using testing::HasSubstr;

std::vector<std::string> names(int version) {
    std::vector<std::string> out;
    for (const auto& check : privilege_checks(version))
        out.push_back(check.what);
    return out;
}

const PrivilegeCheck& check_of(const std::vector<PrivilegeCheck>& checks, std::string_view what) {
    return *std::ranges::find(checks, what, &PrivilegeCheck::what);
}

TEST(Dialect, looks_cheaply_and_without_settings_that_are_newer_than_13) {
    for (const auto sql : {identity_sql(), look_sql()}) {
        EXPECT_FALSE(sql.contains("pg_settings"));
        EXPECT_FALSE(sql.contains("pg_get_wal_replay_pause_state")) << "14 and later only";
        EXPECT_EQ(std::ranges::count(sql, '('), std::ranges::count(sql, ')'));
    }
    EXPECT_THAT(std::string(look_sql()), HasSubstr("current_setting('allow_alter_system', true)"));
}

TEST(Dialect, asks_each_version_only_for_what_it_has) {
    for (const int version : {130000, 140000}) {
        for (const auto& check : privilege_checks(version)) {
            EXPECT_FALSE(check.test.contains("has_parameter_privilege")) << version << check.what;
        }
        const auto checks = privilege_checks(version);
        EXPECT_THAT(check_of(checks, "rewire").remedy, HasSubstr("target_session_attrs=read-write"));
    }
    EXPECT_THAT(names(140000), testing::Not(testing::Contains("checkpoint")));
    EXPECT_THAT(names(150000), testing::Contains("checkpoint"));
    EXPECT_THAT(names(150000), testing::Not(testing::Contains("reserved_connections")));
    EXPECT_THAT(names(180000), testing::Contains("reserved_connections"));
    EXPECT_THAT(check_of(privilege_checks(150000), "rewire").remedy,
                HasSubstr("GRANT ALTER SYSTEM ON PARAMETER primary_conninfo, primary_slot_name TO %R;"));
}

TEST(Dialect, remedies_name_the_role_as_sql_wants_it) {
    EXPECT_EQ(fill_role("GRANT pg_monitor TO %R;", "baton"), "GRANT pg_monitor TO baton;");
    EXPECT_EQ(fill_role("ALTER ROLE %R; %R", "My \"role"), "ALTER ROLE \"My \"\"role\"; \"My \"\"role\"");
    EXPECT_EQ(fill_role("%R", "1st"), "\"1st\"");
    EXPECT_EQ(fill_role("%R", "%R"), "\"%R\"");
}

}  // namespace
}  // namespace baton::engine::postgresql
