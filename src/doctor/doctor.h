#pragma once

#include <ostream>
#include <string>
#include <vector>

namespace baton::doctor {

/// `baton doctor`: the checks that operators run by hand before they trust failover. Changes nothing
/// anywhere. Exit code 0 all pass, 1 warnings, 2 failures or bad usage.
int run(const std::vector<std::string>& args, std::ostream& out, std::ostream& err, bool terminal);

}  // namespace baton::doctor
