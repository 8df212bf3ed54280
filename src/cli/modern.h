#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/api.h"
#include "cli/client.h"
#include "cli/options.h"
#include "cli/paint.h"

/// Baton's own commands: words instead of options, tables for people, --json for programs.
namespace baton::cli {

struct ModernCall {
    Io& io;
    Api& api;
    const Options& options;
    const Paint& paint;
};

/// Text for people from an answer.
using View = std::string (*)(const Answer& answer, const ModernCall& call);
/// A command that is more than one request; returns the exit code.
using ModernSpecial = int (*)(const ModernCall& call);

struct ModernCommand {
    std::string_view name;
    std::string_view aliases;  ///< separated by blanks
    std::string_view words;    ///< "HOST:PORT [CANDIDATE]"
    std::string_view route;    ///< see fill_route()
    Deed deed = Deed::read;
    View view = nullptr;
    std::string_view doc;
    std::string_view examples;  ///< one a line, without the program's name
    std::string_view flags;     ///< long names of the options that it has beyond the common ones
    ModernSpecial special = nullptr;
};

std::span<const ModernCommand> modern_commands();
/// By name or alias; null when there is none.
const ModernCommand* find_modern(std::string_view name);
/// Every command takes it; others are of those that name them.
bool is_common(const Flag& flag);
bool takes(const ModernCommand& command, const Flag& flag);
/// Every word of the program, the server side's included: for suggestions.
std::vector<std::string_view> all_words();

/// `args` begin with the command's word.
int run_modern(std::vector<std::string> args, Io& io);

/// Says "baton: <message>" on stderr and returns `code`.
int refuse(const Io& io, std::string_view message, int code);
/// The exit code for an error that is not an answer.
int code_of(const Error& error);
/// Asks; a no is said, and nothing is returned with `code` set.
std::optional<Answer> ask_modern(const ModernCall& call, std::string_view path, Deed deed, int& code);
/// Prints the content as JSON, or through `view`.
int show(const ModernCall& call, const Answer& answer, View view);

}  // namespace baton::cli
