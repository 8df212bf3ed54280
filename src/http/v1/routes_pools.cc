#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "http/v1/answer.h"
#include "http/v1/routes.h"
#include "http/v1/status.h"

namespace baton::http::v1 {

namespace {

using Pools = std::map<std::string, std::vector<InstanceKey>>;

/// The members of the pools that are in this cluster; of one pool only when the path names one.
Task<Pools> pools_of(const Context& context, const Cluster& cluster, const std::string& pool) {
    co_return co_await context.on_control([&](Control& c) {
        Pools found;
        for (const auto& [name, submitted] : c.record().pools) {
            if (!pool.empty() && name != pool) continue;
            for (const auto& key : submitted.second) {
                if (cluster.find(key)) found[name].push_back(key);
            }
        }
        return found;
    });
}

Task<Result<Response>> submit_pool(const Context& context, const Request& request) {
    const auto view = context.view();
    const auto pool = text_param(request, "pool");
    const auto list = text_query(request, "instances");
    std::vector<InstanceKey> keys;
    for (const auto& part : split(list, ',')) {
        const auto text = trim(part);
        if (text.empty()) continue;
        const auto key =
            topology::parse_instance_key(text, static_cast<uint16_t>(view->config->DefaultInstancePort));
        if (!key) co_return std::unexpected(key.error());
        keys.push_back(*key);
    }
    const auto done =
        co_await context.command<Result<void>>([&](Control& c) { return c.submit_pool(pool, keys); });
    if (!done) co_return std::unexpected(done.error());
    co_return ok(fmt::format("Applied {} pool instances", pool), text_json(pool));
}

Task<Result<Response>> cluster_pools(const Context& context, const Request& request) {
    const auto cluster = known_cluster(*context.view(), text_param(request, "clusterName"));
    if (!cluster) co_return std::unexpected(cluster.error());
    const auto pools = co_await pools_of(context, **cluster, text_param(request, "pool"));
    JsonWriter out;
    out.begin_object();
    for (const auto& [name, keys] : pools) {
        out.key(name);
        write_keys(out, keys);
    }
    out.end_object();
    co_return ok("Pool instances of cluster " + (*cluster)->name, out.text());
}

/// Members that may be asked: last check good, not downtimed.
std::vector<InstancePtr> usable_members(const View& view, const Cluster& cluster, const Pools& pools) {
    const auto in_pool = [&](const Instance& i) {
        return std::ranges::any_of(pools, [&](const auto& pool) {
            return std::ranges::any_of(pool.second, [&](const InstanceKey& key) { return i.known_as(key); });
        });
    };
    std::vector<InstancePtr> found;
    std::ranges::copy_if(cluster.instances, std::back_inserter(found), [&](const InstancePtr& i) {
        return i->health.ok() && !in_force(i->downtime, view.wall) && in_pool(*i);
    });
    return found;
}

Task<Result<Response>> heuristic_instances(const Context& context, const Request& request) {
    const auto view = context.view();
    const auto cluster = known_cluster(*view, text_param(request, "clusterName"));
    if (!cluster) co_return std::unexpected(cluster.error());
    const auto pools = co_await pools_of(context, **cluster, text_param(request, "pool"));
    co_return ok("Heuristic pool instances of cluster " + (*cluster)->name,
                 instances_json(*view, usable_members(*view, **cluster, pools)));
}

Task<Result<Response>> heuristic_lag_of_pool(const Context& context, const Request& request) {
    const auto view = context.view();
    const auto cluster = known_cluster(*view, text_param(request, "clusterName"));
    if (!cluster) co_return std::unexpected(cluster.error());
    const auto pool = text_param(request, "pool");
    const auto pools = co_await pools_of(context, **cluster, pool);
    const auto members = usable_members(*view, **cluster, pools);
    if (members.empty()) {
        co_return fail(ErrorKind::not_found,
                       fmt::format("No instances found for cluster {}, pool '{}'", (*cluster)->name, pool));
    }
    int64_t lag = 0;
    for (const auto& i : members)
        lag = std::max(lag, i->lag.seconds.value_or(0));
    co_return ok("Heuristic pool lag of cluster " + (*cluster)->name, std::to_string(lag));
}

/// A :clusterHint that is empty means all clusters.
Task<Result<Response>> submit_to_kv(const Context& context, const Request& request) {
    using Pairs = std::vector<std::pair<std::string, std::string>>;
    const auto hint = text_param(request, "clusterHint");
    std::optional<std::string> only;
    if (!hint.empty()) {
        const auto cluster = known_cluster(*context.view(), hint);
        if (!cluster) co_return std::unexpected(cluster.error());
        only = (*cluster)->id;
    }
    const auto pairs =
        co_await context.command<Result<Pairs>>([&](Control& c) { return c.submit_primaries_to_kv(only); });
    if (!pairs) co_return std::unexpected(pairs.error());
    co_return ok(fmt::format("Submitted {} masters", pairs->size()),
                 array_json(*pairs, [](JsonWriter& out, const auto& pair) {
                     out.begin_object().field("Key", pair.first).field("Value", pair.second).end_object();
                 }));
}

}  // namespace

std::vector<Route> pool_routes() {
    Table table;
    table
        .act("/api/submit-pool-instances/:pool", submit_pool,
             "Replaces the members of a pool with ?instances=.")
        .act("/api/cluster-pool-instances/:clusterName /api/cluster-pool-instances/:clusterName/:pool",
             cluster_pools, "Pools of a cluster and their members.")
        .act(
            "/api/heuristic-cluster-pool-instances/:clusterName "
            "/api/heuristic-cluster-pool-instances/:clusterName/:pool",
            heuristic_instances, "Members of the pools of a cluster that answer and are not downtimed.")
        .act(
            "/api/heuristic-cluster-pool-lag/:clusterName /api/heuristic-cluster-pool-lag/:clusterName/:pool",
            heuristic_lag_of_pool, "The greatest lag of those members, in seconds.")
        .ask("/api/submit-masters-to-kv-stores /api/submit-masters-to-kv-stores/:clusterHint", submit_to_kv,
             "Writes the primaries to the key-value stores.");
    return table.take();
}

}  // namespace baton::http::v1
