#include "store/rows.h"

namespace baton::store {
namespace {

/// The parts of a row's name, as its table has them.
struct Parts {
    int64_t number = 0;
    std::string text;
    std::string part;
};

struct PartsOf {
    Parts operator()(const KnownInstance& r) const { return {0, r.key.text(), {}}; }
    Parts operator()(const KnownCluster& r) const { return {0, r.id, {}}; }
    Parts operator()(const Detection& r) const { return {r.id, {}, {}}; }
    Parts operator()(const Recovery& r) const { return {r.id, {}, {}}; }
    Parts operator()(const RecoveryStep& r) const { return {r.id, {}, {}}; }
    Parts operator()(const BlockedRecovery& r) const { return {0, r.failed.text(), {}}; }
    Parts operator()(const DowntimeRow& r) const { return {0, r.key.text(), {}}; }
    Parts operator()(const Maintenance& r) const { return {r.id, {}, {}}; }
    Parts operator()(const TagRow& r) const { return {0, r.key.text(), r.tag.name}; }
    Parts operator()(const PromotionRuleRecord& r) const { return {0, r.key.text(), {}}; }
    Parts operator()(const Setting& r) const { return {0, r.name, {}}; }
    Parts operator()(const AuditEntry& r) const { return {r.id, {}, {}}; }
    Parts operator()(const AnalysisChange& r) const { return {r.id, {}, {}}; }
    Parts operator()(const PoolRow& r) const { return {0, r.pool, {}}; }
    Parts operator()(const UnresolveRow& r) const { return {0, r.key.text(), {}}; }
    Parts operator()(const KeyValueRow& r) const { return {0, r.key, {}}; }
    Parts operator()(const GuardRow& r) const { return {0, r.cluster_id, {}}; }
    Parts operator()(const MemberSlot& r) const { return {0, r.holder.text(), r.name}; }
};

struct ToCommand {
    Command operator()(KnownInstance& r) const { return PutInstance{std::move(r)}; }
    Command operator()(KnownCluster& r) const { return PutCluster{std::move(r)}; }
    Command operator()(Detection& r) const { return PutDetection{std::move(r)}; }
    Command operator()(Recovery& r) const { return PutRecovery{std::move(r)}; }
    Command operator()(RecoveryStep& r) const { return AddRecoveryStep{std::move(r)}; }
    Command operator()(BlockedRecovery& r) const { return PutBlocked{std::move(r)}; }
    Command operator()(DowntimeRow& r) const {
        return BeginDowntime{std::move(r.key), std::move(r.downtime)};
    }
    Command operator()(Maintenance& r) const { return BeginMaintenance{std::move(r)}; }
    Command operator()(TagRow& r) const { return PutTag{std::move(r.key), std::move(r.tag)}; }
    Command operator()(PromotionRuleRecord& r) const { return PutPromotionRule{std::move(r)}; }
    Command operator()(Setting& r) const { return SetGlobalRecoveries{r.value != "0"}; }
    Command operator()(AuditEntry& r) const { return AddAudit{std::move(r)}; }
    Command operator()(AnalysisChange& r) const { return AddAnalysisChange{std::move(r)}; }
    Command operator()(PoolRow& r) const { return SetPool{std::move(r.pool), std::move(r.instances), r.at}; }
    Command operator()(UnresolveRow& r) const {
        return PutHostnameUnresolve{std::move(r.key), std::move(r.name)};
    }
    Command operator()(KeyValueRow& r) const { return PutKeyValue{std::move(r.key), std::move(r.value)}; }
    Command operator()(GuardRow& r) const { return PutGuard{std::move(r.cluster_id), std::move(r.guard)}; }
    Command operator()(MemberSlot& r) const { return PutMemberSlot{std::move(r)}; }
};

}  // namespace

RowKey key_of(const Row& row) {
    auto parts = std::visit(PartsOf{}, row);
    return {row.index(), parts.number, std::move(parts.text), std::move(parts.part)};
}

Command command_of(Row row) {
    return std::visit(ToCommand{}, row);
}

}  // namespace baton::store
