#include <algorithm>

#include "http/v1/json.h"
#include "http/v1/status.h"

namespace baton::http::v1 {

namespace {

using topology::Engine;
using topology::Lsn;

struct Coordinates {
    std::string_view file;
    Lsn position;
};

void write_coordinates(JsonWriter& out, std::string_view name, const Coordinates& c) {
    out.key(name).begin_object();
    out.field("LogFile", c.file).field("LogPos", c.position.value).field("Type", 0);
    out.end_object();
}

void write_null_int(JsonWriter& out, std::string_view name, std::optional<int64_t> v) {
    out.key(name).begin_object();
    out.field("Int64", v.value_or(0)).field("Valid", v.has_value());
    out.end_object();
}

std::string_view flavor(Engine engine) {
    switch (engine) {
        case Engine::postgresql:
            return "PostgreSQL";
        case Engine::mysql:
            return "MySQL";
        case Engine::mariadb:
            return "MariaDB";
        case Engine::unknown:
            break;
    }
    return "";
}

std::string_view provider(Engine engine) {
    if (engine == Engine::unknown) return "";
    return engine == Engine::postgresql ? "postgresql" : "mysql";
}

/// orchestrator stores errors of replication in double quotes; no error is the empty string.
std::string in_quotes(std::string_view text) {
    if (text.empty()) return {};
    std::string result = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') result += '\\';
        result += c;
    }
    return result + '"';
}

std::string receive_error(const Instance& instance, const InstanceStatus& status) {
    if (!status.last_check_valid && instance.health.error) return instance.health.error->text();
    if (!status.replica || status.receive_thread == thread_running || !instance.seen) return {};
    const auto from = instance.upstream ? instance.upstream->text() : std::string("any upstream");
    if (!instance.seen->receiver) return "no WAL receiver is running; nothing comes from " + from;
    const auto& state = instance.seen->receiver->status;
    return "the WAL receiver does not stream from " + from + (state.empty() ? "" : ": it is " + state);
}

int64_t uptime_seconds(const View& view, const Instance& instance) {
    if (!instance.seen || instance.seen->started_at_us == 0) return 0;
    return std::max<int64_t>(
        0, (view.wall.time_since_epoch().count() - instance.seen->started_at_us) / 1'000'000);
}

bool read_only(const Instance& instance) {
    return !instance.is_primary() || (instance.seen && instance.seen->settings.default_transaction_read_only);
}

void write_identity(JsonWriter& out, const View& view, const Instance& instance) {
    const auto* seen = instance.seen.get();
    out.key("Key");
    write_key(out, instance.key);
    out.field("InstanceAlias", "");
    out.field("Uptime", uptime_seconds(view, instance));
    out.field("ServerID", 0);
    out.field("ServerUUID", seen ? std::string_view(seen->system_identifier) : "");
    out.field("Version", seen ? std::string_view(seen->version) : "");
    out.field("VersionComment", "");
    out.field("FlavorName", flavor(seen ? seen->engine : Engine::unknown));
    out.field("ReadOnly", read_only(instance));
    out.raw(R"("Binlog_format":"","BinlogRowImage":"")");
    // The write-ahead log cannot be switched off, and a standby always passes on what it received.
    out.raw(R"("LogBinEnabled":true,"LogSlaveUpdatesEnabled":true,"LogReplicationUpdatesEnabled":true)");
}

Coordinates own_position(const Instance& instance) {
    if (!instance.seen) return {};
    return {.file = "wal",
            .position = instance.is_primary() ? instance.seen->written : instance.seen->replayed};
}

void write_upstream(JsonWriter& out, const Instance& instance, const InstanceStatus& status) {
    const bool has = status.replica && instance.upstream;
    out.key("MasterKey");
    write_key(out, has ? *instance.upstream : InstanceKey{});
    out.field("MasterUUID", has && instance.seen ? std::string_view(instance.seen->system_identifier) : "");
    out.raw(R"("AncestryUUID":"","IsDetachedMaster":false)");
    out.field("Slave_SQL_Running", status.replay_thread == thread_running);
    out.field("ReplicationSQLThreadRuning", status.replay_thread == thread_running);
    out.field("Slave_IO_Running", status.receive_thread == thread_running);
    out.field("ReplicationIOThreadRuning", status.receive_thread == thread_running);
    out.field("ReplicationSQLThreadState", status.replay_thread);
    out.field("ReplicationIOThreadState", status.receive_thread);
    out.raw(R"("HasReplicationFilters":false)");
}

void write_progress(JsonWriter& out, const Instance& instance, const InstanceStatus& status) {
    const bool standby = status.replica && instance.seen;
    out.field("GTIDMode", instance.seen && instance.seen->engine == Engine::postgresql ? "ON" : "");
    out.raw(
        R"("SupportsOracleGTID":false,"UsingOracleGTID":false,"UsingMariaDBGTID":false,"UsingPseudoGTID":false)");
    write_coordinates(out, "ReadBinlogCoordinates",
                      standby ? Coordinates{"wal", instance.seen->received} : Coordinates{});
    write_coordinates(out, "ExecBinlogCoordinates",
                      standby ? Coordinates{"wal", instance.seen->replayed} : Coordinates{});
    out.raw(
        R"("IsDetached":false,"RelaylogCoordinates":{"LogFile":"","LogPos":0,"Type":1},"LastSQLError":"")");
    out.field("LastIOError", in_quotes(receive_error(instance, status)));
    write_null_int(out, "SecondsBehindMaster", status.lag_seconds);
    out.field("SQLDelay", status.delay_seconds);
    out.raw(R"("ExecutedGtidSet":"","GtidPurged":"","GtidErrant":"")");
    write_null_int(out, "SlaveLagSeconds", status.lag_seconds);
    write_null_int(out, "ReplicationLagSeconds", status.lag_seconds);
}

void write_place(JsonWriter& out, const View& view, const Instance& instance) {
    out.key("SlaveHosts");
    write_keys(out, instance.downstream);
    out.key("Replicas");
    write_keys(out, instance.downstream);
    const auto cluster = view.topology->cluster(instance.cluster_id);
    out.field("ClusterName", cluster ? cluster->name : instance.key.text());
    out.field("SuggestedClusterAlias", cluster ? std::string_view(cluster->alias) : "");
    out.field("DataCenter", instance.data_center);
    out.field("Region", instance.region);
    out.field("PhysicalEnvironment", instance.environment);
    out.field("ReplicationDepth", instance.depth);
    out.raw(R"("IsCoMaster":false)");
    out.field("HasReplicationCredentials", instance.seen && !instance.seen->upstream.user.empty());
    out.raw(R"("ReplicationCredentialsAvailable":false,"SemiSyncAvailable":false,"SemiSyncPriority":0)"
            R"(,"SemiSyncMasterPluginNewVersion":false,"SemiSyncReplicaPluginNewVersion":false)"
            R"(,"SemiSyncMasterEnabled":false,"SemiSyncReplicaEnabled":false,"SemiSyncMasterTimeout":0)"
            R"(,"SemiSyncMasterWaitForReplicaCount":0,"SemiSyncMasterStatus":false,"SemiSyncMasterClients":0)"
            R"(,"SemiSyncReplicaStatus":false)");
}

void write_checks(JsonWriter& out, const View& view, const Instance& instance, const InstanceStatus& status) {
    out.field("LastSeenTimestamp", iso_time(instance.last_seen));
    out.field("IsLastCheckValid", status.last_check_valid);
    out.field("IsUpToDate", status.up_to_date);
    out.field("IsRecentlyChecked", status.recently_checked);
    std::optional<int64_t> since;
    if (instance.last_seen != WallTime{}) {
        since = std::max<int64_t>(0, std::chrono::floor<seconds>(view.wall - instance.last_seen).count());
    }
    write_null_int(out, "SecondsSinceLastSeen", since);
}

void write_annotations(JsonWriter& out, const View& view, const Instance& instance,
                       const InstanceStatus& status) {
    using topology::PromotionRule;
    const bool wanted =
        instance.promotion_rule == PromotionRule::must || instance.promotion_rule == PromotionRule::prefer;
    out.raw(R"("CountMySQLSnapshots":0)");
    out.field("IsCandidate", instance.is_candidate && wanted);
    out.field("PromotionRule", to_string(instance.promotion_rule));
    const auto* downtime = status.downtimed ? &*instance.downtime : nullptr;
    out.field("IsDowntimed", status.downtimed);
    out.field("DowntimeReason", downtime ? std::string_view(downtime->reason) : "");
    out.field("DowntimeOwner", downtime ? std::string_view(downtime->owner) : "");
    out.field("DowntimeEndTimestamp", downtime ? plain_time(downtime->ends) : "");
    out.field("ElapsedDowntime", downtime ? Duration(view.wall - downtime->begins).count() : 0);
    out.raw(R"("UnresolvedHostname":"","AllowTLS":false)");
}

}  // namespace

void write_key(JsonWriter& out, const InstanceKey& key) {
    out.begin_object().field("Hostname", key.host).field("Port", key.port).end_object();
}

void write_keys(JsonWriter& out, std::span<const InstanceKey> keys) {
    std::vector<InstanceKey> sorted(keys.begin(), keys.end());
    std::ranges::sort(sorted);
    out.begin_array();
    for (const auto& key : sorted)
        write_key(out, key);
    out.end_array();
}

std::vector<std::string> instance_problems(const View& view, const Instance& instance) {
    const auto status = status_of(view, instance);
    if (!status.last_check_valid) return {"last_check_invalid"};
    if (!status.recently_checked) return {"not_recently_checked"};
    if (status.replica && !status.running()) return {"not_replicating"};
    if (status.lags_more_than(view.config->ReasonableReplicationLagSeconds)) return {"replication_lag"};
    return {};
}

void write_instance(JsonWriter& out, const View& view, const Instance& instance) {
    const auto status = status_of(view, instance);
    out.begin_object();
    write_identity(out, view, instance);
    write_coordinates(out, "SelfBinlogCoordinates", own_position(instance));
    write_upstream(out, instance, status);
    write_progress(out, instance, status);
    write_place(out, view, instance);
    write_checks(out, view, instance, status);
    write_annotations(out, view, instance, status);
    out.key("Problems").begin_array();
    for (const auto& problem : instance_problems(view, instance))
        out.value(problem);
    out.end_array();
    out.field("LastDiscoveryLatency", instance.health.latency.count());
    out.raw(R"("ReplicationChannels":null,"ManagedChannelName":"","ReplicationGroupName":"")"
            R"(,"ReplicationGroupIsSinglePrimary":false,"ReplicationGroupMemberState":"")"
            R"(,"ReplicationGroupMemberRole":"","ReplicationGroupMembers":[])"
            R"(,"ReplicationGroupPrimaryInstanceKey":{"Hostname":"","Port":0})");
    out.field("ProviderType", provider(instance.seen ? instance.seen->engine : Engine::unknown));
    out.end_object();
}

void write_instances(JsonWriter& out, const View& view, std::vector<InstancePtr> instances) {
    const auto place = [](const InstancePtr& i) { return std::tie(i->depth, i->key); };
    std::ranges::sort(instances, {}, place);
    constexpr size_t usual_instance_bytes = 4000;
    out.reserve(out.text().size() + (instances.size() * usual_instance_bytes));
    out.begin_array();
    for (const auto& i : instances)
        write_instance(out, view, *i);
    out.end_array();
}

}  // namespace baton::http::v1
