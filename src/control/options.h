#pragma once

#include "config/config.h"
#include "discovery/discovery.h"
#include "engine/postgresql/postgresql.h"
#include "recovery/recovery.h"

/// From the users' keys to what each room takes. Everything that can be wrong with a value was refused when
/// the configuration was read.
namespace baton::control {

discovery::Options discovery_options(const config::Config& config);
recovery::Options recovery_options(const config::Config& config, const std::string& hostname,
                                   const std::string& token);
/// Whether one of the cluster filters `entries` matches.
std::function<bool(const topology::Cluster&)> cluster_predicate(const std::vector<std::string>& entries);
/// How the manager and the doctor log in to PostgreSQL.
engine::postgresql::Login login(const config::Config& config);
store::Limits store_limits(const config::Config& config);
/// DiscoverySeeds, with the default port where one is missing.
std::vector<topology::InstanceKey> seeds(const config::Config& config);

}  // namespace baton::control
