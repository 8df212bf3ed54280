#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "topology/wal.h"

namespace baton::host {

/// "postgres: 15/main: walreceiver streaming 0/3000148": how far it has received. Nothing for other titles.
std::optional<topology::Lsn> parse_receiver_title(std::string_view title);

/// The process that receives WAL for the server of a data directory.
struct Receiver {
    int pid = 0;
    /// How far it has received; nothing until the first record has come, or where update_process_title is
    /// off.
    std::optional<topology::Lsn> position;
};
/// Nothing: there is none at present. Reads postmaster.pid and /proc. Blocks.
std::optional<Receiver> find_receiver(const std::string& data_directory);

}  // namespace baton::host
