#include "doctor/words.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"

namespace baton::doctor {

std::string name_of(const Cluster& cluster) {
    return cluster.alias.empty() ? cluster.name : cluster.alias;
}

std::string heading_of(const Cluster& cluster) {
    const auto* primary = cluster.primary();
    return fmt::format("Cluster {} (system {}), {}", name_of(cluster), cluster.id,
                       primary ? "primary " + primary->key.text() : "no primary known");
}

std::vector<const Instance*> answering(const Cluster& cluster) {
    std::vector<const Instance*> found;
    for (const auto& i : cluster.instances) {
        if (answers(*i)) found.push_back(i.get());
    }
    return found;
}

std::vector<const Instance*> standbys(const Cluster& cluster) {
    auto found = answering(cluster);
    std::erase_if(found, [](const Instance* i) { return i->seen->role != topology::Role::standby; });
    return found;
}

const Instance* upstream_of(const Cluster& cluster, const Instance& standby) {
    const auto* upstream = standby.upstream ? cluster.find(*standby.upstream) : nullptr;
    return upstream && answers(*upstream) ? upstream : nullptr;
}

std::string literal(std::string_view text) {
    std::string quoted = "'";
    for (const char c : text)
        quoted.append(c == '\'' ? 2 : 1, c);
    return quoted + "'";
}

std::string role_name(const config::Config& config) {
    const auto& role = config.PostgreSQLTopologyUser;
    const bool plain = !role.empty() && (role[0] < '0' || role[0] > '9') &&
                       role.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string::npos;
    if (plain) return role;
    std::string quoted = "\"";
    for (const char c : role)
        quoted.append(c == '"' ? 2 : 1, c);
    return quoted + "\"";
}

std::string on(const InstanceKey& server, std::string_view sql) {
    return fmt::format("on {}: {}", server.text(), sql);
}

std::string set_on(const InstanceKey& server, std::string_view name, std::string_view value) {
    return on(server, fmt::format("ALTER SYSTEM SET {} = {}; SELECT pg_reload_conf();", name, value));
}

std::string texts_of(std::span<const InstanceKey> keys) {
    std::vector<std::string> texts;
    std::ranges::transform(keys, std::back_inserter(texts), &InstanceKey::text);
    return join(texts, ", ");
}

std::string texts_of(std::span<const Instance* const> instances) {
    std::vector<InstanceKey> keys;
    std::ranges::transform(instances, std::back_inserter(keys), [](const auto* i) { return i->key; });
    return texts_of(keys);
}

std::string counted(size_t n, std::string_view noun) {
    return fmt::format("{} {}{}", n, noun, n == 1 ? "" : "s");
}

const engine::Examination* Facts::examination(const InstanceKey& key) const {
    const auto at = std::ranges::find(examined, key, &Examined::key);
    return at == examined.end() || !at->outcome ? nullptr : &*at->outcome;
}

const ManagerInstance* Facts::manager_instance(const Instance& instance) const {
    const auto at = std::ranges::find_if(manager.instances,
                                         [&](const auto& known) { return instance.known_as(known.key); });
    return at == manager.instances.end() ? nullptr : &*at;
}

const ManagerAgent* Facts::manager_agent(const Instance& instance) const {
    const auto at =
        std::ranges::find_if(manager.agents, [&](const auto& agent) { return instance.known_as(agent.key); });
    return at == manager.agents.end() ? nullptr : &*at;
}

const ManagerCluster* Facts::manager_cluster(const Cluster& cluster) const {
    for (const auto& i : cluster.instances) {
        const auto* known = manager_instance(*i);
        if (known == nullptr) continue;
        const auto at = std::ranges::find(manager.clusters, known->cluster_name, &ManagerCluster::name);
        if (at != manager.clusters.end()) return &*at;
    }
    return nullptr;
}

}  // namespace baton::doctor
