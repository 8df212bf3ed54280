#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "http/v1/answer.h"
#include "http/v1/routes.h"
#include "http/v1/status.h"

namespace baton::http::v1 {

namespace {

std::vector<ClusterPtr> clusters_by_name(const View& view) {
    std::vector<ClusterPtr> found;
    for (const auto& [id, cluster] : view.topology->clusters)
        found.push_back(cluster);
    std::ranges::sort(found, {}, [](const ClusterPtr& c) { return std::tie(c->name, c->id); });
    return found;
}

std::vector<InstancePtr> all_instances(const View& view) {
    std::vector<InstancePtr> found;
    found.reserve(view.topology->instance_count());
    for (const auto& [id, cluster] : view.topology->clusters) {
        found.insert(found.end(), cluster->instances.begin(), cluster->instances.end());
    }
    return found;
}

/// Those of `instances` for which `wanted` says so.
template <class Wanted>
std::vector<InstancePtr> only(std::vector<InstancePtr> instances, Wanted wanted) {
    std::erase_if(instances, [&](const InstancePtr& i) { return !wanted(*i); });
    return instances;
}

/// An instance as the shared pointer that the view holds.
InstancePtr shared(const View& view, const Instance* instance) {
    return instance ? view.topology->find_instance(instance->key) : nullptr;
}

Result<ClusterPtr> cluster_by_alias(const View& view, const std::string& alias) {
    for (const auto& [id, cluster] : view.topology->clusters) {
        if (cluster->alias == alias || (cluster->alias.empty() && cluster->name == alias)) return cluster;
    }
    return fail(ErrorKind::not_found, "No cluster found for alias " + alias);
}

/// A server that was forgotten may have given the cluster its name once: scripts go on using it.
Result<ClusterPtr> cluster_of_instance(const View& view, const Request& request) {
    const auto instance = known_instance(view, request);
    if (!instance) {
        const auto key = key_param(request);
        const auto cluster = key ? known_cluster(view, key->text()) : std::unexpected(key.error());
        return cluster ? cluster : std::unexpected(instance.error());
    }
    if (auto cluster = view.topology->cluster((*instance)->cluster_id)) return cluster;
    return fail(ErrorKind::not_found, fmt::format("{} belongs to no cluster yet: it has not answered so far",
                                                  (*instance)->key.text()));
}

using FindCluster = std::function<Result<ClusterPtr>(const View&, const Request&)>;

FindCluster by_hint() {
    return
        [](const View& view, const Request& r) { return known_cluster(view, text_param(r, "clusterHint")); };
}

FindCluster by_alias() {
    return [](const View& view, const Request& r) {
        return cluster_by_alias(view, text_param(r, "clusterAlias"));
    };
}

Reader instances_of(FindCluster find) {
    return [find = std::move(find)](const View& view, const Request& request) -> Result<Response> {
        const auto cluster = find(view, request);
        if (!cluster) return std::unexpected(cluster.error());
        return bare(instances_json(view, (*cluster)->instances));
    };
}

Reader info_of(FindCluster find) {
    return [find = std::move(find)](const View& view, const Request& request) -> Result<Response> {
        const auto cluster = find(view, request);
        if (!cluster) return std::unexpected(cluster.error());
        return bare(json_of([&](JsonWriter& out) { write_cluster_info(out, view, **cluster); }));
    };
}

Result<Response> control_replicas_answer(const View& view, const Request& request) {
    const auto cluster = known_cluster(view, text_param(request, "clusterHint"));
    if (!cluster) return std::unexpected(cluster.error());
    return bare(array_json(control_replicas(**cluster),
                           [&](JsonWriter& out, const InstancePtr& i) { write_instance(out, view, *i); }));
}

Result<Response> cluster_names(const View& view, const Request&) {
    return bare(
        array_json(clusters_by_name(view), [](JsonWriter& out, const ClusterPtr& c) { out.value(c->name); }));
}

Result<Response> cluster_summaries(const View& view, const Request&) {
    return bare(array_json(clusters_by_name(view),
                           [&](JsonWriter& out, const ClusterPtr& c) { write_cluster_info(out, view, *c); }));
}

Result<Response> primaries(const View& view, const Request&) {
    std::vector<InstancePtr> found;
    for (const auto& cluster : clusters_by_name(view)) {
        const auto primary = shared(view, cluster->primary());
        const bool writeable =
            primary && !(primary->seen && primary->seen->settings.default_transaction_read_only);
        if (writeable) found.push_back(primary);
    }
    return bare(found.empty() ? "null" : instances_json(view, std::move(found)));
}

Result<Response> primary_of_cluster(const View& view, const Request& request) {
    const auto hint = text_param(request, "clusterHint");
    const auto cluster = known_cluster(view, hint);
    if (!cluster) return std::unexpected(cluster.error());
    const auto* primary = (*cluster)->primary();
    if (!primary) return fail(ErrorKind::not_found, fmt::format("No masters found for cluster {}", hint));
    return bare(instance_json(view, *primary));
}

Result<Response> direct_replicas(const View& view, const Request& request) {
    const auto instance = known_instance(view, request);
    if (!instance) return std::unexpected(instance.error());
    const auto& key = (*instance)->key;
    return bare(instances_json(
        view, only(all_instances(view), [&](const Instance& i) { return i.upstream == key; })));
}

Result<Response> one_instance(const View& view, const Request& request) {
    const auto instance = known_instance(view, request);
    if (!instance) return std::unexpected(instance.error());
    return bare(instance_json(view, **instance));
}

Result<Response> every_instance(const View& view, const Request&) {
    return bare(instances_json(view, all_instances(view)));
}

Result<Response> downtimed(const View& view, const Request& request) {
    const auto hint = text_param(request, "clusterHint");
    const auto cluster = hint.empty() ? Result<ClusterPtr>(nullptr) : known_cluster(view, hint);
    if (!cluster) return std::unexpected(cluster.error());
    auto instances = *cluster ? (*cluster)->instances : all_instances(view);
    return bare(instances_json(view, only(std::move(instances), [&](const Instance& i) {
                                   return in_force(i.downtime, view.wall);
                               })));
}

bool found_by(const View& view, const Instance& instance, const std::string& wanted) {
    const auto has = [&](std::string_view text) { return lower(text).contains(wanted); };
    const auto cluster = view.topology->cluster(instance.cluster_id);
    return has(instance.key.text()) ||
           std::ranges::any_of(instance.aliases, [&](const auto& a) { return has(a.text()); }) ||
           (instance.seen && has(instance.seen->version)) ||
           (cluster && (has(cluster->name) || has(cluster->alias))) || instance.cluster_id == wanted;
}

Result<Response> search(const View& view, const Request& request) {
    auto text = text_param(request, "searchString");
    if (text.empty()) text = text_query(request, "s");
    const auto wanted = lower(text);
    return bare(instances_json(
        view, only(all_instances(view), [&](const Instance& i) { return found_by(view, i, wanted); })));
}

Reader tree_of(FindCluster find, TopologyStyle style) {
    return [find = std::move(find), style](const View& view, const Request& request) -> Result<Response> {
        const auto cluster = find(view, request);
        if (!cluster) return std::unexpected(cluster.error());
        return ok("Topology for cluster " + (*cluster)->name,
                  text_json(ascii_topology(**cluster, view, style)));
    };
}

Result<Response> snapshot_topologies(const View&, const Request&) {
    return fail(
        ErrorKind::unsupported,
        "snapshot-topologies: Baton keeps no copies of past topologies; who followed whom and when it "
        "changed is "
        "in the journal of recoveries (audit-recovery, audit-recovery-steps) and in the audit (audit)");
}

void add_trees(Table& table) {
    const std::vector<std::pair<std::string, TopologyStyle>> styles = {
        {"/api/topology", TopologyStyle::plain},
        {"/api/topology-tabulated", TopologyStyle::tabulated},
        {"/api/topology-tags", TopologyStyle::tags}};
    for (const auto& [path, style] : styles) {
        table.read(path + "/:clusterHint", tree_of(by_hint(), style), "The tree of a cluster as text.");
        table.read(path + "/:host/:port", tree_of(cluster_of_instance, style),
                   "The tree of the cluster of an instance as text.");
    }
}

}  // namespace

std::vector<Route> cluster_routes() {
    Table table;
    table
        .read("/api/search/:searchString /api/search", search,
              "Instances whose names or version contain a text.")
        .read("/api/cluster/:clusterHint", instances_of(by_hint()), "Instances of a cluster.")
        .read("/api/cluster/alias/:clusterAlias", instances_of(by_alias()),
              "Instances of a cluster, by its alias.")
        .read("/api/cluster/instance/:host/:port", instances_of(cluster_of_instance),
              "Instances of the cluster of an instance.")
        .read("/api/cluster-info/:clusterHint", info_of(by_hint()), "Summary of a cluster.")
        .read("/api/cluster-info/alias/:clusterAlias", info_of(by_alias()),
              "Summary of a cluster, by its alias.")
        .read("/api/cluster-osc-slaves/:clusterHint /api/cluster-osc-replicas/:clusterHint",
              control_replicas_answer, "Replicas whose lag should throttle a schema change.")
        .read("/api/clusters", cluster_names, "Names of all clusters.")
        .read("/api/clusters-info", cluster_summaries, "Summaries of all clusters.")
        .read("/api/masters", primaries, "The writeable primary of each cluster.")
        .read("/api/master/:clusterHint", primary_of_cluster, "The primary of a cluster.")
        .read("/api/instance-replicas/:host/:port", direct_replicas, "Direct replicas of an instance.")
        .read("/api/instance/:host/:port", one_instance, "One instance.")
        .read("/api/all-instances", every_instance, "Every known instance.")
        .read("/api/downtimed /api/downtimed/:clusterHint", downtimed, "Downtimed instances.")
        .read("/api/snapshot-topologies", snapshot_topologies,
              "Copies of the topology; Baton keeps a journal instead.");
    add_trees(table);
    return table.take();
}

}  // namespace baton::http::v1
