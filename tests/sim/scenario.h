#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "sim/world.h"

namespace baton::sim {

/// Recovers every cluster; short intervals are left at their defaults.
inline const std::string recovers_all =
    R"({"ProviderType": "postgresql", "RecoverMasterClusterFilters": ["*"],
        "RecoverIntermediateMasterClusterFilters": ["*"]})";

/// The same with more keys, given as JSON members.
std::string recovers_all_and(const std::string& members);

using WorldPtr = std::unique_ptr<World>;

/// p with standbys s1 and s2 on slots, not yet begun: change it, then begin().
WorldPtr three_servers(const std::string& config = recovers_all, uint64_t seed = 1);
/// A writing client (unless idle) and the manager start and settle.
void begin(World& world, bool idle = false);
/// Both at once.
WorldPtr three_nodes(const std::string& config = recovers_all, uint64_t seed = 1);
inline InstanceKey at(const std::string& name) {
    return {name, 5432};
}

/// The trace is tests/sim/golden/NAME.txt, as a whole. With BATON_UPDATE_GOLDEN set it is written instead.
void expect_golden(World& world, const std::string& name);

/// One writable server, everybody else that runs streams from it (directly or through others), nobody has
/// lost an acknowledged row, no recovery is open.
void expect_healthy(World& world, const std::vector<std::string>& members);

}  // namespace baton::sim
