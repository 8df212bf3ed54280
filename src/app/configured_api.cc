#include "app/configured_api.h"

#include <algorithm>
#include <iostream>

namespace baton::app {
namespace {

/// A client needs none of the secrets that a service gets through its environment.
std::optional<std::string> environment_or_nothing(const std::string& name) {
    return config::process_environment()(name).value_or("");
}

bool means_all_addresses(const std::string& host) {
    return host.empty() || host == "0.0.0.0" || host == "[::]" || host == "::" || host == "*";
}

}  // namespace

std::optional<cli::ConfiguredApi> api_of(const config::Config& config) {
    const auto& listen = config.ListenAddress;
    const auto colon = listen.rfind(':');
    if (!config.ListenSocket.empty() || colon == std::string::npos) return std::nullopt;
    const auto host = listen.substr(0, colon);
    cli::ConfiguredApi api{.url = config.UseSSL ? "https://" : "http://", .auth = {}};
    api.url += (means_all_addresses(host) ? "localhost" : host) + listen.substr(colon) + config.URLPrefix;
    const bool with_password =
        config.AuthenticationMethod == "basic" || config.AuthenticationMethod == "multi";
    if (with_password && !config.HTTPAuthUser.empty())
        api.auth = config.HTTPAuthUser + ":" + config.HTTPAuthPassword;
    return api;
}

std::optional<cli::ConfiguredApi> configured_api(const std::string& file) {
    auto files = file.empty() ? config::default_files() : std::vector{file};
    // Not from the working directory, which may be anybody's: passwords go to the address that is found.
    if (file.empty()) std::erase_if(files, [](const std::string& name) { return !name.starts_with('/'); });
    if (files.empty()) return std::nullopt;
    const auto report = config::check(files, environment_or_nothing);
    if (!file.empty() && !report.ok()) std::cerr << report.as_error().text() << "\n";
    const auto& set = report.loaded.set_keys;
    const bool says_where = std::ranges::find(set, "ListenAddress") != set.end();
    return says_where ? api_of(report.loaded.values) : std::nullopt;
}

}  // namespace baton::app
