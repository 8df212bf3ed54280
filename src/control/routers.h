#pragma once

#include "agent/agents.h"
#include "config/config.h"
#include "recovery/switchover.h"

namespace baton::control {

/// Routers of the configuration. `agents` must outlive them.
std::vector<recovery::RouterOf> routers_of(const config::Config& config, Clock& clock, agent::Agents& agents);

}  // namespace baton::control
