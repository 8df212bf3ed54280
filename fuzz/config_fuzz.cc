// A configuration file: every complaint is fit for a log, and what was understood is shown as a configuration
// that means the same.
#include "config/config.h"
#include "config/key.h"
#include "fuzz.h"

namespace baton::config {
namespace {

std::optional<std::string> variable(const std::string& name) {
    if (name == "PASSWORD") return "correct horse battery staple";
    return name == "EMPTY" ? std::optional<std::string>("") : std::nullopt;
}

/// What somebody who only sees `config show` knows.
Config masked(Config config) {
    for (const auto& key : keys()) {
        const auto value = key.value(config);
        const auto* text = std::get_if<std::string>(&value);
        if (key.is(secret) && text != nullptr && !text->empty()) key.set(config, std::string("********"));
    }
    for (auto& router : config.Routers) {
        if (!router.Password.empty()) router.Password = "********";
    }
    return config;
}

void check_shown(const Config& config) {
    const auto shown = show(config);
    fuzz::require_json(shown, "what is shown is JSON");
    fuzz::require(!shown.contains("correct horse"), "secrets are not shown", shown);
    fuzz::require_json(show(config, true), "the changed keys are JSON");
    // The file would be read once more, and its password come back in place of the mask.
    if (!config.PostgreSQLTopologyCredentialsConfigFile.empty()) return;
    const auto again = check_text(shown, "shown.json", variable);
    fuzz::require(again.ok(), "what is shown is a good configuration", again.as_error().text());
    fuzz::require(again.loaded.values == masked(config), "what is shown means the same", shown);
}

}  // namespace
}  // namespace baton::config

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace baton;
    const auto report = config::check_text(fuzz::text_of(data, size), "baton.conf.json", config::variable);
    for (const auto& error : report.errors)
        fuzz::require_plain(error);
    for (const auto& warning : report.loaded.warnings)
        fuzz::require_plain(warning.text, "a warning is one line of UTF-8");
    if (report.ok()) config::check_shown(report.loaded.values);
    return 0;
}
