#include "cli/client.h"

#include <pwd.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <thread>

#include "base/text.h"
#include "cli/classic.h"
#include "cli/modern.h"
#include "cli/options.h"
#include "cli/profile.h"

namespace baton::cli {
namespace {

constexpr const char* profile_file = "/etc/profile.d/orchestrator-client.sh";

void write_all(std::FILE* file, std::string_view text) {
    std::fwrite(text.data(), 1, text.size(), file);
    std::fflush(file);
}

std::string current_user() {
    std::array<char, 4096> buffer{};
    passwd entry{};
    passwd* found = nullptr;
    if (getpwuid_r(geteuid(), &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr)
        return found->pw_name;
    return "unknown";
}

std::string read_file(const char* path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

WallTime wall_now() {
    return std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
}

bool has_command_flag(const std::vector<std::string>& args) {
    return std::ranges::any_of(args, [](const std::string& arg) {
        return arg == "-c" || arg == "-command" || arg == "--command" || arg.starts_with("-command=") ||
               arg.starts_with("--command=") || arg.starts_with("-c=");
    });
}

}  // namespace

std::map<std::string, std::string> read_profile(std::string_view text) {
    std::map<std::string, std::string> out;
    for (const auto& raw : split(text, '\n')) {
        std::string_view line = trim(raw);
        if (line.starts_with("export ")) line = trim(line.substr(7));
        const auto equals = line.find('=');
        if (equals == std::string_view::npos || line.find_first_of("$`;\\") != std::string_view::npos)
            continue;
        const std::string_view name = line.substr(0, equals);
        if (!name.starts_with("ORCHESTRATOR_") && !name.starts_with("BATON_")) continue;
        std::string_view value = line.substr(equals + 1);
        const bool quoted =
            value.size() >= 2 && (value[0] == '"' || value[0] == '\'') && value.back() == value[0];
        if (quoted) value = value.substr(1, value.size() - 2);
        out[std::string(name)] = value;
    }
    return out;
}

Io real_io(Personality personality, Http& http) {
    Io io;
    io.out = [](std::string_view text) { write_all(stdout, text); };
    io.err = [](std::string_view text) { write_all(stderr, text); };
    auto profile = std::make_shared<std::map<std::string, std::string>>();
    if (personality == Personality::orchestrator_client) *profile = read_profile(read_file(profile_file));
    io.env = [profile](std::string_view name) -> std::optional<std::string> {
        const std::string key(name);
        if (const char* value = std::getenv(key.c_str())) return value;
        const auto found = profile->find(key);
        return found == profile->end() ? std::nullopt : std::optional(found->second);
    };
    io.sleep = [](milliseconds pause) { std::this_thread::sleep_for(pause); };
    io.now = wall_now;
    io.stopped = [] { return false; };
    io.http = &http;
    io.is_terminal = isatty(STDOUT_FILENO) == 1;
    io.process_id = getpid();
    io.user_name = current_user();
    return io;
}

bool is_client_call(Personality personality, const std::vector<std::string>& args) {
    if (personality == Personality::orchestrator_client || has_command_flag(args)) return true;
    return !args.empty() && knows(args.front());
}

int run_client(Personality personality, std::vector<std::string> args, Io& io) {
    if (personality == Personality::baton && !has_command_flag(args)) return run_modern(std::move(args), io);
    auto options = parse_options(args, classic_flags());
    if (options) return run_classic(personality, std::move(*options), io);
    return complain(personality, io, options.error().message,
                    personality == Personality::orchestrator_client ? exit_refused : exit_usage);
}

}  // namespace baton::cli
