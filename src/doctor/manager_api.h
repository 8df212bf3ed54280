#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "doctor/facts.h"

/// What a running manager knows, asked over its API.
namespace baton::doctor {

/// One GET of a path ("/api/health"); the body of an answer with status 200 or 500 (an answer that says
/// ERROR).
using Get = std::function<Result<std::string>(const std::string& path)>;

/// Through libcurl, to where the configuration says that the manager listens; each within 3 s. Credentials
/// never leave that address.
Get make_get(const config::Config& config);
/// "http://127.0.0.1:3000", for people and for requests.
std::string manager_url(const config::Config& config);

/// Asks for everything that the checks want to know.
Manager ask_manager(const std::string& address, const Get& get);
/// Members of the cluster that the manager knows by that name; empty when it knows none.
std::vector<InstanceKey> members_of(const Get& get, const std::string& cluster);

// The parts of ask_manager(), one for each answer. What makes no sense is left out.
std::vector<ManagerRecovery> parse_recoveries(std::string_view json);
std::vector<ManagerInstance> parse_instances(std::string_view json);
std::vector<ManagerCluster> parse_clusters(std::string_view json);
std::vector<ManagerAgent> parse_agents(std::string_view json);

}  // namespace baton::doctor
