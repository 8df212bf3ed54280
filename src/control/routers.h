#pragma once

#include "agent/agents.h"
#include "config/config.h"
#include "recovery/switchover.h"

namespace baton::control {

/// Routers of the configuration. `agents` must outlive them.
std::vector<recovery::RouterOf> routers_of(const config::Config& config, Clock& clock, agent::Agents& agents);

/// One that can be looked at, without an agent's hands.
routing::RouterPtr router_of(const config::RouterEntry& entry, Clock& clock);

}  // namespace baton::control
