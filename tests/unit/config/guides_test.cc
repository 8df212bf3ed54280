// The configurations with which people run orchestrator for PostgreSQL must start Baton unchanged.
#include "config/support.h"

namespace baton::config {
namespace {

using test::check_json;

constexpr const char* minimal = R"({
    "Debug": false,
    "ListenAddress": ":3098",
    "ProviderType": "postgresql",
    "PostgreSQLTopologyUser": "orchestrator",
    "PostgreSQLTopologyPassword": "orch_pass",
    "PostgreSQLSSLMode": "disable",
    "DefaultInstancePort": 5432,
    "BackendDB": "sqlite",
    "SQLite3DataFile": "/tmp/orchestrator.sqlite3",
    "InstancePollSeconds": 5
})";

constexpr const char* with_recovery = R"({
    "ListenAddress": ":3098",
    "ProviderType": "postgresql",
    "PostgreSQLTopologyUser": "orchestrator",
    "PostgreSQLTopologyPassword": "orch_pass",
    "PostgreSQLSSLMode": "require",
    "DefaultInstancePort": 5432,
    "BackendDB": "sqlite",
    "SQLite3DataFile": "/var/lib/orchestrator/orchestrator.sqlite3",
    "InstancePollSeconds": 3,
    "FailureDetectionPeriodBlockSeconds": 30,
    "RecoveryPeriodBlockSeconds": 60,
    "RecoverMasterClusterFilters": ["*"],
    "RecoverIntermediateMasterClusterFilters": ["*"]
})";

constexpr const char* with_hooks = R"({
    "ListenAddress": ":3098",
    "ProviderType": "postgresql",
    "PostgreSQLTopologyUser": "orchestrator",
    "PostgreSQLTopologyPassword": "${PG_ORCH_PASSWORD}",
    "PostgreSQLSSLMode": "verify-full",
    "DefaultInstancePort": 5432,
    "BackendDB": "sqlite",
    "SQLite3DataFile": "/var/lib/orchestrator/orchestrator.sqlite3",
    "InstancePollSeconds": 5,
    "FailureDetectionPeriodBlockMinutes": 1,
    "RecoveryPeriodBlockSeconds": 3600,
    "RecoverMasterClusterFilters": ["alias=orders", "^pg-"],
    "OnFailureDetectionProcesses": ["echo 'Detected {failureType} on {failureCluster}' >> /tmp/recovery.log"],
    "PreFailoverProcesses": ["echo 'Will recover {failureType}' >> /tmp/recovery.log"],
    "PostMasterFailoverProcesses": ["/usr/local/bin/move-vip {failedHost} {successorHost} &"],
    "PostFailoverProcesses": ["echo 'Recovered {failedHost}:{failedPort} to {successorHost}' >> /tmp/recovery.log"],
    "PostUnsuccessfulFailoverProcesses": [],
    "PreGracefulTakeoverProcesses": [],
    "PostGracefulTakeoverProcesses": ["ssh {failedHost} 'touch $PGDATA/standby.signal'"]
})";

TEST(Guides, LoadUnchanged) {
    for (const auto* text : {minimal, with_recovery, with_hooks}) {
        const auto report = check_json(text, {{"PG_ORCH_PASSWORD", "x"}});
        ASSERT_TRUE(report.ok()) << report.as_error().message;
        EXPECT_EQ(report.loaded.values.ListenAddress, ":3098");
        EXPECT_EQ(report.loaded.values.ProviderType, "postgresql");
        EXPECT_EQ(report.loaded.values.DefaultInstancePort, 5432);
        for (const auto& warning : report.loaded.warnings) {
            EXPECT_EQ(warning.kind, WarningKind::unused_key) << warning.text;
        }
    }
    EXPECT_EQ(check_json(with_recovery).loaded.values.failure_detection_block_seconds(), 30);
    EXPECT_EQ(
        check_json(with_hooks, {{"PG_ORCH_PASSWORD", "x"}}).loaded.values.failure_detection_block_seconds(),
        60);
}

}  // namespace
}  // namespace baton::config
