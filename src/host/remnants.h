#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "host/files.h"
#include "host/options.h"

/// Lock files that a server has left empty: it was killed, or its host lost power, before it had written into
/// them. PostgreSQL takes them for those of a server that is just starting, and never removes them.
namespace baton::host {

/// Where the lock files of this server may be. `last`: what it said of itself when it ran last. Reads its
/// configuration. Blocks.
std::vector<std::string> lock_files_of(const InstanceOptions& instance, const std::optional<PidFile>& last);

/// Removes those of `paths` that are empty and stay so for half a second: one that is being written is empty
/// for microseconds. For when no process of the server is left.
Task<void> drop_empty_locks(Clock& clock, std::vector<std::string> paths);

}  // namespace baton::host
