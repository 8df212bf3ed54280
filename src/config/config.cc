#include "config/config.h"

#include <fmt/core.h>
#include <unistd.h>

#include <array>
#include <cstdlib>

#include "base/text.h"
#include "config/overlay.h"

namespace baton::config {
namespace {

/// In reading order: where somebody keeps files of both names, Baton's own is read last and so wins.
constexpr std::array<const char*, 6> searched{"/etc/orchestrator.conf.json", "conf/orchestrator.conf.json",
                                              "orchestrator.conf.json",      "/etc/baton.conf.json",
                                              "conf/baton.conf.json",        "baton.conf.json"};

Report read_over(Config base, std::span<const std::string> files, const Environment& environment) {
    Overlay overlay(std::move(base), environment);
    for (const auto& file : files)
        overlay.add_file(file);
    return std::move(overlay).finish();
}

}  // namespace

Error Report::as_error() const {
    if (errors.size() == 1) return errors.front();
    Texts lines;
    for (const auto& error : errors)
        lines.push_back(error.text());
    return {.kind = ErrorKind::invalid_argument, .message = join(lines, "\n")};
}

Environment process_environment() {
    return [](const std::string& name) -> std::optional<std::string> {
        const char* value = std::getenv(name.c_str());
        return value ? std::optional<std::string>(value) : std::nullopt;
    };
}

std::vector<std::string> default_files() {
    std::vector<std::string> found;
    for (const char* path : searched) {
        if (::access(path, R_OK) == 0) found.emplace_back(path);
    }
    return found;
}

Report check(std::span<const std::string> files, const Environment& environment) {
    return read_over(Config{}, files, environment);
}

Report check_text(std::string_view text, const std::string& name, const Environment& environment) {
    Overlay overlay(Config{}, environment);
    overlay.add_text(text, name);
    return std::move(overlay).finish();
}

Result<Loaded> load(std::span<const std::string> files, const Environment& environment) {
    Report report = check(files, environment);
    if (!report.ok()) return std::unexpected(report.as_error());
    return std::move(report.loaded);
}

Result<ReloadOutcome> reload(const Config& old, std::span<const std::string> files,
                             const Environment& environment) {
    Report report = read_over(old, files, environment);
    if (!report.ok()) return std::unexpected(report.as_error());
    ReloadOutcome outcome{.values = std::move(report.loaded.values),
                          .warnings = std::move(report.loaded.warnings)};
    for (const auto& key : keys()) {
        const Value before = key.value(old);
        if (key.value(outcome.values) == before) continue;
        (key.reloadable() ? outcome.changed : outcome.need_restart).emplace_back(key.name);
        if (!key.reloadable()) key.set(outcome.values, before);
    }
    return outcome;
}

}  // namespace baton::config
