#pragma once

#include <span>
#include <string>
#include <string_view>

#include "cli/api.h"
#include "cli/client.h"
#include "cli/options.h"

/// orchestrator's commands: those of its shell client and of its binary, over the HTTP API.
namespace baton::cli {

/// One call under way: what a printer or a special command needs to know.
struct Call {
    Io& io;
    Api& api;
    const Options& options;
    Personality personality;
    bool script() const { return personality == Personality::orchestrator_client; }
};

/// Text to print for an answer's content, each line with its end.
using Print = std::string (*)(const Answer& answer, const Call& call);
/// A command that is more than one request; returns the exit code.
using Special = int (*)(const Call& call);

struct ClassicCommand {
    std::string_view name;
    std::string_view aliases;  ///< separated by blanks; names with "slave" for "replica" need not be listed
    std::string_view route;    ///< see fill_route(); the options that it needs are the tokens in it
    Deed deed = Deed::read;
    Print script = nullptr;  ///< as orchestrator-client prints
    Print binary = nullptr;  ///< as orchestrator prints; null = the same
    std::string_view doc;
    Special special = nullptr;  ///< instead of asking `route` once
    /// Why there is no such thing over the API; a command with this only says so.
    std::string_view unavailable;
};

std::span<const ClassicCommand> classic_commands();
/// By name, alias, or with the first "slave" made "replica"; null when there is none.
const ClassicCommand* find_classic(std::string_view name);

/// Runs `options.command`.
int run_classic(Personality personality, Options options, Io& io);
/// Says what went wrong as the personality does ("orchestrator-client[PID]: …", or a FATAL line) and returns
/// `code`.
int complain(Personality personality, const Io& io, std::string_view message, int code = exit_refused);
/// Asks; when the API says no, prints its message (and details) as the personality does and returns nothing.
std::optional<Answer> ask(const Call& call, std::string_view path, Deed deed);

}  // namespace baton::cli
