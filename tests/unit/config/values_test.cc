#include "config/key.h"
#include "config/support.h"

namespace baton::config {
namespace {

using test::check_json;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

TEST(Values, DefaultsAreAllowedValues) {
    const Config defaults;
    for (const auto& key : keys()) {
        EXPECT_EQ(violation(key.rule, key.value(defaults)), std::nullopt) << key.name;
        EXPECT_FALSE(key.text.empty()) << key.name;
        EXPECT_FALSE(key.is(live) && !key.is(used)) << key.name << " is live, but nothing uses it";
        EXPECT_EQ(find_key(key.name), &key) << key.name << " is declared twice";
    }
    EXPECT_THAT(deprecated_names(), SizeIs(17));
}

TEST(Values, KnowsEveryKeyOfOrchestrator) {
    const auto ours = std::ranges::count_if(keys(), [](const Key& k) { return k.is(own); });
    EXPECT_EQ(keys().size() - static_cast<size_t>(ours), 215U);
}

TEST(Values, GoodOnesAreTaken) {
    const auto report = check_json(R"({
        "debug": true, "INSTANCEPOLLSECONDS": 2, "DeadInstancePollSecondsMultiplyFactor": 1.5,
        "ListenAddress": "127.0.0.1:3000", "PowerAuthUsers": ["a", "b"], "ClusterNameToAlias": {"^db1": "orders"},
        "DiscoveryPortCandidates": [5433, "5434"], "ProviderType": "PostgreSQL", "AuditPurgeDays": 1e1,
        "PrimaryHeartbeatMilliseconds": 0, "ReadOnly": null
    })");
    ASSERT_THAT(report.errors, IsEmpty()) << report.as_error().message;
    const Config& c = report.loaded.values;
    EXPECT_TRUE(c.Debug);
    EXPECT_EQ(c.InstancePollSeconds, 2);
    EXPECT_EQ(c.DeadInstancePollSecondsMultiplyFactor, 1.5);
    EXPECT_EQ(c.ListenAddress, "127.0.0.1:3000");
    EXPECT_THAT(c.PowerAuthUsers, ElementsAre("a", "b"));
    EXPECT_EQ(c.ClusterNameToAlias.at("^db1"), "orders");
    EXPECT_THAT(c.DiscoveryPortCandidates, ElementsAre("5433", "5434"));
    EXPECT_EQ(c.ProviderType, "postgresql");
    EXPECT_EQ(c.AuditPurgeDays, 10);
    EXPECT_EQ(c.PrimaryHeartbeatMilliseconds, 0);
    EXPECT_THAT(report.loaded.set_keys, testing::Contains("InstancePollSeconds"));
    EXPECT_THAT(report.loaded.set_keys, testing::Not(testing::Contains("ReadOnly")));
}

TEST(Values, BadOnesNameKeyValueAndWhatIsAllowed) {
    const struct {
        const char* json;
        const char* says;
    } cases[] = {
        {R"("Debug": 1)", "Debug = 1: it is a number; allowed: true or false"},
        {R"("Debug": "true")", R"(Debug = "true": it is a string)"},
        {R"("InstancePollSeconds": "5")",
         R"(InstancePollSeconds = "5": it is a string; allowed: an integer from 1 to)"},
        {R"("InstancePollSeconds": 0)", "InstancePollSeconds = 0: too small"},
        {R"("InstancePollSeconds": 1.5)", "InstancePollSeconds = 1.5E0: it is a number; allowed: an integer"},
        {R"("InstancePollSeconds": -1)", "too small"},
        {R"("AuditPurgeDays": 18446744073709551615)", "AuditPurgeDays"},
        {R"("PrimaryHeartbeatMilliseconds": 10)", "too small; allowed: 0 or an integer from 50 to 60000"},
        {R"("DeadInstancePollSecondsMultiplyFactor": 0.5)", "too small; allowed: a number from 1 to 100"},
        {R"("ListenAddress": "3000")",
         R"(ListenAddress = "3000": no address to listen on; allowed: ":PORT")"},
        {R"("ListenAddress": ":http")", "no port"},
        {R"("ListenAddress": ":99999")", "no port"},
        {R"("DefaultInstancePort": 70000)", "too large; allowed: an integer from 1 to 65535"},
        {R"("DiscoveryPortCandidates": [5432, 0])", R"("0" is not a port)"},
        {R"("DiscoveryPortCandidates": 5432)", "it is a number; allowed: a list of ports"},
        {R"("DiscoverySeeds": ["db1:x"])", R"("db1:x" has a wrong port)"},
        {R"("DiscoverySeeds": [":5432"])", "names no host"},
        {R"("DiscoverySeeds": "db1")", "it is a string; allowed: a list"},
        {R"("DiscoveryIgnoreHostnameFilters": ["ok", "a("])", R"("a(" is not a regular expression)"},
        {R"("RecoverMasterClusterFilters": ["alias~=["])", R"("[" is not a regular expression)"},
        {R"("DataCenterPattern": "eu")", "it has no group"},
        {R"("ClusterNameToAlias": {"(": "x"})", R"("(" is not a regular expression)"},
        {R"("ClusterNameToAlias": {"x": 1})", "allowed: an object"},
        {R"("PostgreSQLSSLMode": "yes")", R"(not one of the choices; allowed: one of "disable", "allow")"},
        {R"("ProviderType": "oracle")", "not one of the choices"},
        {R"("SynchronousFailoverPolicy": "")", R"(allowed: one of "keep", "relax")"},
        {R"("ProcessesShellCommand": "")", "empty; allowed: a string that is not empty"},
        {R"("HTTPAdvertise": "http://h:3000/path")", "it has a path"},
        {R"("HTTPAdvertise": "h:3000")", "the scheme is missing"},
        {R"("HTTPAdvertise": "http://h")", "the port is missing"},
        {R"("BackendDB": "oracle")", R"(BackendDB = "oracle": unknown store)"},
        {R"("PowerAuthUsers": ["a", 1])", "it is a list; allowed: a list of strings"},
        {R"("PostFailoverProcesses": {"a": "b"})", "it is an object"},
    };
    for (const auto& c : cases) {
        const auto report = check_json(std::string("{") + c.json + "}");
        ASSERT_THAT(report.errors, SizeIs(1)) << c.json;
        EXPECT_EQ(report.errors[0].who, "test.json") << c.json;
        EXPECT_THAT(report.errors[0].message, HasSubstr(c.says)) << c.json;
    }
}

TEST(Values, AllErrorsAreReportedTogether) {
    const auto report = check_json(R"({"Debug": 1, "InstancePollSeconds": 0, "DataCenterPattern": "("})");
    EXPECT_THAT(report.errors, SizeIs(3));
    EXPECT_THAT(report.as_error().message,
                AllOf(HasSubstr("Debug"), HasSubstr("InstancePollSeconds"), HasSubstr("DataCenterPattern")));
}

TEST(Values, SecretsAreNotInErrors) {
    for (const auto* json :
         {R"({"PostgreSQLTopologyPassword": ["hunter2"]})", R"({"HTTPAuthPassword": {"x":"hunter2"}})"}) {
        const auto report = check_json(json);
        ASSERT_THAT(report.errors, SizeIs(1));
        EXPECT_THAT(report.errors[0].text(),
                    AllOf(HasSubstr("(hidden)"), testing::Not(HasSubstr("hunter2"))));
    }
}

TEST(Values, KeysThatDoNotGoTogether) {
    const struct {
        const char* json;
        const char* says;
    } cases[] = {
        {R"("FailMasterPromotionIfSQLThreadNotUpToDate": true, "DelayMasterPromotionIfSQLThreadNotUpToDate": true)",
         "keep one"},
        {R"("FailMasterPromotionOnLagMinutes": 1)", "needs ReplicationLagQuery"},
        {R"("SlaveLagQuery": "select 1", "ReplicationLagQuery": "select 2")", "differ"},
        {R"("PostponeSlaveRecoveryOnLagMinutes": 1, "PostponeReplicaRecoveryOnLagMinutes": 2)", "differ"},
        {R"("RaftEnabled": true)", "RaftDataDir must be set"},
        {R"("RaftEnabled": true, "RaftDataDir": "/x", "RaftBind": "")", "RaftBind"},
        {R"("ServeAgentsHttp": true, "AgentsUseMutualTLS": true)", "AgentsUseSSL must be true, too"},
        {R"("ServeAgentsHttp": true, "AgentToken": "t", "PrimaryLeaseSeconds": 1, "AgentHeartbeatMilliseconds": 400)",
         "less than three heartbeats"},
        {R"("DeadInstancePollSecondsMax": 5, "InstancePollSeconds": 10)",
         "less than InstancePollSeconds = 10"},
    };
    for (const auto& c : cases) {
        const auto report = check_json(std::string("{") + c.json + "}");
        ASSERT_THAT(report.errors, SizeIs(1)) << c.json;
        EXPECT_THAT(report.errors[0].text(), AllOf(HasSubstr(c.says), HasSubstr("test.json"))) << c.json;
    }
    EXPECT_TRUE(check_json(R"({"FailMasterPromotionOnLagMinutes": 1, "SlaveLagQuery": "select 1"})").ok());
    EXPECT_TRUE(check_json(R"({"RaftEnabled": true, "RaftDataDir": "/x"})").ok());
    EXPECT_EQ(check_json(R"({"InstancePollSeconds": 600})").loaded.values.DeadInstancePollSecondsMax, 600);
}

TEST(Values, WhatTheFileSaysAndWhatCounts) {
    const auto values = [](const char* json) {
        const auto report = check_json(json);
        EXPECT_TRUE(report.ok()) << report.as_error().message;
        return report.loaded.values;
    };
    EXPECT_EQ(values("{}").DefaultInstancePort, 3306);
    EXPECT_EQ(values(R"({"ProviderType": "postgresql"})").DefaultInstancePort, 5432);
    EXPECT_EQ(values(R"({"ProviderType": "postgresql", "DefaultInstancePort": 3306})").DefaultInstancePort,
              3306);
    EXPECT_EQ(values("{}").SQLite3DataFile, "/var/lib/baton/baton.sqlite3");
    EXPECT_EQ(values(R"({"BackendDB": "sqlite3", "SQLite3DataFile": "/x"})").SQLite3DataFile, "/x");
    EXPECT_EQ(values(R"({"BackendDB": "mysql"})").BackendDB, "sqlite");
    EXPECT_EQ(values(R"({"URLPrefix": "a/b/"})").URLPrefix, "/a/b");
    EXPECT_EQ(values(R"({"URLPrefix": "/"})").URLPrefix, "");
    EXPECT_EQ(values(R"({"KVClusterMasterPrefix": "pg/x//"})").KVClusterMasterPrefix, "pg/x/");
    EXPECT_EQ(values(R"({"KVClusterMasterPrefix": "/"})").KVClusterMasterPrefix, "/");
    EXPECT_EQ(values(R"({"ConsulMaxKVsPerTransaction": 1000})").ConsulMaxKVsPerTransaction, 64);
    EXPECT_EQ(values(R"({"RecoveryPeriodBlockMinutes": 5})").RecoveryPeriodBlockSeconds, 3600);
    EXPECT_EQ(values(R"({"RecoveryPeriodBlockMinutes": 5, "RecoveryPeriodBlockSeconds": 0})")
                  .RecoveryPeriodBlockSeconds,
              300);
    EXPECT_EQ(values("{}").failure_detection_block_seconds(), 3600);
    EXPECT_EQ(values(R"({"FailureDetectionPeriodBlockMinutes": 2})").failure_detection_block_seconds(), 120);
    EXPECT_EQ(values(R"({"FailureDetectionPeriodBlockMinutes": 2, "FailureDetectionPeriodBlockSeconds": 30})")
                  .failure_detection_block_seconds(),
              30);
    EXPECT_TRUE(values("{}").DetachLostReplicasAfterMasterFailover);
    EXPECT_FALSE(
        values(R"({"DetachLostSlavesAfterMasterFailover": false})").DetachLostReplicasAfterMasterFailover);
    EXPECT_TRUE(
        values(R"({"MasterFailoverDetachSlaveMasterHost": true})").MasterFailoverDetachReplicaMasterHost);
    EXPECT_EQ(values(R"({"SlaveLagQuery": "q"})").ReplicationLagQuery, "q");
    EXPECT_EQ(values(R"({"PostponeSlaveRecoveryOnLagMinutes": 3})").PostponeReplicaRecoveryOnLagMinutes, 3);
}

}  // namespace
}  // namespace baton::config
