#pragma once

#include "agent/agents.h"

/// From what an agent says to what a snapshot carries.
namespace baton::control {

/// Durations of the agent become moments of the manager's clock: as of its last frame.
topology::Host host_of(const agent::Seen& seen);

}  // namespace baton::control
