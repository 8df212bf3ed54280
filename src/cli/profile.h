#pragma once

#include <map>
#include <string>
#include <string_view>

namespace baton::cli {

/// The plain assignments of a shell profile ("export ORCHESTRATOR_API=\"…\""), for names that begin with
/// ORCHESTRATOR_ or BATON_. Lines that need a shell to understand ($, backquotes) are left out.
std::map<std::string, std::string> read_profile(std::string_view text);

}  // namespace baton::cli
