#include "cli/options.h"

#include "base/text.h"

namespace baton::cli {
namespace {

using O = Options;

constexpr Flag common_api_flags[] = {
    {"U api", &O::api, nullptr, "URL",
     "address of the API; several are separated by blanks, the leader is found"},
    {"b auth", &O::auth, nullptr, "USER:PASSWORD",
     "basic authentication; others see it in the process list, those of the environment not"},
    {"e headers-auth", &O::auth_header, nullptr, "HEADER", "an HTTP header to send, such as 'X-User: ops'"},
    {"config", &O::config, nullptr, "FILE",
     "the manager's configuration: where it listens, unless -U or the environment says so"},
    {"cacert", &O::ca_file, nullptr, "FILE", "trust this authority (BATON_TLS_CA)"},
    {"cert", &O::certificate_file, nullptr, "FILE", "client certificate (BATON_TLS_CERT)"},
    {"key", &O::key_file, nullptr, "FILE", "its key (BATON_TLS_KEY)"},
    {"insecure", nullptr, &O::insecure, "", "do not check the server's certificate"},
};

constexpr Flag classic_table[] = {
    {"h help", nullptr, &O::help, "", "this text"},
    {"c command", &O::command, nullptr, "COMMAND", "what to do"},
    {"i instance", &O::instance, nullptr, "HOST:PORT", "the instance (ORCHESTRATOR_INSTANCE)"},
    {"d destination", &O::destination, nullptr, "HOST:PORT", "the instance to move to"},
    {"s sibling", &O::sibling, nullptr, "HOST:PORT", "the same as -d"},
    {"a alias", &O::alias, nullptr, "CLUSTER", "the cluster, by alias or name"},
    {"o owner", &O::owner, nullptr, "NAME", "who does this (default: the user's name)"},
    {"r reason comment", &O::reason, nullptr, "TEXT", "why"},
    {"u duration", &O::duration, nullptr, "TIME", "how long: 30s, 10m, 2h, 3d, 1w (default 10m)"},
    {"R promotion-rule", &O::rule, nullptr, "RULE", "must, prefer, neutral, prefer_not, must_not"},
    {"t tag", &O::tag, nullptr, "TAG", "name or name=value; for `tagged` an expression"},
    {"l pool", &O::pool, nullptr, "NAME", "the pool"},
    {"H hostname", &O::hostname, nullptr, "NAME", "a host's name"},
    {"D default-port", &O::default_port, nullptr, "PORT", "port of a host named without one"},
    {"P path", &O::path, nullptr, "PATH", "the route to ask, for `api`"},
    {"q query statement", &O::query, nullptr, "SQL", "a statement"},
    {"n binlog", &O::binlog, nullptr, "FILE", "a binary log"},
    {"S seconds", &O::delay_seconds, nullptr, "N", "seconds of delay"},
    {"pattern", &O::pattern, nullptr, "REGEX", "a regular expression on host:port"},
    {"quiet", nullptr, &O::quiet, "", ""},
    {"strict", nullptr, &O::accepted, "", ""},
    {"verbose", nullptr, &O::accepted, "", ""},
    {"debug", nullptr, &O::accepted, "", ""},
    {"stack", nullptr, &O::accepted, "", ""},
    {"noop", nullptr, &O::accepted, "", ""},
    {"discovery", nullptr, &O::accepted, "", ""},
    {"grab-election", nullptr, &O::accepted, "", ""},
    {"skip-binlog-search", nullptr, &O::accepted, "", ""},
    {"skip-unresolve", nullptr, &O::accepted, "", ""},
    {"skip-unresolve-check", nullptr, &O::accepted, "", ""},
    {"skip-continuous-registration", nullptr, &O::accepted, "", ""},
    {"enable-database-update", nullptr, &O::accepted, "", ""},
    {"ignore-raft-setup", nullptr, &O::accepted, "", ""},
};

constexpr Flag modern_table[] = {
    {"h help", nullptr, &O::help, "", "this text"},
    {"json", nullptr, &O::json, "", "the API's own answer"},
    {"w watch", &O::watch_seconds, nullptr, "[SECONDS]", "again and again (default every 2 seconds)"},
    {"o owner", &O::owner, nullptr, "NAME", "who does this (default: the user's name)"},
    {"r reason comment m", &O::reason, nullptr, "TEXT", "why"},
    {"u duration", &O::duration, nullptr, "TIME", "how long: 30s, 10m, 2h, 3d, 1w (default 10m)"},
    {"all", nullptr, &O::all, "", "every one that is open"},
    {"to", &O::destination, nullptr, "HOST:PORT", "who is to lead (default: the best replica)"},
    {"at", &O::at, nullptr, "TIME", "begin then: 2026-11-22T03:00:00Z, with an offset, or +30m"},
    {"from", &O::from, nullptr, "HOST:PORT", "copy from this server"},
    {"force", nullptr, &O::force, "", "transactions that only this server has may be lost"},
    {"no-wait", nullptr, &O::no_wait, "", "begin, and do not wait for the end"},
    {"cancel", nullptr, &O::cancel, "", "end what is under way; what can be undone is undone"},
    {"dry-run", nullptr, &O::dry_run, "", "show what would be done, and change nothing"},
    {"D default-port", &O::default_port, nullptr, "PORT", "port of a host named without one (default 5432)"},
};

template <size_t A, size_t B>
constexpr std::array<Flag, A + B> joined(const Flag (&a)[A], const Flag (&b)[B]) {
    std::array<Flag, A + B> all{};
    std::copy(a, a + A, all.begin());
    std::copy(b, b + B, all.begin() + A);
    return all;
}

bool has_name(const Flag& flag, std::string_view name) {
    const auto names = split(flag.names, ' ');
    return std::ranges::find(names, name) != names.end();
}

const Flag* find_flag(std::span<const Flag> flags, std::string_view name) {
    const auto found = std::ranges::find_if(flags, [&](const Flag& flag) { return has_name(flag, name); });
    return found == flags.end() ? nullptr : &*found;
}

Error unknown_option(std::string_view text, std::string_view name, std::span<const Flag> flags) {
    std::vector<std::string> owned;
    for (const auto& flag : flags)
        for (auto& one : split(flag.names, ' '))
            if (one.size() > 1) owned.push_back(std::move(one));
    const std::vector<std::string_view> known(owned.begin(), owned.end());
    std::string message = "unknown option " + printable(text);
    if (const auto near = nearest_name(name, known)) message += "; did you mean --" + *near + "?";
    return {ErrorKind::invalid_argument, message, printable(name)};
}

/// One option taken apart: "--tag=x" has the name "tag" and the value "x", "-ihost" the name "i" and the
/// value "host".
struct Taken {
    const Flag* flag = nullptr;
    std::string_view name;
    std::optional<std::string> value;
};

Taken take_apart(std::string_view text, std::span<const Flag> flags) {
    const bool two_dashes = text.starts_with("--");
    std::string_view rest = text.substr(two_dashes ? 2 : 1);
    const auto equals = rest.find('=');
    Taken taken{nullptr, rest.substr(0, equals), std::nullopt};
    if (equals != std::string_view::npos) taken.value = std::string(rest.substr(equals + 1));
    taken.flag = find_flag(flags, taken.name);
    if (taken.flag != nullptr || two_dashes) return taken;
    if (const Flag* letter = find_flag(flags, rest.substr(0, 1));
        letter != nullptr && letter->value != nullptr)
        return {letter, rest.substr(0, 1), std::string(rest.substr(1))};
    return taken;
}

bool is_optional_value(const Flag& flag) {
    return flag.placeholder.starts_with('[');
}

bool is_number(std::string_view text) {
    return !text.empty() && text.find_first_not_of("0123456789.") == std::string_view::npos;
}

Result<void> set_switch(Options& options, const Taken& taken) {
    if (taken.value && *taken.value != "true" && *taken.value != "false")
        return fail(ErrorKind::invalid_argument, "option --" + std::string(taken.name) + " takes no value",
                    std::string(taken.name));
    options.*(taken.flag->on) = taken.value.value_or("true") == "true";
    return {};
}

/// Returns how many of the following words were used.
Result<size_t> set_value(Options& options, const Taken& taken, std::span<const std::string> following) {
    std::string& target = options.*(taken.flag->value);
    if (taken.value) {
        target = *taken.value;
        return 0;
    }
    if (is_optional_value(*taken.flag)) {
        const bool given = !following.empty() && is_number(following[0]);
        target = given ? following[0] : "2";
        return given ? 1 : 0;
    }
    if (following.empty())
        return fail(ErrorKind::invalid_argument,
                    "option " + std::string(taken.name.size() > 1 ? "--" : "-") + std::string(taken.name) +
                        " wants a value: " + std::string(taken.flag->placeholder),
                    std::string(taken.name));
    target = following[0];
    return 1;
}

std::string first_set(const Io& io, std::initializer_list<std::string_view> names) {
    for (const auto name : names)
        if (auto value = io.env(name); value && !value->empty()) return *value;
    return {};
}

void fill(std::string& target, std::string value) {
    if (target.empty()) target = std::move(value);
}

/// The configuration of a manager on this host: named on the command line it comes before the environment.
void fill_from_configuration(Options& options, const Io& io) {
    if (!options.api.empty() || !io.configured_api) return;
    const auto found = io.configured_api(options.config);
    if (!found) return;
    options.api = found->url;
    if (first_set(io, {"BATON_AUTH_USER", "ORCHESTRATOR_AUTH_USER"}).empty()) fill(options.auth, found->auth);
}

}  // namespace

std::span<const Flag> classic_flags() {
    static constexpr auto all = joined(classic_table, common_api_flags);
    return all;
}

std::span<const Flag> modern_flags() {
    static constexpr auto all = joined(modern_table, common_api_flags);
    return all;
}

Result<Options> parse_options(std::span<const std::string> args, std::span<const Flag> flags) {
    Options options;
    for (size_t at = 0; at < args.size(); ++at) {
        const std::string& text = args[at];
        if (text == "--") {
            options.words.insert(options.words.end(), args.begin() + static_cast<ptrdiff_t>(at) + 1,
                                 args.end());
            break;
        }
        if (text.size() < 2 || text[0] != '-') {
            options.words.push_back(text);
            continue;
        }
        const Taken taken = take_apart(text, flags);
        if (taken.flag == nullptr) return std::unexpected(unknown_option(text, taken.name, flags));
        if (taken.flag->on != nullptr) {
            if (auto set = set_switch(options, taken); !set) return std::unexpected(set.error());
            continue;
        }
        const auto used = set_value(options, taken, args.subspan(at + 1));
        if (!used) return std::unexpected(used.error());
        at += *used;
    }
    return options;
}

void fill_defaults(Options& options, Personality personality, const Io& io) {
    if (!options.command.empty() && options.instance.empty()) {
        options.instance = first_set(io, {"BATON_INSTANCE", "ORCHESTRATOR_INSTANCE"});
        options.instance_from_environment = !options.instance.empty();
    }
    fill(options.destination, options.sibling);
    if (!options.config.empty()) fill_from_configuration(options, io);
    fill(options.api, first_set(io, {"BATON_API", "ORCHESTRATOR_API"}));
    if (options.config.empty() && personality != Personality::orchestrator_client)
        fill_from_configuration(options, io);
    fill(options.api, "http://localhost:3000/api");
    fill(options.auth_header, first_set(io, {"BATON_AUTH_USER_HEADER", "ORCHESTRATOR_AUTH_USER_HEADER"}));
    fill(options.default_port, first_set(io, {"BATON_DEFAULT_PORT", "ORCHESTRATOR_DEFAULT_PORT"}));
    fill(options.default_port, personality == Personality::baton ? "5432" : "3306");
    fill(options.owner, io.user_name);
    fill(options.duration, "10m");
    fill(options.ca_file, first_set(io, {"BATON_TLS_CA"}));
    fill(options.certificate_file, first_set(io, {"BATON_TLS_CERT"}));
    fill(options.key_file, first_set(io, {"BATON_TLS_KEY"}));
    if (personality != Personality::orchestrator_client) fill(options.rule, "prefer");
}

}  // namespace baton::cli
