#include "cli/modern.h"

#include <fmt/format.h>

#include <charconv>

#include "base/text.h"
#include "cli/help.h"
#include "cli/route.h"

namespace baton::cli {
namespace {

constexpr milliseconds watch_shortest{100};

std::string Options::* field_of(std::string_view word) {
    static constexpr std::pair<std::string_view, std::string Options::*> fields[] = {
        {"HOST:PORT", &Options::instance},    {"CLUSTER", &Options::alias},
        {"UPSTREAM", &Options::destination},  {"SIBLING", &Options::destination},
        {"CANDIDATE", &Options::destination}, {"UID|CLUSTER", &Options::uid},
        {"CLUSTER|UID", &Options::uid},       {"TEXT", &Options::pattern},
        {"EXPRESSION", &Options::tag},        {"NAME", &Options::tag},
        {"NAME[=VALUE]", &Options::tag},      {"RULE", &Options::rule},
        {"ALIAS", &Options::new_alias},       {"PATH", &Options::path},
    };
    const auto found =
        std::ranges::find(fields, word, &std::pair<std::string_view, std::string Options::*>::first);
    return found == std::end(fields) ? nullptr : found->second;
}

/// Puts the words after the command where the routes look for them.
Result<void> place_words(const ModernCommand& command, Options& options) {
    size_t at = 1;
    for (std::string word : split(command.words, ' ')) {
        if (word.empty()) break;
        const bool optional = word.starts_with('[');
        if (optional) word = word.substr(1, word.size() - 2);
        if (at >= options.words.size()) {
            if (optional) break;
            return fail(ErrorKind::invalid_argument, fmt::format("{} wants {}", command.name, word));
        }
        if (const auto field = field_of(word); field != nullptr) options.*field = options.words[at];
        ++at;
    }
    if (at >= options.words.size()) return {};
    return fail(ErrorKind::invalid_argument,
                fmt::format("{} does not know what to do with \"{}\"; usage: baton {}", command.name,
                            options.words[at], trim(fmt::format("{} {}", command.name, command.words))));
}

/// An option that would do nothing is refused.
Result<void> only_its_own_flags(const ModernCommand& command, const Options& options) {
    for (const auto& flag : modern_flags()) {
        const bool given =
            flag.value != nullptr ? !(options.*flag.value).empty() : flag.on != nullptr && options.*flag.on;
        if (!given || is_common(flag) || takes(command, flag) || flag.value == &Options::watch_seconds)
            continue;
        const auto name = split(flag.names, ' ').front();
        return fail(ErrorKind::invalid_argument,
                    fmt::format("{0} does not take {1}{2}; `baton {0} --help` lists what it takes",
                                command.name, name.size() == 1 ? "-" : "--", name));
    }
    return {};
}

Error in_modern_words(const ModernCommand& command, const Error& missing) {
    std::string what = missing.who;
    if (what == "reason" || what == "duration" || what == "owner")
        return {ErrorKind::invalid_argument, fmt::format("{} wants --{} TEXT", command.name, what)};
    return {ErrorKind::invalid_argument, fmt::format("{} wants {}", command.name, command.words)};
}

int run_once(const ModernCommand& command, const ModernCall& call) {
    if (command.special != nullptr) return command.special(call);
    const auto route = fill_route(command.route, call.options);
    if (!route) return refuse(call.io, in_modern_words(command, route.error()).message, exit_usage);
    int code = exit_ok;
    const auto answer = ask_modern(call, *route, command.deed, code);
    return answer ? show(call, *answer, command.view) : code;
}

std::optional<milliseconds> watch_pause(const Options& options) {
    double every = 0;
    const auto& text = options.watch_seconds;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), every);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    if (!(every >= 0 && every <= 86400)) return std::nullopt;  // nor what is no number
    return std::max(watch_shortest, milliseconds(static_cast<int64_t>(every * 1000)));
}

/// Output is collected and written at once, so that a screen does not flicker; an unreachable manager does
/// not end it.
int watch(const ModernCommand& command, const ModernCall& call, milliseconds pause) {
    Io collected = call.io;
    std::string text;
    collected.out = [&](std::string_view part) { text += part; };
    // With --json what is written is for a program: complaints go where they do not disturb it.
    if (!call.options.json) collected.err = collected.out;
    Api api(collected, call.options);
    const ModernCall again{collected, api, call.options, call.paint};
    int code = exit_ok;
    while (!call.io.stopped()) {
        text.clear();
        code = run_once(command, again);
        const std::string head =
            fmt::format("baton {}  every {} s  {}", command.name, static_cast<double>(pause.count()) / 1000,
                        plain_time(call.io.now()));
        const std::string clear = call.io.is_terminal ? "\x1b[H\x1b[2J" : "";
        // With --json the output is for a program: one answer a line and nothing else.
        call.io.out(call.options.json ? text : clear + call.paint(Tone::faint, head) + "\n" + text);
        call.io.sleep(pause);
    }
    return code;
}

int run_parsed(const ModernCommand& command, Options& options, Io& io) {
    if (options.help) {
        io.out(*command_help(command.name));
        return exit_ok;
    }
    // Words are put into the same fields as options: those are looked at first.
    if (const auto own = only_its_own_flags(command, options); !own)
        return refuse(io, own.error().message, exit_usage);
    if (const auto placed = place_words(command, options); !placed)
        return refuse(io, placed.error().message, exit_usage);
    fill_defaults(options, Personality::baton, io);
    const Paint paint(io.is_terminal && !options.json && io.env("NO_COLOR").value_or("").empty());
    Api api(io, options);
    const ModernCall call{io, api, options, paint};
    if (options.watch_seconds.empty()) return run_once(command, call);
    const auto pause = watch_pause(options);
    if (!pause)
        return refuse(io, "--watch wants seconds, not \"" + printable(options.watch_seconds) + "\"",
                      exit_usage);
    if (command.deed != Deed::read || command.name == "events")
        return refuse(io, fmt::format("--watch is for commands that only look; {} does not", command.name),
                      exit_usage);
    return watch(command, call, *pause);
}

int unknown_word(const Io& io, std::string_view word) {
    const auto known = all_words();
    const auto near = nearest_name(word, known);
    return refuse(io,
                  fmt::format("unknown command \"{}\"{}; `baton help` lists all", word,
                              near ? fmt::format(", did you mean {}?", *near) : std::string()),
                  exit_usage);
}

int help_for(const std::vector<std::string>& args, Io& io) {
    const auto word = std::ranges::find_if(
        args, [](const std::string& arg) { return !arg.starts_with('-') && arg != "help"; });
    if (word == args.end()) {
        io.out(overview(Personality::baton));
        return exit_ok;
    }
    const auto text = command_help(*word);
    if (!text) return refuse(io, text.error().message, exit_usage);
    io.out(*text);
    return exit_ok;
}

}  // namespace

int refuse(const Io& io, std::string_view message, int code) {
    io.err(fmt::format("baton: {}\n", message));
    return code;
}

int code_of(const Error& error) {
    const bool nobody = error.kind == ErrorKind::unreachable || error.kind == ErrorKind::refused ||
                        error.kind == ErrorKind::timeout || error.kind == ErrorKind::broken;
    return nobody ? exit_unreachable : exit_refused;
}

std::optional<Answer> ask_modern(const ModernCall& call, std::string_view path, Deed deed, int& code) {
    auto answer = call.api.get(path, deed);
    if (!answer) {
        code = refuse(call.io, answer.error().message, code_of(answer.error()));
        return std::nullopt;
    }
    if (!answer->failed()) return *answer;
    if (call.options.json) call.io.out(json::serialize(answer->body) + "\n");
    code = refuse(call.io, answer->message(), exit_refused);
    return std::nullopt;
}

int show(const ModernCall& call, const Answer& answer, View view) {
    if (!call.options.json) {
        call.io.out(view(answer, call));
        return exit_ok;
    }
    const auto& content = answer.content();
    call.io.out(json::serialize(content.is_null() ? answer.body : content) + "\n");
    return exit_ok;
}

int run_modern(std::vector<std::string> args, Io& io) {
    auto options = parse_options(args, modern_flags());
    const bool wants_overview = args.empty() || (options && options->words.empty() && options->help);
    if (wants_overview || (options && !options->words.empty() && options->words.front() == "help"))
        return help_for(args, io);
    if (!options) return refuse(io, options.error().message, exit_usage);
    if (options->words.empty()) return refuse(io, "name a command; `baton help` lists them", exit_usage);
    const auto* command = find_modern(options->words.front());
    if (command == nullptr) return unknown_word(io, options->words.front());
    return run_parsed(*command, *options, io);
}

}  // namespace baton::cli
