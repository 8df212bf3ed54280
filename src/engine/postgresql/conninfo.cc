// libpq's parser refuses a whole string for one field that it does not know, and a standby of a newer major
// version has such fields. So the string is taken apart here, and libpq is asked about the part that it can
// judge.
#include "engine/postgresql/conninfo.h"

#include <libpq-fe.h>

#include <charconv>
#include <memory>
#include <set>

#include "base/text.h"
#include "engine/postgresql/postgresql.h"

namespace baton::engine::postgresql {
namespace {

using Fields = std::vector<Conninfo::Field>;
using Options = std::unique_ptr<PQconninfoOption, decltype([](PQconninfoOption* o) { PQconninfoFree(o); })>;

constexpr std::string_view blanks = " \t\n\r\f\v";
/// Where the name of a field ends.
constexpr std::string_view after_name = " \t\n\r\f\v=";
constexpr std::string_view no_name = "a name of a field has other characters than letters, digits and _";
constexpr std::string_view hidden = "********";

std::unexpected<Error> unreadable(std::string_view why) {
    return fail(ErrorKind::invalid_argument, "the connection string does not parse: " + std::string(why));
}

/// libpq has no other names. What is carried along unread must not turn into something else where it is
/// written: a name that begins with "postgresql://" would make a URI of the whole string.
bool is_name(std::string_view key) {
    return !key.empty() && std::ranges::all_of(key, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
               c == '-';
    });
}

/// libpq's message may quote parts of the string, so a failure has no text here.
Options ask_libpq(const std::string& text) {
    char* message = nullptr;
    Options options(PQconninfoParse(text.c_str(), &message));
    PQfreemem(message);
    return options;
}

bool known_to_libpq(std::string_view key) {
    static const std::set<std::string, std::less<>> keys = [] {
        std::set<std::string, std::less<>> names;
        const auto options = ask_libpq("");
        for (auto* o = options.get(); o != nullptr && o->keyword != nullptr; ++o)
            names.emplace(o->keyword);
        return names;
    }();
    return keys.contains(key);
}

void put(Fields& fields, std::string_view key, std::string value) {
    const auto at = std::ranges::find(fields, key, &Conninfo::Field::first);
    if (at == fields.end()) {
        fields.emplace_back(key, std::move(value));
    } else {
        at->second = std::move(value);
    }
}

void skip_blanks(std::string_view& rest) {
    rest.remove_prefix(std::min(rest.find_first_not_of(blanks), rest.size()));
}

/// Takes a value off the front of `rest`; nothing when a quote is not closed.
std::optional<std::string> take_value(std::string_view& rest) {
    const bool quoted = rest.starts_with('\'');
    if (quoted) rest.remove_prefix(1);
    std::string value;
    while (!rest.empty()) {
        const char c = rest.front();
        if (quoted ? c == '\'' : blanks.contains(c)) break;
        rest.remove_prefix(1);
        if (c != '\\') {
            value += c;
        } else if (!rest.empty()) {
            value += rest.front();
            rest.remove_prefix(1);
        }
    }
    if (quoted) {
        if (rest.empty()) return std::nullopt;
        rest.remove_prefix(1);
    }
    return value;
}

Result<Fields> split_pairs(std::string_view rest) {
    Fields fields;
    for (skip_blanks(rest); !rest.empty(); skip_blanks(rest)) {
        const auto key = rest.substr(0, rest.find_first_of(after_name));
        rest.remove_prefix(key.size());
        skip_blanks(rest);
        if (key.empty() || !rest.starts_with('='))
            return unreadable("a name without '=' (see PostgreSQL manual, 34.1.1)");
        if (!is_name(key)) return unreadable(no_name);
        rest.remove_prefix(1);
        skip_blanks(rest);
        auto value = take_value(rest);
        if (!value) return unreadable("a quote is not closed");
        put(fields, key, std::move(*value));
    }
    return fields;
}

std::string quoted(const std::string& value) {
    if (!value.empty() && value.find_first_of(" \t\n\r\f\v'\\") == std::string::npos) return value;
    std::string out = "'";
    for (const char c : value) {
        if (c == '\'' || c == '\\') out += '\\';
        out += c;
    }
    return out + '\'';
}

std::string join_pairs(const Fields& fields) {
    std::string out;
    for (const auto& [key, value] : fields) {
        if (!out.empty()) out += ' ';
        out.append(key).append("=").append(quoted(value));
    }
    return out;
}

bool is_hex(char c) {
    return std::string_view("0123456789abcdefABCDEF").contains(c);
}

std::optional<std::string> percent_decoded(std::string_view text) {
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out += text[i];
            continue;
        }
        unsigned value = 0;
        const auto* from = text.data() + i + 1;
        if (i + 2 >= text.size() || !is_hex(from[0]) || !is_hex(from[1])) return std::nullopt;
        std::from_chars(from, from + 2, value, 16);
        out += static_cast<char>(value);
        i += 2;
    }
    return out;
}

/// Takes the parameters that libpq does not know out of a URI's query; `uri` is left with the others.
Result<Fields> take_unknown_parameters(std::string& uri) {
    Fields unknown;
    const auto question = uri.find('?');
    if (question == std::string::npos) return unknown;
    std::vector<std::string> kept;
    for (const auto& parameter : split(std::string_view(uri).substr(question + 1), '&')) {
        const auto equals = parameter.find('=');
        const auto key = percent_decoded(std::string_view(parameter).substr(0, equals));
        const bool judged = !key || equals == std::string::npos || *key == "ssl" || known_to_libpq(*key);
        if (judged) {
            kept.push_back(parameter);
            continue;
        }
        auto value = percent_decoded(std::string_view(parameter).substr(equals + 1));
        if (!value) return unreadable("a bad % sequence in the URI");
        if (!is_name(*key)) return unreadable(no_name);
        if (value->contains('\0')) return unreadable("a NUL byte in the URI");
        put(unknown, *key, std::move(*value));
    }
    uri.resize(question);
    if (!kept.empty()) uri += "?" + join(kept, "&");
    return unknown;
}

Result<Fields> split_uri(std::string uri) {
    auto unknown = take_unknown_parameters(uri);
    if (!unknown) return std::unexpected(unknown.error());
    const auto options = ask_libpq(uri);
    if (!options) return unreadable("not a valid URI (see PostgreSQL manual, 34.1.1)");
    Fields fields;
    for (auto* o = options.get(); o->keyword != nullptr; ++o) {
        if (o->val != nullptr) put(fields, o->keyword, o->val);
    }
    for (auto& [key, value] : *unknown)
        put(fields, key, std::move(value));
    return fields;
}

bool is_uri(std::string_view text) {
    return text.starts_with("postgresql://") || text.starts_with("postgres://");
}

std::vector<std::string> list_of(const std::string& value) {
    return value.empty() ? std::vector<std::string>{} : split(value, ',');
}

std::optional<uint16_t> port_of(const std::vector<std::string>& ports, size_t at, uint16_t default_port) {
    if (ports.empty()) return default_port;
    const auto text = trim(ports.size() == 1 ? ports[0] : ports[at]);
    if (text.empty()) return default_port;
    const auto number = parse_uint(text);
    if (!number || *number == 0 || *number > 65535) return std::nullopt;
    return static_cast<uint16_t>(*number);
}

/// The name under which a server of the list is known: its host, else its address; "" for a Unix socket.
std::string name_of(const std::string& host, const std::string& address) {
    const bool socket = host.starts_with('/') || host.starts_with('@');
    if (host.empty() || (socket && !address.empty())) return lower(address);
    return socket ? "" : lower(host);
}

std::string read_hosts(const Conninfo& fields, uint16_t default_port,
                       std::vector<topology::InstanceKey>& hosts) {
    const auto names = list_of(fields.get("host"));
    const auto addresses = list_of(fields.get("hostaddr"));
    const auto ports = list_of(fields.get("port"));
    const size_t count = std::max({names.size(), addresses.size(), size_t{1}});
    if (!names.empty() && !addresses.empty() && names.size() != addresses.size()) {
        return "host and hostaddr list different numbers of servers";
    }
    if (ports.size() > 1 && ports.size() != count) return "port lists another number of servers than host";
    for (size_t i = 0; i < count; ++i) {
        const auto port = port_of(ports, i, default_port);
        if (!port) return "a port is not a number in 1-65535";
        hosts.push_back(
            {name_of(names.empty() ? "" : names[i], addresses.empty() ? "" : addresses[i]), *port});
    }
    return "";
}

}  // namespace

Result<Conninfo> Conninfo::parse(const std::string& text) {
    Conninfo parsed;
    if (text.contains('\0')) return unreadable("it holds a NUL byte");
    auto fields = is_uri(text) ? split_uri(text) : split_pairs(text);
    if (!fields) return std::unexpected(fields.error());
    parsed.fields_ = std::move(*fields);
    Fields judged;
    std::ranges::copy_if(parsed.fields_, std::back_inserter(judged), known_to_libpq, &Field::first);
    if (!ask_libpq(join_pairs(judged))) return unreadable("libpq refuses it");
    return parsed;
}

std::string Conninfo::get(std::string_view key) const {
    const auto at = std::ranges::find(fields_, key, &Field::first);
    return at == fields_.end() ? "" : at->second;
}

bool Conninfo::has(std::string_view key) const {
    return std::ranges::find(fields_, key, &Field::first) != fields_.end();
}

void Conninfo::set(std::string_view key, std::string value) {
    put(fields_, key, std::move(value));
}

void Conninfo::remove(std::string_view key) {
    std::erase_if(fields_, [key](const Field& f) { return f.first == key; });
}

std::string Conninfo::text() const {
    return join_pairs(fields_);
}

topology::Upstream parse_conninfo(const std::string& conninfo, uint16_t default_port) {
    topology::Upstream upstream;
    const auto fields = Conninfo::parse(conninfo);
    if (!fields) {
        upstream.readable = false;
        upstream.problem = fields.error().message;
        return upstream;
    }
    upstream.user = fields->get("user");
    upstream.application_name = fields->get("application_name");
    upstream.target_session_attrs = fields->get("target_session_attrs");
    upstream.has_dbname = !fields->get("dbname").empty();
    if (fields->empty()) return upstream;
    if (!fields->has("host") && !fields->has("hostaddr") && fields->has("service")) {
        upstream.readable = false;
        upstream.problem = "the host comes from a service file on the standby (service=" +
                           printable(fields->get("service")) + ")";
        return upstream;
    }
    upstream.problem = read_hosts(*fields, default_port, upstream.hosts);
    upstream.readable = upstream.problem.empty();
    if (!upstream.readable) upstream.hosts.clear();
    return upstream;
}

Result<std::string> redirect_conninfo(const std::string& conninfo, const topology::InstanceKey& upstream) {
    if (!upstream.valid())
        return fail(ErrorKind::invalid_argument, "the new upstream needs a host and a port");
    auto fields = Conninfo::parse(conninfo);
    if (!fields) return std::unexpected(fields.error());
    const bool by_address =
        !fields->has("host") && fields->has("hostaddr") && topology::is_address(upstream.host);
    if (by_address) {
        fields->set("hostaddr", upstream.host);
    } else {
        // An address left behind would win over the new name.
        fields->remove("hostaddr");
        fields->set("host", upstream.host);
    }
    fields->set("port", std::to_string(upstream.port));
    return fields->text();
}

Result<std::string> put_first(const std::string& conninfo, const topology::InstanceKey& upstream) {
    const auto hosts = parse_conninfo(conninfo).hosts;
    const auto at = std::ranges::find(hosts, upstream);
    auto fields = Conninfo::parse(conninfo);
    if (at == hosts.end() || !fields)
        return fail(ErrorKind::not_found, "primary_conninfo does not list it", upstream.text());
    for (const auto key : {"host", "hostaddr", "port"}) {
        auto list = list_of(fields->get(key));
        if (list.size() != hosts.size()) continue;  // one port for all
        std::rotate(list.begin(), list.begin() + (at - hosts.begin()),
                    list.begin() + (at - hosts.begin()) + 1);
        fields->set(key, join(list, ","));
    }
    return fields->text();
}

std::string mask_conninfo(const std::string& conninfo) {
    if (conninfo.empty()) return "";
    auto fields = Conninfo::parse(conninfo);
    if (!fields) return "(" + fields.error().message + ")";
    for (const auto key :
         {"password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key"}) {
        if (fields->has(key)) fields->set(key, std::string(hidden));
    }
    return fields->text();
}

}  // namespace baton::engine::postgresql
