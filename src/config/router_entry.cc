#include "config/router_entry.h"

#include <fmt/core.h>

#include <array>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value_from.hpp>
#include <set>

#include "base/text.h"
#include "config/filters.h"

namespace baton::config {
namespace {

namespace json = boost::json;

constexpr size_t most_routers = 100;
constexpr std::string_view masked = "********";

const std::array<RouterField, 10> fields{{
    {"Type", &RouterEntry::Type, false, "`pgbouncer`"},
    {"Name", &RouterEntry::Name, false, "how it is called in messages; the address where none is given"},
    {"Address", &RouterEntry::Address, false, "`HOST:PORT` of its admin console"},
    {"User", &RouterEntry::User, false, "one of its `admin_users`; `pgbouncer` where none is given"},
    {"Password", &RouterEntry::Password, true, "of that user"},
    {"PasswordFile", &RouterEntry::PasswordFile, false, "a file as libpq's password file, instead"},
    {"Databases", &RouterEntry::Databases, false, "those that lead to the cluster; none for all of them"},
    {"Clusters", &RouterEntry::Clusters, false,
     "cluster filters: whose clients it leads; `*` where none is given"},
    {"Agent", &RouterEntry::Agent, false,
     "host name of the agent that rewrites its targets (`PgBouncers` in that agent's configuration); without "
     "one, "
     "the names in its `[databases]` must lead to the primary by themselves"},
    {"AgentName", &RouterEntry::AgentName, false,
     "its name in that agent's configuration; Name where none is given"},
}};

const RouterField* find_field(std::string_view name) {
    const auto at = std::ranges::find_if(fields, [&](const auto& f) { return iequals(f.name, name); });
    return at == fields.end() ? nullptr : &*at;
}

std::unexpected<Error> bad(size_t at, std::string message) {
    return fail(ErrorKind::invalid_argument, fmt::format("entry {}: {}", at + 1, message));
}

std::optional<std::vector<std::string>> texts_of(const json::value& v) {
    if (!v.is_array()) return std::nullopt;
    std::vector<std::string> texts;
    for (const auto& entry : v.get_array()) {
        if (!entry.is_string()) return std::nullopt;
        texts.emplace_back(entry.get_string());
    }
    return texts;
}

Result<void> take_field(RouterEntry& router, size_t at, std::string_view name, const json::value& value) {
    const auto* field = find_field(name);
    if (field == nullptr) {
        std::vector<std::string_view> names;
        for (const auto& f : fields)
            names.push_back(f.name);
        const auto near = nearest_name(name, names);
        return bad(at, fmt::format("unknown field \"{}\"{}", printable(name),
                                   near ? "; did you mean " + *near + "?" : std::string()));
    }
    if (value.is_null()) return {};
    if (const auto* text = std::get_if<std::string RouterEntry::*>(&field->member)) {
        if (!value.is_string()) return bad(at, fmt::format("{} is not a string", field->name));
        router.** text = std::string(value.get_string());
        return {};
    }
    auto texts = texts_of(value);
    if (!texts) return bad(at, fmt::format("{} is not a list of strings", field->name));
    router.*std::get<1>(field->member) = std::move(*texts);
    return {};
}

bool is_address(const std::string& text) {
    const auto colon = text.rfind(':');
    if (colon == std::string::npos || colon == 0 || text.find_first_of(" \t/,;") != std::string::npos)
        return false;
    const bool bare_v6 = !text.starts_with('[') && text.find(':') != colon;
    const auto port = parse_int(std::string_view(text).substr(colon + 1));
    return !bare_v6 && port && *port >= 1 && *port <= 65535;
}

std::optional<std::string> violation_of(const RouterEntry& r) {
    if (r.Type != "pgbouncer")
        return fmt::format("Type = \"{}\": only pgbouncer is known", printable(r.Type));
    if (!is_address(r.Address))
        return fmt::format("Address = \"{}\": no \"HOST:PORT\"", printable(r.Address));
    if (!r.Password.empty() && !r.PasswordFile.empty()) return "both Password and PasswordFile are set";
    if (r.User.empty()) return "User is empty";
    if (const auto filter = ClusterFilter::compile(r.Clusters); !filter)
        return "Clusters: " + filter.error().message;
    return std::nullopt;
}

}  // namespace

std::span<const RouterField> router_fields() {
    return fields;
}

Result<RouterList> read_routers(const json::value& value) {
    if (!value.is_array()) return fail(ErrorKind::invalid_argument, "it is no list");
    RouterList routers;
    for (const auto& entry : value.get_array()) {
        const auto at = routers.size();
        if (!entry.is_object()) return bad(at, "it is no object");
        auto& router = routers.emplace_back();
        for (const auto& [name, member] : entry.get_object()) {
            if (auto taken = take_field(router, at, name, member); !taken)
                return std::unexpected(taken.error());
        }
        if (router.Name.empty()) router.Name = router.Address;
        router.Type = lower(router.Type);
    }
    return routers;
}

std::optional<std::string> routers_violation(const RouterList& routers) {
    if (routers.size() > most_routers) return fmt::format("{} entries", routers.size());
    std::set<std::string> names;
    for (size_t i = 0; i < routers.size(); ++i) {
        if (auto complaint = violation_of(routers[i])) return fmt::format("entry {}: {}", i + 1, *complaint);
        if (!names.insert(routers[i].Name).second)
            return fmt::format("entry {}: there is another one with the name {}", i + 1,
                               printable(routers[i].Name));
    }
    return std::nullopt;
}

std::string routers_json(const RouterList& routers) {
    json::array list;
    for (const auto& router : routers) {
        json::object object;
        for (const auto& field : fields) {
            std::visit(
                [&](auto member) {
                    using T = std::remove_cvref_t<decltype(router.*member)>;
                    if constexpr (std::is_same_v<T, std::string>) {
                        const bool hidden = field.secret && !(router.*member).empty();
                        object[field.name] = hidden ? std::string(masked) : router.*member;
                    } else {
                        object[field.name] = json::value_from(router.*member);
                    }
                },
                field.member);
        }
        list.push_back(std::move(object));
    }
    return json::serialize(list);
}

std::string routers_allowed() {
    std::string names;
    for (const auto& field : fields)
        names += fmt::format("{}{}", names.empty() ? "" : ", ", field.name);
    return "a list of objects with " + names;
}

}  // namespace baton::config
