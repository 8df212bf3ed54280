// Replication slots: a standby without one loses its WAL, a slot without a standby fills the disk.
#include <fmt/format.h>

#include <algorithm>

#include "analysis/wording.h"
#include "base/text.h"
#include "doctor/check_functions.h"
#include "doctor/words.h"
#include "plan/plan.h"

namespace baton::doctor {

using topology::Slot;

namespace {

std::string slot_of(const Instance& standby) {
    const auto& s = *standby.seen;
    return s.receiver && !s.receiver->slot.empty() ? s.receiver->slot : s.settings.primary_slot_name;
}

const Slot* find_slot(const Instance& server, const std::string& name) {
    const auto at = std::ranges::find(server.seen->slots, name, &Slot::name);
    return at == server.seen->slots.end() ? nullptr : &*at;
}

std::string create_slot(const InstanceKey& server, const std::string& name) {
    return on(server, fmt::format("SELECT pg_create_physical_replication_slot({}, true);", literal(name)));
}

std::string drop_slot(const InstanceKey& server, const std::string& name) {
    return on(server, fmt::format("SELECT pg_drop_replication_slot({});", literal(name)));
}

void check_slot_of(const Instance& standby, const Instance& upstream, Notes& notes) {
    const auto name = slot_of(standby);
    if (name.empty()) {
        const auto fresh = plan::slot_name_for(standby);
        notes.warn(
            standby.key,
            fmt::format("streams from {} without a slot: while it is away, WAL that it needs may be removed",
                        upstream.key.text()),
            create_slot(upstream.key, fresh) + "\n" +
                set_on(standby.key, "primary_slot_name", literal(fresh)));
        return;
    }
    const auto* slot = find_slot(upstream, name);
    if (slot == nullptr) {
        notes.fail(standby.key,
                   fmt::format("its slot \"{}\" does not exist on {}", name, upstream.key.text()),
                   create_slot(upstream.key, name));
    } else if (!slot->active && standby.seen->receiving()) {
        notes.fail(standby.key,
                   fmt::format("streams from {}, but its slot \"{}\" is not in use there",
                               upstream.key.text(), name),
                   on(standby.key, "SELECT pg_reload_conf();") + " (after primary_slot_name is right)");
    } else if (!slot->active) {
        notes.warn(standby.key, fmt::format("its slot \"{}\" on {} is not in use", name, upstream.key.text()),
                   "let it stream again, or drop the slot before it fills the disk");
    }
}

}  // namespace

void check_slots(const Facts&, const Cluster& cluster, Notes& notes) {
    bool any = false;
    for (const auto* standby : standbys(cluster)) {
        const auto* upstream = upstream_of(cluster, *standby);
        if (upstream == nullptr) continue;
        any = true;
        check_slot_of(*standby, *upstream, notes);
    }
    if (any && notes.clean()) notes.pass("every standby streams through a slot of its own");
}

namespace {

/// The slot of a standby that is known: another check speaks of it where it is in use; elsewhere it is kept
/// for a failover.
bool belongs_to_standby(const Cluster& cluster, const std::string& name) {
    return std::ranges::any_of(cluster.instances,
                               [&](const auto& i) { return i->seen && plan::slot_name_for(*i) == name; });
}

constexpr uint64_t much_wal = 1ULL << 30;

void check_one_slot(const Cluster& cluster, const Instance& server, const Slot& slot, Notes& notes) {
    const auto what = fmt::format("{} slot \"{}\"", slot.physical ? "physical" : "logical", slot.name);
    if (slot.wal_status == "lost") {
        notes.fail(server.key, fmt::format("{} has lost WAL that its reader needs", what),
                   drop_slot(server.key, slot.name) + " then build its reader anew");
        return;
    }
    if (slot.wal_status == "unreserved") {
        notes.fail(server.key, fmt::format("{} is about to lose WAL that its reader needs", what),
                   "let its reader catch up now, or raise max_slot_wal_keep_size");
        return;
    }
    if (slot.active || slot.temporary || !slot.restart) return;
    const auto held = topology::bytes_ahead(server.seen->position(), slot.restart);
    if (held <= much_wal && (!slot.physical || belongs_to_standby(cluster, slot.name))) return;
    notes.warn(server.key,
               fmt::format("nobody reads {}, and it holds back {} of WAL", what, analysis::bytes_text(held)),
               "if its reader is gone for good: " + drop_slot(server.key, slot.name));
}

}  // namespace

void check_slot_wal(const Facts&, const Cluster& cluster, Notes& notes) {
    size_t slots = 0;
    for (const auto* server : answering(cluster)) {
        slots += server->seen->slots.size();
        for (const auto& slot : server->seen->slots)
            check_one_slot(cluster, *server, slot, notes);
    }
    if (notes.clean() && slots > 0)
        notes.pass(fmt::format("{}, none lost, none forgotten", counted(slots, "slot")));
}

void check_slot_limit(const Facts&, const Cluster& cluster, Notes& notes) {
    constexpr int64_t little_mb = 1024;
    const auto remedy = [](const Instance* i) { return set_on(i->key, "max_slot_wal_keep_size", "'50GB'"); };
    std::vector<const Instance*> unlimited;
    std::vector<std::string> remedies;
    bool any = false;
    for (const auto* server : answering(cluster)) {
        any = true;
        const auto limit = server->seen->settings.max_slot_wal_keep_size_mb;
        if (limit < 0) {
            unlimited.push_back(server);
            remedies.push_back(remedy(server));
        } else if (limit < little_mb) {
            notes.warn(server->key,
                       fmt::format("max_slot_wal_keep_size is {} MB: a standby that is away for a short "
                                   "while loses its slot",
                                   limit),
                       remedy(server) + " (what the disk of pg_wal can bear)");
        }
    }
    if (!unlimited.empty()) {
        notes.warn(fmt::format("max_slot_wal_keep_size is unlimited on {}: the slot of a dead standby fills "
                               "the primary's disk",
                               texts_of(unlimited)),
                   "what the disk of pg_wal can bear, for example:\n" + join(remedies, "\n"));
    }
    if (any && notes.clean()) notes.pass("max_slot_wal_keep_size limits what slots hold back");
}

namespace {

constexpr int failover_slots = 17;

void check_follows_slots(const Instance& standby, Notes& notes) {
    if (standby.seen->upstream.has_dbname || !standby.seen->upstream.readable) return;
    notes.warn(standby.key,
               "its primary_conninfo has no dbname: it cannot synchronise the logical slots of the primary",
               "add dbname=postgres to its primary_conninfo, and sync_replication_slots = on");
}

}  // namespace

void check_logical_slots(const Facts&, const Cluster& cluster, Notes& notes) {
    const auto* primary = cluster.primary();
    if (primary == nullptr || !answers(*primary)) return;
    std::vector<std::string> names;
    for (const auto& slot : primary->seen->slots) {
        if (!slot.physical && !slot.temporary) names.push_back(slot.name);
    }
    if (names.empty()) return;
    if (major_of(*primary) < failover_slots) {
        notes.warn(primary->key,
                   fmt::format("logical slots do not survive a failover on PostgreSQL {}: {}",
                               major_of(*primary), join(names, ", ")),
                   "make them anew after a failover, use pg_failover_slots, or PostgreSQL 17 and later");
        return;
    }
    for (const auto* standby : standbys(cluster))
        check_follows_slots(*standby, notes);
    if (notes.clean())
        notes.pass(primary->key, fmt::format("logical slots: {}; see that each was made with failover = true",
                                             join(names, ", ")));
}

void check_capacity(const Facts&, const Cluster& cluster, Notes& notes) {
    const auto members = answering(cluster);
    const auto others = static_cast<int>(members.size()) - 1;
    for (const auto* server : members) {
        const auto& s = server->seen->settings;
        const auto say = [&](std::string_view name, int value, std::string_view what) {
            if (value >= others) return;
            notes.fail(server->key,
                       fmt::format("{} = {}: as a primary it could not {} {}", name, value, what,
                                   counted(static_cast<size_t>(others), "standby")),
                       fmt::format("in postgresql.conf: {} = {} (restart)", name, others + 5));
        };
        say("max_wal_senders", s.max_wal_senders, "feed");
        say("max_replication_slots", s.max_replication_slots, "keep slots for");
    }
    if (others > 0 && notes.clean()) notes.pass("every server could feed all others");
}

}  // namespace baton::doctor
