#pragma once

#include <string>
#include <vector>

namespace baton::app {

/// `baton config check [FILE…]`, `show [--changed] [FILE…]`, `docs`. Exit code 0, 1 for a bad file, 2 for bad
/// usage.
int config_command(const std::vector<std::string>& args);

}  // namespace baton::app
