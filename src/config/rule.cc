#include "config/rule.h"

#include <fmt/core.h>

#include <array>
#include <limits>

#include "base/text.h"
#include "config/filters.h"

namespace baton::config {
namespace {

using Complaint = std::optional<std::string>;
using Kind = Rule::Kind;

/// Of one list; the others are counted.
constexpr size_t most_complaints = 10;

bool is_port(std::string_view text, int64_t lowest = 1) {
    const auto number = parse_int(text);
    return number && *number >= lowest && *number <= 65535;
}

struct HostPort {
    std::string_view host;
    std::optional<std::string_view> port;
};

/// Splits `host`, `host:port`, `[v6]:port`, bare `v6`; nothing when it is none of these.
std::optional<HostPort> split_host_port(std::string_view text) {
    if (text.find_first_of(" \t/,;\"'") != std::string_view::npos) return std::nullopt;
    if (text.starts_with('[')) {
        const size_t end = text.find(']');
        if (end == std::string_view::npos) return std::nullopt;
        const auto rest = text.substr(end + 1);
        if (rest.empty()) return HostPort{text.substr(1, end - 1), std::nullopt};
        if (!rest.starts_with(':')) return std::nullopt;
        return HostPort{text.substr(1, end - 1), rest.substr(1)};
    }
    const size_t colon = text.rfind(':');
    if (colon == std::string_view::npos || text.find(':') != colon) return HostPort{text, std::nullopt};
    return HostPort{text.substr(0, colon), text.substr(colon + 1)};
}

Complaint number_violation(const Rule& rule, int64_t value) {
    const bool inside = value >= rule.low && value <= rule.high;
    if (inside || (rule.kind == Kind::range_or_zero && value == 0)) return std::nullopt;
    return value < rule.low ? "too small" : "too large";
}

Complaint listen_violation(const std::string& text) {
    const auto address = split_host_port(text);
    if (!address || !address->port) return "no address to listen on";
    if (!is_port(*address->port, 0)) return "no port from 0 to 65535 after the colon";
    return std::nullopt;
}

Complaint uri_violation(const std::string& text) {
    if (text.empty()) return std::nullopt;
    const size_t scheme_end = text.find("://");
    if (scheme_end == std::string::npos || scheme_end == 0) return "the scheme is missing";
    std::string_view rest = std::string_view(text).substr(scheme_end + 3);
    if (rest.contains('/')) return "it has a path";
    const auto address = split_host_port(rest);
    if (!address || address->host.empty()) return "the host is missing";
    if (!address->port || !is_port(*address->port)) return "the port is missing";
    return std::nullopt;
}

Complaint pattern_violation(const std::string& text, size_t least_groups) {
    if (text.empty()) return std::nullopt;
    const auto pattern = Pattern::compile(text);
    if (!pattern) return fmt::format("not a regular expression: {}", pattern.error().message);
    if (pattern->groups() < least_groups) return "it has no group (…) that would give the value";
    return std::nullopt;
}

Complaint text_violation(const Rule& rule, const std::string& text) {
    switch (rule.kind) {
        case Kind::choice:
            if (std::ranges::any_of(rule.choices, [&](auto c) { return iequals(c, text); }))
                return std::nullopt;
            return "not one of the choices";
        case Kind::non_empty:
            return trim(text).empty() ? Complaint("empty") : std::nullopt;
        case Kind::listen_address:
            return listen_violation(text);
        case Kind::advertise_uri:
            return uri_violation(text);
        case Kind::pattern:
            return pattern_violation(text, 0);
        case Kind::group_pattern:
            return pattern_violation(text, 1);
        default:
            return std::nullopt;
    }
}

Complaint host_port_violation(const std::string& text) {
    const auto address = split_host_port(text);
    if (!address || address->host.empty()) return fmt::format("\"{}\" names no host", printable(text));
    if (address->port && !is_port(*address->port))
        return fmt::format("\"{}\" has a wrong port", printable(text));
    return std::nullopt;
}

template <class T>
Complaint message_of(const Result<T>& result) {
    return result ? std::nullopt : Complaint(result.error().message);
}

Complaint entry_violation(const Rule& rule, const std::string& entry) {
    const std::array one{entry};
    switch (rule.kind) {
        case Kind::host_ports:
            return host_port_violation(entry);
        case Kind::ports:
            return is_port(entry) ? std::nullopt
                                  : Complaint(fmt::format("\"{}\" is not a port", printable(entry)));
        case Kind::patterns:
        case Kind::host_patterns:
            return message_of(HostFilter::compile(one));
        case Kind::cluster_filters:
            return message_of(ClusterFilter::compile(one));
        default:
            return std::nullopt;
    }
}

Complaint list_violation(const Rule& rule, const Texts& entries) {
    Texts complaints;
    for (const auto& entry : entries) {
        if (auto complaint = entry_violation(rule, entry)) complaints.push_back(std::move(*complaint));
    }
    if (complaints.empty()) return std::nullopt;
    const auto named = std::span(complaints).first(std::min(complaints.size(), most_complaints));
    const size_t left = complaints.size() - named.size();
    return join(named, ", ") + (left > 0 ? fmt::format(" and {} more like these", left) : "");
}

std::string number_words(const Rule& rule, std::string_view what) {
    const std::string zero = rule.kind == Kind::range_or_zero ? "0 or " : "";
    if (rule.high == std::numeric_limits<int64_t>::max())
        return fmt::format("{}, {} or more", what, rule.low);
    return fmt::format("{}{} from {} to {}", zero, what, rule.low, rule.high);
}

std::string choice_words(const Rule& rule) {
    Texts quoted;
    for (const auto choice : rule.choices)
        quoted.push_back(fmt::format("\"{}\"", choice));
    return "one of " + join(quoted, ", ");
}

std::string text_words(const Rule& rule) {
    switch (rule.kind) {
        case Kind::choice:
            return choice_words(rule);
        case Kind::non_empty:
            return "a string that is not empty";
        case Kind::listen_address:
            return "\":PORT\" or \"HOST:PORT\"";
        case Kind::advertise_uri:
            return "\"\" or \"SCHEME://HOST:PORT\"";
        case Kind::pattern:
            return "a regular expression";
        case Kind::group_pattern:
            return "a regular expression with a group";
        default:
            return "a string";
    }
}

std::string list_words(const Rule& rule) {
    switch (rule.kind) {
        case Kind::host_ports:
            return "a list of \"HOST:PORT\" or \"HOST\"";
        case Kind::ports:
            return "a list of ports from 1 to 65535";
        case Kind::patterns:
            return "a list of regular expressions";
        case Kind::host_patterns:
            return "a list of IP addresses and regular expressions on host:port";
        case Kind::cluster_filters:
            return "a list of cluster filters";
        default:
            return "a list of strings";
    }
}

}  // namespace

std::optional<std::string> violation(const Rule& rule, const Value& value) {
    if (const auto* number = std::get_if<int64_t>(&value)) return number_violation(rule, *number);
    if (const auto* real = std::get_if<double>(&value)) {
        if (*real < static_cast<double>(rule.low)) return "too small";
        return *real > static_cast<double>(rule.high) ? Complaint("too large") : std::nullopt;
    }
    if (const auto* text = std::get_if<std::string>(&value)) return text_violation(rule, *text);
    if (const auto* list = std::get_if<Texts>(&value)) return list_violation(rule, *list);
    if (const auto* routers = std::get_if<RouterList>(&value)) return routers_violation(*routers);
    const auto* map = std::get_if<TextMap>(&value);
    return map && rule.kind == Kind::pattern_keys ? message_of(AliasMap::compile(*map)) : std::nullopt;
}

std::string allowed(const Rule& rule, const Value& example) {
    switch (example.index()) {
        case 0:
            return "true or false";
        case 1:
            return number_words(rule, "an integer");
        case 2:
            return number_words(rule, "a number");
        case 3:
            return text_words(rule);
        case 4:
            return list_words(rule);
        case 6:
            return routers_allowed();
        default:
            return "an object with regular expressions as keys and strings as values";
    }
}

Value normalised(const Rule& rule, Value value) {
    const auto* text = std::get_if<std::string>(&value);
    if (!text || rule.kind != Kind::choice) return value;
    const auto choice = std::ranges::find_if(rule.choices, [&](auto c) { return iequals(c, *text); });
    return choice == rule.choices.end() ? value : Value(std::string(*choice));
}

}  // namespace baton::config
