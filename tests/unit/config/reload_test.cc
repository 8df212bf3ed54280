#include "config/key.h"
#include "config/support.h"

namespace baton::config {
namespace {

using test::Folder;
using test::variables;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

TEST(Reload, AppliesWhatItCanAndNamesTheRest) {
    const Folder folder;
    const std::vector files{folder.write("c.json", R"({"InstancePollSeconds": 2, "ListenAddress": ":3001",
        "PostgreSQLTopologyUser": "a", "GraphitePath": "x"})")};
    const auto before = load(files, variables({}));
    ASSERT_TRUE(before);
    folder.write("c.json", R"({"InstancePollSeconds": 3, "ListenAddress": ":3002", "GraphitePath": "y"})");
    const auto outcome = reload(before->values, files, variables({}));
    ASSERT_TRUE(outcome) << outcome.error().message;
    EXPECT_EQ(outcome->values.InstancePollSeconds, 3);
    EXPECT_EQ(outcome->values.ListenAddress, ":3001");
    EXPECT_EQ(outcome->values.PostgreSQLTopologyUser, "a") << "a key that is gone keeps its value";
    EXPECT_THAT(outcome->changed, testing::UnorderedElementsAre("InstancePollSeconds", "GraphitePath"));
    EXPECT_THAT(outcome->need_restart, ElementsAre("ListenAddress"));
}

TEST(Reload, OfTheSameFilesChangesNothing) {
    const Folder folder;
    const std::vector files{
        folder.write("c.json", R"({"ProviderType": "postgresql", "URLPrefix": "x/", "BackendDB": "mysql",
        "RecoveryPeriodBlockSeconds": 0, "PostgreSQLTopologyPassword": "${PW}", "InstancePollSeconds": 900})")};
    const auto before = load(files, variables({{"PW", "${literal}"}}));
    ASSERT_TRUE(before);
    const auto outcome = reload(before->values, files, variables({{"PW", "${literal}"}}));
    ASSERT_TRUE(outcome);
    EXPECT_EQ(outcome->values, before->values);
    EXPECT_THAT(outcome->changed, IsEmpty());
    EXPECT_THAT(outcome->need_restart, IsEmpty());
}

TEST(Reload, FollowsOlderNamesAndNewSecrets) {
    const Folder folder;
    const std::vector files{folder.write("c.json", R"({"PostgreSQLTopologyPassword": "${PW}"})")};
    const auto before = load(files, variables({{"PW", "one"}}));
    ASSERT_TRUE(before);
    folder.write("c.json",
                 R"({"PostgreSQLTopologyPassword": "${PW}", "DetachLostSlavesAfterMasterFailover": false})");
    const auto outcome = reload(before->values, files, variables({{"PW", "two"}}));
    ASSERT_TRUE(outcome);
    EXPECT_EQ(outcome->values.PostgreSQLTopologyPassword, "two");
    EXPECT_FALSE(outcome->values.DetachLostReplicasAfterMasterFailover);
}

TEST(Reload, WithAnErrorChangesNothing) {
    const Folder folder;
    const std::vector files{
        folder.write("c.json", R"({"InstancePollSeconds": 3, "Debug": "yes", "ReadOnly": 1})")};
    const auto outcome = reload(Config{}, files, variables({}));
    ASSERT_FALSE(outcome);
    EXPECT_THAT(outcome.error().message, testing::AllOf(HasSubstr("Debug"), HasSubstr("ReadOnly")));
}

TEST(Show, MasksSecretsAndIsAConfigurationItself) {
    Config config;
    for (const auto& key : keys()) {
        if (!key.is(secret)) continue;
        const bool list = std::holds_alternative<RouterList>(key.default_value());
        key.set(config, list ? Value(RouterList{{.Name = "pb", .Address = "pb:6432", .Password = "hunter2"}})
                             : Value(std::string("hunter2")));
    }
    config.InstancePollSeconds = 4;
    const std::string text = show(config);
    EXPECT_THAT(text, Not(HasSubstr("hunter2")));
    EXPECT_THAT(text, HasSubstr("\"PostgreSQLTopologyPassword\": \"********\""));
    EXPECT_THAT(text, HasSubstr("\"InstancePollSeconds\": 4"));
    const auto again = test::check_json(text);
    ASSERT_TRUE(again.ok()) << again.as_error().message;
    EXPECT_EQ(again.loaded.set_keys.size(), keys().size());
}

TEST(Show, CanLeaveOutDefaults) {
    Config config;
    EXPECT_EQ(show(config, true), "{\n}\n");
    config.Debug = true;
    EXPECT_EQ(show(config, true), "{\n  \"Debug\": true\n}\n");
}

TEST(Documentation, IsWhatTheTableSays) {
    const std::string path = std::string(BATON_SOURCE_DIR) + "/docs/configuration.md";
    std::ifstream file(path);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    EXPECT_TRUE(text == documentation())
        << path << " is out of date; run: baton config docs > docs/configuration.md";
}

}  // namespace
}  // namespace baton::config
