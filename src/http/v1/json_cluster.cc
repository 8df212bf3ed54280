#include <algorithm>
#include <set>

#include "http/v1/json.h"
#include "http/v1/json_parts.h"
#include "http/v1/status.h"

namespace baton::http::v1 {

namespace {

using analysis::Code;

/// Instance and problem together, with what stands in for a server that is not in the view.
struct Subject {
    const View& view;
    const Problem& problem;
    std::span<const std::string_view> structure;  ///< names of the structure warnings of the server
    InstancePtr instance;                         ///< may be null
    ClusterPtr cluster;                           ///< may be null
};

int distinct_versions(const Subject& s) {
    std::set<int> majors;
    for (const auto& key : s.problem.replicas) {
        const auto replica = s.view.topology->find_instance(key);
        if (replica && replica->seen) majors.insert(replica->seen->version_num / 10000);
    }
    return static_cast<int>(majors.size());
}

void write_subject(JsonWriter& out, const Subject& s) {
    const auto* i = s.instance.get();
    out.key("AnalyzedInstanceKey");
    write_key(out, s.problem.instance);
    out.key("AnalyzedInstanceMasterKey");
    write_key(out, i && !i->is_primary() && i->upstream ? *i->upstream : InstanceKey{});
    out.key("ClusterDetails");
    if (s.cluster) {
        write_cluster_info(out, s.view, *s.cluster);
    } else {
        write_cluster_details(out, s.view, {.name = s.problem.instance.text()});
    }
    out.field("AnalyzedInstanceDataCenter", i ? std::string_view(i->data_center) : "");
    out.field("AnalyzedInstanceRegion", i ? std::string_view(i->region) : "");
    out.field("AnalyzedInstancePhysicalEnvironment", i ? std::string_view(i->environment) : "");
    const auto position = i && i->seen ? i->seen->position() : topology::Lsn{};
    out.key("AnalyzedInstanceBinlogCoordinates").begin_object();
    out.field("LogFile", i && i->seen ? "wal" : "").field("LogPos", position.value).field("Type", 0);
    out.end_object();
}

void write_counts(JsonWriter& out, const Subject& s) {
    const auto& c = s.problem.counts;
    const auto* i = s.instance.get();
    const bool valid = i && i->health.ok();
    out.field("IsMaster", s.problem.is_primary);
    out.raw(R"("IsReplicationGroupMember":false,"IsCoMaster":false)");
    out.field("LastCheckValid", valid);
    out.field("LastCheckPartialSuccess", i && !valid && known_alive(i->health.reach));
    out.field("CountReplicas", c.replicas);
    out.field("CountValidReplicas", c.valid);
    out.field("CountValidReplicatingReplicas", c.replicating);
    out.field("CountReplicasFailingToConnectToMaster", c.failing_to_connect);
    out.field("CountDowntimedReplicas", c.downtimed);
    out.field("ReplicationDepth", i ? i->depth : 0);
    out.key("Replicas");
    write_keys(out, s.problem.replicas);
    out.key("SlaveHosts");
    write_keys(out, s.problem.replicas);
    out.field("IsFailingToConnectToMaster", valid && i->is_standby() && i->seen && !i->seen->receiving());
}

void write_finding(JsonWriter& out, const Subject& s) {
    const auto& code = analysis::info(s.problem.code);
    out.field("Analysis", code.structure ? analysis::info(Code::no_problem).name : code.name);
    out.field("Description", s.problem.description);
    out.key("StructureAnalysis");
    if (s.structure.empty()) {
        out.null();
    } else {
        out.begin_array();
        for (const auto name : s.structure)
            out.value(name);
        out.end_array();
    }
    const auto* downtime =
        s.instance && in_force(s.instance->downtime, s.view.wall) ? &*s.instance->downtime : nullptr;
    out.field("IsDowntimed", downtime != nullptr);
    out.field("IsReplicasDowntimed", s.problem.replicas_downtimed);
    out.field("DowntimeEndTimestamp", downtime ? plain_time(downtime->ends) : "");
    out.field("DowntimeRemainingSeconds",
              downtime ? std::chrono::floor<seconds>(downtime->ends - s.view.wall).count() : 0);
}

void write_replica_kinds(JsonWriter& out, const Subject& s) {
    const auto& c = s.problem.counts;
    out.raw(
        R"("IsBinlogServer":false,"PseudoGTIDImmediateTopology":false,"OracleGTIDImmediateTopology":false)"
        R"(,"MariaDBGTIDImmediateTopology":false,"BinlogServerImmediateTopology":false)"
        R"(,"SemiSyncMasterEnabled":false,"SemiSyncMasterStatus":false,"SemiSyncMasterWaitForReplicaCount":0)"
        R"(,"SemiSyncMasterClients":0,"CountSemiSyncReplicasEnabled":0)");
    // Every standby logs what it replays, byte for byte.
    out.field("CountLoggingReplicas", c.replicas);
    out.raw(R"("CountStatementBasedLoggingReplicas":0,"CountMixedBasedLoggingReplicas":0)");
    out.field("CountRowBasedLoggingReplicas", c.replicas);
    out.field("CountDistinctMajorVersionsLoggingReplicas", distinct_versions(s));
    out.field("CountDelayedReplicas", c.delayed);
    out.field("CountLaggingReplicas", c.lagging);
}

void write_outlook(JsonWriter& out, const Subject& s) {
    const auto* seen = s.instance ? s.instance->seen.get() : nullptr;
    const bool postgresql = seen && seen->engine == topology::Engine::postgresql;
    const std::string_view replica_mode = postgresql && s.problem.counts.replicas > 0 ? "ON" : "";
    out.field("IsActionableRecovery", s.problem.actionable());
    out.field("ProcessingNodeHostname", s.view.node_hostname);
    out.field("ProcessingNodeToken", s.view.node_token);
    out.raw(R"("CountAdditionalAgreeingNodes":0,"StartActivePeriod":"")");
    out.field("SkippableDueToDowntime", s.problem.downtimed);
    out.field("GTIDMode", postgresql ? "ON" : "");
    out.field("MinReplicaGTIDMode", replica_mode);
    out.field("MaxReplicaGTIDMode", replica_mode);
    out.raw(R"("MaxReplicaGTIDErrant":"","CommandHint":"")");
    out.field("IsReadOnly", s.instance && (!s.instance->is_primary() ||
                                           (seen && seen->settings.default_transaction_read_only)));
}

}  // namespace

void write_cluster_details(JsonWriter& out, const View& view, const ClusterDetails& details) {
    std::vector<std::string> names{details.name};
    names.insert(names.end(), details.other_names.begin(), details.other_names.end());
    const auto automated = automated_recovery(view, names, details.alias);
    out.begin_object();
    out.field("ClusterName", details.name);
    out.field("ClusterAlias", details.alias);
    out.field("ClusterDomain", details.domain);
    out.field("CountInstances", details.instances);
    out.field("HeuristicLag", details.lag_seconds);
    out.field("HasAutomatedMasterRecovery", automated.primary);
    out.field("HasAutomatedIntermediateMasterRecovery", automated.intermediate);
    out.end_object();
}

void write_cluster_info(JsonWriter& out, const View& view, const Cluster& cluster) {
    ClusterDetails details{.name = cluster.name,
                           // A cluster without an alias goes by its name, so that scripts always find one.
                           .alias = cluster.alias.empty() ? cluster.name : cluster.alias,
                           .domain = cluster.domain,
                           .other_names = cluster.former_names,
                           .instances = cluster.instances.size(),
                           .lag_seconds = heuristic_lag(cluster)};
    details.other_names.push_back(cluster.id);
    write_cluster_details(out, view, details);
}

void write_analysis(JsonWriter& out, const View& view, const Problem& problem) {
    std::vector<std::string_view> structure;
    if (view.problems) {
        for (const auto& p : *view.problems) {
            const auto& code = analysis::info(p.code);
            if (code.structure && p.instance == problem.instance) structure.push_back(code.name);
        }
    }
    write_analysis(out, view, problem, structure);
}

void write_analysis(JsonWriter& out, const View& view, const Problem& problem,
                    std::span<const std::string_view> structure) {
    const Subject s{.view = view,
                    .problem = problem,
                    .structure = structure,
                    .instance = view.topology->find_instance(problem.instance),
                    .cluster = view.topology->cluster(problem.cluster_id)};
    out.begin_object();
    write_subject(out, s);
    write_counts(out, s);
    write_finding(out, s);
    write_replica_kinds(out, s);
    write_outlook(out, s);
    out.end_object();
}

}  // namespace baton::http::v1
