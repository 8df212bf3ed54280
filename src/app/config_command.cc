#include "app/config_command.h"

#include <fmt/format.h>

#include <iostream>

#include "cli/client.h"
#include "config/config.h"

namespace baton::app {
namespace {

constexpr std::string_view usage =
    "usage: baton config check [FILE...]            what is wrong with the configuration; exit code 1 if "
    "anything is\n"
    "       baton config show [--changed] [FILE...] the values in force, secrets masked\n"
    "       baton config docs                       every key, as docs/configuration.md\n"
    "Without FILE the default places are read: /etc/baton.conf.json and those of orchestrator.\n";

/// Warnings and errors of the files, on standard error. False when there are errors.
bool explain(const config::Report& report) {
    for (const auto& w : report.loaded.warnings)
        std::cerr << "warning: " << w.text << "\n";
    for (const auto& e : report.errors)
        std::cerr << "error: " << e.text() << "\n";
    return report.ok();
}

std::string summary(const config::Report& report) {
    std::string files;
    for (const auto& f : report.loaded.files)
        files += (files.empty() ? "" : ", ") + f;
    return fmt::format("{}: good, {} keys set, {} warnings\n",
                       files.empty() ? "no file, all defaults" : files, report.loaded.set_keys.size(),
                       report.loaded.warnings.size());
}

}  // namespace

int config_command(const std::vector<std::string>& args) {
    const std::string word = args.empty() ? "" : args[0];
    if (word == "docs" && args.size() == 1) {
        std::cout << config::documentation();
        return 0;
    }
    if (word != "check" && word != "show") {
        std::cerr << usage;
        return word == "help" || word == "--help" || word == "-h" ? 0 : cli::exit_usage;
    }
    bool changed_only = false;
    std::vector<std::string> files;
    for (size_t i = 1; i < args.size(); ++i) {
        if (args[i] == "--changed" && word == "show") {
            changed_only = true;
        } else if (args[i] == "-config" || args[i] == "--config") {
            continue;
        } else if (args[i].starts_with('-')) {
            std::cerr << fmt::format("config {} does not know '{}'\n{}", word, args[i], usage);
            return cli::exit_usage;
        } else {
            files.push_back(args[i]);
        }
    }
    if (files.empty()) files = config::default_files();
    const auto report = config::check(files);
    if (!explain(report)) return 1;
    std::cout << (word == "show" ? config::show(report.loaded.values, changed_only) + "\n" : summary(report));
    return 0;
}

}  // namespace baton::app
