#include "http/v2.h"

#include "base/text.h"
#include "http/events.h"
#include "http/v1/json.h"

namespace baton::http {

namespace v2 {

Response ok(std::string_view data) {
    Response response;
    response.body.reserve(data.size() + 32);
    response.body = R"({"status":"ok")";
    if (!data.empty()) response.body.append(R"(,"data":)").append(data);
    response.body += '}';
    return response;
}

Response error(int status, std::string_view code, std::string_view message) {
    JsonWriter out;
    out.begin_object().field("status", "error").key("error").begin_object();
    out.field("code", code).field("message", message).end_object().end_object();
    Response response;
    response.status = status;
    response.body = out.take();
    return response;
}

Response error(const Error& e, std::string_view code) {
    switch (e.kind) {
        case ErrorKind::not_found:
            return error(404, "NOT_FOUND", e.text());
        case ErrorKind::invalid_argument:
            return error(400, "INVALID_ARGUMENT", e.text());
        case ErrorKind::conflict:
        case ErrorKind::refused_by_policy:
            return error(409, code, e.text());
        default:
            return error(500, code, e.text());
    }
}

Result<topology::InstanceKey> named_key(const Request& request) {
    const auto host = request.param("host"), port = request.param("port");
    const bool bracketed = host.starts_with('[') || host.find(':') == std::string::npos;
    return topology::parse_instance_key(bracketed ? host + ":" + port : "[" + host + "]:" + port, 0);
}

}  // namespace v2

namespace {

using control::RecoveryFilter;
using control::View;
using topology::ClusterPtr;
using topology::InstanceKey;

constexpr int last_page = 1'000'000;

template <class Write>
Response answer(Write write) {
    JsonWriter out;
    write(out);
    return v2::ok(out.text());
}

uint16_t default_port(const View& view) {
    return static_cast<uint16_t>(view.config->DefaultInstancePort);
}

Result<ClusterPtr> named_cluster(const View& view, const Request& request) {
    const auto hint = request.param("name");
    if (auto found = view.topology->find_cluster(hint, default_port(view))) return found;
    return fail(ErrorKind::not_found, "Cluster not found: " + hint);
}

/// "db2:5432" or "db2", from the query; absent is fine.
Result<std::optional<InstanceKey>> candidate_of(const View& view, const Request& request) {
    const auto text = request.query_value("candidate");
    if (text.empty()) return std::nullopt;
    auto key = topology::parse_instance_key(text, default_port(view));
    if (!key) return std::unexpected(key.error());
    return *key;
}

Task<Response> clusters(const Context& context, const Request&) {
    const auto view = context.view();
    co_return answer([&](JsonWriter& out) {
        out.begin_array();
        for (const auto& [id, cluster] : view->topology->clusters)
            v1::write_cluster_info(out, *view, *cluster);
        out.end_array();
    });
}

Task<Response> cluster(const Context& context, const Request& request) {
    const auto view = context.view();
    const auto found = named_cluster(*view, request);
    if (!found) co_return v2::error(found.error(), "CLUSTER_INFO_ERROR");
    co_return answer([&](JsonWriter& out) { v2::write_cluster_detail(out, *view, **found); });
}

Task<Response> cluster_instances(const Context& context, const Request& request) {
    const auto view = context.view();
    const auto found = named_cluster(*view, request);
    if (!found) co_return v2::error(found.error(), "CLUSTER_INSTANCES_ERROR");
    co_return answer([&](JsonWriter& out) { v1::write_instances(out, *view, (*found)->instances); });
}

Task<Response> cluster_topology(const Context& context, const Request& request) {
    const auto view = context.view();
    const auto found = named_cluster(*view, request);
    if (!found) co_return v2::error(found.error(), "TOPOLOGY_ERROR");
    co_return answer([&](JsonWriter& out) {
        out.begin_object().field("clusterName", (*found)->name);
        out.field("topology", v1::ascii_topology(**found, *view, v1::TopologyStyle::plain)).end_object();
    });
}

Task<Response> cluster_plan(const Context& context, const Request& request) {
    const auto view = context.view();
    const auto found = named_cluster(*view, request);
    if (!found) co_return v2::error(found.error(), "PLAN_ERROR");
    const auto candidate = candidate_of(*view, request);
    if (!candidate) co_return v2::error(400, "INVALID_INSTANCE", candidate.error().text());
    const auto plan =
        co_await context.on_control([name = (*found)->name, wanted = *candidate](control::Control& c) {
            return c.preview(name, wanted);
        });
    if (!plan) co_return v2::error(plan.error(), "PLAN_ERROR");
    co_return answer([&](JsonWriter& out) { v2::write_plan(out, *view, *plan); });
}

/// Of one cluster, or of all when `cluster_id` is empty.
Response problems_of(const View& view, const std::string& cluster_id) {
    return answer([&](JsonWriter& out) {
        out.begin_array();
        for (const auto& problem : *view.problems) {
            if (cluster_id.empty() || problem.cluster_id == cluster_id) v2::write_problem(out, view, problem);
        }
        out.end_array();
    });
}

Task<Response> problems(const Context& context, const Request&) {
    co_return problems_of(*context.view(), "");
}

Task<Response> cluster_problems(const Context& context, const Request& request) {
    const auto view = context.view();
    const auto found = named_cluster(*view, request);
    if (!found) co_return v2::error(found.error(), "PROBLEMS_ERROR");
    co_return problems_of(*view, (*found)->id);
}

/// The instance of ":host" and ":port", or the error to answer with.
std::expected<topology::InstancePtr, Response> named_instance(const View& view, const Request& request) {
    const auto key = v2::named_key(request);
    if (!key) return std::unexpected(v2::error(400, "INVALID_INSTANCE", key.error().text()));
    if (auto found = view.topology->find_instance(*key)) return found;
    return std::unexpected(v2::error(404, "NOT_FOUND", "Instance not found: " + key->text()));
}

Task<Response> instance(const Context& context, const Request& request) {
    const auto view = context.view();
    const auto found = named_instance(*view, request);
    if (!found) co_return found.error();
    co_return answer([&](JsonWriter& out) { v1::write_instance(out, *view, **found); });
}

/// Replication channels are a thing of multi-source MySQL: a PostgreSQL server has none, and the API then has
/// no data.
Task<Response> instance_channels(const Context& context, const Request& request) {
    const auto view = context.view();
    const auto found = named_instance(*view, request);
    co_return found ? v2::ok("") : found.error();
}

Task<Response> list_recoveries(const Context& context, RecoveryFilter filter) {
    const auto view = context.view();
    const auto found =
        co_await context.on_control([&filter](control::Control& c) { return c.recoveries(filter); });
    co_return answer([&](JsonWriter& out) { v1::write_recoveries(out, *view, found); });
}

Task<Response> recoveries(const Context& context, const Request& request) {
    RecoveryFilter filter;
    if (const auto hint = request.query_value("cluster"); !hint.empty()) filter.cluster_hint = hint;
    if (const auto alias = request.query_value("alias"); !alias.empty()) filter.alias = alias;
    if (const auto text = request.query_value("page"); !text.empty()) {
        const auto page = parse_int(text);
        if (!page || *page < 0 || *page > last_page) {
            co_return v2::error(400, "INVALID_ARGUMENT",
                                "page must be a number from 0 to 1000000, not " + text);
        }
        filter.page = static_cast<int>(*page);
    }
    co_return co_await list_recoveries(context, std::move(filter));
}

Task<Response> active_recoveries(const Context& context, const Request&) {
    RecoveryFilter filter;
    filter.active = true;
    filter.page = -1;
    co_return co_await list_recoveries(context, std::move(filter));
}

Task<Response> recovery(const Context& context, const Request& request) {
    const auto view = context.view();
    const auto uid = request.param("uid");
    RecoveryFilter filter;
    filter.uid = uid;
    filter.page = -1;
    const auto [found, steps] = co_await context.on_control(
        [&](control::Control& c) { return std::pair{c.recoveries(filter), c.recovery_steps(uid)}; });
    if (found.empty()) co_return v2::error(404, "NOT_FOUND", "Recovery not found: " + uid);
    co_return answer([&](JsonWriter& out) { v2::write_recovery_detail(out, *view, found.front(), steps); });
}

Task<Response> status(const Context& context, const Request&) {
    const auto health = co_await context.on_control([](control::Control& c) { return c.health(); });
    if (!health) co_return v2::error(500, "UNHEALTHY", health.error().text());
    const auto view = context.view();
    co_return answer([&](JsonWriter& out) { v1::write_health(out, *view, health); });
}

Task<Response> proxysql_servers(const Context&, const Request&) {
    co_return v2::error(503, "PROXYSQL_NOT_CONFIGURED", "ProxySQL is not configured (ProxySQLAdminAddress)");
}

Task<Response> configuration(const Context& context, const Request& request) {
    const auto view = context.view();
    const auto changed_only = request.query_value("changed");
    co_return v2::ok(config::show(*view->config, changed_only == "true" || changed_only == "1"));
}

Task<Response> version(const Context& context, const Request&) {
    const auto view = context.view();
    co_return answer([&](JsonWriter& out) {
        out.begin_object().field("Name", "baton").field("Version", BATON_VERSION);
        out.field("Node", view->node_hostname).field("Started", iso_time(view->started)).end_object();
    });
}

}  // namespace

std::vector<Route> v2_routes() {
    return {
        {"GET", "/api/v2/clusters", false, clusters, "All clusters."},
        {"GET", "/api/v2/clusters/:name", false, cluster,
         "One cluster by name, former name, alias, id or member: with timeline, positions and lag of each "
         "instance."},
        {"GET", "/api/v2/clusters/:name/instances", false, cluster_instances, "The instances of a cluster."},
        {"GET", "/api/v2/clusters/:name/topology", false, cluster_topology, "The tree of a cluster as text."},
        {"GET", "/api/v2/clusters/:name/plan", false, cluster_plan,
         "What a failover would do now, and why (?candidate=host:port); changes nothing."},
        {"GET", "/api/v2/clusters/:name/problems", false, cluster_problems, "What is wrong with a cluster."},
        {"GET", "/api/v2/clusters/:name/switchover", true, v2::switchover,
         "Planned switchover without loss, with the agents' hands (?to=host:port; ?at=TIME or +30m: later; "
         "?dry-run=true: only the plan). Returns when it is over."},
        {"GET", "/api/v2/clusters/:name/switchover/plan", false, v2::switchover_plan,
         "Its steps, and all that hinders it now (?to=host:port); changes nothing."},
        {"GET", "/api/v2/clusters/:name/switchover/cancel", true, v2::cancel_switchover,
         "Calls off the one that is to begin later."},
        {"GET", "/api/v2/switchovers", false, v2::scheduled_switchovers, "Those that are to begin later."},
        {"GET", "/api/v2/problems", false, problems, "What is wrong anywhere."},
        {"GET", "/api/v2/instances/:host/:port", false, instance, "One instance."},
        {"GET", "/api/v2/instances/:host/:port/channels", false, instance_channels,
         "Replication channels of an instance; PostgreSQL has none."},
        {"GET", "/api/v2/agents", false, v2::agents,
         "The servers that host agents guard: agent, state, hold, lease, disks and job of each."},
        {"GET", "/api/v2/agents/:host/:port", false, v2::agent, "One guarded server."},
        {"GET", "/api/v2/rejoins", false, v2::rejoins,
         "Servers that are brought back, wait for that, or came back lately."},
        {"GET", "/api/v2/instances/:host/:port/rejoin", true, v2::rejoin,
         "Brings a server back below the primary with the hands of its agent: started, rewound or made anew "
         "(?force=true: transactions that only it has may be lost). Returns when it has begun."},
        {"GET", "/api/v2/instances/:host/:port/rejoin/plan", false, v2::rejoin_plan,
         "What that would do, and why; changes nothing."},
        {"GET", "/api/v2/instances/:host/:port/rejoin/status", false, v2::rejoin_status,
         "How it goes on: step, bytes, rate."},
        {"GET", "/api/v2/instances/:host/:port/rejoin/cancel", true, v2::cancel_rejoin,
         "Ends it; what can be undone is undone."},
        {"GET", "/api/v2/instances/:host/:port/reinit", true, v2::reinit,
         "Makes a server anew from the primary (?from=host:port: from that one), whatever state it is in."},
        {"GET", "/api/v2/instances/:host/:port/clone", true, v2::clone,
         "Makes a server, which may be a new one, from another (?from=host:port)."},
        {"GET", "/api/v2/recoveries", false, recoveries,
         "Recoveries, newest first, 20 a page (?cluster= ?alias= ?page=)."},
        {"GET", "/api/v2/recoveries/active", false, active_recoveries, "Recoveries under way."},
        {"GET", "/api/v2/recoveries/:uid", false, recovery,
         "One recovery with its steps and their milliseconds."},
        {"GET", "/api/v2/status", false, status, "Health of this manager."},
        {"GET", "/api/v2/proxysql/servers", false, proxysql_servers, "Servers that ProxySQL knows."},
        {"GET", "/api/v2/config", false, configuration,
         "The configuration in force, secrets masked (?changed=true)."},
        {"GET", "/api/v2/events", false, events_response, "Live events (Server-Sent Events)."},
        {"GET", "/api/v2/version", false, version, "Version and start time of this manager."},
    };
}

}  // namespace baton::http
