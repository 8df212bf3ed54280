#include "app/main.h"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <iostream>

#include "app/agent_command.h"
#include "app/certs_command.h"
#include "app/config_command.h"
#include "app/configured_api.h"
#include "app/serve.h"
#include "base/text.h"
#include "cli/client.h"
#include "cli/help.h"
#include "doctor/doctor.h"

namespace baton::app {
namespace {

using Args = std::vector<std::string>;

cli::Personality personality_of(const std::string& program) {
    const auto name = std::filesystem::path(program).filename().string();
    if (name == "orchestrator-client") return cli::Personality::orchestrator_client;
    if (name == "orchestrator") return cli::Personality::orchestrator;
    return cli::Personality::baton;
}

bool is_option(const std::string& arg, std::string_view name) {
    return arg == fmt::format("-{}", name) || arg == fmt::format("--{}", name);
}

/// `-config FILE`, `--config FILE`, `--config=FILE`, and the switches of orchestrator's server. What is not
/// known is an error.
Result<ServeOptions> parse_serve(const Args& args) {
    ServeOptions options;
    for (size_t i = 0; i < args.size(); ++i) {
        const auto& arg = args[i];
        const auto equals = arg.find('=');
        const auto name = arg.substr(0, equals);
        if (is_option(name, "config")) {
            if (equals == std::string::npos && i + 1 == args.size()) {
                return fail(ErrorKind::invalid_argument, "-config needs the name of a file");
            }
            options.config_files.push_back(equals == std::string::npos ? args[++i] : arg.substr(equals + 1));
        } else if (is_option(name, "debug") || is_option(name, "verbose")) {
            options.debug = options.debug || is_option(name, "debug");
        } else if (is_option(name, "quiet")) {
            options.quiet = true;
        } else if (is_option(name, "stack") || is_option(name, "discovery") ||
                   is_option(name, "ignore-raft-setup") || is_option(name, "enable-database-update") ||
                   is_option(name, "grab-election")) {
            continue;  // orchestrator's switches that have nothing to switch here
        } else {
            return fail(ErrorKind::invalid_argument,
                        fmt::format("serve does not know '{}'; it takes -config FILE, -debug, -quiet", arg));
        }
    }
    return options;
}

int run_serve(const Args& args) {
    const auto options = parse_serve(args);
    if (!options) {
        std::cerr << options.error().text() << "\n";
        return cli::exit_usage;
    }
    return serve(*options);
}

/// orchestrator takes its options before or after the word: `orchestrator -config FILE http`.
std::optional<Args> serve_arguments(const Args& args) {
    for (size_t i = 0; i < args.size(); ++i) {
        if (is_option(args[i], "config")) {
            ++i;
            continue;
        }
        if (args[i].starts_with('-')) continue;
        if (args[i] != "http" && args[i] != "serve" && args[i] != "continuous") return std::nullopt;
        Args rest = args;
        rest.erase(rest.begin() + static_cast<long>(i));
        return rest;
    }
    return std::nullopt;
}

/// The agent has a program of its own beside this one: without what only managers and clients need it is half
/// as big. It is the same code.
int run_agent(const Args& args) {
    std::error_code ec;
    const auto self = std::filesystem::read_symlink("/proc/self/exe", ec);
    const auto program = self.parent_path() / "baton-agent";
    std::vector<std::string> texts{program.string()};
    texts.insert(texts.end(), args.begin(), args.end());
    std::vector<char*> argv;
    for (auto& t : texts)
        argv.push_back(t.data());
    argv.push_back(nullptr);
    if (!ec) execv(program.c_str(), argv.data());
    return agent_command(args);
}

int print(const Result<std::string>& text) {
    if (!text) {
        std::cerr << text.error().text() << "\n";
        return cli::exit_usage;
    }
    std::cout << *text;
    return 0;
}

int run_client(cli::Personality personality, Args args) {
    const auto http = cli::make_curl_http();
    auto io = cli::real_io(personality, *http);
    io.configured_api = configured_api;
    return cli::run_client(personality, std::move(args), io);
}

int run_help(cli::Personality personality, const Args& args) {
    if (args.size() > 1 && !args[1].starts_with('-')) return print(cli::command_help(args[1]));
    std::cout << cli::overview(personality);
    return 0;
}

}  // namespace

int run(int argc, char** argv) {
    const auto personality = personality_of(argc > 0 ? argv[0] : "baton");
    const Args args(argv + std::min(argc, 1), argv + argc);
    if (personality != cli::Personality::orchestrator_client) {
        if (const auto rest = serve_arguments(args)) return run_serve(*rest);
        if (!args.empty() && (args[0] == "version" || is_option(args[0], "version"))) {
            std::cout << BATON_VERSION << "\n";
            return 0;
        }
        if (!args.empty() && args[0] == "config") return config_command({args.begin() + 1, args.end()});
        if (!args.empty() && args[0] == "agent") return run_agent({args.begin() + 1, args.end()});
        if (!args.empty() && args[0] == "certs") return certs_command({args.begin() + 1, args.end()});
        if (!args.empty() && args[0] == "doctor") {
            return doctor::run({args.begin() + 1, args.end()}, std::cout, std::cerr,
                               isatty(STDOUT_FILENO) == 1);
        }
        if (args.size() == 2 && args[0] == "completion") return print(cli::completion(args[1]));
        const bool wants_help =
            args.empty() || args[0] == "help" || args[0] == "-h" || is_option(args[0], "help");
        if (wants_help && !cli::is_client_call(personality, args)) return run_help(personality, args);
    }
    return run_client(personality, args);
}

}  // namespace baton::app
