#include "base/text.h"
#include "http/v1/answer.h"
#include "http/v1/routes.h"

namespace baton::http::v1 {

namespace {

using baton::agent::Seen;

/// One agent's servers; nothing where agents are not served, as orchestrator says it.
Result<std::map<std::string, std::vector<const Seen*>>> served(const View& view) {
    if (!view.config->ServeAgentsHttp) return fail(ErrorKind::unsupported, "Agents not served");
    std::map<std::string, std::vector<const Seen*>> hosts;
    for (const auto& seen : *view.agents)
        hosts[seen.host].push_back(&seen);
    return hosts;
}

/// What only agents with volumes and seeds could do.
Result<Response> not_of_this_agent(const View& view, const Request&) {
    if (!view.config->ServeAgentsHttp) return failed("Agents not served");
    return failed(
        "Baton's host agents have neither volumes nor seeds and take no commands here; look at baton help "
        "for stop, start, clone and rejoin");
}

int64_t used_bytes(const Seen& seen) {
    const auto& disk = seen.status.data_disk;
    return disk ? disk->total_bytes - disk->free_bytes : 0;
}

void write_mount(JsonWriter& out, const Seen& seen) {
    const auto& disk = seen.status.data_disk;
    out.begin_object()
        .field("Path", disk ? disk->path : std::string())
        .field("Device", "")
        .field("LVPath", "");
    out.field("FileSystem", "").field("IsMounted", disk.has_value()).field("DiskUsage", used_bytes(seen));
    out.field("MySQLDataPath", seen.status.data_directory).field("MySQLDiskUsage", 0).end_object();
}

/// The shape of orchestrator's Agent; of several servers of one host, the first. The token stays a secret.
void write_agent(JsonWriter& out, const View& view, const Seen& seen) {
    const auto& s = seen.status;
    const auto heard = view.wall - std::chrono::duration_cast<WallTime::duration>(view.now - seen.heard);
    out.begin_object().field("Hostname", seen.host).field("Port", 0).field("Token", "");
    out.field("LastSubmitted", plain_time(heard));
    for (const auto* none : {"AvailableLocalSnapshots", "AvailableSnapshots", "LogicalVolumes"})
        out.key(none).begin_array().end_array();
    out.key("MountPoint");
    write_mount(out, seen);
    out.field("MySQLRunning", s.state == topology::ServerState::running);
    out.field("MySQLDiskUsage", used_bytes(seen)).field("MySQLPort", s.key.port);
    out.field("MySQLDatadirDiskFree", s.data_disk ? s.data_disk->free_bytes : 0);
    out.key("MySQLErrorLogTail").begin_array();
    if (!s.last_failure.empty()) out.value(s.last_failure);
    out.end_array().end_object();
}

Result<Response> agents(const View& view, const Request&) {
    const auto hosts = served(view);
    if (!hosts) return failed(hosts.error().message);
    return bare(array_json(
        *hosts, [&](JsonWriter& out, const auto& h) { write_agent(out, view, *h.second.front()); }));
}

Result<Response> agent(const View& view, const Request& request) {
    const auto hosts = served(view);
    if (!hosts) return failed(hosts.error().message);
    const auto host = text_param(request, "host");
    const auto at = hosts->find(host);
    if (at == hosts->end()) return failed("No such agent: " + host);
    return bare(json_of([&](JsonWriter& out) { write_agent(out, view, *at->second.front()); }));
}

/// Names as a JSON list, or a line each with ?format=txt.
Response names(const Request& request, const std::vector<std::string>& names) {
    if (request.query_value("format") != "txt")
        return bare(array_json(names, [](JsonWriter& out, const auto& name) { out.value(name); }));
    Response response;
    response.content_type = "text/plain; charset=utf-8";
    response.body = join(names, "\n");
    return response;
}

Result<Response> agent_hosts(const View& view, const Request& request) {
    const auto hosts = served(view);
    if (!hosts) return failed(hosts.error().message);
    std::vector<std::string> found;
    for (const auto& [host, servers] : *hosts)
        found.push_back(host);
    return names(request, found);
}

Result<Response> agent_instances(const View& view, const Request& request) {
    const auto hosts = served(view);
    if (!hosts) return failed(hosts.error().message);
    std::vector<std::string> found;
    for (const auto& [host, servers] : *hosts) {
        for (const auto* seen : servers)
            found.push_back(seen->status.key.text());
    }
    return names(request, found);
}

Result<Response> agent_ping(const View& view, const Request&) {
    if (!view.config->ServeAgentsHttp) return failed("Agents not served");
    return bare(text_json("OK"));
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
    table.read_if_permitted("/api/agents", agents, "Hosts with an agent.")
        .read_if_permitted("/api/agent/:host", agent, "One host with an agent.")
        .read_if_permitted(
            "/api/agent-umount/:host /api/agent-mount/:host "
            "/api/agent-create-snapshot/:host "
            "/api/agent-removelv/:host /api/agent-mysql-stop/:host /api/agent-mysql-start/:host "
            "/api/agent-seed/:targetHost/:sourceHost /api/agent-active-seeds/:host "
            "/api/agent-recent-seeds/:host "
            "/api/agent-seed-details/:seedId /api/agent-seed-states/:seedId /api/agent-abort-seed/:seedId "
            "/api/agent-custom-command/:host/:command /api/seeds",
            not_of_this_agent, "orchestrator-agent is not served.")
        .read("/api/agents-hosts", agent_hosts, "Names of hosts with an agent (?format=txt).")
        .read("/api/agents-instances", agent_instances, "Guarded servers (?format=txt).")
        .read("/api/agent-ping", agent_ping, "OK where agents are served.")
        .read(
            "/api/submit-agent/:host/:port/:token /api/host-attribute/:host/:attrVame/:attrValue "
            "/api/host-attribute/attr/:attr",
            not_of_this_agent, "orchestrator-agent is not served.");
    return table.take();
}

std::vector<Route> proxysql_routes() {
    Table table;
    table.read("/api/proxysql/servers /api/proxysql/servers/:hostgroup", no_proxysql, "Servers of ProxySQL.");
    return table.take();
}

}  // namespace baton::http::v1
