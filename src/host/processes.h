#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// Processes of this host, as /proc shows them.
namespace baton::host {

struct ProcessStat {
    char state = 0;      ///< the kernel's letter: 'R', 'S', 'T', 'Z', …
    uint64_t start = 0;  ///< in clock ticks since boot: together with the id it names one process
    /// Ended, and waits for its parent to notice.
    bool dead() const { return state == 'Z' || state == 'X'; }
    bool stopped() const { return state == 'T' || state == 't'; }
};
/// Nothing when there is no such process.
std::optional<ProcessStat> process_stat(pid_t pid);
/// SIGKILL is pending for it, and the kernel holds it in a call that does not end, as a write to a disk that
/// hangs. It never runs a line of its own again, so that it acknowledges nothing, whatever becomes of the
/// disk; but its files and its shared memory are in use until then.
bool is_doomed(pid_t pid);
/// The same of what /proc/PID/status says.
bool says_doomed(std::string_view status);
/// It is a server process that works in `directory` (a real path).
bool works_in(pid_t pid, const std::string& directory);
/// Ids of all server processes that work in `directory` (a real path) and are no zombies: every PostgreSQL
/// process does, orphaned ones too, while each leads a process group of its own.
std::vector<pid_t> working_in(const std::string& directory);
/// By its name it is a postmaster, and none of the processes that one starts: those call themselves
/// "postgres: …".
bool is_postmaster(pid_t pid);
/// Sends `signal` to all of them, and again to those that were born meanwhile. How many it found.
size_t signal_all(const std::string& directory, int signal);
/// Processes that are attached to a System V shared memory segment; 0 when there is none of this id and key.
uint64_t attached_to(int id, int key);

}  // namespace baton::host
