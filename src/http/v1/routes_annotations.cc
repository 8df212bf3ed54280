#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "http/v1/answer.h"
#include "http/v1/routes.h"
#include "http/v1/status.h"

namespace baton::http::v1 {

namespace {

using DoneResult = Result<void>;
constexpr seconds usual_downtime{600};

// ---- downtime ---------------------------------------------------------------------------------------------
Task<Result<Response>> begin_downtime(const Context& context, const Request& request) {
    const auto key = canonical_key(*context.view(), request);
    if (!key) co_return std::unexpected(key.error());
    const auto text = text_param(request, "duration");
    const auto duration = text.empty() ? Result<seconds>(usual_downtime) : parse_duration(text);
    if (!duration) co_return std::unexpected(duration.error());
    const auto done = co_await context.command<DoneResult>([&](Control& c) {
        return c.begin_downtime(*key, text_param(request, "owner"), text_param(request, "reason"), *duration);
    });
    if (!done) co_return std::unexpected(done.error());
    co_return ok("Downtime begun: " + key->text(), key_json(*key));
}

Task<Result<Response>> end_downtime(const Context& context, const Request& request) {
    const auto key = canonical_key(*context.view(), request);
    if (!key) co_return std::unexpected(key.error());
    const auto done = co_await context.command<DoneResult>([&](Control& c) { return c.end_downtime(*key); });
    if (!done) co_return std::unexpected(done.error());
    co_return ok("Downtime ended: " + key->text(), key_json(*key));
}

// ---- maintenance ------------------------------------------------------------------------------------------
Task<Result<Response>> begin_maintenance(const Context& context, const Request& request) {
    const auto key = canonical_key(*context.view(), request);
    if (!key) co_return std::unexpected(key.error());
    const auto id = co_await context.command<Result<int64_t>>([&](Control& c) {
        return c.begin_maintenance(*key, text_param(request, "owner"), text_param(request, "reason"));
    });
    if (!id) co_return std::unexpected(id.error());
    co_return ok("Maintenance begun: " + key->text(), key_json(*key));
}

Task<Result<Response>> end_maintenance(const Context& context, const Request& request) {
    const auto key = canonical_key(*context.view(), request);
    if (!key) co_return std::unexpected(key.error());
    const auto done =
        co_await context.command<DoneResult>([&](Control& c) { return c.end_maintenance(*key); });
    if (!done) co_return std::unexpected(done.error());
    co_return ok("Maintenance ended: " + key->text(), key_json(*key));
}

Task<Result<Response>> end_maintenance_by_number(const Context& context, const Request& request) {
    const auto text = text_param(request, "maintenanceKey");
    const auto id = parse_int(text);
    if (!id) {
        co_return fail(
            ErrorKind::invalid_argument,
            fmt::format("Invalid maintenance key: {}; it is the number that maintenance shows", text));
    }
    const auto done =
        co_await context.command<DoneResult>([&](Control& c) { return c.end_maintenance_id(*id); });
    if (!done) co_return std::unexpected(done.error());
    co_return ok(fmt::format("Maintenance ended: {}", *id), std::to_string(*id));
}

Result<Response> in_maintenance(const View& view, const Request& request) {
    const auto key = canonical_key(view, request);
    if (!key) return std::unexpected(key.error());
    const auto instance = view.topology->find_instance(*key);
    const bool is = instance && in_force(instance->maintenance, view.wall);
    return ok(is ? "true" : "false", text_json(is ? key->text() : ""));
}

Task<Result<Response>> maintenance(const Context& context, const Request&) {
    const auto wall = context.view()->wall;
    auto found = co_await context.on_control([](Control& c) { return c.maintenance(); });
    std::erase_if(found, [&](const store::Maintenance& m) { return !in_force(m.span, wall); });
    co_return bare(array_json(
        found, [&](JsonWriter& out, const store::Maintenance& m) { write_maintenance(out, m, wall); }));
}

// ---- promotion rules --------------------------------------------------------------------------------------
Task<Result<Response>> register_candidate(const Context& context, const Request& request) {
    const auto key = canonical_key(*context.view(), request);
    if (!key) co_return std::unexpected(key.error());
    const auto text = text_param(request, "promotionRule");
    const auto rule = topology::parse_promotion_rule(text);
    if (!rule) co_return fail(ErrorKind::invalid_argument, "Invalid CandidatePromotionRule: " + text);
    const auto done =
        co_await context.command<DoneResult>([&](Control& c) { return c.set_promotion_rule(*key, *rule); });
    if (!done) co_return std::unexpected(done.error());
    co_return ok("Registered candidate", key_json(*key));
}

Task<Result<Response>> promotion_rules(const Context& context, const Request&) {
    const auto found = co_await context.on_control([](Control& c) { return c.promotion_rules(); });
    co_return bare(array_json(found, write_promotion_rule));
}

// ---- names ------------------------------------------------------------------------------------------------
Task<Result<Response>> set_cluster_alias(const Context& context, const Request& request) {
    const auto cluster = known_cluster(*context.view(), text_param(request, "clusterName"));
    if (!cluster) co_return std::unexpected(cluster.error());
    if (!request.query.contains("alias")) {
        co_return fail(ErrorKind::invalid_argument,
                       "No alias given: add ?alias=NAME, or ?alias= to remove it");
    }
    const auto alias = text_query(request, "alias");
    const auto done = co_await context.command<DoneResult>(
        [&](Control& c) { return c.set_cluster_alias((*cluster)->id, alias); });
    if (!done) co_return std::unexpected(done.error());
    co_return ok(fmt::format("Cluster {} now has alias '{}'", (*cluster)->name, alias));
}

/// The key is taken as given: the point of it is a name that does not resolve.
Task<Result<Response>> set_unresolve(const Context& context, const Request& request) {
    const auto key = key_param(request);
    if (!key) co_return std::unexpected(key.error());
    const auto name = text_param(request, "virtualname");
    const auto done = co_await context.command<DoneResult>(
        [&](Control& c) { return c.set_hostname_unresolve(*key, name); });
    if (!done) co_return std::unexpected(done.error());
    co_return ok(
        name.empty() ? "Hostname deregister unresolve completed" : "Hostname register unresolve completed",
        key_json(*key));
}

Result<Response> reload_alias(const View&, const Request&) {
    return failed("This API call has been retired: an alias is in force as soon as it is set");
}

}  // namespace

std::vector<Route> annotation_routes() {
    Table table;
    table
        .act(
            "/api/begin-downtime/:host/:port/:owner/:reason "
            "/api/begin-downtime/:host/:port/:owner/:reason/:duration",
            begin_downtime, "Downtimes an instance, for 10 minutes when no duration is given.")
        .act("/api/end-downtime/:host/:port", end_downtime, "Ends the downtime of an instance.")
        .act("/api/begin-maintenance/:host/:port/:owner/:reason", begin_maintenance,
             "Begins maintenance of an instance.")
        .act("/api/end-maintenance/:host/:port", end_maintenance, "Ends maintenance of an instance.")
        .read("/api/in-maintenance/:host/:port", in_maintenance, "Is an instance under maintenance?")
        .act("/api/end-maintenance/:maintenanceKey", end_maintenance_by_number,
             "Ends maintenance by its number.")
        .ask("/api/maintenance", maintenance, "Maintenance that is going on.")
        .act("/api/register-candidate/:host/:port/:promotionRule", register_candidate,
             "Sets a promotion rule.")
        .act("/api/bulk-promotion-rules", promotion_rules, "All promotion rules.")
        .act("/api/set-cluster-alias/:clusterName", set_cluster_alias, "Names a cluster.")
        .act("/api/deregister-hostname-unresolve/:host/:port", set_unresolve,
             "Removes the unresolved name of an instance.")
        .act("/api/register-hostname-unresolve/:host/:port/:virtualname", set_unresolve,
             "Sets the unresolved name of an instance.")
        .read_if_permitted("/api/reload-cluster-alias", reload_alias, "Retired.");
    return table.take();
}

}  // namespace baton::http::v1
