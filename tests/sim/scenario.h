#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "sim/world.h"

namespace baton::sim {

/// Recovers every cluster; short intervals are left at their defaults.
inline const std::string recovers_all =
    R"({"RecoverMasterClusterFilters": ["*"], "RecoverIntermediateMasterClusterFilters": ["*"]})";

/// The same with more keys, given as JSON members.
std::string recovers_all_and(const std::string& members);

/// p with standbys s1 and s2 on slots, a writing client and a manager that has settled.
std::unique_ptr<World> three_nodes(const std::string& config = recovers_all, uint64_t seed = 1);

/// The trace is tests/sim/golden/NAME.txt, as a whole. With BATON_UPDATE_GOLDEN set it is written instead.
void expect_golden(World& world, const std::string& name);

/// One writable server, everybody else that runs streams from it (directly or through others), nobody has
/// lost an acknowledged row, no recovery is open.
void expect_healthy(World& world, const std::vector<std::string>& members);

}  // namespace baton::sim
