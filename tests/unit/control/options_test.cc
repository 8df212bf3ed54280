#include "control/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace baton::control {
namespace {

using testing::ElementsAre;
using topology::InstanceKey;

config::Config read(const std::string& text) {
    const auto report =
        config::check_text(text, "test.json", [](const std::string&) { return std::nullopt; });
    EXPECT_TRUE(report.ok()) << report.as_error().text();
    return report.loaded.values;
}

TEST(DiscoveryOptions, FromTheUsersKeys) {
    const auto o = discovery_options(read(R"({
        "InstancePollSeconds": 3, "ProbeTimeoutMilliseconds": 900, "PrimaryHeartbeatMilliseconds": 250,
        "DefaultInstancePort": 6432, "DiscoveryPortCandidates": ["5433", "5434"],
        "UnseenInstanceForgetHours": 7, "DeadInstancePollSecondsMultiplyFactor": 2.5,
        "DeadInstancePollSecondsMax": 60})"));
    EXPECT_EQ(o.poll_interval, seconds(3));
    EXPECT_EQ(o.probe_timeout, milliseconds(900));
    EXPECT_EQ(o.heartbeat, milliseconds(250));
    EXPECT_EQ(o.default_port, 6432);
    EXPECT_THAT(o.port_candidates, ElementsAre(5433, 5434));
    EXPECT_EQ(o.forget_unseen, std::chrono::hours(7));
    EXPECT_EQ(o.dead_poll_factor, 2.5);
    EXPECT_EQ(o.dead_poll_max, seconds(60));
}

TEST(DiscoveryOptions, Filters) {
    const auto o = discovery_options(read(R"({
        "DiscoveryIgnoreHostnameFilters": ["^backup-"], "DiscoveryIgnoreReplicaHostnameFilters": ["cdc"],
        "DiscoveryIgnoreMasterHostnameFilters": ["^dr[.]"]})"));
    EXPECT_TRUE(o.ignore(InstanceKey{"backup-1", 5432}));
    EXPECT_FALSE(o.ignore(InstanceKey{"db-backup-1", 5432}));
    EXPECT_TRUE(o.ignore_replica(InstanceKey{"cdc7", 5432}));
    EXPECT_TRUE(o.ignore_primary(InstanceKey{"dr.db1", 5432}));
    EXPECT_FALSE(o.ignore_primary(InstanceKey{"db1", 5432}));
    const auto none = discovery_options(read("{}"));
    EXPECT_FALSE(none.ignore || none.ignore_replica || none.ignore_primary) << "no filter, no work";
}

TEST(DiscoveryOptions, PlacesFromTheName) {
    const auto o = discovery_options(read(R"json({
        "DataCenterPattern": "[.]([^.]+)[.]example", "RegionPattern": "[.]([a-z]+)-[0-9][.]example",
        "PhysicalEnvironmentPattern": "^(prod|test)"})json"));
    topology::Instance i;
    o.annotate({"prod-db1.eu-1.example", 5432}, i);
    EXPECT_EQ(i.data_center, "eu-1");
    EXPECT_EQ(i.region, "eu");
    EXPECT_EQ(i.environment, "prod");
    EXPECT_FALSE(discovery_options(read("{}")).annotate);
}

TEST(DiscoveryOptions, AliasesFromTheName) {
    const auto o = discovery_options(read(R"({"ClusterNameToAlias": {"^db1": "shop"}})"));
    topology::Cluster cluster;
    cluster.name = "db1:5432";
    EXPECT_EQ(o.suggest_alias(cluster), "shop");
    cluster.name = "db2:5432";
    EXPECT_EQ(o.suggest_alias(cluster), "");
}

TEST(RecoveryOptions, FromTheUsersKeys) {
    const auto o = recovery_options(read(R"({
        "ReasonableReplicationLagSeconds": 11, "PrimaryStartTimeoutSeconds": 12,
        "DiskSpaceNoticePercent": 50, "DiskSpaceLowPercent": 60, "DiskSpaceCriticalPercent": 0,
        "MaximumLagOnFailoverBytes": 13, "MaximumStandbyDisconnectedSeconds": 14,
        "PreventCrossDataCenterMasterFailover": true, "PreventCrossRegionMasterFailover": true,
        "PostgreSQLManageSlots": false, "SynchronousFailoverPolicy": "keep", "PromotionTimeoutSeconds": 15,
        "FollowTimeoutSeconds": 16, "FailureDetectionPeriodBlockSeconds": 17,
        "RecoveryPeriodBlockSeconds": 18, "InstancePollSeconds": 2, "ProbeTimeoutMilliseconds": 600,
        "PostgreSQLReceiverCheck": false, "FailRecoveryOnFailedPostFailoverProcesses": true,
        "ProcessesShellCommand": "sh", "ProcessesTimeoutSeconds": 19, "KVClusterMasterPrefix": "pg/primary"})"),
                                    "manager1", "token1");
    EXPECT_EQ(o.analysis.reasonable_lag_seconds, 11);
    EXPECT_EQ(o.analysis.primary_start_timeout, seconds(12));
    EXPECT_EQ(o.analysis.disk_notice_percent, 50);
    EXPECT_EQ(o.analysis.disk_low_percent, 60);
    EXPECT_EQ(o.analysis.disk_critical_percent, 0);
    EXPECT_EQ(o.plan.maximum_lag_bytes, 13U);
    EXPECT_EQ(o.plan.maximum_disconnected, seconds(14));
    EXPECT_TRUE(o.plan.prevent_cross_data_center);
    EXPECT_TRUE(o.plan.prevent_cross_region);
    EXPECT_FALSE(o.plan.manage_slots);
    EXPECT_EQ(o.plan.synchronous, plan::SynchronousPolicy::keep);
    EXPECT_EQ(o.plan.promotion_timeout, seconds(15));
    EXPECT_EQ(o.plan.follow_timeout, seconds(16));
    EXPECT_EQ(o.detection_block, seconds(17));
    EXPECT_EQ(o.recovery_block, seconds(18));
    EXPECT_EQ(o.start_delay, seconds(6)) << "three polls";
    EXPECT_EQ(o.receiver_check_interval, seconds(2));
    EXPECT_EQ(o.receiver_check_deadline, milliseconds(1250));  // never shorter than a resent SYN
    EXPECT_FALSE(o.receiver_check);
    EXPECT_TRUE(o.fail_on_failed_post_hooks);
    EXPECT_EQ(o.hook_options.shell, "sh");
    EXPECT_EQ(o.hook_options.timeout, seconds(19));
    EXPECT_EQ(o.kv_prefix, "pg/primary/");
    EXPECT_EQ(o.node_hostname, "manager1");
    EXPECT_EQ(o.node_token, "token1");
}

TEST(RecoveryOptions, EachListOfHooksGoesToItsPlace) {
    const auto o = recovery_options(read(R"({
        "OnFailureDetectionProcesses": ["a"], "PreFailoverProcesses": ["b"], "PostFailoverProcesses": ["c"],
        "PostUnsuccessfulFailoverProcesses": ["d"], "PostMasterFailoverProcesses": ["e"],
        "PostIntermediateMasterFailoverProcesses": ["f"]})"),
                                    {}, {});
    EXPECT_THAT(o.hooks.on_failure_detection, ElementsAre("a"));
    EXPECT_THAT(o.hooks.pre_failover, ElementsAre("b"));
    EXPECT_THAT(o.hooks.post_failover, ElementsAre("c"));
    EXPECT_THAT(o.hooks.post_unsuccessful_failover, ElementsAre("d"));
    EXPECT_THAT(o.hooks.post_primary_failover, ElementsAre("e"));
    EXPECT_THAT(o.hooks.post_intermediate_failover, ElementsAre("f"));
}

struct FilterCase {
    const char* filter;
    bool recovers;
};

// The cluster: named db2:5432, once db1:5432, alias shop.
TEST(RecoveryOptions, ClusterFilters) {
    topology::Cluster cluster;
    cluster.id = "7300000000000000001";
    cluster.name = "db2:5432";
    cluster.former_names = {"db1:5432"};
    cluster.alias = "shop";
    const FilterCase cases[] = {
        {"*", true},
        {"db2:5432", true},
        {"db1:5432", true},
        {"db3:5432", false},
        {"^db2", true},
        {"shop", true},
        {"alias=shop", true},
        {"alias=sho", false},
        {"alias~=^sh", true},
        {"alias~=^op", false},
        {"7300000000000000001", true},
    };
    for (const auto& c : cases) {
        const auto text = std::string(R"({"RecoverMasterClusterFilters": [")") + c.filter +
                          R"("], "RecoverIntermediateMasterClusterFilters": ["nothing"]})";
        const auto o = recovery_options(read(text), {}, {});
        EXPECT_EQ(o.recovers_primary(cluster), c.recovers) << c.filter;
        EXPECT_FALSE(o.recovers_intermediate(cluster)) << c.filter;
    }
    EXPECT_FALSE(recovery_options(read("{}"), {}, {}).recovers_primary(cluster))
        << "off until it is asked for";
}

TEST(RecoveryOptions, HostFilters) {
    const auto o = recovery_options(read(R"({
        "RecoveryIgnoreHostnameFilters": ["^lab"], "PromotionIgnoreHostnameFilters": ["^weak"]})"),
                                    {}, {});
    EXPECT_TRUE(o.analysis.ignored(InstanceKey{"lab1", 5432}));
    EXPECT_FALSE(o.analysis.ignored(InstanceKey{"weak1", 5432}));
    EXPECT_TRUE(o.plan.ignored_for_promotion(InstanceKey{"weak1", 5432}));
}

TEST(StoreLimits, FromTheUsersKeys) {
    const auto limits = store_limits(read(R"({"RecoveryAuditLimit": 50, "AuditLimit": 600})"));
    EXPECT_EQ(limits.recoveries, 50U);
    EXPECT_EQ(limits.audit, 600U);
}

TEST(Seeds, WithAndWithoutAPort) {
    const auto keys = seeds(read(R"({"DefaultInstancePort": 6432, "DiscoverySeeds": ["db1", "db2:5433"]})"));
    EXPECT_THAT(keys, ElementsAre(InstanceKey{"db1", 6432}, InstanceKey{"db2", 5433}));
}

}  // namespace
}  // namespace baton::control
