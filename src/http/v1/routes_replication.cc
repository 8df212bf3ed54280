#include <fmt/format.h>

#include "base/text.h"
#include "http/v1/answer.h"
#include "http/v1/routes.h"

namespace baton::http::v1 {

namespace {

using control::Verb;

/// `message` has {} for the instance.
Actor apply(Verb verb, std::string message) {
    return [verb, message = std::move(message)](const Context& context,
                                                const Request& request) -> Task<Result<Response>> {
        const auto instance = known_instance(*context.view(), request);
        if (!instance) co_return std::unexpected(instance.error());
        const auto key = (*instance)->key;
        const auto after = co_await context.command<Result<InstancePtr>>(
            [&](Control& c) { return c.act(key, verb, request.caller()); });
        if (!after) co_return std::unexpected(after.error());
        co_return ok(fmt::format(fmt::runtime(message), key.text()), instance_json(*context.view(), **after));
    };
}

Task<Result<Response>> end_session(const Context& context, const Request& request) {
    const auto instance = known_instance(*context.view(), request);
    if (!instance) co_return std::unexpected(instance.error());
    const auto process = text_param(request, "process");
    const auto pid = parse_int(process);
    if (!pid || *pid <= 0 || *pid > std::numeric_limits<int>::max()) {
        co_return fail(
            ErrorKind::invalid_argument,
            fmt::format("Invalid process: {}; it is the pid of a session, as pg_stat_activity shows it",
                        process));
    }
    const auto key = (*instance)->key;
    const auto after = co_await context.command<Result<InstancePtr>>(
        [&](Control& c) { return c.end_session(key, static_cast<int>(*pid), request.caller()); });
    if (!after) co_return std::unexpected(after.error());
    co_return ok("Query killed on : " + key.text(), instance_json(*context.view(), **after));
}

}  // namespace

std::vector<Route> replication_routes() {
    Table table;
    table
        .act("/api/start-slave/:host/:port /api/start-replica/:host/:port",
             apply(Verb::resume_replication, "Replica started: {}"), "Resumes replay on a standby.")
        .act("/api/restart-slave/:host/:port /api/restart-replica/:host/:port",
             apply(Verb::restart_replication, "Replica restarted: {}"),
             "Makes a standby connect to its upstream anew.")
        .act("/api/stop-slave/:host/:port /api/stop-replica/:host/:port",
             apply(Verb::pause_replication, "Replica stopped: {}"), "Pauses replay on a standby.")
        .act("/api/set-read-only/:host/:port", apply(Verb::set_read_only, "Server set as read-only: {}"),
             "Lets new transactions only read.")
        .act("/api/set-writeable/:host/:port", apply(Verb::set_writeable, "Server set as writeable: {}"),
             "Lets new transactions write.")
        .act("/api/kill-query/:host/:port/:process", end_session, "Ends a session of a server.");
    return table.take();
}

}  // namespace baton::http::v1
