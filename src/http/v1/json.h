#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/json_writer.h"
#include "control/control.h"

/// The answers of orchestrator's API, byte for byte: names, order and types that scripts rely on. Each writer
/// adds one JSON value to `out`. All are pure: what they need comes from the view, so any thread may call
/// them.
namespace baton::http::v1 {

using analysis::Problem;
using control::View;
using topology::Cluster;
using topology::Instance;
using topology::InstanceKey;
using topology::InstancePtr;

/// {"Hostname":"db1","Port":5432}; an empty key gives {"Hostname":"","Port":0}.
void write_key(JsonWriter& out, const InstanceKey& key);
/// A set of keys: sorted by host, then port; [] when empty.
void write_keys(JsonWriter& out, std::span<const InstanceKey> keys);

/// Instance: 87 fields and those of the PostgreSQL-capable fork.
void write_instance(JsonWriter& out, const View& view, const Instance& instance);
/// By depth, then key.
void write_instances(JsonWriter& out, const View& view, std::vector<InstancePtr> instances);
/// The values of Problems: "last_check_invalid", "not_recently_checked", "not_replicating",
/// "replication_lag".
std::vector<std::string> instance_problems(const View& view, const Instance& instance);

void write_cluster_info(JsonWriter& out, const View& view, const Cluster& cluster);

/// ReplicationAnalysis: 57 fields.
void write_analysis(JsonWriter& out, const View& view, const Problem& problem);

/// A recovery reads differently when it comes from the record and when the call that made it returns it.
enum class RecoveryForm : uint8_t {
    stored,   ///< SuccessorKey never null, AllErrors [""] when there were none, Type ""
    returned  ///< SuccessorKey null when none, Type filled in
};
void write_recovery(JsonWriter& out, const View& view, const store::Recovery& recovery,
                    RecoveryForm form = RecoveryForm::stored);
void write_recoveries(JsonWriter& out, const View& view, std::span<const store::Recovery> recoveries);
void write_recovery_step(JsonWriter& out, const store::RecoveryStep& step);
/// A failure detection, in the shape of a TopologyRecovery.
void write_detection(JsonWriter& out, const View& view, const store::Detection& detection);
void write_blocked(JsonWriter& out, const store::BlockedRecovery& blocked);
void write_audit(JsonWriter& out, const store::AuditEntry& entry);
/// `wall` is the present; SecondsElapsed and IsActive come from it.
void write_maintenance(JsonWriter& out, const store::Maintenance& maintenance, WallTime wall);
/// CandidateDatabaseInstance.
void write_promotion_rule(JsonWriter& out, const store::PromotionRuleRecord& record);
/// HealthStatus of this manager, which stands alone: it is its own active node.
void write_health(JsonWriter& out, const View& view, const Result<void>& health);

enum class TopologyStyle : uint8_t {
    plain,      ///< "+ db2:5432 [0s,ok,15.18,ro,>>]"
    tabulated,  ///< columns parted by |
    tags        ///< plain, and " [role=backup]" after it
};
/// The tree of a cluster as text, lines parted by \n, none at the end.
std::string ascii_topology(const Cluster& cluster, const View& view, TopologyStyle style);

}  // namespace baton::http::v1
