#pragma once

#include "base/clock.h"
#include "base/time.h"
#include "doctor/facts.h"
#include "engine/engine.h"
#include "store/store.h"

namespace baton::doctor {

/// Looks at servers with an engine: finds what belongs to them, waits until the picture stands still, and
/// examines each. Fills asked, unanswered, topology, examined, stable, now and wall of `facts`. Returns by
/// about `deadline`. Changes nothing on any server.
Task<void> look_at_servers(Clock& clock, engine::Engine& engine, store::Store& store,
                           std::vector<InstanceKey> seeds, MonoTime deadline, Facts& facts);

/// Asks the routers of the configuration how they stand. Fills routers of `facts`. Changes nothing on them.
Task<void> look_at_routers(Clock& clock, MonoTime deadline, Facts& facts);

/// The clusters that are reported on: the one of `server`, or the one that `cluster` names (or that most of
/// `members` are in), else all.
std::vector<ClusterPtr> select_clusters(const topology::Topology& topology,
                                        const std::optional<InstanceKey>& server, const std::string& cluster,
                                        const std::vector<InstanceKey>& members, uint16_t default_port);

}  // namespace baton::doctor
