#include <fmt/format.h>

#include "base/async.h"
#include "http/v1/answer.h"
#include "http/v1/routes.h"

namespace baton::http::v1 {

namespace {

using InstanceResult = Result<InstancePtr>;

Task<Result<Response>> discover(const Context& context, const Request& request) {
    const auto key = key_param(request);
    if (!key) co_return std::unexpected(key.error());
    const auto found = co_await context.command<InstanceResult>(
        [&](Control& c) { return c.discover(*key, request.caller()); });
    if (!found) co_return std::unexpected(found.error());
    co_return ok("Instance discovered: " + (*found)->key.text(), instance_json(*context.view(), **found));
}

Task<void> discover_unattended(Control& control, InstanceKey key, control::Caller caller) {
    // Whoever asked has gone; what went wrong is in the log and shows in the instance.
    (void)co_await control.discover(std::move(key), std::move(caller));
}

Task<Result<Response>> discover_in_background(const Context& context, const Request& request) {
    const auto key = key_param(request);
    if (!key) co_return std::unexpected(key.error());
    auto& control = context.control;
    spawn(control.executor(), discover_unattended(control, *key, request.caller()));
    co_return ok("Asynchronous discovery initiated for Instance: " + key->text());
}

Task<Result<Response>> refresh(const Context& context, const Request& request) {
    const auto instance = known_instance(*context.view(), request);
    if (!instance) co_return std::unexpected(instance.error());
    const auto found =
        co_await context.command<InstanceResult>([&](Control& c) { return c.refresh((*instance)->key); });
    if (!found) co_return std::unexpected(found.error());
    co_return ok("Instance refreshed: " + (*found)->key.text(), key_json((*found)->key));
}

Task<Result<Response>> forget(const Context& context, const Request& request) {
    const auto key = canonical_key(*context.view(), request);
    if (!key) co_return std::unexpected(key.error());
    const auto done =
        co_await context.command<Result<void>>([&](Control& c) { return c.forget(*key, request.caller()); });
    if (!done) co_return std::unexpected(done.error());
    co_return ok("Instance forgotten: " + key->text(), key_json(*key));
}

Task<Result<Response>> forget_cluster(const Context& context, const Request& request) {
    const auto cluster = known_cluster(*context.view(), text_param(request, "clusterHint"));
    if (!cluster) co_return std::unexpected(cluster.error());
    const auto done = co_await context.command<Result<std::string>>(
        [&](Control& c) { return c.forget_cluster((*cluster)->id, request.caller()); });
    if (!done) co_return std::unexpected(done.error());
    co_return ok("Cluster forgotten: " + (*cluster)->name);
}

Task<Result<Response>> resolve(const Context& context, const Request& request) {
    const auto key = key_param(request);
    if (!key) co_return std::unexpected(key.error());
    const auto found =
        co_await context.command<Result<InstanceKey>>([&](Control& c) { return c.resolve(*key); });
    if (!found) co_return std::unexpected(found.error());
    co_return ok("Instance resolved", key_json(*found));
}

Result<Response> every_key(const View& view, const Request&) {
    std::vector<InstanceKey> keys;
    for (const auto& [id, cluster] : view.topology->clusters) {
        for (const auto& i : cluster->instances)
            keys.push_back(i->key);
    }
    return bare(keys_json(keys));
}

}  // namespace

std::vector<Route> discovery_routes() {
    Table table;
    table.act("/api/discover/:host/:port", discover, "Looks at an instance now and remembers it.")
        .act("/api/async-discover/:host/:port", discover_in_background, "The same, without waiting for it.")
        .act("/api/refresh/:host/:port", refresh, "Looks at a known instance now.")
        .act("/api/forget/:host/:port", forget, "Forgets an instance.")
        .act("/api/forget-cluster/:clusterHint", forget_cluster, "Forgets all instances of a cluster.")
        .ask("/api/resolve/:host/:port", resolve, "Resolves a name and connects to the port.")
        .read_if_permitted("/api/bulk-instances", every_key, "Keys of all instances.");
    return table.take();
}

}  // namespace baton::http::v1
