#include "host/options.h"

#include <gmock/gmock.h>

namespace baton::host {
namespace {

using testing::HasSubstr;

const std::string least = R"("UseTLS": false, "Managers": ["m1:3001"], "Token": "t")";
const std::string instance =
    R"("Host": "DB1", "DataDirectory": "/var/lib/postgresql/15/main/", "BinDirectory": "/usr/lib/postgresql/15/bin")";

std::string file_of(const std::string& more, const std::string& more_of_instance = "") {
    return "{" + least + more + R"(, "Instances": [{)" + instance + more_of_instance + "}]}";
}

TEST(AgentOptions, HaveDefaults) {
    const auto loaded = parse_options(file_of(""), "agent.conf.json");
    ASSERT_TRUE(loaded) << loaded.error().text();
    const auto& i = loaded->options.instances.at(0);
    EXPECT_EQ(i.key, (InstanceKey{"db1", 5432}));
    EXPECT_EQ(i.data_directory, "/var/lib/postgresql/15/main");
    EXPECT_EQ(i.control, Control::pg_ctl);
    EXPECT_EQ(i.hung_after, seconds(3));
    EXPECT_EQ(loaded->options.state_directory, "/var/lib/baton-agent");
    EXPECT_TRUE(loaded->warnings.empty());
}

TEST(AgentOptions, TakeCommentsAndEveryKind) {
    const auto loaded = parse_options(
        file_of(
            R"(, "Debug": true, // more
            "PgBouncers": [{"Name": "pb1", "DatabasesFile": "/d.ini", "PidFile": "/p.pid"}])",
            R"(, "Port": 5433, "Control": "pg_ctlcluster", "StopTimeoutSeconds": 7, "CrashLoopLimit": 9)"),
        "f");
    ASSERT_TRUE(loaded) << loaded.error().text();
    const auto& i = loaded->options.instances.at(0);
    EXPECT_EQ(i.key.port, 5433);
    EXPECT_EQ(i.cluster_name, "15/main");
    EXPECT_EQ(i.stop_timeout, seconds(7));
    EXPECT_EQ(i.crash_loop_limit, 9);
    EXPECT_EQ(loaded->options.poolers.at(0).name, "pb1");
    EXPECT_TRUE(loaded->options.debug);
}

TEST(AgentOptions, WhereClientsRunThereMayBeNoServer) {
    const auto loaded = parse_options("{" + least + R"(, "Instances": []})", "f");
    ASSERT_TRUE(loaded) << loaded.error().text();
    EXPECT_TRUE(loaded->options.instances.empty());
}

struct BadCase {
    const char* name;
    std::string text;
    const char* complaint;
};

class BadAgentOptions : public testing::TestWithParam<BadCase> {};

TEST_P(BadAgentOptions, AreNamed) {
    const auto loaded = parse_options(GetParam().text, "agent.conf.json");
    ASSERT_FALSE(loaded);
    EXPECT_THAT(loaded.error().text(), HasSubstr(GetParam().complaint));
}

INSTANTIATE_TEST_SUITE_P(
    Cases, BadAgentOptions,
    testing::Values(
        BadCase{"slip", file_of(R"(, "Manager": [])"), "Manager is no key; did you mean Managers?"},
        BadCase{"slip_of_instance", file_of("", R"(, "DataDirectori": "/x")"), "did you mean DataDirectory?"},
        BadCase{"number", file_of("", R"(, "StartTimeoutSeconds": 0)"), "whole number from 1 to 86400"},
        BadCase{"kind", file_of(R"(, "Debug": "yes")"), "Debug must be true or false"},
        BadCase{"port", file_of("", R"(, "Port": 70000)"), "Port must be a number from 1 to 65535"},
        BadCase{"control", file_of("", R"(, "Control": "docker")"), "pg_ctlcluster"},
        BadCase{"unit", file_of("", R"(, "Control": "systemd")"), "SystemdUnit is missing"},
        BadCase{"shell", file_of("", R"(, "LogFile": "/tmp/$id")"), "LogFile must not hold"},
        BadCase{"relative", file_of("", R"(, "ConfigFile": "postgresql.conf")"), "must begin with /"},
        BadCase{"both_tokens", file_of(R"(, "TokenFile": "/t")"), "both given"},
        BadCase{"peer", file_of(R"(, "PeerListenAddress": ":3002")"), "PeerAddress is missing"},
        BadCase{"nothing", "{}", "Instances is missing"},
        BadCase{"no_ca", "{\"Instances\": [{" + instance + "}]}", "CAFile is missing"},
        BadCase{"twice", "{" + least + ", \"Instances\": [{" + instance + "},{" + instance + "}]}",
                "two Instances have the DataDirectory"}),
    [](const auto& p) { return p.param.name; });

TEST(AgentOptions, AreAllInTheHelp) {
    const auto help = options_help();
    for (const auto* key :
         {"Managers", "TokenFile", "PeerAddress", "Host, Port", "RewindConninfo", "DatabasesFile"})
        EXPECT_THAT(help, HasSubstr(key));
}

TEST(AgentOptions, AFewKeysAreTakenWhileItRuns) {
    const auto old = parse_options(file_of(R"(, "CAFile": "/ca", "HealthListenAddress": ":1")"), "f");
    const auto fresh = parse_options(
        R"({"UseTLS": false, "Managers": ["m2:3001"], "Token": "u", "CAFile": "/ca2", "HealthListenAddress": ":2",
            "Instances": [{)" +
            instance + R"(, "HungAfterSeconds": 9}]})",
        "f");
    ASSERT_TRUE(old && fresh);
    const auto changes = changes_of(old->options, fresh->options);
    EXPECT_THAT(changes.at_once, testing::ElementsAre("Token", "CAFile"));
    EXPECT_THAT(changes.after_restart, testing::ElementsAre("Managers", "HealthListenAddress", "Instances"));
    const auto now = with_changes(old->options, fresh->options);
    EXPECT_EQ(now.token, "u");
    EXPECT_EQ(now.ca_file, "/ca2");
    EXPECT_EQ(now.managers, old->options.managers);
    EXPECT_EQ(now.instances, old->options.instances);
    EXPECT_TRUE(changes_of(old->options, old->options).at_once.empty());
}

}  // namespace
}  // namespace baton::host
