#pragma once

#include <vector>

#include "analysis/problem.h"

/// Which replication slots of a server are in trouble, or make it. Internal to this room.
namespace baton::analysis {

/// Slots that have lost WAL or are about to.
inline std::vector<const topology::Slot*> endangered_slots(const Instance& instance) {
    std::vector<const topology::Slot*> found;
    for (const auto& slot : instance.seen->slots) {
        if (slot.wal_status == "lost" || slot.wal_status == "unreserved") found.push_back(&slot);
    }
    return found;
}

/// Slots that nobody uses and that hold back more WAL than the policy allows.
inline std::vector<const topology::Slot*> hoarding_slots(const Instance& instance, const Policy& policy) {
    std::vector<const topology::Slot*> found;
    for (const auto& slot : instance.seen->slots) {
        const bool idle = !slot.active && slot.restart && slot.wal_status != "lost";
        if (idle &&
            topology::bytes_ahead(instance.seen->position(), slot.restart) > policy.slot_alarm_bytes) {
            found.push_back(&slot);
        }
    }
    return found;
}

}  // namespace baton::analysis
