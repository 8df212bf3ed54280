#include "cli/route.h"

#include "base/text.h"

namespace baton::cli {
namespace {

struct Token {
    std::string_view name;
    std::string_view what;  ///< as the message about its absence calls it
    std::string (*value)(const Options&);
};

std::string endpoint_path(const std::string& text, const Options& options) {
    if (text.empty()) return {};
    const auto endpoint = parse_endpoint(text, options.default_port);
    return percent_encode(endpoint.host) + "/" + percent_encode(endpoint.port);
}

/// "host:port" as one value.
std::string endpoint_text(const std::string& text, const Options& options) {
    if (text.empty()) return {};
    const auto [host, port] = parse_endpoint(text, options.default_port);
    return percent_encode((host.find(':') == std::string::npos ? host : "[" + host + "]") + ":" + port);
}

const std::string& hint_of(const Options& o) {
    return o.alias.empty() ? o.instance : o.alias;
}

/// A path that the user wrote out: only what cannot stand in a URL is encoded.
std::string raw_path(const Options& options) {
    std::string_view path = options.path;
    while (path.starts_with('/'))
        path.remove_prefix(1);
    std::string out;
    for (const char c : path)
        out += (c > ' ' && c < 0x7F && c != '"' && c != '<' && c != '>') ? std::string(1, c)
                                                                         : percent_encode({&c, 1});
    return out;
}

constexpr Token tokens[] = {
    {"i", "instance", [](const Options& o) { return endpoint_path(o.instance, o); }},
    {"d", "destination", [](const Options& o) { return endpoint_path(o.destination, o); }},
    {"candidate", "candidate", [](const Options& o) { return endpoint_text(o.destination, o); }},
    {"hint", "instance|alias", [](const Options& o) { return percent_encode(hint_of(o)); }},
    {"explicit_hint", "instance|alias",
     [](const Options& o) {
         return percent_encode(o.alias.empty() && o.instance_from_environment ? std::string() : hint_of(o));
     }},
    {"instances", "instance", [](const Options& o) { return percent_encode(o.instance); }},
    {"text", "instance",
     [](const Options& o) { return percent_encode(o.pattern.empty() ? o.instance : o.pattern); }},
    {"owner", "owner", [](const Options& o) { return percent_encode(o.owner); }},
    {"reason", "reason", [](const Options& o) { return percent_encode(o.reason); }},
    {"duration", "duration", [](const Options& o) { return percent_encode(o.duration); }},
    {"rule", "promotion-rule", [](const Options& o) { return percent_encode(o.rule); }},
    {"tag", "tag", [](const Options& o) { return percent_encode(o.tag); }},
    {"pool", "pool", [](const Options& o) { return percent_encode(o.pool); }},
    {"hostname", "hostname", [](const Options& o) { return percent_encode(o.hostname); }},
    {"binlog", "binlog", [](const Options& o) { return percent_encode(o.binlog); }},
    {"seconds", "seconds", [](const Options& o) { return percent_encode(o.delay_seconds); }},
    {"query", "query", [](const Options& o) { return percent_encode(o.query); }},
    {"pattern", "pattern", [](const Options& o) { return percent_encode(o.pattern); }},
    {"uid", "uid", [](const Options& o) { return percent_encode(o.uid); }},
    {"alias", "alias", [](const Options& o) { return percent_encode(o.new_alias); }},
    {"at", "at", [](const Options& o) { return percent_encode(o.at); }},
    {"path", "path", raw_path},
};

const Token* find_token(std::string_view name) {
    const auto found = std::ranges::find(tokens, name, &Token::name);
    return found == std::end(tokens) ? nullptr : found;
}

/// Appends `part`; the result names the first token without a value, if any.
const Token* append_filled(std::string& out, std::string_view part, const Options& options) {
    const Token* missing = nullptr;
    while (!part.empty()) {
        const auto open = part.find('{');
        out += part.substr(0, open);
        if (open == std::string_view::npos) break;
        const auto close = part.find('}', open);
        const Token* token = find_token(part.substr(open + 1, close - open - 1));
        const std::string value = token != nullptr ? token->value(options) : std::string();
        if (value.empty() && missing == nullptr) missing = token;
        out += value;
        part.remove_prefix(close + 1);
    }
    return missing;
}

}  // namespace

Endpoint parse_endpoint(std::string_view text, std::string_view default_port) {
    text = trim(text);
    if (text.starts_with('[')) {
        const auto close = text.find(']');
        if (close != std::string_view::npos) {
            const std::string_view rest = text.substr(close + 1);
            return {std::string(text.substr(1, close - 1)),
                    std::string(rest.starts_with(':') ? rest.substr(1) : default_port)};
        }
    }
    const auto colon = text.find(':');
    if (colon == std::string_view::npos || text.find(':', colon + 1) != std::string_view::npos)
        return {std::string(text), std::string(default_port)};
    return {std::string(text.substr(0, colon)), std::string(text.substr(colon + 1))};
}

std::string percent_encode(std::string_view text) {
    static constexpr std::string_view kept = "-._~:,";
    static constexpr std::string_view digits = "0123456789ABCDEF";
    std::string out;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        const bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        if (plain || kept.find(c) != std::string_view::npos) {
            out += c;
        } else {
            out += '%';
            out += digits[byte >> 4];
            out += digits[byte & 15];
        }
    }
    return out;
}

Result<std::string> fill_route(std::string_view route, const Options& options) {
    std::string out;
    while (!route.empty()) {
        const auto open = route.find('[');
        if (const Token* missing = append_filled(out, route.substr(0, open), options))
            return fail(ErrorKind::invalid_argument, std::string(missing->what) + " must be provided",
                        std::string(missing->name));
        if (open == std::string_view::npos) break;
        const auto close = route.find(']', open);
        std::string optional;
        if (append_filled(optional, route.substr(open + 1, close - open - 1), options) == nullptr)
            out += optional;
        route.remove_prefix(close + 1);
    }
    return out;
}

bool uses(std::string_view route, std::string_view token) {
    return route.find("{" + std::string(token) + "}") != std::string_view::npos;
}

}  // namespace baton::cli
