#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "agent/protocol.h"
#include "base/error.h"

/// The texts of PostgreSQL's own small files, and of pg_controldata. Pure, but for write_durably() and
/// read_whole().
namespace baton::host {

/// What the server says of itself in line 8 of postmaster.pid.
enum class Phase : uint8_t { starting, ready, stopping };

/// postmaster.pid (PostgreSQL source, src/include/utils/pidfile.h has the order of its lines).
struct PidFile {
    int pid = 0;
    std::string data_directory;
    int64_t started_s = 0;  ///< since 1970, by the host's wall clock
    uint16_t port = 0;
    std::string socket_directory;  ///< the first one; "" = none
    std::string listen_address;    ///< the first one, as it is to be connected to; "" = none
    std::optional<int> shared_memory_id;
    int shared_memory_key = 0;  ///< made from the data directory: another server's segment has another one
    Phase phase = Phase::starting;
    bool stand_alone = false;  ///< of `postgres --single`
    bool operator==(const PidFile&) const = default;
};
/// Nothing when there is no number in the first line. A server that has just begun has written only some of
/// the lines.
std::optional<PidFile> parse_pid_file(std::string_view text);

/// The output of pg_controldata with LC_ALL=C. Error invalid_argument when it holds no system identifier.
Result<agent::ControlData> parse_control_data(std::string_view output);

/// "postgres (PostgreSQL) 15.18 (Debian …)" → "15.18"; "" when there is no number.
std::string version_of(std::string_view output);

/// The value that a configuration file gives a text parameter: the last line counts. Nothing when there is
/// none. Includes are not followed.
std::optional<std::string> read_setting(std::string_view file, std::string_view name);

/// The same file where `name` has this value, in a line at its end; other lines of that name are dropped.
std::string with_setting(std::string_view file, std::string_view name, std::string_view value);

/// Error not_found, or io.
Result<std::string> read_whole(const std::string& path, size_t most_bytes = 1024UL * 1024);
/// Temporary file, fsync, rename, fsync of the directory; owner and mode of a file that was there are kept.
Result<void> write_durably(const std::string& path, std::string_view text);
/// What was made, renamed or removed in `directory` is so after a crash, too.
Result<void> sync_directory(const std::string& directory);

}  // namespace baton::host
