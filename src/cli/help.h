#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "cli/client.h"

/// Help texts and shell completion, all made from the tables of commands and options.
namespace baton::cli {

/// What the program can do, the words of the server side included.
std::string overview(Personality personality);

/// About one modern command: usage, options, examples, exit codes. Error not_found suggests the nearest.
Result<std::string> command_help(std::string_view word);

/// orchestrator's commands and options; with a command's name, only that.
std::string classic_help(Personality personality, std::string_view command);

/// A completion script. Error invalid_argument for a shell other than bash and zsh.
Result<std::string> completion(std::string_view shell);

}  // namespace baton::cli
