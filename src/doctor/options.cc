#include "doctor/options.h"

#include <fmt/format.h>

#include <optional>

#include "base/text.h"

namespace baton::doctor {
namespace {

constexpr int64_t longest_timeout_seconds = 600;

Result<void> set(Options& options, std::string_view name, const std::string& value) {
    if (value.empty()) return fail(ErrorKind::invalid_argument, fmt::format("-{} wants a value", name));
    if (name == "config") {
        options.files.push_back(value);
    } else if (name == "i" || name == "instance") {
        options.server = value;
    } else if (name == "alias" || name == "cluster") {
        options.cluster = value;
    } else {
        const auto number = parse_int(value);
        if (!number || *number < 1 || *number > longest_timeout_seconds) {
            return fail(ErrorKind::invalid_argument, fmt::format("--timeout {}: allowed are 1 to {} seconds",
                                                                 printable(value), longest_timeout_seconds));
        }
        options.timeout = seconds(*number);
    }
    return {};
}

bool wants_value(std::string_view name) {
    return name == "config" || name == "i" || name == "instance" || name == "alias" || name == "cluster" ||
           name == "timeout";
}

bool set_switch(Options& options, std::string_view name) {
    if (name == "json") return options.json = true;
    if (name == "h" || name == "help") return options.help = true;
    return false;
}

}  // namespace

Result<Options> parse_options(const std::vector<std::string>& args) {
    Options options;
    for (size_t at = 0; at < args.size(); ++at) {
        const auto& arg = args[at];
        if (!arg.starts_with('-')) {
            if (!options.cluster.empty())
                return fail(ErrorKind::invalid_argument,
                            fmt::format("\"{}\": one cluster at a time", printable(arg)));
            options.cluster = arg;
            continue;
        }
        std::string name = arg.substr(arg.starts_with("--") ? 2 : 1);
        std::optional<std::string> value;
        if (const auto equals = name.find('='); equals != std::string::npos) {
            value = name.substr(equals + 1);
            name.resize(equals);
        }
        if (set_switch(options, name)) continue;
        if (!wants_value(name))
            return fail(ErrorKind::invalid_argument, fmt::format("unknown option {}", printable(arg)));
        if (!value && at + 1 < args.size()) value = args[++at];
        if (auto done = set(options, name, value.value_or("")); !done) return std::unexpected(done.error());
    }
    if (!options.server.empty() && !options.cluster.empty())
        return fail(ErrorKind::invalid_argument, "name a server (-i) or a cluster, not both");
    return options;
}

std::string usage() {
    return "usage: baton doctor [-config FILE] [-i HOST:PORT | CLUSTER] [--json] [--timeout SECONDS]\n"
           "Says what would stand in the way of a failover, and how to mend it. Changes nothing.\n"
           "Exit code: 0 all is well, 1 warnings, 2 failures or bad usage.\n";
}

}  // namespace baton::doctor
