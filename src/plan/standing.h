#pragma once

#include <optional>
#include <string>

#include "plan/plan.h"

/// Short questions about an instance that every maker of plans asks. Internal to this room.
namespace baton::plan {

inline bool answers(const Instance& instance) {
    return instance.health.ok() && instance.seen != nullptr;
}
inline int major_version(const Instance& instance) {
    return instance.seen ? instance.seen->version_num / 10'000 : 0;
}
inline Lsn position_of(const Instance& instance) {
    return instance.seen ? instance.seen->position() : Lsn{};
}
inline bool uses_slot(const Instance& standby) {
    if (!standby.seen) return false;
    return !standby.seen->settings.primary_slot_name.empty() ||
           (standby.seen->receiver && !standby.seen->receiver->slot.empty());
}

std::string slot_name_from_key(const InstanceKey& key);

}  // namespace baton::plan
