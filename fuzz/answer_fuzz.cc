// What a manager answers (first line: the command that asks; second: the HTTP status; then bodies, parted by
// lines "----") to the client and the doctor: nothing that it says makes them fail, and nothing but colours
// reaches the terminal.
#include "client.h"
#include "doctor/manager_api.h"

namespace baton {
namespace {

std::vector<std::string> bodies_of(fuzz::Lines& lines) {
    std::vector<std::string> bodies(1);
    while (!lines.empty()) {
        const auto line = lines.next();
        if (line == "----") {
            bodies.emplace_back();
        } else {
            bodies.back() += std::string(line) + "\n";
        }
    }
    return bodies;
}

/// A manager that was taken over, or a name on a server, must not write to somebody's terminal what moves its
/// cursor.
void check_for_terminal(std::string text) {
    for (const std::string_view colour :
         {"\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[H", "\x1b[2J"}) {
        for (auto at = text.find(colour); at != std::string::npos; at = text.find(colour, at))
            text.erase(at, colour.size());
    }
    // DEL, which JSON need not escape, does nothing on a terminal.
    const auto bad = std::ranges::find_if(
        text, [](char c) { return static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t'; });
    fuzz::require(bad == text.end(), "a terminal gets no control characters", text);
}

void check_json_lines(std::string_view text) {
    fuzz::Lines lines(text);
    while (!lines.empty())
        fuzz::require_json(lines.next(), "with --json, each line is JSON");
}

void ask(const std::vector<std::string>& words, int status, const std::vector<std::string>& bodies) {
    const auto personality = fuzz::personality_of(words.front());
    const std::vector<std::string> args(words.begin() + 1, words.end());
    fuzz::Answers answers(status, bodies);
    const auto outcome = fuzz::run(personality, args, answers, true);
    check_for_terminal(outcome.out + outcome.err);
    // Help is for people, and so are the commands behind -c, which have no --json.
    const auto is_for_people = [](const std::string& arg) {
        // What comes after -- is no option.
        return arg == "--" || arg == "help" || arg.starts_with("-h") || arg.starts_with("--h") ||
               arg.starts_with("-c") || arg.starts_with("--c");
    };
    // What comes after another option may be its value.
    const auto json = std::ranges::find(args, "--json");
    const bool asked = json != args.end() && (json == args.begin() || !std::prev(json)->starts_with('-'));
    if (asked && std::ranges::none_of(args, is_for_people)) check_json_lines(outcome.out);
}

void examine(const std::string& body) {
    for (const auto& instance : doctor::parse_instances(body))
        fuzz::require(instance.key.valid(), "an instance has a key", body);
    for (const auto& recovery : doctor::parse_recoveries(body))
        fuzz::require(!recovery.successor || recovery.successor->valid(), "a successor has a key", body);
    static_cast<void>(doctor::parse_clusters(body));
}

}  // namespace
}  // namespace baton

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace baton;
    fuzz::Lines lines(fuzz::text_of(data, size));
    const auto command = lines.next();
    // What somebody types is shown to nobody else.
    if (printable(command, command.size()) != command) return 0;
    const auto words = split(command, ' ');
    const auto status = parse_int(lines.next()).value_or(200);
    const auto bodies = bodies_of(lines);
    ask(words, static_cast<int>(std::clamp<int64_t>(status, 100, 599)), bodies);
    for (const auto& body : bodies)
        examine(body);
    const auto manager = doctor::ask_manager(
        "http://127.0.0.1:3000", [&](const std::string&) -> Result<std::string> { return bodies.front(); });
    fuzz::require(manager.reachable || !manager.problem.empty(), "it says what is wrong");
    return 0;
}
