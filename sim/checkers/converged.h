#pragma once

#include <string>

#include "sim/world.h"

namespace baton::sim {

/// What is still to be done before the cluster is as it should be; "" when it is: one primary leads, everyone
/// who can follows it, who cannot is reported, the manager sees all that as it is, and no recovery is open.
std::string unsettled(World& world);
inline bool converged(World& world) {
    return unsettled(world).empty();
}

}  // namespace baton::sim
