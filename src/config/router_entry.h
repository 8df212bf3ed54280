#pragma once

#include <boost/json/value.hpp>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.h"

namespace baton::config {

/// One entry of Routers: what stands between clients and a primary.
struct RouterEntry {
    std::string Type = "pgbouncer";
    std::string Name;     ///< for people; the address where none is given
    std::string Address;  ///< "HOST:PORT" of the console
    std::string User = "pgbouncer";
    std::string Password;
    std::string PasswordFile;  ///< in the format of libpq
    std::vector<std::string> Databases;
    std::vector<std::string> Clusters{"*"};  ///< as ClusterFilter
    std::string Agent;                       ///< host of the agent that rewrites its targets
    std::string AgentName;                   ///< name of the pooler there; Name where none is given
    bool operator==(const RouterEntry&) const = default;
};
using RouterList = std::vector<RouterEntry>;

/// A field of an entry, for reading, showing and the documentation.
struct RouterField {
    std::string_view name;
    std::variant<std::string RouterEntry::*, std::vector<std::string> RouterEntry::*> member;
    bool secret = false;
    std::string_view text;
};
std::span<const RouterField> router_fields();

/// The list that `value` stands for. The error says which entry and field, and never shows a secret.
Result<RouterList> read_routers(const boost::json::value& value);
/// What is wrong with it, as the end of a sentence; nothing when all is well.
std::optional<std::string> routers_violation(const RouterList& routers);
/// JSON, secrets masked.
std::string routers_json(const RouterList& routers);
/// The fields in a sentence.
std::string routers_allowed();

}  // namespace baton::config
