#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "topology/host.h"

namespace baton::host {

/// Of one look at a directory.
struct DiskLook {
    topology::DiskHealth health = topology::DiskHealth::unknown;
    std::string detail;  ///< what the system said
    int64_t total_bytes = 0;
    int64_t free_bytes = 0;
    /// pg_wal lies on another file system: it needs a look of its own.
    bool wal_apart = false;
};

/// The file that is written. It never vanishes and is empty between two looks: pg_basebackup and pg_rewind
/// may meet it at any moment. (A file that comes and goes would end a pg_rewind that is about to remove it;
/// one that keeps its blocks would never see the disk full.)
inline constexpr std::string_view probe_file = ".baton-probe";

/// full: ENOSPC, EDQUOT; read_only: EROFS; unknown: the directory is not there; failing: all others.
topology::DiskHealth disk_health_of(int error_number);

/// Writes 64 KiB there, makes them durable, and takes them away again. A data directory that is empty or
/// missing is left so. Blocks for as long as the disk does.
DiskLook look_at_disk(const std::string& directory, bool is_wal);

}  // namespace baton::host
