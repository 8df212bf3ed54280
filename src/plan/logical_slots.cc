// PostgreSQL 17 copies logical slots that were made with `failover` to its standbys (manual, 47.2.3). A
// consumer goes on after a switchover only where its slot has a copy that is kept up to date.
#include "plan/logical_slots.h"

#include <fmt/format.h>

#include <algorithm>

#include "analysis/wording.h"
#include "plan/standing.h"

namespace baton::plan {
namespace {

using topology::Activity;
using topology::LogicalSlot;

/// What a standby lacks to copy slots; "" = nothing that could be seen.
std::string lacks(const SlotSide& standby) {
    const auto& seen = *standby.server.seen;
    std::vector<std::string> all;
    if (standby.activity != nullptr && !standby.activity->copies_slots)
        all.emplace_back("sync_replication_slots is off");
    if (!seen.settings.hot_standby_feedback) all.emplace_back("hot_standby_feedback is off");
    if (standby.server.is_primary()) return fmt::format("{}", fmt::join(all, ", "));
    if (!uses_slot(standby.server)) all.emplace_back("primary_slot_name is not set");
    if (seen.upstream.readable && !seen.upstream.has_dbname)
        all.emplace_back("primary_conninfo has no dbname");
    return fmt::format("{}", fmt::join(all, ", "));
}

const LogicalSlot* copy_of(const LogicalSlot& slot, const Activity* there) {
    if (there == nullptr) return nullptr;
    const auto at = std::ranges::find(there->logical_slots, slot.name, &LogicalSlot::name);
    return at == there->logical_slots.end() ? nullptr : &*at;
}

std::string_view trouble_with(const LogicalSlot* copy) {
    if (copy == nullptr) return "is not there";
    if (!copy->synced) return "is not a copy that is kept up to date";
    if (copy->temporary) return "has not been brought up to date yet";
    if (!copy->invalid.empty()) return "is not valid any more";
    return "";
}

void judge_one(const LogicalSlot& slot, const SlotSide& primary, const SlotSide& candidate,
               uint64_t lag_bytes, SlotVerdict& out) {
    const auto name = candidate.server.key.text();
    if (!slot.failover) {
        out.warnings.push_back(
            fmt::format("the logical slot {} of {} does not go over to {}: its consumer has to begin anew",
                        slot.name, primary.server.key.text(), name));
        return;
    }
    const auto* copy = copy_of(slot, candidate.activity);
    if (const auto trouble = trouble_with(copy); !trouble.empty()) {
        const auto missing = lacks(candidate);
        out.failures.push_back(fmt::format(
            "the failover slot {} {} at {}: {}", slot.name, trouble, name,
            missing.empty() ? "its consumer has to read on, and its log may say why" : missing + " there"));
        return;
    }
    const auto behind = topology::bytes_ahead(slot.confirmed, copy->confirmed);
    if (behind > lag_bytes)
        out.warnings.push_back(
            fmt::format("the copy of the failover slot {} at {} is {} behind its consumer, who is told that "
                        "once more unless it keeps its own position",
                        slot.name, name, analysis::bytes_text(behind)));
}

/// A primary tells consumers nothing before these slots have it, and waits for those that nobody reads.
void judge_waiting(const SlotSide& candidate, const std::set<std::string>& later, SlotVerdict& out) {
    if (candidate.activity == nullptr) return;
    for (const auto& name : candidate.activity->consumers_wait_for) {
        if (later.contains(name)) continue;
        out.warnings.push_back(
            fmt::format("synchronized_standby_slots of {} names {}, which no standby will stream through: "
                        "consumers of failover slots would wait for it",
                        candidate.server.key.text(), name));
    }
}

}  // namespace

SlotVerdict judge_logical_slots(const SlotSide& primary, const SlotSide& candidate,
                                const std::set<std::string>& later, uint64_t lag_bytes) {
    SlotVerdict out;
    if (primary.activity == nullptr) return out;
    bool failover = false;
    for (const auto& slot : primary.activity->logical_slots) {
        if (slot.temporary || !slot.invalid.empty()) continue;
        failover = failover || slot.failover;
        judge_one(slot, primary, candidate, lag_bytes, out);
    }
    if (!failover) return out;
    judge_waiting(candidate, later, out);
    if (const auto missing = lacks(primary); !missing.empty())
        out.warnings.push_back(fmt::format("{} would keep no copies of failover slots as a standby: {} there",
                                           primary.server.key.text(), missing));
    return out;
}

}  // namespace baton::plan
