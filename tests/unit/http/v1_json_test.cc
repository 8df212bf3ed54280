#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "http/v1/json.h"
#include "v1_harness.h"

namespace baton::http::v1 {
namespace {

using namespace baton::http::testing;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class V1Json : public ::testing::Test {
  protected:
    boost::json::value instance(const topology::Instance& i) {
        JsonWriter out;
        write_instance(out, *world.control.view(), i);
        return boost::json::parse(out.text());
    }
    std::string text(const std::function<void(JsonWriter&, const View&)>& write) {
        JsonWriter out;
        write(out, *world.control.view());
        return out.take();
    }
    V1World world;
};

TEST_F(V1Json, InstanceHasEveryFieldInOrder) {
    EXPECT_EQ(names_in(instance(sample_standby("db2:5432"))), lines_of("v1_instance_fields.txt"));
}

TEST_F(V1Json, StandbyValues) {
    const auto i = instance(sample_standby("db2:5432"));
    const auto field = [&](const char* name) { return boost::json::serialize(i.at(name)); };
    const std::pair<const char*, const char*> expected[] = {
        {"Key", R"({"Hostname":"db2","Port":5432})"},
        {"Uptime", "86400"},
        {"ServerUUID", R"("7380000000000000001")"},
        {"Version", R"("15.18")"},
        {"FlavorName", R"("PostgreSQL")"},
        {"ReadOnly", "true"},
        {"LogBinEnabled", "true"},
        {"GTIDMode", R"("ON")"},
        {"MasterKey", R"({"Hostname":"db1","Port":5432})"},
        {"ReplicationSQLThreadState", "1"},
        {"ReplicationIOThreadState", "1"},
        {"Slave_IO_Running", "true"},
        {"ReadBinlogCoordinates", R"({"LogFile":"wal","LogPos":97500059720,"Type":0})"},
        {"ExecBinlogCoordinates", R"({"LogFile":"wal","LogPos":97500059720,"Type":0})"},
        {"RelaylogCoordinates", R"({"LogFile":"","LogPos":0,"Type":1})"},
        {"LastIOError", R"("")"},
        {"SlaveLagSeconds", R"({"Int64":0,"Valid":true})"},
        {"ClusterName", R"("db1:5432")"},
        {"SuggestedClusterAlias", R"("shop")"},
        {"ReplicationDepth", "1"},
        {"LastSeenTimestamp", R"("2026-11-20T09:59:59Z")"},
        {"IsLastCheckValid", "true"},
        {"IsUpToDate", "true"},
        {"IsRecentlyChecked", "true"},
        {"PromotionRule", R"("neutral")"},
        {"Problems", "[]"},
        {"LastDiscoveryLatency", "2000000"},
        {"ReplicationChannels", "null"},
        {"ProviderType", R"("postgresql")"}};
    for (const auto& [name, value] : expected)
        EXPECT_EQ(field(name), value) << name;
}

TEST_F(V1Json, PrimaryHasNoThreadsAndNoUpstream) {
    auto primary = sample_primary();
    primary.downstream = {key_of("db3:5432"), key_of("db2:5432")};
    const auto i = instance(primary);
    EXPECT_EQ(i.at("ReplicationSQLThreadState").as_int64(), -1);
    EXPECT_EQ(i.at("ReplicationIOThreadState").as_int64(), -1);
    EXPECT_FALSE(i.at("ReadOnly").as_bool());
    EXPECT_FALSE(i.at("SlaveLagSeconds").at("Valid").as_bool());
    EXPECT_EQ(boost::json::serialize(i.at("MasterKey")), R"({"Hostname":"","Port":0})");
    EXPECT_EQ(i.at("SelfBinlogCoordinates").at("LogPos").as_int64(), 0x1'6B374D848);
    EXPECT_EQ(boost::json::serialize(i.at("Replicas")),
              R"([{"Hostname":"db2","Port":5432},{"Hostname":"db3","Port":5432}])");
}

TEST_F(V1Json, ReadOnlyPrimaryIsReadOnly) {
    auto seen = sample_observation(topology::Role::primary, 1);
    seen.settings.default_transaction_read_only = true;
    EXPECT_TRUE(instance(sample_instance("db1:5432", seen)).at("ReadOnly").as_bool());
}

TEST_F(V1Json, PausedReplayIsAStoppedSqlThread) {
    auto seen = *sample_standby("db2:5432").seen;
    seen.replay_paused = true;
    const auto i = instance(sample_instance("db2:5432", seen));
    EXPECT_EQ(i.at("ReplicationSQLThreadState").as_int64(), 0);
    EXPECT_EQ(i.at("ReplicationIOThreadState").as_int64(), 1);
    EXPECT_EQ(boost::json::serialize(i.at("Problems")), R"(["not_replicating"])");
}

TEST_F(V1Json, LostReceiverIsAQuotedError) {
    auto standby = sample_standby("db2:5432");
    auto seen = *standby.seen;
    seen.receiver.reset();
    standby.seen = std::make_shared<const topology::Observation>(seen);
    const auto i = instance(standby);
    EXPECT_EQ(i.at("ReplicationIOThreadState").as_int64(), 0);
    EXPECT_EQ(i.at("LastIOError").as_string(),
              R"("no WAL receiver is running; nothing comes from db1:5432")");
}

TEST_F(V1Json, UnreachableInstanceKeepsItsLastValues) {
    auto standby = sample_standby("db2:5432");
    standby.health.reach = topology::Reach::refused;
    standby.health.error =
        Error{.kind = ErrorKind::refused, .message = "connection refused", .who = "db2:5432"};
    const auto i = instance(standby);
    EXPECT_FALSE(i.at("IsLastCheckValid").as_bool());
    EXPECT_EQ(i.at("Version").as_string(), "15.18");
    EXPECT_EQ(i.at("LastIOError").as_string(), R"("db2:5432: connection refused")");
    EXPECT_EQ(boost::json::serialize(i.at("Problems")), R"(["last_check_invalid"])");
}

TEST_F(V1Json, NeverSeenInstanceIsWhole) {
    topology::Instance unseen;
    unseen.key = key_of("db9:5432");
    const auto i = instance(unseen);
    EXPECT_EQ(names_in(i), lines_of("v1_instance_fields.txt"));
    EXPECT_EQ(i.at("LastSeenTimestamp").as_string(), "");
    EXPECT_FALSE(i.at("SecondsSinceLastSeen").at("Valid").as_bool());
}

TEST_F(V1Json, DowntimeCountsWhileItLasts) {
    auto standby = sample_standby("db2:5432");
    standby.downtime = topology::Downtime{.owner = "ops",
                                          .reason = "test",
                                          .begins = sample_wall - seconds(60),
                                          .ends = sample_wall + seconds(540)};
    auto i = instance(standby);
    EXPECT_TRUE(i.at("IsDowntimed").as_bool());
    EXPECT_EQ(i.at("DowntimeEndTimestamp").as_string(), "2026-11-20 10:09:00");
    EXPECT_EQ(i.at("ElapsedDowntime").as_int64(), 60'000'000'000);
    standby.downtime->ends = sample_wall;
    i = instance(standby);
    EXPECT_FALSE(i.at("IsDowntimed").as_bool());
    EXPECT_EQ(i.at("DowntimeOwner").as_string(), "");
}

TEST_F(V1Json, ProblemsInOrderOfGravity) {
    const auto problems = [&](const topology::Instance& i) {
        return instance_problems(*world.control.view(), i);
    };
    auto i = sample_standby("db2:5432");
    EXPECT_THAT(problems(i), IsEmpty());
    i.lag.seconds = 11;
    EXPECT_THAT(problems(i), ElementsAre("replication_lag"));
    i.health.last_attempt = sample_now - seconds(7);
    EXPECT_THAT(problems(i), ElementsAre("not_recently_checked"));
    i.health.reach = topology::Reach::silent;
    EXPECT_THAT(problems(i), ElementsAre("last_check_invalid"));
}

TEST_F(V1Json, DeliberateDelayIsNoLag) {
    auto seen = *sample_standby("db2:5432").seen;
    seen.settings.recovery_min_apply_delay_ms = 3600'000;
    auto i = sample_instance("db2:5432", seen);
    i.lag.seconds = 3605;
    EXPECT_THAT(instance_problems(*world.control.view(), i), IsEmpty());
    EXPECT_EQ(instance(i).at("SQLDelay").as_int64(), 3600);
}

TEST_F(V1Json, ClusterInfo) {
    world.control.change_config([](config::Config& c) { c.RecoverMasterClusterFilters = {"alias=shop"}; });
    const auto info = text([&](JsonWriter& out, const View& v) {
        write_cluster_info(out, v, *v.topology->find_cluster("shop"));
    });
    EXPECT_EQ(info,
              R"({"ClusterName":"db1:5432","ClusterAlias":"shop","ClusterDomain":"shop.db.example.com",)"
              R"("CountInstances":3,"HeuristicLag":0,"HasAutomatedMasterRecovery":true,)"
              R"("HasAutomatedIntermediateMasterRecovery":false})");
}

TEST_F(V1Json, AnalysisHasEveryFieldInOrder) {
    Problem p;
    p.code = analysis::Code::dead_primary;
    p.instance = key_of("db1:5432");
    p.cluster_id = sample_cluster_id;
    p.description = "db1:5432 refuses connections";
    p.replicas = {key_of("db2:5432"), key_of("db3:5432")};
    p.counts.replicas = p.counts.valid = 2;
    p.is_primary = true;
    const auto json =
        boost::json::parse(text([&](JsonWriter& out, const View& v) { write_analysis(out, v, p); }));
    EXPECT_EQ(names_in(json), lines_of("v1_analysis_fields.txt"));
    EXPECT_EQ(json.at("Analysis").as_string(), "DeadPrimary");
    EXPECT_EQ(json.at("CountReplicas").as_int64(), 2);
    EXPECT_TRUE(json.at("StructureAnalysis").is_null());
    EXPECT_TRUE(json.at("IsActionableRecovery").as_bool());
    EXPECT_EQ(json.at("ClusterDetails").at("ClusterAlias").as_string(), "shop");
}

TEST_F(V1Json, StoredRecoveryReadsAsFromTheBackend) {
    const auto json = boost::json::parse(text([&](JsonWriter& out, const View& v) {
        write_recovery(out, v, sample_recovery(), RecoveryForm::stored);
    }));
    EXPECT_THAT(names_in(json),
                ElementsAre("Id", "UID", "AnalysisEntry", "SuccessorKey", "SuccessorAlias",
                            "SuccessorBinlogCoordinates", "IsActive", "IsSuccessful", "LostReplicas",
                            "ParticipatingInstanceKeys", "AllErrors", "RecoveryStartTimestamp",
                            "RecoveryEndTimestamp", "ProcessingNodeHostname", "ProcessingNodeToken",
                            "Acknowledged", "AcknowledgedAt", "AcknowledgedBy", "AcknowledgedComment",
                            "LastDetectionId", "RelatedRecoveryId", "Type", "RecoveryType"));
    EXPECT_EQ(names_in(json.at("AnalysisEntry")), lines_of("v1_analysis_fields.txt"));
    EXPECT_EQ(json.at("AnalysisEntry").at("Analysis").as_string(), "DeadPrimary");
    EXPECT_EQ(boost::json::serialize(json.at("AllErrors")), R"([""])");
    EXPECT_EQ(boost::json::serialize(json.at("SuccessorKey")), R"({"Hostname":"db1","Port":5432})");
    EXPECT_TRUE(json.at("SuccessorBinlogCoordinates").is_null());
    EXPECT_EQ(json.at("RecoveryStartTimestamp").as_string(), "2026-11-20T08:00:00Z");
    EXPECT_EQ(json.at("RecoveryEndTimestamp").as_string(), "2026-11-20 08:00:00");
    EXPECT_EQ(json.at("Type").as_string(), "");
}

TEST_F(V1Json, ReturnedRecoveryHasWhatTheCallKnows) {
    auto recovery = sample_recovery();
    auto json = boost::json::parse(text(
        [&](JsonWriter& out, const View& v) { write_recovery(out, v, recovery, RecoveryForm::returned); }));
    EXPECT_EQ(json.at("Type").as_string(), "MasterRecovery");
    EXPECT_EQ(json.at("SuccessorBinlogCoordinates").at("LogPos").as_int64(), 0x1'6B000000);
    EXPECT_EQ(boost::json::serialize(json.at("AllErrors")), "[]");
    recovery.successor.reset();
    json = boost::json::parse(text(
        [&](JsonWriter& out, const View& v) { write_recovery(out, v, recovery, RecoveryForm::returned); }));
    EXPECT_TRUE(json.at("SuccessorKey").is_null());
}

TEST_F(V1Json, DetectionLooksLikeARecovery) {
    const store::Detection d{.id = 4,
                             .instance = key_of("db1:5432"),
                             .code = "DeadPrimary",
                             .cluster_name = "db1:5432",
                             .cluster_alias = "shop",
                             .replicas = {key_of("db2:5432")},
                             .at = sample_wall,
                             .recovery_id = 9};
    const auto json =
        boost::json::parse(text([&](JsonWriter& out, const View& v) { write_detection(out, v, d); }));
    EXPECT_TRUE(json.at("SuccessorKey").is_null());
    EXPECT_TRUE(json.at("AllErrors").is_null());
    EXPECT_EQ(json.at("RelatedRecoveryId").as_int64(), 9);
    EXPECT_EQ(json.at("RecoveryType").as_string(), "");
    EXPECT_EQ(json.at("AnalysisEntry").at("StartActivePeriod").as_string(), "2026-11-20T10:00:00Z");
}

TEST_F(V1Json, SmallShapes) {
    const auto of = [](auto write) {
        JsonWriter out;
        write(out);
        return out.take();
    };
    EXPECT_EQ(of([](JsonWriter& out) { write_recovery_step(out, sample_steps()[0]); }),
              R"({"Id":18,"RecoveryUID":"1714557605123456789:0f3c","AuditAt":"2026-11-20T08:00:00Z",)"
              R"("Message":"db0:5432 is dead"})");
    EXPECT_EQ(
        of([](JsonWriter& out) {
            write_blocked(out, {.failed = key_of("db2:5432"),
                                .cluster_name = "db2:5432",
                                .code = "DeadPrimary",
                                .last_blocked = sample_wall,
                                .blocking_recovery_id = 17});
        }),
        R"({"FailedInstanceKey":{"Hostname":"db2","Port":5432},"ClusterName":"db2:5432",)"
        R"("Analysis":"DeadPrimary","LastBlockedTimestamp":"2026-11-20T10:00:00Z","BlockingRecoveryId":17})");
    EXPECT_EQ(of([](JsonWriter& out) {
                  write_audit(
                      out,
                      {.id = 55, .at = sample_wall, .type = "forget", .instance = {}, .message = "<gone>"});
              }),
              R"({"AuditId":55,"AuditTimestamp":"2026-11-20T10:00:00Z","AuditType":"forget",)"
              R"("AuditInstanceKey":{"Hostname":"","Port":0},"Message":"\u003cgone\u003e"})");
    const store::Maintenance m{.id = 4,
                               .key = key_of("db3:5432"),
                               .span = {.owner = "dba",
                                        .reason = "disk swap",
                                        .begins = sample_wall - seconds(33),
                                        .ends = sample_wall + seconds(60)}};
    EXPECT_EQ(
        of([&](JsonWriter& out) { write_maintenance(out, m, sample_wall); }),
        R"({"MaintenanceId":4,"Key":{"Hostname":"db3","Port":5432},"BeginTimestamp":"2026-11-20T09:59:27Z",)"
        R"("SecondsElapsed":33,"IsActive":true,"Owner":"dba","Reason":"disk swap"})");
    const store::PromotionRuleRecord r{.key = key_of("db2:5432"),
                                       .rule = topology::PromotionRule::prefer,
                                       .suggested = sample_wall,
                                       .expires = sample_wall + seconds(3600)};
    EXPECT_EQ(
        of([&](JsonWriter& out) { write_promotion_rule(out, r); }),
        R"({"Hostname":"db2","Port":5432,"PromotionRule":"prefer","LastSuggestedString":"2026-11-20 10:00:00",)"
        R"("PromotionRuleExpiry":"2026-11-20 11:00:00"})");
}

TEST_F(V1Json, HealthOfOneManager) {
    const auto json = text([](JsonWriter& out, const View& v) { write_health(out, v, {}); });
    const auto parsed = boost::json::parse(json);
    EXPECT_THAT(names_in(parsed), ElementsAre("Healthy", "Hostname", "Token", "IsActiveNode", "ActiveNode",
                                              "Error", "AvailableNodes", "RaftLeader", "IsRaftLeader",
                                              "RaftLeaderURI", "RaftAdvertise", "RaftHealthyMembers"));
    EXPECT_THAT(names_in(parsed.at("ActiveNode")),
                ElementsAre("Hostname", "Token", "AppVersion", "FirstSeenActive", "LastSeenActive",
                            "ExtraInfo", "Command", "DBBackend", "LastReported"));
    EXPECT_TRUE(parsed.at("Error").is_null());
}

}  // namespace
}  // namespace baton::http::v1
