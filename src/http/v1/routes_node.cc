#include <fmt/format.h>

#include "base/text.h"
#include "http/v1/answer.h"
#include "http/v1/routes.h"

namespace baton::http::v1 {

namespace {

Task<Result<Response>> health(const Context& context, const Request&) {
    const auto state = co_await context.on_control([](Control& c) { return c.health(); });
    const auto view = context.view();
    const auto details = json_of([&](JsonWriter& out) { write_health(out, *view, state); });
    if (!state) co_return failed("Application node is unhealthy " + state.error().text(), details);
    co_return ok("Application node is healthy", details);
}

/// This manager stands alone, so it leads: whoever reaches it has reached the leader.
Result<Response> leads(const View&, const Request&) {
    return bare(R"("OK")");
}

Result<Response> alive(const View&, const Request&) {
    return bare(R"("OK")");
}

/// The caller's own headers, without what proves who they are.
Result<Response> headers(const View&, const Request& request) {
    std::map<std::string, std::vector<std::string>> by_name;
    for (const auto& [name, value] : request.headers) {
        const bool secret =
            iequals(name, "Authorization") || iequals(name, "Cookie") || iequals(name, "Proxy-Authorization");
        by_name[name].push_back(secret ? "(not shown)" : value);
    }
    JsonWriter out;
    out.begin_object();
    for (const auto& [name, values] : by_name) {
        out.key(name).begin_array();
        for (const auto& value : values)
            out.value(value);
        out.end_array();
    }
    out.end_object();
    return bare(out.take());
}

Reader message(std::string text) {
    return [text = std::move(text)](const View&, const Request&) -> Result<Response> { return ok(text); };
}

/// `name` is what orchestrator calls itself in this answer.
Reader no_raft(std::string_view name) {
    return [text = fmt::format("{}: not running with raft setup", name)](
               const View&, const Request&) -> Result<Response> { return failed(text); };
}

Task<Result<Response>> reload(const Context& context, const Request& request) {
    const auto extra = text_query(request, "config");
    const auto changed = co_await context.command<Result<std::string>>(
        [&](Control& c) { return c.reload_configuration(extra); });
    if (!changed) co_return std::unexpected(changed.error());
    co_return ok(changed->empty() ? "Config reloaded" : "Config reloaded. " + *changed, text_json(extra));
}

Task<Result<Response>> resolve_cache(const Context& context, const Request&) {
    const auto cache = co_await context.on_control([](Control& c) { return c.resolve_cache(); });
    JsonWriter out;
    out.begin_object();
    for (const auto& [name, resolved] : cache)
        out.field(name, resolved);
    out.end_object();
    co_return ok("Cache retrieved", out.text());
}

Task<Result<Response>> reset_resolve_cache(const Context& context, const Request&) {
    co_await context.on_control([](Control& c) {
        c.reset_resolve_cache();
        return true;
    });
    co_return ok("Hostname cache cleared");
}

void add_raft(Table& table) {
    table.read_if_permitted("/api/raft-add-peer/:addr", no_raft("raft-add-peer"), "Needs Raft.")
        .read_if_permitted("/api/raft-remove-peer/:addr", no_raft("raft-remove-peer"), "Needs Raft.")
        .read_if_permitted("/api/raft-yield/:node", no_raft("raft-yield"), "Needs Raft.")
        .read_if_permitted("/api/raft-yield-hint/:hint", no_raft("raft-yield-hint"), "Needs Raft.")
        .read("/api/raft-peers", no_raft("raft-peers"), "Needs Raft.")
        .read("/api/raft-state /api/raft-health /api/raft-status", no_raft("raft-state"), "Needs Raft.")
        .read("/api/raft-leader", no_raft("raft-leader"), "Needs Raft.")
        .read("/api/raft-snapshot", no_raft("raft-snapshot"), "Needs Raft.")
        .read("/api/raft-follower-health-report/:authenticationToken/:raftBind/:raftAdvertise",
              no_raft("raft-follower-health-report"), "Needs Raft.");
}

}  // namespace

std::vector<Route> node_routes() {
    Table table;
    table.ask("/api/health /api/status", health, "Is this manager well?")
        .read("/api/lb-check /api/_ping", alive, "The process answers.")
        .read("/api/leader-check /api/leader-check/:errorStatusCode /api/routed-leader-check", leads,
              "Does this manager lead?")
        .read("/api/headers", headers, "The headers of the request.")
        .read_if_permitted("/api/grab-election", message("Node elected as leader"), "Takes leadership.")
        .read_if_permitted("/api/reelect", message("Set re-elections"),
                           "Gives leadership up; alone, this manager keeps it.")
        .act("/api/reload-configuration", reload, "Reads the configuration files again.")
        .ask("/api/hostname-resolve-cache", resolve_cache, "Names and what they resolved to.")
        .act("/api/reset-hostname-resolve-cache", reset_resolve_cache, "Forgets what names resolved to.");
    add_raft(table);
    return table.take();
}

}  // namespace baton::http::v1
