#pragma once

#include "host/deed_journal.h"
#include "host/tools.h"

namespace baton::host {

/// pg_basebackup beside the data directory, which it then replaces (Jobs::clone). Where it is a mount point,
/// or there is no room for two, it is emptied and copied into if InstanceOptions::clone_in_place allows it.
/// The former directory and all that belonged to it stays until drop_former().
Task<JobEnd> clone_directory(Tools& tools, const agent::Order& order, const DeedRoom& room);

/// Removes what a finished clone has left behind, and forgets it.
Task<Result<void>> drop_former(Tools& tools, const DeedRoom& room);

/// A place for a new directory instead of `path`, on the same file system: beside it, or within it where it
/// is a mount point. Blocks.
std::string place_instead_of(const std::string& path);

/// Bytes that a copy of `total` needs: what is written there meanwhile comes on top.
int64_t space_needed(int64_t total_bytes);

/// pg_basebackup takes 32 kB/s to 1 GB/s.
std::string max_rate_argument(int64_t kbps);

/// `OLD=NEW`, with equals signs in paths escaped.
std::string mapping_argument(const std::string& from, const std::string& to);

}  // namespace baton::host
