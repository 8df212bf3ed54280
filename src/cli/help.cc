#include "cli/help.h"

#include <fmt/format.h>

#include "base/text.h"
#include "cli/classic.h"
#include "cli/modern.h"

namespace baton::cli {
namespace {

struct ServerWord {
    std::string_view usage;
    std::string_view doc;
};

constexpr ServerWord server_words[] = {
    {"serve -config FILE", "run the manager (orchestrator's form: baton -config FILE http)"},
    {"config check FILE", "read a configuration, and say what is wrong with it"},
    {"config show [FILE]", "the effective values, secrets masked"},
    {"config docs", "every key, with type, default and meaning"},
    {"doctor [-i HOST:PORT | CLUSTER]", "what would stand in the way of a failover, and how to mend it"},
    {"certs DIR [--host NAME,...]...", "a small certificate authority, and certificates for hosts"},
    {"version", "the version"},
    {"completion bash|zsh", "a completion script for the shell"},
    {"help [COMMAND]", "this text, or one command's"},
};

constexpr std::string_view exit_codes =
    "Exit codes\n"
    "  0  done\n"
    "  1  the manager said no\n"
    "  2  the command line is wrong\n"
    "  3  the manager cannot be reached\n";

constexpr std::string_view environment =
    "Environment\n"
    "  BATON_API, ORCHESTRATOR_API               address of the API (default http://localhost:3000/api); of "
    "several,\n"
    "                                            separated by blanks, the one that leads is used\n"
    "  ORCHESTRATOR_AUTH_USER, …_AUTH_PASSWORD   basic authentication (BATON_AUTH_USER, …_PASSWORD win)\n"
    "  ORCHESTRATOR_AUTH_USER_HEADER             an HTTP header to send\n"
    "  ORCHESTRATOR_INSTANCE                     the instance of orchestrator's commands, unless -i names "
    "one\n"
    "  ORCHESTRATOR_DEFAULT_PORT                 port of a host named without one\n"
    "  BATON_TLS_CA, BATON_TLS_CERT, BATON_TLS_KEY   files for https\n"
    "  NO_COLOR                                  no colours\n";

std::string item(std::string_view left, std::string_view right) {
    if (left.size() > 32) return fmt::format("  {}\n  {:<32}  {}\n", left, "", right);
    return fmt::format("  {:<32}  {}\n", left, right);
}

std::string usage_of(const ModernCommand& command) {
    return command.words.empty() ? std::string(command.name)
                                 : fmt::format("{} {}", command.name, command.words);
}

std::string flag_text(const Flag& flag) {
    std::string out;
    for (const auto& name : split(flag.names, ' '))
        out += (out.empty() ? "" : ", ") + std::string(name.size() == 1 ? "-" : "--") + name;
    if (!flag.placeholder.empty()) out += " " + std::string(flag.placeholder);
    return out;
}

std::string commands_of(bool looking) {
    std::string out;
    for (const auto& command : modern_commands())
        if ((command.deed == Deed::read) == looking) out += item(usage_of(command), command.doc);
    return out;
}

std::string modern_overview() {
    std::string out =
        "Baton watches PostgreSQL clusters, says what is wrong with them, and puts it right.\n\n"
        "Usage: baton COMMAND [ARGUMENTS] [OPTIONS]\n\nThe manager\n";
    for (const auto& [usage, doc] : server_words)
        out += item(usage, doc);
    out += "\nTo look\n" + commands_of(true) + "\nTo change something\n" + commands_of(false);
    out += "\norchestrator's commands\n";
    out += item("-c COMMAND -i HOST:PORT …", "as orchestrator has them; `baton -c help` lists them");
    out += "\nOptions of every client command\n";
    for (const auto& flag : modern_flags())
        if (is_common(flag)) out += item(flag_text(flag), flag.doc);
    return out + "\n" + std::string(environment) + "\n" + std::string(exit_codes);
}

std::string_view called(Personality personality) {
    if (personality == Personality::baton) return "baton";
    return personality == Personality::orchestrator ? "orchestrator" : "orchestrator-client";
}

/// What a route's tokens mean on the command line.
std::string needs_of(const ClassicCommand& command) {
    static constexpr std::pair<std::string_view, std::string_view> tokens[] = {
        {"{i}", "-i"},
        {"{instances}", "-i"},
        {"{text}", "-i"},
        {"{hint}", "-i|-alias"},
        {"{explicit_hint}", "-i|-alias"},
        {"{d}", "-d"},
        {"{tag}", "-tag"},
        {"{reason}", "-reason"},
        {"{rule}", "-promotion-rule"},
        {"{pool}", "-pool"},
        {"{hostname}", "-hostname"},
        {"{binlog}", "-binlog"},
        {"{seconds}", "-seconds"},
        {"{pattern}", "-pattern"},
        {"{path}", "-path"},
        {"{query}", "-query"},
    };
    std::string out;
    const auto bracket = command.route.find('[');
    for (const auto& [token, flag] : tokens) {
        const auto at = command.route.find(token);
        if (at == std::string_view::npos) continue;
        out += out.empty() ? "" : " ";
        out += at > bracket ? "[" + std::string(flag) + "]" : std::string(flag);
    }
    return out;
}

std::string aliases_text(std::string_view aliases) {
    return aliases.empty() ? "" : " (also: " + join(split(aliases, ' '), ", ") + ")";
}

std::string one_classic(Personality personality, const ClassicCommand& command) {
    if (!command.unavailable.empty())
        return fmt::format("{} is not available: {}\n", command.name, command.unavailable);
    return fmt::format("{} -c {} {}\n  {}{}\n", called(personality), command.name, needs_of(command),
                       command.doc, aliases_text(command.aliases));
}

}  // namespace

std::string overview(Personality personality) {
    return personality == Personality::baton ? modern_overview() : classic_help(personality, {});
}

Result<std::string> command_help(std::string_view word) {
    for (const auto& [usage, doc] : server_words)
        if (split(usage, ' ').front() == word && word != "config")
            return fmt::format("baton {}\n  {}\n", usage, doc);
    if (word == "config") {
        std::string out;
        for (const auto& [usage, doc] : server_words)
            if (usage.starts_with("config")) out += fmt::format("baton {}\n  {}\n", usage, doc);
        return out;
    }
    const auto* command = find_modern(word);
    if (command == nullptr) {
        const auto near = nearest_name(word, all_words());
        return fail(ErrorKind::not_found,
                    fmt::format("there is no command \"{}\"{}", word,
                                near ? ", did you mean " + *near + "?" : std::string()));
    }
    std::string out = fmt::format("Usage: baton {} [OPTIONS]\n\n  {}{}\n\nOptions\n", usage_of(*command),
                                  command->doc, aliases_text(command->aliases));
    for (const auto& flag : modern_flags())
        if (takes(*command, flag)) out += item(flag_text(flag), flag.doc);
    out += "\nExamples\n";
    for (const auto& example : split(command->examples, '\n'))
        out += "  baton " + example + "\n";
    return out + "\n" + std::string(exit_codes);
}

std::string classic_help(Personality personality, std::string_view command) {
    if (const auto* found = command.empty() ? nullptr : find_classic(command))
        return one_classic(personality, *found);
    std::string out = fmt::format("Usage: {} -c <command> [flags...]\n\nFlags\n", called(personality));
    for (const auto& flag : classic_flags())
        if (!flag.doc.empty()) out += item(flag_text(flag), flag.doc);
    out += "\nCommands\n";
    for (const auto& one : classic_commands())
        if (one.unavailable.empty()) out += item(fmt::format("{} {}", one.name, needs_of(one)), one.doc);
    return out + "\n" + std::string(environment);
}

}  // namespace baton::cli
