#include "doctor/manager_api.h"

#include <fmt/format.h>

#include <boost/json.hpp>

namespace baton::doctor {
namespace {

namespace json = boost::json;

json::value parsed(std::string_view text) {
    boost::system::error_code error;
    auto value = json::parse(json::string_view(text.data(), text.size()), error);
    return error ? json::value() : value;
}

std::string text_of(const json::object& object, std::string_view name) {
    const auto* value = object.if_contains(json::string_view(name.data(), name.size()));
    return value != nullptr && value->is_string() ? std::string(value->get_string().c_str()) : std::string();
}

bool flag_of(const json::object& object, std::string_view name) {
    const auto* value = object.if_contains(json::string_view(name.data(), name.size()));
    return value != nullptr && value->is_bool() && value->get_bool();
}

int64_t number_of(const json::object& object, std::string_view name) {
    const auto* value = object.if_contains(json::string_view(name.data(), name.size()));
    return value != nullptr && value->is_int64() ? value->get_int64() : 0;
}

std::optional<int64_t> whole_of(const json::object& object, std::string_view name) {
    const auto* value = object.if_contains(json::string_view(name.data(), name.size()));
    return value != nullptr && value->is_int64() ? std::optional(value->get_int64()) : std::nullopt;
}

const json::object* object_of(const json::object& object, std::string_view name) {
    const auto* value = object.if_contains(json::string_view(name.data(), name.size()));
    return value != nullptr ? value->if_object() : nullptr;
}

InstanceKey key_of(const json::object& object, std::string_view name) {
    const auto* key = object_of(object, name);
    if (key == nullptr) return {};
    const auto port = number_of(*key, "Port");
    return {text_of(*key, "Hostname"), static_cast<uint16_t>(port > 0 && port < 65536 ? port : 0)};
}

/// `use` for each object of an array.
void each(std::string_view text, const std::function<void(const json::object&)>& use) {
    const auto value = parsed(text);
    const auto* array = value.if_array();
    if (array == nullptr) return;
    for (const auto& entry : *array) {
        if (const auto* object = entry.if_object()) use(*object);
    }
}

}  // namespace

std::vector<ManagerRecovery> parse_recoveries(std::string_view text) {
    std::vector<ManagerRecovery> recoveries;
    each(text, [&](const json::object& o) {
        ManagerRecovery r{.id = number_of(o, "Id"),
                          .uid = text_of(o, "UID"),
                          .started = text_of(o, "RecoveryStartTimestamp"),
                          .ended = text_of(o, "RecoveryEndTimestamp"),
                          .active = flag_of(o, "IsActive"),
                          .acknowledged = flag_of(o, "Acknowledged"),
                          .successful = flag_of(o, "IsSuccessful")};
        if (const auto successor = key_of(o, "SuccessorKey"); successor.valid()) r.successor = successor;
        if (const auto* analysis = object_of(o, "AnalysisEntry")) {
            r.code = text_of(*analysis, "Analysis");
            r.failed = key_of(*analysis, "AnalyzedInstanceKey");
            if (const auto* details = object_of(*analysis, "ClusterDetails"))
                r.cluster_name = text_of(*details, "ClusterName");
        }
        recoveries.push_back(std::move(r));
    });
    return recoveries;
}

std::vector<ManagerInstance> parse_instances(std::string_view text) {
    std::vector<ManagerInstance> instances;
    each(text, [&](const json::object& o) {
        const auto key = key_of(o, "Key");
        if (!key.valid()) return;
        instances.push_back({.key = key,
                             .cluster_name = text_of(o, "ClusterName"),
                             .downtimed = flag_of(o, "IsDowntimed"),
                             .downtime_owner = text_of(o, "DowntimeOwner"),
                             .downtime_reason = text_of(o, "DowntimeReason"),
                             .downtime_ends = text_of(o, "DowntimeEndTimestamp")});
    });
    return instances;
}

std::vector<ManagerCluster> parse_clusters(std::string_view text) {
    std::vector<ManagerCluster> clusters;
    each(text, [&](const json::object& o) {
        clusters.push_back({.name = text_of(o, "ClusterName"),
                            .alias = text_of(o, "ClusterAlias"),
                            .recovers_primary = flag_of(o, "HasAutomatedMasterRecovery"),
                            .recovers_intermediate = flag_of(o, "HasAutomatedIntermediateMasterRecovery")});
    });
    return clusters;
}

std::vector<ManagerAgent> parse_agents(std::string_view text) {
    std::vector<ManagerAgent> agents;
    const auto answer = parsed(text);
    const auto* object = answer.if_object();
    const auto* data = object != nullptr ? object->if_contains("data") : nullptr;
    if (data == nullptr) return agents;
    each(json::serialize(*data), [&](const json::object& o) {
        const auto* lease = object_of(o, "Lease");
        agents.push_back({.key = key_of(o, "Key"),
                          .host = text_of(o, "Host"),
                          .version = text_of(o, "Version"),
                          .peer_address = text_of(o, "PeerAddress"),
                          .hold = text_of(o, "Hold"),
                          .quarantine = text_of(o, "Quarantine"),
                          .in_the_way = text_of(o, "InTheWay"),
                          .connected = flag_of(o, "Connected"),
                          .lease_on = lease != nullptr && flag_of(*lease, "On"),
                          .certificate_seconds = whole_of(o, "CertificateSecondsLeft")});
    });
    return agents;
}

namespace {

/// The body of one more answer; what went wrong is kept for the check.
std::string more(Manager& manager, const Get& get, const std::string& path) {
    auto body = get(path);
    if (body) return std::move(*body);
    if (manager.problem.empty()) manager.problem = fmt::format("{}: {}", path, body.error().message);
    return {};
}

}  // namespace

Manager ask_manager(const std::string& address, const Get& get) {
    Manager manager{.address = address};
    const auto health = get("/api/health");
    if (!health) {
        manager.problem = health.error().message;
        return manager;
    }
    const auto value = parsed(*health);
    if (!value.is_object() || text_of(value.get_object(), "Code").empty()) {
        manager.problem = "what answers there is no manager";
        return manager;
    }
    manager.reachable = true;
    manager.healthy = text_of(value.get_object(), "Code") == "OK";
    manager.health = text_of(value.get_object(), "Message");
    const auto global = parsed(more(manager, get, "/api/check-global-recoveries"));
    if (global.is_object()) {
        const auto state = text_of(global.get_object(), "Details");
        if (!state.empty()) manager.recoveries_enabled = state == "enabled";
    }
    manager.recoveries = parse_recoveries(more(manager, get, "/api/audit-recovery"));
    manager.instances = parse_instances(more(manager, get, "/api/all-instances"));
    manager.clusters = parse_clusters(more(manager, get, "/api/clusters-info"));
    // A manager of an older version has no such route.
    if (const auto agents = get("/api/v2/agents")) manager.agents = parse_agents(*agents);
    return manager;
}

std::vector<InstanceKey> members_of(const Get& get, const std::string& cluster) {
    std::string encoded;
    for (const char c : cluster) {
        const bool plain =
            std::isalnum(static_cast<unsigned char>(c)) != 0 || std::string_view("-._~").contains(c);
        encoded += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    const auto body = get("/api/cluster/" + encoded);
    std::vector<InstanceKey> keys;
    if (!body) return keys;
    for (const auto& instance : parse_instances(*body))
        keys.push_back(instance.key);
    return keys;
}

}  // namespace baton::doctor
