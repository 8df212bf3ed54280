#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "cli/http.h"

/// The client: one table of commands, each a route of the manager's HTTP API and a way to print its answer.
namespace baton::cli {

/// Under which name the program was called. `baton` has the modern commands and, behind -c, orchestrator's;
/// `orchestrator` behaves as its binary did, `orchestrator_client` as its shell client.
enum class Personality : uint8_t { baton, orchestrator, orchestrator_client };

/// Exit codes of the modern commands. The two orchestrator personalities use 0 and 1 only, as their scripts
/// expect.
enum ExitCode : int { exit_ok = 0, exit_refused = 1, exit_usage = 2, exit_unreachable = 3 };

/// Where a manager on this host listens, as its configuration says.
struct ConfiguredApi {
    std::string url;
    std::string auth;  ///< user:password, "" when none is needed
};

/// What the client may touch of the world, so that tests can stand in for it.
struct Io {
    std::function<void(std::string_view)> out;
    std::function<void(std::string_view)> err;
    std::function<std::optional<std::string>(std::string_view)> env;
    std::function<void(milliseconds)> sleep;
    std::function<WallTime()> now;
    /// True ends --watch and `events`; never in the real program, which is ended by a signal.
    std::function<bool()> stopped;
    /// Reads a manager's configuration: that file, or for "" those in /etc. Nothing when there
    /// is none, or it names no TCP port. May be empty.
    std::function<std::optional<ConfiguredApi>(const std::string& file)> configured_api;
    Http* http = nullptr;
    bool is_terminal = false;  ///< standard output is one
    int process_id = 0;
    std::string user_name;  ///< the owner of downtime and maintenance unless another is named
};

/// The process's streams, environment (orchestrator-client also reads the assignments in
/// /etc/profile.d/orchestrator-client.sh) and clock; `http` must outlive the result.
Io real_io(Personality personality, Http& http);

/// A modern client command or one of its aliases ("topology", "clusters", …).
bool knows(std::string_view word);

/// Whether these arguments (without the program's name) are for run_client(): orchestrator-client's always
/// are; of the others those with -c/-command, and those whose first word is a modern command.
bool is_client_call(Personality personality, const std::vector<std::string>& args);

/// Runs one client command; `args` without the program's name. The result is the process's exit code.
int run_client(Personality personality, std::vector<std::string> args, Io& io);

}  // namespace baton::cli
