#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "doctor/facts.h"

/// Small questions and phrases that many checks share. Inside of this room only.
namespace baton::doctor {

inline bool answers(const Instance& instance) {
    return instance.health.ok() && instance.seen != nullptr;
}
inline int major_of(const Instance& instance) {
    return instance.seen ? instance.seen->version_num / 10'000 : 0;
}

/// "shop", or the cluster's name where it has no alias.
std::string name_of(const Cluster& cluster);
std::string heading_of(const Cluster& cluster);

/// Members of the cluster that answer, in its order.
std::vector<const Instance*> answering(const Cluster& cluster);
/// Those of them that are standbys.
std::vector<const Instance*> standbys(const Cluster& cluster);
/// The server that `standby` streams from, if it is in the cluster and answers.
const Instance* upstream_of(const Cluster& cluster, const Instance& standby);

/// The role, as it stands in SQL: quoted where that is needed.
std::string role_name(const config::Config& config);
/// 'text', with quotes doubled.
std::string literal(std::string_view text);
/// "ALTER SYSTEM SET name = value; SELECT pg_reload_conf();", to be run on `server`.
std::string set_on(const InstanceKey& server, std::string_view name, std::string_view value);
/// "on db1:5432: SQL"
std::string on(const InstanceKey& server, std::string_view sql);

std::string texts_of(std::span<const InstanceKey> keys);
std::string texts_of(std::span<const Instance* const> instances);
/// "1 standby", "3 standbys"
std::string counted(size_t n, std::string_view noun);

}  // namespace baton::doctor
