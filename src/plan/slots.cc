// A standby that loses its upstream goes on at another one only if that one still has the WAL from where it
// stands. A slot made beforehand and moved along keeps it, and no more than that.
#include "plan/slots.h"

#include <fmt/format.h>

#include <algorithm>

#include "analysis/wording.h"
#include "plan/standing.h"

namespace baton::plan {
namespace {

using topology::Ancestry;
using topology::Slot;

/// WAL is removed by segments: a slot that is moved more often keeps no less.
constexpr uint64_t worth_moving = 16UL << 20;
/// The slot of the primary is not moved all the way: rewinding it later takes WAL from the last checkpoint
/// before the fork on, which is rarely older than this (max_wal_size is 1 GB by default).
constexpr uint64_t kept_for_rewind = 1UL << 30;
/// A disk with less than this part of it free is saved at the cost of slots that nobody uses.
constexpr int64_t least_free_percent = 10;

struct Upkeep {
    const Cluster& cluster;
    const SlotUpkeep& how;
    std::vector<SlotDeed> deeds;

    bool knows(const KnownSlot& slot) const { return how.known.contains(slot); }
    void add(SlotDeedKind kind, const KnownSlot& slot, Lsn to = {}, std::string why = {}) {
        deeds.push_back({kind, slot, to, std::move(why), {}});
    }
};

const Slot* slot_at(const Instance& holder, const std::string& name) {
    const auto at = std::ranges::find(holder.seen->slots, name, &Slot::name);
    return at == holder.seen->slots.end() ? nullptr : &*at;
}

/// It leads, or may have to.
bool may_lead(const Instance& i) {
    if (!answers(i) || !i.seen->can_see_all) return false;
    if (i.is_primary()) return true;
    return i.promotion_rule != topology::PromotionRule::must_not &&
           i.seen->settings.recovery_min_apply_delay_ms == 0;
}

/// Whoever streams through slots, and the primary, which will when it is a standby.
bool needs_slots(const Cluster& cluster, const Instance& i) {
    return i.seen && (uses_slot(i) || &i == cluster.primary());
}

/// Up to where nobody will ask for WAL again on its behalf; nothing when that is not sure now.
std::optional<Lsn> confirmed(const Upkeep& u, const Instance& member, const Instance& holder) {
    const auto* leader = u.cluster.primary();
    if (!answers(member) || leader == nullptr || !answers(*leader)) return std::nullopt;
    if (&member != leader) {
        if (u.cluster.ancestry_of(member, *leader) != Ancestry::same) return std::nullopt;
        if (member.seen->half_copied) return std::nullopt;
    }
    const auto has = holder.is_primary() ? holder.seen->written : holder.seen->replayed;
    const auto to = std::min(member.seen->position(), has);
    if (&member != leader) return to;
    if (to.value <= kept_for_rewind) return std::nullopt;
    return Lsn{to.value - kept_for_rewind};
}

bool room_for_one(const Upkeep& u, const Instance& holder) {
    const auto planned = std::ranges::count_if(u.deeds, [&](const SlotDeed& d) {
        return d.kind == SlotDeedKind::create && d.slot.holder == holder.key;
    });
    const auto limit = holder.seen->settings.max_replication_slots;
    return limit == 0 || std::ssize(holder.seen->slots) + planned < limit;
}

void keep(Upkeep& u, const Instance& holder, const Instance& member) {
    const KnownSlot slot{holder.key, member_slot(u.cluster, member), member.key};
    const auto* there = slot_at(holder, slot.name);
    if (there == nullptr) {
        if (room_for_one(u, holder)) u.add(SlotDeedKind::create, slot);
        return;
    }
    if (!there->physical) return;
    const bool its_own = member.upstream && holder.known_as(*member.upstream) && uses_slot(member) &&
                         slot_name_for(member) == slot.name;
    if (!u.knows(slot)) {
        // What an administrator made for something else is none of ours.
        if (its_own && there->active) u.add(SlotDeedKind::know, slot);
        return;
    }
    if (there->active || its_own) return;
    if (there->wal_status == "lost")
        return u.add(SlotDeedKind::drop, slot, {}, "it has lost WAL, and is made anew");
    const auto to = confirmed(u, member, holder);
    if (to && there->restart && topology::bytes_ahead(*to, there->restart) >= worth_moving)
        u.add(SlotDeedKind::advance, slot, *to);
}

/// Slots of members that are gone, and what is remembered of slots that are not there any more.
void tidy(Upkeep& u) {
    for (const auto& slot : u.how.known) {
        const auto* holder = u.cluster.find(slot.holder);
        const auto* member = u.cluster.find(slot.member);
        if (holder == nullptr) {
            u.add(SlotDeedKind::forget, slot);
            continue;
        }
        if (!answers(*holder) || !holder->seen->can_see_all) continue;
        const auto* there = slot_at(*holder, slot.name);
        if (there == nullptr) {
            const bool wanted = member != nullptr && needs_slots(u.cluster, *member) && may_lead(*holder);
            if (!wanted) u.add(SlotDeedKind::forget, slot);
            continue;
        }
        if (there->active) continue;
        const auto gone = u.how.gone_for(slot.member);
        if (u.how.member_ttl > Duration{} && gone >= u.how.member_ttl) {
            u.add(SlotDeedKind::drop, slot, {},
                  fmt::format("{} has not been seen for {} (MemberSlotTTLSeconds)", slot.member.text(),
                              analysis::duration_text(gone)));
        } else if (member != nullptr && &*member != holder && uses_slot(*member) &&
                   slot.name != member_slot(u.cluster, *member)) {
            u.add(SlotDeedKind::drop, slot, {},
                  fmt::format("{} uses slot {} now", slot.member.text(), member_slot(u.cluster, *member)));
        }
    }
}

/// Of the disk that WAL is on; nothing when its agent does not say.
const topology::Disk* wal_disk_of(const Instance& holder) {
    if (!holder.host || !holder.host->connected) return nullptr;
    const auto& disk = holder.host->wal_disk ? holder.host->wal_disk : holder.host->data_disk;
    return disk && disk->total_bytes > 0 ? &*disk : nullptr;
}

/// The slot that holds back the most goes first, if its member does not stream: a standby can be made anew,
/// and a primary whose disk is full stops.
void save_disk(Upkeep& u, const Instance& holder) {
    const auto* disk = wal_disk_of(holder);
    if (disk == nullptr || disk->free_bytes * 100 >= disk->total_bytes * least_free_percent) return;
    const KnownSlot* worst = nullptr;
    Lsn oldest;
    for (const auto& slot : u.how.known) {
        const auto* there = slot.holder == holder.key ? slot_at(holder, slot.name) : nullptr;
        if (there == nullptr || there->active || !there->restart || there->wal_status == "lost") continue;
        const auto* member = u.cluster.find(slot.member);
        const bool streams = member != nullptr && member->replicating();
        const bool at_home = member != nullptr && member->upstream && holder.known_as(*member->upstream);
        if (streams && at_home) continue;
        if (worst == nullptr || there->restart < oldest) {
            worst = &slot;
            oldest = there->restart;
        }
    }
    if (worst == nullptr) return;
    const auto held = topology::bytes_ahead(holder.seen->position(), oldest);
    if (held < worth_moving) return;
    u.add(
        SlotDeedKind::drop, *worst, {},
        fmt::format("{} has {} of {} left for WAL, and the slot of {}, which does not stream, holds back {}",
                    holder.key.text(), analysis::bytes_text(static_cast<uint64_t>(disk->free_bytes)),
                    analysis::bytes_text(static_cast<uint64_t>(disk->total_bytes)), worst->member.text(),
                    analysis::bytes_text(held)));
}

bool is_dropped(const Upkeep& u, const KnownSlot& slot) {
    return std::ranges::any_of(u.deeds, [&](const SlotDeed& d) {
        return d.kind == SlotDeedKind::drop && d.slot.holder == slot.holder && d.slot.name == slot.name;
    });
}

/// What nobody streams through on a full disk is not made there.
bool disk_is_full(const Instance& holder) {
    const auto* disk = wal_disk_of(holder);
    return disk != nullptr && disk->free_bytes * 100 < disk->total_bytes * least_free_percent;
}

/// Beside a slot of its time as a primary, a standby makes no copy of the one that the consumer reads now:
/// its worker for that gives up (PostgreSQL 17, slotsync.c), and the next promotion would find none. Whether
/// such a slot is a copy is not part of every look.
void clear_left_over(Upkeep& u, const Instance& holder) {
    constexpr int first_with_copies = 170000;
    const auto* leader = u.cluster.primary();
    if (leader == nullptr || !answers(*leader) || !answers(holder) || &holder == leader) return;
    if (!holder.is_standby() || holder.seen->version_num < first_with_copies) return;
    SlotDeed deed{SlotDeedKind::clear, {.holder = holder.key, .name = {}, .member = {}}, {}, {}, {}};
    for (const auto& slot : holder.seen->slots) {
        if (slot.physical || slot.temporary || slot.active) continue;
        const auto* live = slot_at(*leader, slot.name);
        if (live != nullptr && !live->physical) deed.logical.push_back(slot.name);
    }
    if (!deed.logical.empty()) u.deeds.push_back(std::move(deed));
}

}  // namespace

std::string member_slot(const Cluster& cluster, const Instance& member) {
    auto name = slot_name_for(member);
    if (uses_slot(member)) return name;
    const bool taken = std::ranges::any_of(cluster.instances, [&](const auto& other) {
        return other.get() != &member && slot_name_for(*other) == name;
    });
    return taken ? slot_name_from_key(member.key) : name;
}

std::vector<SlotDeed> plan_slot_upkeep(const Cluster& cluster, const SlotUpkeep& upkeep) {
    Upkeep u{cluster, upkeep, {}};
    tidy(u);
    for (const auto& holder : cluster.instances) {
        clear_left_over(u, *holder);
        if (!may_lead(*holder)) continue;
        save_disk(u, *holder);
        for (const auto& member : cluster.instances) {
            if (member == holder || !needs_slots(cluster, *member)) continue;
            const bool gone = upkeep.gone_for(member->key) > Duration{};
            const KnownSlot slot{holder->key, member_slot(cluster, *member), member->key};
            if (is_dropped(u, slot)) continue;
            const bool there = slot_at(*holder, slot.name) != nullptr;
            if (!there && (gone || disk_is_full(*holder))) continue;
            keep(u, *holder, *member);
        }
    }
    return std::move(u.deeds);
}

}  // namespace baton::plan
