#pragma once

#include <optional>
#include <string>

#include "cli/client.h"
#include "config/config.h"

namespace baton::app {

/// Where a manager with this configuration is reached from its own host; nothing when it listens on a Unix
/// socket only.
std::optional<cli::ConfiguredApi> api_of(const config::Config& config);

/// The same for a file, or for "" the files in the default places below /etc, if there are any. A file that
/// was named and cannot be read is complained of on standard error.
std::optional<cli::ConfiguredApi> configured_api(const std::string& file);

}  // namespace baton::app
