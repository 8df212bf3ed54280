#pragma once

#include <string>
#include <vector>

namespace baton::app {

/// `baton agent …`: the host agent, until SIGTERM or SIGINT; the servers that it guards run on after it.
/// Returns the process's exit code; what was wrong is on standard error.
int agent_command(const std::vector<std::string>& args);

}  // namespace baton::app
