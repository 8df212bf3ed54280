#pragma once

#include "plan/rewire.h"
#include "plan/switchover.h"

/// What the checks before a switchover and its steps share. Internal to this room.
namespace baton::plan {

/// Those that will follow the new primary, without the old one.
std::vector<const Instance*> followers(const Cluster& cluster, const Instance& primary,
                                       const Instance& candidate);
/// "" where it needs none.
std::string slot_of_old_primary(const Instance& primary, const Policy& policy);

}  // namespace baton::plan
