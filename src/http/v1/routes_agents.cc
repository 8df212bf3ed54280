#include "http/v1/answer.h"
#include "http/v1/routes.h"

namespace baton::http::v1 {

namespace {

/// What orchestrator says without ServeAgentsHttp: this version has no agents to serve.
Result<Response> agents_not_served(const View&, const Request&) {
    return failed("Agents not served");
}

Result<Response> no_proxysql(const View& view, const Request&) {
    if (view.config->ProxySQLAdminAddress.empty()) {
        return failed("ProxySQL is not configured: ProxySQLAdminAddress is empty");
    }
    return failed(
        "ProxySQL routes MySQL sessions; this version of Baton works with PostgreSQL and does not ask it");
}

}  // namespace

std::vector<Route> agent_routes() {
    Table table;
    table
        .read_if_permitted(
            "/api/agents /api/agent/:host /api/agent-umount/:host /api/agent-mount/:host "
            "/api/agent-create-snapshot/:host "
            "/api/agent-removelv/:host /api/agent-mysql-stop/:host /api/agent-mysql-start/:host "
            "/api/agent-seed/:targetHost/:sourceHost /api/agent-active-seeds/:host "
            "/api/agent-recent-seeds/:host "
            "/api/agent-seed-details/:seedId /api/agent-seed-states/:seedId /api/agent-abort-seed/:seedId "
            "/api/agent-custom-command/:host/:command /api/seeds",
            agents_not_served, "orchestrator-agent is not served.")
        .read(
            "/api/submit-agent/:host/:port/:token /api/host-attribute/:host/:attrVame/:attrValue "
            "/api/host-attribute/attr/:attr /api/agents-hosts /api/agents-instances /api/agent-ping",
            agents_not_served, "orchestrator-agent is not served.");
    return table.take();
}

std::vector<Route> proxysql_routes() {
    Table table;
    table.read("/api/proxysql/servers /api/proxysql/servers/:hostgroup", no_proxysql, "Servers of ProxySQL.");
    return table.take();
}

}  // namespace baton::http::v1
