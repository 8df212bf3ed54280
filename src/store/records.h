#pragma once

#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "topology/instance.h"

/// What Baton remembers over restarts. Plain values; times are wall clock, since they outlive the process.
namespace baton::store {

using topology::InstanceKey;

/// A server that is known, and enough of its last answer to show the tree after a restart before it was asked
/// again.
struct KnownInstance {
    InstanceKey key;
    std::vector<InstanceKey> aliases;
    std::string cluster_id;
    topology::Engine engine = topology::Engine::unknown;
    topology::Role role = topology::Role::unknown;
    std::optional<InstanceKey> upstream;
    std::string version;
    WallTime last_seen{};
    bool operator==(const KnownInstance&) const = default;
};

struct KnownCluster {
    std::string id;
    std::string name;
    std::vector<std::string> former_names;
    std::string alias;  ///< set by an operator; "" = none
    std::string domain;
    bool operator==(const KnownCluster&) const = default;
};

struct Detection {
    int64_t id = 0;
    InstanceKey instance;
    std::string code;  ///< analysis name: "DeadPrimary"
    std::string cluster_id;
    std::string cluster_name;
    std::string cluster_alias;
    std::vector<InstanceKey> replicas;
    WallTime at{};
    bool active = true;       ///< suppresses a second detection of the same
    int64_t recovery_id = 0;  ///< that followed, 0 = none
    std::string description;
};

enum class RecoveryState : uint8_t {
    running,  ///< steps are being taken
    succeeded,
    failed
};

struct Recovery {
    int64_t id = 0;
    std::string uid;           ///< "<unix nanoseconds>:<64 hex>"
    std::string code;          ///< "DeadPrimary", …
    std::string kind;          ///< "primary", "intermediate"
    std::string command_hint;  ///< "", "force-master-failover", …
    std::string cluster_id;
    std::string cluster_name;  ///< at that time
    std::string cluster_alias;
    std::string cluster_domain;
    InstanceKey failed;
    std::optional<InstanceKey> failed_upstream;
    std::vector<InstanceKey> replicas;
    std::string description;  ///< the evidence
    RecoveryState state = RecoveryState::running;
    std::optional<InstanceKey> successor;
    std::string successor_alias;
    std::string successor_position;  ///< LSN text
    std::vector<InstanceKey> lost;
    std::vector<InstanceKey> participating;
    std::vector<std::string> errors;
    WallTime started{};
    std::string boot;             ///< Clock::boot() of who began it
    int64_t started_mono_us = 0;  ///< when, by the monotonic clock of that boot, which outlives the manager
    WallTime ended{};
    bool in_active_period = true;  ///< blocks the next one until it ends or is acknowledged
    bool forced = false;
    bool skip_hooks = false;
    int64_t detection_id = 0;
    std::string node_hostname;
    std::string node_token;
    bool acknowledged = false;
    WallTime acknowledged_at{};
    std::string acknowledged_by;
    std::string acknowledged_comment;
};

/// One line of a recovery's journal.
struct RecoveryStep {
    int64_t id = 0;
    std::string uid;  ///< of the recovery
    WallTime at{};
    int64_t elapsed_us = 0;  ///< since the suspicion that led to the recovery, by the monotonic clock
    std::string message;
    std::string deed;  ///< machine-readable for steps that change a server: "promote db2:5432"; "" for talk
};

struct BlockedRecovery {
    InstanceKey failed;
    std::string cluster_id;
    std::string cluster_name;
    std::string code;
    WallTime last_blocked{};
    int64_t blocking_recovery_id = 0;
};

struct Maintenance {
    int64_t id = 0;
    InstanceKey key;
    topology::Downtime span;
};

struct PromotionRuleRecord {
    InstanceKey key;
    topology::PromotionRule rule = topology::PromotionRule::neutral;
    WallTime suggested{};
    WallTime expires{};
};

struct AuditEntry {
    int64_t id = 0;
    WallTime at{};
    std::string type;      ///< "recover-dead-master", "begin-downtime", … (the words that users grep for)
    InstanceKey instance;  ///< may be empty
    std::string cluster_name;
    std::string message;
};

/// Analysis of one instance changed.
struct AnalysisChange {
    InstanceKey instance;
    WallTime at{};
    std::string codes;  ///< "DeadPrimary," as the API lists it
    int64_t id = 0;     ///< 0 = given by State::apply
};

/// What the agent of a cluster's primary may count on, as far as a later life of the manager must know it
/// before it replaces that primary (agent/lease.h). Written before a grant goes out that says something else.
struct Guard {
    struct Member {
        InstanceKey key;
        std::string agent_address;
        bool operator==(const Member&) const = default;
    };
    InstanceKey primary;
    bool on = false;              ///< a lease may bind it
    bool certain = false;         ///< a lease surely binds it
    int64_t lease_ms = 0;         ///< the longest that may
    std::vector<Member> members;  ///< in every grant that may be in force
    bool operator==(const Guard&) const = default;
};

/// A physical replication slot that we made for a member, or saw it use: only those are moved and dropped.
struct MemberSlot {
    InstanceKey holder;
    std::string name;
    InstanceKey member;
    std::string cluster_id;
    bool operator==(const MemberSlot&) const = default;
};

// ---- Commands: the only way in which the record changes; applied in order. Under Raft they are log entries.
// A record that comes without an id gets the next one. Ending or removing what is not there does nothing.

struct PutInstance {
    KnownInstance instance;
};
/// Its analysis changes and blocked recovery go too; what an operator said of it (downtime, tags, rule)
/// stays.
struct ForgetInstance {
    InstanceKey key;
};
struct PutCluster {
    KnownCluster cluster;
};
struct ForgetCluster {
    std::string id;
};
struct PutDetection {
    Detection detection;
};
struct EndDetection {
    int64_t id = 0;
};  ///< no longer active
struct PutRecovery {
    Recovery recovery;
};  ///< insert or replace by id
struct AddRecoveryStep {
    RecoveryStep step;
};
struct Acknowledge {
    std::vector<int64_t> recovery_ids;
    std::string by, comment;
    WallTime at{};
};
struct EndActivePeriod {
    int64_t recovery_id = 0;
};
struct PutBlocked {
    BlockedRecovery blocked;
};
struct RemoveBlocked {
    InstanceKey failed;
};
struct BeginDowntime {
    InstanceKey key;
    topology::Downtime downtime;
};
struct EndDowntime {
    InstanceKey key;
};
struct BeginMaintenance {
    Maintenance maintenance;
};
struct EndMaintenance {
    int64_t id = 0;
};
struct PutTag {
    InstanceKey key;
    topology::Tag tag;
};
struct RemoveTag {
    InstanceKey key;
    std::string name;
};
struct PutPromotionRule {
    PromotionRuleRecord record;
};
struct RemovePromotionRule {
    InstanceKey key;
};
struct SetGlobalRecoveries {
    bool enabled = true;
};
struct AddAudit {
    AuditEntry entry;
};
struct AddAnalysisChange {
    AnalysisChange change;
};
/// Without instances: removes it.
struct SetPool {
    std::string pool;
    std::vector<InstanceKey> instances;
    WallTime at{};
};
struct PutHostnameUnresolve {
    InstanceKey key;
    std::string name;
};  ///< "" removes
struct PutKeyValue {
    std::string key, value;
};
/// ForgetCluster removes it.
struct PutGuard {
    std::string cluster_id;
    Guard guard;
};
/// ForgetCluster removes them.
struct PutMemberSlot {
    MemberSlot slot;
};
struct ForgetMemberSlot {
    InstanceKey holder;
    std::string name;
};
/// Which life of the managers this is; a lower one than is known does nothing.
struct PutEpoch {
    uint64_t epoch = 0;
};

using Command = std::variant<PutInstance, ForgetInstance, PutCluster, ForgetCluster, PutDetection,
                             EndDetection, PutRecovery, AddRecoveryStep, Acknowledge, EndActivePeriod,
                             PutBlocked, RemoveBlocked, BeginDowntime, EndDowntime, BeginMaintenance,
                             EndMaintenance, PutTag, RemoveTag, PutPromotionRule, RemovePromotionRule,
                             SetGlobalRecoveries, AddAudit, AddAnalysisChange, SetPool, PutHostnameUnresolve,
                             PutKeyValue, PutGuard, PutMemberSlot, ForgetMemberSlot, PutEpoch>;

/// How much history is kept. What is over a limit is dropped oldest first, with these preferences: a running
/// recovery never; a recovery that still blocks the next one, and an active detection, after those that do
/// not; a step that tells of a deed after steps that are talk.
struct Limits {
    size_t recoveries = 1000;
    size_t steps_per_recovery = 1000;
    size_t detections = 1000;
    size_t audit = 10000;
    size_t analysis_changes_per_instance = 50;
};

/// The whole record in memory. apply() is the only mutator: pure, so every replica of it ends the same.
struct State {
    std::map<InstanceKey, KnownInstance> instances;
    std::map<std::string, KnownCluster> clusters;
    std::map<int64_t, Detection> detections;
    std::map<int64_t, Recovery> recoveries;
    std::map<std::string, std::vector<RecoveryStep>> steps;  ///< by recovery uid
    std::map<InstanceKey, BlockedRecovery> blocked;
    std::map<InstanceKey, topology::Downtime> downtimes;
    std::map<int64_t, Maintenance> maintenance;
    std::map<InstanceKey, std::map<std::string, std::string>> tags;
    std::map<InstanceKey, PromotionRuleRecord> promotion_rules;
    bool recoveries_enabled = true;
    std::map<int64_t, AuditEntry> audit;
    std::map<InstanceKey, std::vector<AnalysisChange>> analysis_changes;
    std::map<std::string, std::pair<WallTime, std::vector<InstanceKey>>> pools;
    std::map<InstanceKey, std::string> hostname_unresolves;
    std::map<std::string, std::string> key_values;
    std::map<std::string, Guard> guards;                                     ///< by cluster id
    std::map<std::pair<InstanceKey, std::string>, MemberSlot> member_slots;  ///< by holder and name
    uint64_t epoch = 0;  ///< counts the lives of managers; host agents refuse orders of an older one

    /// One counter for detections, recoveries, steps, maintenance, audit and analysis changes.
    int64_t next_id = 1;

    void apply(const Command& command, const Limits& limits);
    const Recovery* recovery_by_uid(const std::string& uid) const;
    const Recovery* running_recovery(const std::string& cluster_id) const;
};

}  // namespace baton::store
