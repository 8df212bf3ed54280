#include "http/v1/json.h"
#include "http/v1/json_parts.h"

namespace baton::http::v1 {

namespace {

/// What the record keeps of an analysis.
struct StoredAnalysis {
    InstanceKey instance;
    std::string_view code;
    ClusterDetails cluster;
    std::span<const InstanceKey> replicas;
    InstanceKey upstream = {};
    std::string_view description = {};
    std::string start = {};
    std::string_view command_hint = {};
};

void write_stored_subject(JsonWriter& out, const View& view, const StoredAnalysis& a) {
    out.key("AnalyzedInstanceKey");
    write_key(out, a.instance);
    out.key("AnalyzedInstanceMasterKey");
    write_key(out, a.upstream);
    out.key("ClusterDetails");
    write_cluster_details(out, view, a.cluster);
    out.raw(
        R"("AnalyzedInstanceDataCenter":"","AnalyzedInstanceRegion":"","AnalyzedInstancePhysicalEnvironment":"")"
        R"(,"AnalyzedInstanceBinlogCoordinates":{"LogFile":"","LogPos":0,"Type":0})"
        R"(,"IsMaster":false,"IsReplicationGroupMember":false,"IsCoMaster":false,"LastCheckValid":false)"
        R"(,"LastCheckPartialSuccess":false)");
    out.field("CountReplicas", a.replicas.size());
    out.raw(
        R"("CountValidReplicas":0,"CountValidReplicatingReplicas":0,"CountReplicasFailingToConnectToMaster":0)"
        R"(,"CountDowntimedReplicas":0,"ReplicationDepth":0)");
    out.key("Replicas");
    write_keys(out, a.replicas);
    out.key("SlaveHosts");
    write_keys(out, a.replicas);
}

void write_stored_analysis(JsonWriter& out, const View& view, const StoredAnalysis& a) {
    out.begin_object();
    write_stored_subject(out, view, a);
    out.raw(R"("IsFailingToConnectToMaster":false)");
    out.field("Analysis", a.code);
    out.field("Description", a.description);
    out.raw(
        R"("StructureAnalysis":null,"IsDowntimed":false,"IsReplicasDowntimed":false,"DowntimeEndTimestamp":"")"
        R"(,"DowntimeRemainingSeconds":0,"IsBinlogServer":false,"PseudoGTIDImmediateTopology":false)"
        R"(,"OracleGTIDImmediateTopology":false,"MariaDBGTIDImmediateTopology":false)"
        R"(,"BinlogServerImmediateTopology":false,"SemiSyncMasterEnabled":false,"SemiSyncMasterStatus":false)"
        R"(,"SemiSyncMasterWaitForReplicaCount":0,"SemiSyncMasterClients":0,"CountSemiSyncReplicasEnabled":0)"
        R"(,"CountLoggingReplicas":0,"CountStatementBasedLoggingReplicas":0,"CountMixedBasedLoggingReplicas":0)"
        R"(,"CountRowBasedLoggingReplicas":0,"CountDistinctMajorVersionsLoggingReplicas":0)"
        R"(,"CountDelayedReplicas":0,"CountLaggingReplicas":0,"IsActionableRecovery":false)"
        R"(,"ProcessingNodeHostname":"","ProcessingNodeToken":"","CountAdditionalAgreeingNodes":0)");
    out.field("StartActivePeriod", a.start);
    out.raw(R"("SkippableDueToDowntime":false,"GTIDMode":"","MinReplicaGTIDMode":"","MaxReplicaGTIDMode":"")"
            R"(,"MaxReplicaGTIDErrant":"")");
    out.field("CommandHint", a.command_hint);
    out.raw(R"("IsReadOnly":false)");
    out.end_object();
}

void write_successor(JsonWriter& out, const store::Recovery& r, RecoveryForm form) {
    const bool returned = form == RecoveryForm::returned;
    out.key("SuccessorKey");
    if (!r.successor && returned) {
        out.null();
    } else {
        write_key(out, r.successor.value_or(InstanceKey{}));
    }
    out.field("SuccessorAlias", r.successor_alias);
    out.key("SuccessorBinlogCoordinates");
    const auto position = returned ? topology::parse_lsn(r.successor_position) : std::nullopt;
    if (!position) {
        out.null();
    } else {
        out.begin_object()
            .field("LogFile", "wal")
            .field("LogPos", position->value)
            .field("Type", 0)
            .end_object();
    }
}

void write_errors(JsonWriter& out, const store::Recovery& r, RecoveryForm form) {
    out.key("AllErrors").begin_array();
    if (r.errors.empty() && form == RecoveryForm::stored) out.value("");
    for (const auto& e : r.errors)
        out.value(e);
    out.end_array();
}

std::string_view recovery_type(const store::Recovery& r) {
    return r.kind == "intermediate" ? "IntermediateMasterRecovery" : "MasterRecovery";
}

StoredAnalysis analysis_of(const store::Recovery& r, RecoveryForm form) {
    StoredAnalysis a{
        .instance = r.failed,
        .code = r.code,
        .cluster = {.name = r.cluster_name, .alias = r.cluster_alias, .other_names = {r.cluster_id}},
        .replicas = r.replicas};
    if (form == RecoveryForm::returned) {
        a.upstream = r.failed_upstream.value_or(InstanceKey{});
        a.description = r.description;
        a.command_hint = r.command_hint;
    }
    return a;
}

void write_acknowledgement(JsonWriter& out, const store::Recovery& r) {
    out.field("Acknowledged", r.acknowledged);
    out.field("AcknowledgedAt", iso_time(r.acknowledged_at));
    out.field("AcknowledgedBy", r.acknowledged_by);
    out.field("AcknowledgedComment", r.acknowledged_comment);
}

void write_node(JsonWriter& out, const View& view, std::string_view version, std::string_view store) {
    out.begin_object();
    out.field("Hostname", view.node_hostname);
    out.field("Token", view.node_token);
    out.field("AppVersion", version);
    out.field("FirstSeenActive", iso_time(view.started));
    out.field("LastSeenActive", iso_time(view.wall));
    out.raw(R"("ExtraInfo":"","Command":"")");
    out.field("DBBackend", store);
    out.raw(R"("LastReported":"0001-01-01T00:00:00Z")");
    out.end_object();
}

}  // namespace

void write_recovery(JsonWriter& out, const View& view, const store::Recovery& r, RecoveryForm form) {
    out.begin_object();
    out.field("Id", r.id).field("UID", r.uid);
    out.key("AnalysisEntry");
    write_stored_analysis(out, view, analysis_of(r, form));
    write_successor(out, r, form);
    out.field("IsActive", r.in_active_period);
    out.field("IsSuccessful", r.state == store::RecoveryState::succeeded);
    out.key("LostReplicas");
    write_keys(out, r.lost);
    out.key("ParticipatingInstanceKeys");
    write_keys(out, r.participating);
    write_errors(out, r, form);
    out.field("RecoveryStartTimestamp", iso_time(r.started));
    out.field("RecoveryEndTimestamp", plain_time(r.ended));
    out.field("ProcessingNodeHostname", r.node_hostname);
    out.field("ProcessingNodeToken", r.node_token);
    write_acknowledgement(out, r);
    out.field("LastDetectionId", r.detection_id).field("RelatedRecoveryId", 0);
    out.field("Type", form == RecoveryForm::returned ? recovery_type(r) : "");
    out.field("RecoveryType", "NotMasterRecovery");
    out.end_object();
}

void write_recoveries(JsonWriter& out, const View& view, std::span<const store::Recovery> recoveries) {
    out.begin_array();
    for (const auto& r : recoveries)
        write_recovery(out, view, r);
    out.end_array();
}

void write_detection(JsonWriter& out, const View& view, const store::Detection& d) {
    const StoredAnalysis analysis{
        .instance = d.instance,
        .code = d.code,
        .cluster = {.name = d.cluster_name, .alias = d.cluster_alias, .other_names = {d.cluster_id}},
        .replicas = d.replicas,
        .description = d.description,
        .start = iso_time(d.at)};
    out.begin_object();
    out.field("Id", d.id).field("UID", "");
    out.key("AnalysisEntry");
    write_stored_analysis(out, view, analysis);
    out.raw(R"("SuccessorKey":null,"SuccessorAlias":"","SuccessorBinlogCoordinates":null)");
    out.field("IsActive", d.active);
    out.raw(R"("IsSuccessful":false,"LostReplicas":[],"ParticipatingInstanceKeys":[],"AllErrors":null)");
    out.field("RecoveryStartTimestamp", iso_time(d.at));
    out.field("RecoveryEndTimestamp", "");
    out.field("ProcessingNodeHostname", view.node_hostname);
    out.field("ProcessingNodeToken", view.node_token);
    out.raw(R"("Acknowledged":false,"AcknowledgedAt":"","AcknowledgedBy":"","AcknowledgedComment":"")");
    out.field("LastDetectionId", 0).field("RelatedRecoveryId", d.recovery_id);
    out.field("Type", "").field("RecoveryType", "");
    out.end_object();
}

void write_recovery_step(JsonWriter& out, const store::RecoveryStep& step) {
    out.begin_object();
    out.field("Id", step.id).field("RecoveryUID", step.uid);
    out.field("AuditAt", iso_time(step.at)).field("Message", step.message);
    out.end_object();
}

void write_blocked(JsonWriter& out, const store::BlockedRecovery& b) {
    out.begin_object();
    out.key("FailedInstanceKey");
    write_key(out, b.failed);
    out.field("ClusterName", b.cluster_name).field("Analysis", b.code);
    out.field("LastBlockedTimestamp", iso_time(b.last_blocked));
    out.field("BlockingRecoveryId", b.blocking_recovery_id);
    out.end_object();
}

void write_audit(JsonWriter& out, const store::AuditEntry& e) {
    out.begin_object();
    out.field("AuditId", e.id).field("AuditTimestamp", iso_time(e.at)).field("AuditType", e.type);
    out.key("AuditInstanceKey");
    write_key(out, e.instance);
    out.field("Message", e.message);
    out.end_object();
}

void write_maintenance(JsonWriter& out, const store::Maintenance& m, WallTime wall) {
    const auto elapsed = std::chrono::floor<seconds>(wall - m.span.begins).count();
    out.begin_object();
    out.field("MaintenanceId", m.id);
    out.key("Key");
    write_key(out, m.key);
    out.field("BeginTimestamp", iso_time(m.span.begins));
    out.field("SecondsElapsed", std::max<int64_t>(0, elapsed));
    out.field("IsActive", m.span.begins <= wall && wall < m.span.ends);
    out.field("Owner", m.span.owner).field("Reason", m.span.reason);
    out.end_object();
}

void write_promotion_rule(JsonWriter& out, const store::PromotionRuleRecord& r) {
    out.begin_object();
    out.field("Hostname", r.key.host).field("Port", r.key.port);
    out.field("PromotionRule", to_string(r.rule));
    out.field("LastSuggestedString", plain_time(r.suggested));
    out.field("PromotionRuleExpiry", plain_time(r.expires));
    out.end_object();
}

void write_health(JsonWriter& out, const View& view, const Result<void>& health) {
    out.begin_object();
    out.field("Healthy", health.has_value());
    out.field("Hostname", view.node_hostname).field("Token", view.node_token);
    out.field("IsActiveNode", true);
    out.key("ActiveNode");
    write_node(out, view, "", "");
    out.key("Error").raw(health ? "null" : "{}");
    out.key("AvailableNodes").begin_array();
    write_node(out, view, BATON_VERSION, view.config->SQLite3DataFile);
    out.end_array();
    out.raw(
        R"("RaftLeader":"","IsRaftLeader":false,"RaftLeaderURI":"","RaftAdvertise":"","RaftHealthyMembers":null)");
    out.end_object();
}

}  // namespace baton::http::v1
