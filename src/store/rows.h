#pragma once

#include <compare>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "store/records.h"

/// What a command does to the record, row by row. Inside of this room only.
namespace baton::store {

struct DowntimeRow {
    InstanceKey key;
    topology::Downtime downtime;
};

struct TagRow {
    InstanceKey key;
    topology::Tag tag;
};

/// Baton's own facts about the record: "recoveries_enabled", "next_id", "epoch", "syncs".
struct Setting {
    std::string name;
    std::string value;
};

struct PoolRow {
    std::string pool;
    WallTime at{};
    std::vector<InstanceKey> instances;
};

struct UnresolveRow {
    InstanceKey key;
    std::string name;
};

struct KeyValueRow {
    std::string key;
    std::string value;
};

struct GuardRow {
    std::string cluster_id;
    Guard guard;
};

/// One row of one table. The order of the alternatives is the order in which tables are read: recoveries come
/// before their steps.
using Row = std::variant<KnownInstance, KnownCluster, Detection, Recovery, RecoveryStep, BlockedRecovery,
                         DowntimeRow, Maintenance, TagRow, PromotionRuleRecord, Setting, AuditEntry,
                         AnalysisChange, PoolRow, UnresolveRow, KeyValueRow, GuardRow, MemberSlot>;

/// Names one row. Tables use the parts that their primary key has; the others stay empty.
struct RowKey {
    size_t table = 0;  ///< index in Row
    int64_t number = 0;
    std::string text;
    std::string part;  ///< second column of the key
    auto operator<=>(const RowKey&) const = default;
};
RowKey key_of(const Row& row);

/// A row that was written (`row` set) or removed.
struct Change {
    RowKey key;
    std::optional<Row> row;
    bool is_new = false;  ///< the record had no such row before
};
using Changes = std::vector<Change>;

/// State::apply, which also says what became of which rows. `changes` may be null.
void apply_command(State& state, const Command& command, const Limits& limits, Changes* changes);

/// The command that puts this row into an empty record.
Command command_of(Row row);

}  // namespace baton::store
