// Slots are made, moved and dropped in quiet times, so that nobody waits for them when they are needed.
#include "recovery/slots.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "base/async.h"

namespace baton::recovery {
namespace {

using plan::SlotDeedKind;

constexpr milliseconds deed_deadline{2000};
/// Rights that are missing, or a table of slots that is full, do not mend themselves soon.
constexpr seconds pause_after_failure{300};
/// Copies of logical slots look the same until they are asked about.
constexpr seconds between_clearings{60};
constexpr size_t members_limit = 10'000;

}  // namespace

void SlotKeeper::consider(const topology::ClusterPtr& cluster) {
    if (stopped_ || !cluster || !wanted(*cluster)) return;
    auto& watch = watches_[cluster->id];
    note_members(watch, *cluster);
    if (watch.working || means_.clock.now() < watch.next) return;
    watch.next = means_.clock.now() + options_.interval;
    auto deeds = plan(watch, *cluster);
    if (deeds.empty()) return;
    watch.working = true;
    spawn(means_.clock.executor(), work(cluster->id, cluster->name, std::move(deeds)));
}

bool SlotKeeper::wanted(const topology::Cluster& cluster) const {
    if (!options_.manage || options_.where == SlotUpkeepWhere::nowhere) return false;
    const auto* leader = cluster.primary();
    if (leader == nullptr || !leader->health.ok()) return false;
    if (options_.where == SlotUpkeepWhere::everywhere) return true;
    return std::ranges::all_of(cluster.instances, [&](const auto& i) {
        return !i->health.ok() || agent::connected(means_.agents, i->key) != nullptr;
    });
}

/// How long somebody has been gone counts from when this manager saw it last, or began to look.
void SlotKeeper::note_members(Watch& watch, const topology::Cluster& cluster) const {
    const auto now = means_.clock.now();
    watch.looked = now;
    for (const auto& i : cluster.instances) {
        if (i->health.ok()) watch.seen.insert_or_assign(i->key, now);
    }
    for (const auto& [key, slot] : means_.store.state().member_slots) {
        if (slot.cluster_id == cluster.id && watch.seen.size() < members_limit)
            watch.seen.try_emplace(slot.member, now);
    }
}

std::vector<plan::SlotDeed> SlotKeeper::plan(Watch& watch, const topology::Cluster& cluster) const {
    const auto now = means_.clock.now();
    plan::SlotUpkeep upkeep{.known = {},
                            .gone_for =
                                [&](const InstanceKey& member) {
                                    const auto at = watch.seen.find(member);
                                    return at == watch.seen.end() ? Duration{} : watch.looked - at->second;
                                },
                            .member_ttl = options_.member_ttl};
    for (const auto& [key, slot] : means_.store.state().member_slots) {
        if (slot.cluster_id == cluster.id) upkeep.known.insert({slot.holder, slot.name, slot.member});
    }
    auto deeds = plan_slot_upkeep(cluster, upkeep);
    // Its slots are its own now: when it is a standby again, they are looked at afresh.
    if (const auto* leader = cluster.primary()) watch.cleared.erase(leader->key);
    std::erase_if(watch.failed, [&](const auto& f) { return f.second <= now; });
    std::erase_if(deeds, [&](const plan::SlotDeed& d) { return !is_due(watch, d, now); });
    return deeds;
}

bool SlotKeeper::is_due(const Watch& watch, const plan::SlotDeed& deed, MonoTime now) {
    if (watch.failed.contains({deed.slot.holder, deed.slot.name})) return false;
    if (deed.kind != SlotDeedKind::clear) return true;
    const auto at = watch.cleared.find(deed.slot.holder);
    return at == watch.cleared.end() || at->second.again <= now || at->second.slots != deed.logical;
}

/// Of slots of its time as a primary nothing is remembered: they are gone, or were none.
Task<void> SlotKeeper::clear(Watch& watch, std::string cluster, plan::SlotDeed deed) {
    const auto& holder = deed.slot.holder;
    watch.cleared.insert_or_assign(holder,
                                   Watch::Cleared{deed.logical, means_.clock.now() + between_clearings});
    const auto actor = means_.engine.make_actor(holder);
    const auto gone = co_await actor->drop_left_over_slots(deed.logical, means_.clock.now() + deed_deadline);
    if (stopped_) co_return;
    if (!gone) {
        spdlog::warn("{}: logical slots of its time as a primary: {}", holder.text(), gone.error().text());
        co_return;
    }
    for (const auto& name : *gone)
        audit(deed, cluster,
              fmt::format("dropped logical slot {} of its time as a primary: beside it, it keeps no copy of "
                          "the one that is read now",
                          name));
}

Task<void> SlotKeeper::work(std::string cluster_id, std::string name, std::vector<plan::SlotDeed> deeds) {
    const auto self = shared_from_this();
    for (const auto& deed : deeds) {
        if (deed.kind == SlotDeedKind::clear) {
            co_await clear(watches_[cluster_id], name, deed);
            if (stopped_) co_return;
            continue;
        }
        // It is ours before it is there: a manager that ends in between must know it later.
        if (deed.kind == SlotDeedKind::create) remember(cluster_id, deed);
        const auto done = co_await act(deed);
        if (stopped_) co_return;
        if (!done) {
            spdlog::warn("{}: slot {} of {}: {}", deed.slot.holder.text(), deed.slot.name,
                         deed.slot.member.text(), done.error().text());
            watches_[cluster_id].failed.insert_or_assign({deed.slot.holder, deed.slot.name},
                                                         means_.clock.now() + pause_after_failure);
            continue;
        }
        remember(cluster_id, deed);
        if (deed.kind == SlotDeedKind::create)
            audit(deed, name, fmt::format("made slot {} for {}", deed.slot.name, deed.slot.member.text()));
        if (deed.kind == SlotDeedKind::drop)
            audit(
                deed, name,
                fmt::format("dropped slot {} of {}: {}", deed.slot.name, deed.slot.member.text(), deed.why));
    }
    if (const auto at = watches_.find(cluster_id); at != watches_.end()) at->second.working = false;
}

Task<Result<void>> SlotKeeper::act(const plan::SlotDeed& deed) {
    if (deed.kind == SlotDeedKind::know || deed.kind == SlotDeedKind::forget) co_return Result<void>{};
    const auto actor = means_.engine.make_actor(deed.slot.holder);
    const auto deadline = means_.clock.now() + deed_deadline;
    if (deed.kind == SlotDeedKind::create) co_return co_await actor->create_slot(deed.slot.name, deadline);
    if (deed.kind == SlotDeedKind::drop) co_return co_await actor->drop_slot(deed.slot.name, deadline);
    co_return co_await actor->advance_slot(deed.slot.name, deed.to, deadline);
}

void SlotKeeper::remember(const std::string& cluster_id, const plan::SlotDeed& deed) {
    const auto& s = deed.slot;
    if (deed.kind == SlotDeedKind::know || deed.kind == SlotDeedKind::create)
        means_.store.apply(store::PutMemberSlot{{s.holder, s.name, s.member, cluster_id}});
    if (deed.kind == SlotDeedKind::drop || deed.kind == SlotDeedKind::forget)
        means_.store.apply(store::ForgetMemberSlot{s.holder, s.name});
}

void SlotKeeper::audit(const plan::SlotDeed& deed, const std::string& cluster, const std::string& message) {
    spdlog::info("{} (cluster {}): {}", deed.slot.holder.text(), cluster, message);
    means_.store.apply(
        store::AddAudit{{.id = means_.store.new_id(),
                         .at = means_.clock.wall(),
                         .type = deed.kind == SlotDeedKind::create ? "create-slot" : "drop-slot",
                         .instance = deed.slot.holder,
                         .cluster_name = cluster,
                         .message = message}});
}

}  // namespace baton::recovery
