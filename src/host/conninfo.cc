#include "host/conninfo.h"

#include <algorithm>
#include <optional>

#include "base/text.h"

namespace baton::host {
namespace {

constexpr std::string_view blanks = " \t\n\r\f\v";

std::unexpected<Error> malformed(const std::string& what) {
    return fail(ErrorKind::invalid_argument, "the connection string " + what);
}

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/// %XX as in URIs; nothing when it is no such thing.
std::optional<std::string> decoded(std::string_view text) {
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out += text[i];
            continue;
        }
        if (i + 2 >= text.size()) return std::nullopt;
        const int high = hex_digit(text[i + 1]), low = hex_digit(text[i + 2]);
        if (high < 0 || low < 0 || high + low == 0) return std::nullopt;
        out += static_cast<char>(high * 16 + low);
        i += 2;
    }
    return out;
}

void skip_blanks(std::string_view& text) {
    text.remove_prefix(std::min(text.find_first_not_of(blanks), text.size()));
}

/// Takes the value that `text` begins with; nothing when its quote is never closed.
std::optional<std::string> take_value(std::string_view& text) {
    const bool quoted = text.starts_with('\'');
    if (quoted) text.remove_prefix(1);
    std::string value;
    while (!text.empty()) {
        char c = text.front();
        if (quoted ? c == '\'' : blanks.contains(c)) break;
        text.remove_prefix(1);
        if (c == '\\') {
            if (text.empty()) break;
            c = text.front();
            text.remove_prefix(1);
        }
        value += c;
    }
    if (!quoted) return value;
    if (text.empty()) return std::nullopt;
    text.remove_prefix(1);
    return value;
}

/// The part before `end`, which is taken off together with it; everything when it is not there.
std::string_view take_until(std::string_view& text, std::string_view ends) {
    const auto at = text.find_first_of(ends);
    const auto part = text.substr(0, at);
    text.remove_prefix(at == std::string_view::npos ? text.size() : at);
    return part;
}

/// "host1:port1,[v6]:port2" → "host1,v6" and "port1,port2".
std::pair<std::string, std::string> split_hosts(std::string_view list) {
    std::vector<std::string> hosts, ports;
    bool any_port = false;
    for (const auto& one : split(list, ',')) {
        const auto bracket = one.starts_with('[') ? one.find(']') : std::string::npos;
        const auto from = bracket == std::string::npos ? 0 : bracket;
        const auto colon = one.find(':', from);
        hosts.push_back(bracket == std::string::npos ? one.substr(0, colon) : one.substr(1, bracket - 1));
        ports.push_back(colon == std::string::npos ? "" : one.substr(colon + 1));
        any_port = any_port || !ports.back().empty();
    }
    return {join(hosts, ","), any_port ? join(ports, ",") : ""};
}

bool needs_quotes(std::string_view value) {
    return value.empty() || value.find_first_of(" \t\n\r\f\v'\\") != std::string_view::npos;
}

std::string quoted(std::string_view value) {
    if (!needs_quotes(value)) return std::string(value);
    std::string out = "'";
    for (const char c : value) {
        if (c == '\'' || c == '\\') out += '\\';
        out += c;
    }
    return out + "'";
}

}  // namespace

Result<Conninfo> Conninfo::parse(std::string_view text) {
    for (const std::string_view scheme : {"postgresql://", "postgres://"}) {
        if (text.starts_with(scheme)) return parse_uri(text.substr(scheme.size()));
    }
    return parse_pairs(text);
}

Result<Conninfo> Conninfo::parse_pairs(std::string_view text) {
    Conninfo out;
    for (skip_blanks(text); !text.empty(); skip_blanks(text)) {
        const auto name = take_until(text, " \t\n\r\f\v=");
        skip_blanks(text);
        if (name.empty() || !text.starts_with('=')) return malformed("is not a list of key=value");
        text.remove_prefix(1);
        skip_blanks(text);
        const auto value = take_value(text);
        if (!value) return malformed("has a quote that is not closed");
        out.set(name, *value);
    }
    return out;
}

Result<Conninfo> Conninfo::parse_uri(std::string_view text) {
    Conninfo out;
    const auto put = [&](std::string_view key, std::string_view raw) {
        const auto value = decoded(raw);
        if (value && !value->empty()) out.set(key, *value);
        return value.has_value();
    };
    auto authority = take_until(text, "/?");
    bool good = true;
    if (const auto at = authority.rfind('@'); at != std::string_view::npos) {
        auto user = authority.substr(0, at);
        authority.remove_prefix(at + 1);
        const auto colon = user.find(':');
        good = put("user", user.substr(0, colon)) &&
               (colon == std::string_view::npos || put("password", user.substr(colon + 1)));
    }
    const auto [hosts, ports] = split_hosts(authority);
    good = good && put("host", hosts) && put("port", ports);
    if (text.starts_with('/')) {
        text.remove_prefix(1);
        good = good && put("dbname", take_until(text, "?"));
    }
    if (text.starts_with('?')) text.remove_prefix(1);
    while (good && !text.empty()) {
        auto pair = take_until(text, "&");
        if (!text.empty()) text.remove_prefix(1);
        const auto equals = pair.find('=');
        const auto name = decoded(pair.substr(0, equals));
        good = equals != std::string_view::npos && name && put(*name, pair.substr(equals + 1));
    }
    if (!good) return malformed("is not a good URI");
    return out;
}

std::string Conninfo::get(std::string_view key) const {
    const auto at = std::ranges::find(fields_, key, [](const auto& f) { return std::string_view(f.first); });
    return at == fields_.end() ? std::string() : at->second;
}

void Conninfo::set(std::string_view key, std::string value) {
    const auto at = std::ranges::find(fields_, key, [](const auto& f) { return std::string_view(f.first); });
    if (at != fields_.end())
        at->second = std::move(value);
    else
        fields_.emplace_back(key, std::move(value));
}

void Conninfo::remove(std::string_view key) {
    std::erase_if(fields_, [&](const auto& f) { return f.first == key; });
}

void Conninfo::lead_to(const topology::InstanceKey& server) {
    for (const std::string_view gone : {"hostaddr", "target_session_attrs", "load_balance_hosts"})
        remove(gone);
    set("host", server.host);
    set("port", std::to_string(server.port));
}

std::string Conninfo::take_password() {
    auto password = get("password");
    remove("password");
    return password;
}

std::string Conninfo::text() const {
    std::string out;
    for (const auto& [name, value] : fields_) {
        if (!out.empty()) out += ' ';
        out.append(name).append("=").append(quoted(value));
    }
    return out;
}

std::string password_line(std::string_view password) {
    std::string out = "*:*:*:*:";
    for (const char c : password) {
        if (c == ':' || c == '\\') out += '\\';
        out += c;
    }
    return out + "\n";
}

}  // namespace baton::host
