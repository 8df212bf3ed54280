#pragma once

#include <array>
#include <concepts>
#include <string_view>
#include <type_traits>

#include "store/rows.h"

/// The table of tables: for each kind of row, its table, its key columns, and which column holds which field.
/// Reading, writing and the statements' texts all come from here; schema.cc creates what is named here.
namespace baton::store {

template <class R>
struct Table;

template <>
struct Table<KnownInstance> {
    static constexpr std::string_view name = "instances";
    static constexpr std::array<std::string_view, 1> key = {"instance"};
};
template <>
struct Table<KnownCluster> {
    static constexpr std::string_view name = "clusters";
    static constexpr std::array<std::string_view, 1> key = {"id"};
};
template <>
struct Table<Detection> {
    static constexpr std::string_view name = "detections";
    static constexpr std::array<std::string_view, 1> key = {"detection_id"};
};
template <>
struct Table<Recovery> {
    static constexpr std::string_view name = "recoveries";
    static constexpr std::array<std::string_view, 1> key = {"recovery_id"};
};
template <>
struct Table<RecoveryStep> {
    static constexpr std::string_view name = "recovery_steps";
    static constexpr std::array<std::string_view, 1> key = {"step_id"};
};
template <>
struct Table<BlockedRecovery> {
    static constexpr std::string_view name = "blocked_recoveries";
    static constexpr std::array<std::string_view, 1> key = {"failed_instance"};
};
template <>
struct Table<DowntimeRow> {
    static constexpr std::string_view name = "downtimes";
    static constexpr std::array<std::string_view, 1> key = {"instance"};
};
template <>
struct Table<Maintenance> {
    static constexpr std::string_view name = "maintenance";
    static constexpr std::array<std::string_view, 1> key = {"maintenance_id"};
};
template <>
struct Table<TagRow> {
    static constexpr std::string_view name = "tags";
    static constexpr std::array<std::string_view, 2> key = {"instance", "tag"};
};
template <>
struct Table<PromotionRuleRecord> {
    static constexpr std::string_view name = "promotion_rules";
    static constexpr std::array<std::string_view, 1> key = {"instance"};
};
template <>
struct Table<Setting> {
    static constexpr std::string_view name = "settings";
    static constexpr std::array<std::string_view, 1> key = {"name"};
};
template <>
struct Table<AuditEntry> {
    static constexpr std::string_view name = "audit";
    static constexpr std::array<std::string_view, 1> key = {"audit_id"};
};
template <>
struct Table<AnalysisChange> {
    static constexpr std::string_view name = "analysis_changes";
    static constexpr std::array<std::string_view, 1> key = {"change_id"};
};
template <>
struct Table<PoolRow> {
    static constexpr std::string_view name = "pools";
    static constexpr std::array<std::string_view, 1> key = {"pool"};
};
template <>
struct Table<UnresolveRow> {
    static constexpr std::string_view name = "hostname_unresolves";
    static constexpr std::array<std::string_view, 1> key = {"instance"};
};
template <>
struct Table<KeyValueRow> {
    static constexpr std::string_view name = "key_values";
    static constexpr std::array<std::string_view, 1> key = {"name"};
};

template <>
struct Table<GuardRow> {
    static constexpr std::string_view name = "guards";
    static constexpr std::array<std::string_view, 1> key = {"cluster"};
};

template <>
struct Table<MemberSlot> {
    static constexpr std::string_view name = "member_slots";
    static constexpr std::array<std::string_view, 2> key = {"holder", "slot"};
};

/// R, const or not: one list of fields serves the reader and the writer.
template <class T, class R>
concept Like = std::same_as<std::remove_const_t<T>, R>;

void fields(auto& f, Like<KnownInstance> auto& r) {
    f("instance", r.key);
    f("aliases", r.aliases);
    f("cluster_id", r.cluster_id);
    f("engine", r.engine);
    f("role", r.role);
    f("upstream", r.upstream);
    f("version", r.version);
    f("last_seen", r.last_seen);
}

void fields(auto& f, Like<KnownCluster> auto& r) {
    f("id", r.id);
    f("name", r.name);
    f("former_names", r.former_names);
    f("alias", r.alias);
    f("domain", r.domain);
}

void fields(auto& f, Like<Detection> auto& r) {
    f("detection_id", r.id);
    f("instance", r.instance);
    f("code", r.code);
    f("cluster_id", r.cluster_id);
    f("cluster_name", r.cluster_name);
    f("cluster_alias", r.cluster_alias);
    f("replicas", r.replicas);
    f("detected_at", r.at);
    f("active", r.active);
    f("recovery_id", r.recovery_id);
    f("description", r.description);
}

void fields(auto& f, Like<Recovery> auto& r) {
    f("recovery_id", r.id);
    f("uid", r.uid);
    f("code", r.code);
    f("kind", r.kind);
    f("command_hint", r.command_hint);
    f("cluster_id", r.cluster_id);
    f("cluster_name", r.cluster_name);
    f("cluster_alias", r.cluster_alias);
    f("cluster_domain", r.cluster_domain);
    f("failed_instance", r.failed);
    f("failed_upstream", r.failed_upstream);
    f("replicas", r.replicas);
    f("description", r.description);
    f("state", r.state);
    f("successor", r.successor);
    f("successor_alias", r.successor_alias);
    f("successor_position", r.successor_position);
    f("lost_replicas", r.lost);
    f("participating", r.participating);
    f("errors", r.errors);
    f("started_at", r.started);
    f("boot", r.boot);
    f("started_mono_us", r.started_mono_us);
    f("ended_at", r.ended);
    f("in_active_period", r.in_active_period);
    f("forced", r.forced);
    f("skip_hooks", r.skip_hooks);
    f("detection_id", r.detection_id);
    f("node_hostname", r.node_hostname);
    f("node_token", r.node_token);
    f("acknowledged", r.acknowledged);
    f("acknowledged_at", r.acknowledged_at);
    f("acknowledged_by", r.acknowledged_by);
    f("acknowledged_comment", r.acknowledged_comment);
}

void fields(auto& f, Like<RecoveryStep> auto& r) {
    f("step_id", r.id);
    f("recovery_uid", r.uid);
    f("at", r.at);
    f("elapsed_us", r.elapsed_us);
    f("message", r.message);
    f("deed", r.deed);
}

void fields(auto& f, Like<BlockedRecovery> auto& r) {
    f("failed_instance", r.failed);
    f("cluster_id", r.cluster_id);
    f("cluster_name", r.cluster_name);
    f("code", r.code);
    f("last_blocked_at", r.last_blocked);
    f("blocking_recovery_id", r.blocking_recovery_id);
}

/// Shared by downtimes and maintenance.
void span_fields(auto& f, Like<topology::Downtime> auto& r) {
    f("owner", r.owner);
    f("reason", r.reason);
    f("begins_at", r.begins);
    f("ends_at", r.ends);
}

void fields(auto& f, Like<DowntimeRow> auto& r) {
    f("instance", r.key);
    span_fields(f, r.downtime);
}

void fields(auto& f, Like<Maintenance> auto& r) {
    f("maintenance_id", r.id);
    f("instance", r.key);
    span_fields(f, r.span);
}

void fields(auto& f, Like<TagRow> auto& r) {
    f("instance", r.key);
    f("tag", r.tag.name);
    f("value", r.tag.value);
}

void fields(auto& f, Like<PromotionRuleRecord> auto& r) {
    f("instance", r.key);
    f("rule", r.rule);
    f("suggested_at", r.suggested);
    f("expires_at", r.expires);
}

void fields(auto& f, Like<Setting> auto& r) {
    f("name", r.name);
    f("value", r.value);
}

void fields(auto& f, Like<AuditEntry> auto& r) {
    f("audit_id", r.id);
    f("at", r.at);
    f("type", r.type);
    f("instance", r.instance);
    f("cluster_name", r.cluster_name);
    f("message", r.message);
}

void fields(auto& f, Like<AnalysisChange> auto& r) {
    f("change_id", r.id);
    f("instance", r.instance);
    f("at", r.at);
    f("codes", r.codes);
}

void fields(auto& f, Like<PoolRow> auto& r) {
    f("pool", r.pool);
    f("registered_at", r.at);
    f("instances", r.instances);
}

void fields(auto& f, Like<UnresolveRow> auto& r) {
    f("instance", r.key);
    f("unresolved_name", r.name);
}

void fields(auto& f, Like<KeyValueRow> auto& r) {
    f("name", r.key);
    f("value", r.value);
}

void fields(auto& f, Like<GuardRow> auto& r) {
    f("cluster", r.cluster_id);
    f("json", r.guard);
}

void fields(auto& f, Like<MemberSlot> auto& r) {
    f("holder", r.holder);
    f("slot", r.name);
    f("member", r.member);
    f("cluster", r.cluster_id);
}

}  // namespace baton::store
