#pragma once

#include "store/records.h"

/// One record of each kind, with every field set to something that is not its default.
namespace baton::store::test {

inline const InstanceKey db1{"db1", 5432};
inline const InstanceKey db2{"db2.example", 5433};
inline const InstanceKey db3{"fd00::3", 5434};

inline WallTime moment(int n) {
    return WallTime(std::chrono::microseconds(1'790'000'000'123'456 + n * 1'000'000LL));
}

inline KnownInstance sample_instance(const InstanceKey& key = db1) {
    return {key, {db2, db3}, "7301",   topology::Engine::postgresql, topology::Role::standby,
            db2, "15.8",     moment(1)};
}

inline KnownCluster sample_cluster(const std::string& id = "7301") {
    return {id, "db1:5432", {"old:5432", "it's \"older\""}, "orders", "orders.example"};
}

inline Guard sample_guard() {
    return {.primary = db1,
            .on = true,
            .certain = true,
            .lease_ms = 2000,
            .members = {{db2, "db2.example:3002"}, {db3, "[fd00::3]:3002"}}};
}

inline Detection sample_detection(int64_t id = 0) {
    return {id,         db1,       "DeadPrimary", "7301", "db1:5432",      "orders",
            {db2, db3}, moment(2), false,         41,     "nobody answers"};
}

inline Recovery sample_recovery(int64_t id = 0) {
    return {.id = id,
            .uid = "1790000000000000000:" + std::to_string(id),
            .code = "DeadPrimary",
            .kind = "primary",
            .command_hint = "recover",
            .cluster_id = "7301",
            .cluster_name = "db1:5432",
            .cluster_alias = "orders",
            .cluster_domain = "orders.example",
            .failed = db1,
            .failed_upstream = db3,
            .replicas = {db2, db3},
            .description = "nobody answers",
            .state = RecoveryState::succeeded,
            .successor = db2,
            .successor_alias = "two",
            .successor_position = "0/3000148",
            .lost = {db3},
            .participating = {db2},
            .errors = {"caf\xe9: not UTF-8", ""},
            .started = moment(3),
            .boot = "b1",
            .started_mono_us = 77,
            .ended = moment(4),
            .in_active_period = false,
            .forced = true,
            .skip_hooks = true,
            .detection_id = 7,
            .node_hostname = "manager",
            .node_token = "abc",
            .acknowledged = true,
            .acknowledged_at = moment(5),
            .acknowledged_by = "ann",
            .acknowledged_comment = "seen;\nDROP TABLE recoveries"};
}

inline RecoveryStep sample_step(const std::string& uid, int64_t id = 0,
                                std::string deed = "promote db2:5433") {
    return {id, uid, moment(6), 123456, "promoted", std::move(deed)};
}

inline BlockedRecovery sample_blocked() {
    return {db1, "7301", "db1:5432", "DeadPrimary", moment(7), 12};
}
inline topology::Downtime sample_downtime() {
    return {"ann", "new disk", moment(8), moment(9)};
}
inline Maintenance sample_maintenance(int64_t id = 0) {
    return {id, db2, {"bob", "", moment(8), WallTime::max()}};
}
inline PromotionRuleRecord sample_rule() {
    return {db2, topology::PromotionRule::prefer_not, moment(10), moment(11)};
}
inline AuditEntry sample_audit(int64_t id = 0) {
    return {id, moment(12), "begin-downtime", db1, "db1:5432", "x"};
}
inline AnalysisChange sample_change(int64_t id = 0) {
    return {db1, moment(13), "DeadPrimary,", id};
}

}  // namespace baton::store::test
