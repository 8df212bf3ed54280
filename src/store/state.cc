// How the record changes. Everything here is pure: no clock, no file, no thread, so that every copy of the
// record that is given the same commands ends the same.
#include <algorithm>
#include <set>

#include "store/rows.h"

namespace baton::store {
namespace {

template <class Map, class Key, class Value>
bool put(Map& map, Key&& key, Value&& value) {
    return map.insert_or_assign(std::forward<Key>(key), std::forward<Value>(value)).second;
}

class Applier {
  public:
    Applier(State& state, const Limits& limits, Changes* changes)
        : state_(state), limits_(limits), changes_(changes) {}

    void operator()(const PutInstance& c) {
        const auto [at, is_new] = state_.instances.try_emplace(c.instance.key, c.instance);
        if (!is_new && at->second == c.instance) return;
        at->second = c.instance;
        wrote(c.instance, is_new);
    }

    void operator()(const ForgetInstance& c) {
        if (state_.instances.erase(c.key)) removed(KnownInstance{.key = c.key});
        (*this)(RemoveBlocked{c.key});
        const auto at = state_.analysis_changes.find(c.key);
        if (at == state_.analysis_changes.end()) return;
        for (const auto& change : at->second)
            removed(change);
        state_.analysis_changes.erase(at);
    }

    void operator()(const PutCluster& c) {
        const auto [at, is_new] = state_.clusters.try_emplace(c.cluster.id, c.cluster);
        if (!is_new && at->second == c.cluster) return;
        at->second = c.cluster;
        wrote(c.cluster, is_new);
    }

    void operator()(const ForgetCluster& c) {
        if (state_.clusters.erase(c.id)) removed(KnownCluster{.id = c.id});
        if (state_.guards.erase(c.id)) removed(GuardRow{.cluster_id = c.id, .guard = {}});
        std::erase_if(state_.member_slots, [&](const auto& s) {
            if (s.second.cluster_id != c.id) return false;
            removed(s.second);
            return true;
        });
    }

    void operator()(const PutDetection& c) {
        const auto detection = with_id(c.detection);
        wrote(detection, put(state_.detections, detection.id, detection));
        while (state_.detections.size() > limits_.detections)
            drop_detection();
    }

    void operator()(const EndDetection& c) {
        const auto at = state_.detections.find(c.id);
        if (at == state_.detections.end() || !at->second.active) return;
        at->second.active = false;
        wrote(at->second, false);
    }

    void operator()(const PutRecovery& c) {
        const auto recovery = with_id(c.recovery);
        wrote(recovery, put(state_.recoveries, recovery.id, recovery));
        while (state_.recoveries.size() > limits_.recoveries && drop_recovery()) {
        }
    }

    void operator()(const AddRecoveryStep& c) {
        const auto step = with_id(c.step);
        auto& steps = state_.steps[step.uid];
        const auto same = find_by_id(steps, step.id);
        const bool is_new = same == steps.end();
        if (is_new) {
            steps.push_back(step);
        } else {
            *same = step;
        }
        wrote(step, is_new);
        while (steps.size() > limits_.steps_per_recovery)
            drop_step(steps);
        if (state_.steps.size() > limits_.recoveries) drop_orphan_steps(step.uid);
    }

    void operator()(const Acknowledge& c) {
        for (const auto id : c.recovery_ids) {
            const auto at = state_.recoveries.find(id);
            if (at == state_.recoveries.end()) continue;
            auto& recovery = at->second;
            recovery.acknowledged = true;
            recovery.acknowledged_at = c.at;
            recovery.acknowledged_by = c.by;
            recovery.acknowledged_comment = c.comment;
            recovery.in_active_period = false;
            wrote(recovery, false);
        }
    }

    void operator()(const EndActivePeriod& c) {
        const auto at = state_.recoveries.find(c.recovery_id);
        if (at == state_.recoveries.end() || !at->second.in_active_period) return;
        at->second.in_active_period = false;
        wrote(at->second, false);
    }

    void operator()(const PutBlocked& c) {
        wrote(c.blocked, put(state_.blocked, c.blocked.failed, c.blocked));
    }
    void operator()(const RemoveBlocked& c) {
        if (state_.blocked.erase(c.failed)) removed(BlockedRecovery{.failed = c.failed});
    }

    void operator()(const BeginDowntime& c) {
        wrote(DowntimeRow{c.key, c.downtime}, put(state_.downtimes, c.key, c.downtime));
    }
    void operator()(const EndDowntime& c) {
        if (state_.downtimes.erase(c.key)) removed(DowntimeRow{.key = c.key});
    }

    void operator()(const BeginMaintenance& c) {
        const auto maintenance = with_id(c.maintenance);
        wrote(maintenance, put(state_.maintenance, maintenance.id, maintenance));
    }
    void operator()(const EndMaintenance& c) {
        if (state_.maintenance.erase(c.id)) removed(Maintenance{.id = c.id});
    }

    void operator()(const PutTag& c) {
        wrote(TagRow{c.key, c.tag}, put(state_.tags[c.key], c.tag.name, c.tag.value));
    }
    void operator()(const RemoveTag& c) {
        const auto at = state_.tags.find(c.key);
        if (at == state_.tags.end() || !at->second.erase(c.name)) return;
        if (at->second.empty()) state_.tags.erase(at);
        removed(TagRow{c.key, {.name = c.name}});
    }

    void operator()(const PutPromotionRule& c) {
        wrote(c.record, put(state_.promotion_rules, c.record.key, c.record));
    }
    void operator()(const RemovePromotionRule& c) {
        if (state_.promotion_rules.erase(c.key)) removed(PromotionRuleRecord{.key = c.key});
    }

    void operator()(const SetGlobalRecoveries& c) {
        state_.recoveries_enabled = c.enabled;
        wrote(Setting{"recoveries_enabled", c.enabled ? "1" : "0"}, false);
    }

    void operator()(const AddAudit& c) {
        const auto entry = with_id(c.entry);
        wrote(entry, put(state_.audit, entry.id, entry));
        while (state_.audit.size() > limits_.audit) {
            removed(state_.audit.begin()->second);
            state_.audit.erase(state_.audit.begin());
        }
    }

    void operator()(const AddAnalysisChange& c) {
        const auto change = with_id(c.change);
        auto& changes = state_.analysis_changes[change.instance];
        const auto same = find_by_id(changes, change.id);
        const bool is_new = same == changes.end();
        if (is_new) {
            changes.push_back(change);
        } else {
            *same = change;
        }
        wrote(change, is_new);
        while (changes.size() > limits_.analysis_changes_per_instance) {
            removed(changes.front());
            changes.erase(changes.begin());
        }
        if (changes.empty()) state_.analysis_changes.erase(change.instance);
    }

    void operator()(const SetPool& c) {
        if (!c.instances.empty()) {
            const bool is_new = put(state_.pools, c.pool, std::pair(c.at, c.instances));
            wrote(PoolRow{c.pool, c.at, c.instances}, is_new);
        } else if (state_.pools.erase(c.pool)) {
            removed(PoolRow{.pool = c.pool});
        }
    }

    void operator()(const PutHostnameUnresolve& c) {
        if (!c.name.empty()) {
            wrote(UnresolveRow{c.key, c.name}, put(state_.hostname_unresolves, c.key, c.name));
        } else if (state_.hostname_unresolves.erase(c.key)) {
            removed(UnresolveRow{.key = c.key});
        }
    }

    void operator()(const PutKeyValue& c) {
        wrote(KeyValueRow{c.key, c.value}, put(state_.key_values, c.key, c.value));
    }

    void operator()(const PutGuard& c) {
        const auto [at, is_new] = state_.guards.try_emplace(c.cluster_id, c.guard);
        if (!is_new && at->second == c.guard) return;
        at->second = c.guard;
        wrote(GuardRow{c.cluster_id, c.guard}, is_new);
    }

    void operator()(const PutMemberSlot& c) {
        const auto [at, is_new] = state_.member_slots.try_emplace({c.slot.holder, c.slot.name}, c.slot);
        if (!is_new && at->second == c.slot) return;
        at->second = c.slot;
        wrote(c.slot, is_new);
    }

    void operator()(const ForgetMemberSlot& c) {
        const auto at = state_.member_slots.find({c.holder, c.name});
        if (at == state_.member_slots.end()) return;
        removed(at->second);
        state_.member_slots.erase(at);
    }

    void operator()(const PutEpoch& c) {
        if (c.epoch <= state_.epoch) return;
        state_.epoch = c.epoch;
        wrote(Setting{"epoch", std::to_string(c.epoch)}, false);
    }

  private:
    template <class R>
    R with_id(R record) {
        if (record.id == 0) record.id = state_.next_id;
        state_.next_id = std::max(state_.next_id, record.id + 1);
        return record;
    }

    /// Ids grow, so a new record is told from one that is there by looking at the last.
    template <class R>
    static typename std::vector<R>::iterator find_by_id(std::vector<R>& records, int64_t id) {
        if (records.empty() || records.back().id < id) return records.end();
        return std::ranges::find(records, id, &R::id);
    }

    template <class R>
    void wrote(const R& row, bool is_new) {
        if (!changes_) return;
        Row copy(row);
        auto key = key_of(copy);
        changes_->push_back({std::move(key), std::move(copy), is_new});
    }
    template <class R>
    void removed(const R& row) {
        if (changes_) changes_->push_back({key_of(Row(row)), std::nullopt, false});
    }

    void drop_detection() {
        auto victim = std::ranges::find_if(state_.detections, [](const auto& d) { return !d.second.active; });
        if (victim == state_.detections.end()) victim = state_.detections.begin();
        removed(victim->second);
        state_.detections.erase(victim);
    }

    bool drop_recovery() {
        const auto ended = [](const auto& r) { return r.second.state != RecoveryState::running; };
        auto victim = std::ranges::find_if(
            state_.recoveries, [&](const auto& r) { return ended(r) && !r.second.in_active_period; });
        if (victim == state_.recoveries.end()) victim = std::ranges::find_if(state_.recoveries, ended);
        if (victim == state_.recoveries.end()) return false;
        drop_steps(victim->second.uid);
        removed(victim->second);
        state_.recoveries.erase(victim);
        return true;
    }

    void drop_step(std::vector<RecoveryStep>& steps) {
        auto victim = std::ranges::find_if(steps, [](const auto& s) { return s.deed.empty(); });
        if (victim == steps.end()) victim = steps.begin();
        removed(*victim);
        steps.erase(victim);
    }

    void drop_steps(const std::string& uid) {
        const auto at = state_.steps.find(uid);
        if (at == state_.steps.end()) return;
        for (const auto& step : at->second)
            removed(step);
        state_.steps.erase(at);
    }

    /// Journals whose recovery is not here do not count against any recovery, so they need a bound of their
    /// own. The newest may be waiting for its recovery; uids begin with a time, so the first is the oldest.
    void drop_orphan_steps(const std::string& newest) {
        std::set<std::string_view> known{newest};
        for (const auto& [id, recovery] : state_.recoveries)
            known.insert(recovery.uid);
        std::vector<std::string> orphans;
        for (const auto& [uid, steps] : state_.steps) {
            if (!known.contains(uid)) orphans.push_back(uid);
        }
        for (const auto& uid : orphans) {
            if (state_.steps.size() <= limits_.recoveries) return;
            drop_steps(uid);
        }
    }

    State& state_;
    const Limits& limits_;
    Changes* changes_;
};

}  // namespace

void apply_command(State& state, const Command& command, const Limits& limits, Changes* changes) {
    std::visit(Applier(state, limits, changes), command);
}

void State::apply(const Command& command, const Limits& limits) {
    apply_command(*this, command, limits, nullptr);
}

const Recovery* State::recovery_by_uid(const std::string& uid) const {
    for (auto at = recoveries.rbegin(); at != recoveries.rend(); ++at) {
        if (at->second.uid == uid) return &at->second;
    }
    return nullptr;
}

const Recovery* State::running_recovery(const std::string& cluster_id) const {
    for (auto at = recoveries.rbegin(); at != recoveries.rend(); ++at) {
        const auto& r = at->second;
        if (r.state == RecoveryState::running && r.cluster_id == cluster_id) return &r;
    }
    return nullptr;
}

}  // namespace baton::store
