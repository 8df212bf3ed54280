#include "cli/classic.h"

#include <fmt/format.h>

#include "base/text.h"
#include "cli/help.h"
#include "cli/route.h"

namespace baton::cli {
namespace {

std::string_view program_name(Personality personality) {
    switch (personality) {
        case Personality::baton:
            return "baton";
        case Personality::orchestrator:
            return "orchestrator";
        case Personality::orchestrator_client:
            return "orchestrator-client";
    }
    return "baton";
}

/// openark's messages that went through its logger begin with a time and a level; a FATAL line brings its
/// own.
std::string_view without_log_prefix(std::string_view message) {
    constexpr std::string_view shape = "dddd-dd-dd dd:dd:dd ERROR ";
    if (message.size() < shape.size()) return message;
    for (size_t i = 0; i < shape.size(); ++i) {
        const bool digit = message[i] >= '0' && message[i] <= '9';
        if (shape[i] == 'd' ? !digit : message[i] != shape[i]) return message;
    }
    return message.substr(shape.size());
}

int no_command(Personality personality, const Io& io) {
    const auto name = program_name(personality);
    return complain(
        personality, io,
        fmt::format("No command given. Use {0} -c <command> [...] or {0} --command <command> [...] to do "
                    "something useful",
                    name));
}

int unknown_command(Personality personality, const Options& options, const Io& io) {
    if (personality == Personality::orchestrator_client)
        return complain(personality, io, "Unsupported command " + options.command);
    std::vector<std::string_view> known;
    for (const auto& command : classic_commands())
        known.push_back(command.name);
    const auto near = nearest_name(options.command, known);
    return complain(personality, io,
                    fmt::format("Unknown command: \"{}\".{}", options.command,
                                near ? fmt::format(" Did you mean {}?", *near) : std::string()));
}

int run_command(const ClassicCommand& command, const Call& call) {
    if (command.special != nullptr) return command.special(call);
    const auto route = fill_route(command.route, call.options);
    if (!route) return complain(call.personality, call.io, route.error().message);
    const auto answer = ask(call, *route, command.deed);
    if (!answer) return exit_refused;
    const Print print = call.script() || command.binary == nullptr ? command.script : command.binary;
    call.io.out(print(*answer, call));
    return exit_ok;
}

/// The binary takes several instances, separated by blanks or commas, and does the command for each.
std::vector<std::string> instances_of(const ClassicCommand& command, const Call& call) {
    std::vector<std::string> out;
    if (call.script() || uses(command.route, "instances")) return {call.options.instance};
    std::string list = call.options.instance;
    std::ranges::replace_if(list, [](char c) { return c == ',' || c == '\n' || c == '\t'; }, ' ');
    for (auto& part : split(list, ' '))
        if (!part.empty()) out.push_back(std::move(part));
    if (out.empty()) out.emplace_back();
    return out;
}

int run_for_each(const ClassicCommand& command, const Call& call) {
    for (auto& instance : instances_of(command, call)) {
        Options one = call.options;
        one.instance = std::move(instance);
        // Under one name from here on: a special command looks itself up again.
        one.command = command.name;
        const Call single{call.io, call.api, one, call.personality};
        if (const int code = run_command(command, single); code != exit_ok) return code;
    }
    return exit_ok;
}

}  // namespace

int complain(Personality personality, const Io& io, std::string_view message, int code) {
    if (personality == Personality::orchestrator_client) {
        io.err(fmt::format("orchestrator-client[{}]: {}\n", io.process_id, message));
    } else {
        io.err(fmt::format("{} FATAL {}\n", plain_time(io.now()), without_log_prefix(message)));
    }
    return code;
}

std::optional<Answer> ask(const Call& call, std::string_view path, Deed deed) {
    auto answer = call.api.get(path, deed);
    if (!answer) {
        complain(call.personality, call.io, answer.error().message);
        return std::nullopt;
    }
    if (!answer->failed()) return *answer;
    if (!call.script()) {
        complain(call.personality, call.io, answer->message());
        return std::nullopt;
    }
    call.io.err(answer->message() + "\n");
    if (!answer->content().is_null() && answer->body.is_object())
        call.io.out(jq_line(answer->content()) + "\n");
    return std::nullopt;
}

int run_classic(Personality personality, Options options, Io& io) {
    if (options.help || options.command == "help") {
        io.out(classic_help(personality, options.words.empty() ? std::string_view() : options.words.front()));
        return exit_ok;
    }
    if (options.command.empty()) return no_command(personality, io);
    const auto* command = find_classic(options.command);
    if (command == nullptr) return unknown_command(personality, options, io);
    if (!command->unavailable.empty())
        return complain(personality, io,
                        fmt::format("{} is not available: {}", options.command, command->unavailable));
    if (personality != Personality::orchestrator_client && !options.sibling.empty() &&
        !options.destination.empty())
        return complain(personality, io, "-s and -d are the same option: give one of them");
    fill_defaults(options, personality, io);
    Api api(io, options);
    return run_for_each(*command, {io, api, options, personality});
}

}  // namespace baton::cli
