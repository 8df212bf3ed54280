// Planned switchovers: what would be done, doing it now or later, and not doing it after all.
#include "base/text.h"
#include "http/v1/json.h"
#include "http/v2.h"

namespace baton::http::v2 {

namespace {

using control::SwitchoverCommand;

bool is_set(const Request& request, const std::string& name) {
    const auto text = request.query_value(name);
    return text == "true" || text == "1";
}

/// Errors are ready answers.
std::expected<SwitchoverCommand, Response> command_of(const control::View& view, const Request& request) {
    const auto hint = request.param("name");
    const auto port = static_cast<uint16_t>(view.config->DefaultInstancePort);
    const auto cluster = view.topology->find_cluster(hint, port);
    if (!cluster) return std::unexpected(error(404, "NOT_FOUND", "Cluster not found: " + hint));
    SwitchoverCommand command{.cluster_hint = cluster->id, .skip_hooks = is_set(request, "skip-hooks")};
    const auto to = request.query_value("to");
    if (to.empty()) return command;
    const auto key = topology::parse_instance_key(to, port);
    if (!key) return std::unexpected(error(400, "INVALID_INSTANCE", key.error().text()));
    command.candidate = *key;
    return command;
}

void write_scheduled(JsonWriter& out, const control::ScheduledSwitchover& s) {
    out.begin_object().field("ClusterId", s.cluster_id).field("ClusterName", s.cluster_name);
    out.field("Candidate", s.candidate ? s.candidate->text() : "").field("At", iso_time(s.at));
    out.field("By", s.by).end_object();
}

Response scheduled_answer(const Result<control::ScheduledSwitchover>& scheduled) {
    if (!scheduled) return error(scheduled.error(), "SWITCHOVER_ERROR");
    JsonWriter out;
    write_scheduled(out, *scheduled);
    return ok(out.text());
}

/// An error whose parts are told one by one, too.
Response refused(const std::vector<std::string>& obstacles) {
    JsonWriter out;
    out.begin_object().field("status", "error").key("error").begin_object();
    out.field("code", "SWITCHOVER_NOT_POSSIBLE").field("message", join(obstacles, "; "));
    out.key("obstacles").begin_array();
    for (const auto& obstacle : obstacles)
        out.value(obstacle);
    out.end_array().end_object().end_object();
    Response response;
    response.status = 409;
    response.body = out.take();
    return response;
}

Task<Response> begin(const Context& context, SwitchoverCommand command, control::Caller caller) {
    const auto outcome = co_await context.command<Result<control::SwitchoverOutcome>>(
        [&](control::Control& c) { return c.switchover(command, caller); });
    if (!outcome) co_return error(outcome.error(), "SWITCHOVER_ERROR");
    if (!outcome->attempted) co_return refused(outcome->obstacles);
    if (!outcome->recovery.successor) {
        const auto& errors = outcome->recovery.errors;
        co_return error(
            500, "SWITCHOVER_FAILED",
            "no successor promoted: " + (errors.empty() ? outcome->recovery.uid : join(errors, "; ")));
    }
    const auto steps = co_await context.on_control(
        [uid = outcome->recovery.uid](control::Control& c) { return c.recovery_steps(uid); });
    JsonWriter out;
    write_recovery_detail(out, *context.view(), outcome->recovery, steps);
    co_return ok(out.text());
}

}  // namespace

Task<Response> switchover_plan(const Context& context, const Request& request) {
    const auto view = context.view();
    const auto command = command_of(*view, request);
    if (!command) co_return command.error();
    const auto plan = co_await context.command<Result<plan::Plan>>(
        [wanted = *command](control::Control& c) { return c.preview_switchover(wanted); });
    if (!plan) co_return error(plan.error(), "SWITCHOVER_ERROR");
    JsonWriter out;
    write_plan(out, *view, *plan);
    co_return ok(out.text());
}

Task<Response> switchover(const Context& context, const Request& request) {
    if (is_set(request, "dry-run")) co_return co_await switchover_plan(context, request);
    const auto command = command_of(*context.view(), request);
    if (!command) co_return command.error();
    const auto when = request.query_value("at");
    if (when.empty()) co_return co_await begin(context, *command, request.caller());
    co_return scheduled_answer(co_await context.command<Result<control::ScheduledSwitchover>>(
        [&](control::Control& c) { return c.schedule_switchover(*command, when, request.caller()); }));
}

Task<Response> cancel_switchover(const Context& context, const Request& request) {
    const auto command = command_of(*context.view(), request);
    if (!command) co_return command.error();
    co_return scheduled_answer(co_await context.command<Result<control::ScheduledSwitchover>>(
        [&](control::Control& c) { return c.cancel_switchover(command->cluster_hint, request.caller()); }));
}

Task<Response> scheduled_switchovers(const Context& context, const Request&) {
    const auto all =
        co_await context.on_control([](control::Control& c) { return c.scheduled_switchovers(); });
    JsonWriter out;
    out.begin_array();
    for (const auto& s : all)
        write_scheduled(out, s);
    out.end_array();
    co_return ok(out.text());
}

}  // namespace baton::http::v2
