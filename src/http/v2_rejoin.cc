// Servers that come back: what would be done, what is done, and the commands.
#include "http/v1/json.h"
#include "http/v2.h"

namespace baton::http::v2 {

namespace {

using control::RejoinCommand;
using recovery::RejoinPhase;
using recovery::RejoinState;
using topology::InstanceKey;

void write_optional(JsonWriter& out, std::string_view name, std::optional<int64_t> value) {
    out.key(name);
    if (value) {
        out.value(*value);
    } else {
        out.null();
    }
}

/// Bytes, rate, and how long it takes yet.
void write_job(JsonWriter& out, const topology::Job& job) {
    out.begin_object().field("Verb", job.verb).field("Phase", job.phase);
    out.field("DoneBytes", job.done_bytes).field("TotalBytes", job.total_bytes);
    out.field("BytesPerSecond", job.bytes_per_second).field("RunningSeconds", to_ms(job.running) / 1000);
    const bool known = job.bytes_per_second > 0 && job.total_bytes >= job.done_bytes && job.total_bytes > 0;
    write_optional(
        out, "EtaSeconds",
        known ? std::optional((job.total_bytes - job.done_bytes) / job.bytes_per_second) : std::nullopt);
    out.end_object();
}

void write_plan_fields(JsonWriter& out, const plan::Rejoin& plan) {
    out.field("Way", plan::to_string(plan.way)).field("Why", plan.why);
    out.field("Upstream", plan.upstream.valid() ? plan.upstream.text() : "").field("Slot", plan.slot);
    out.field("Timeline", static_cast<int64_t>(plan.timeline));
    out.field("Fork", plan.fork ? plan.fork.text() : "");
    write_optional(out, "BytesPastFork",
                   plan.bytes_past ? std::optional(static_cast<int64_t>(*plan.bytes_past)) : std::nullopt);
    write_optional(out, "CommitsPastFork", plan.commits_past);
    out.field("Allow", plan.allow);
}

Response answer(const std::function<void(JsonWriter&)>& write) {
    JsonWriter out;
    write(out);
    return ok(out.text());
}

bool is_set(const Request& request, const std::string& name) {
    const auto text = request.query_value(name);
    return text == "true" || text == "1";
}

/// Errors are ready answers.
std::expected<RejoinCommand, Response> command_of(const Context& context, const Request& request) {
    const auto key = named_key(request);
    if (!key) return std::unexpected(error(400, "INVALID_INSTANCE", key.error().text()));
    RejoinCommand command{.key = *key, .force = is_set(request, "force")};
    if (const auto from = request.query_value("from"); !from.empty()) {
        const auto port = static_cast<uint16_t>(context.view()->config->DefaultInstancePort);
        const auto parsed = topology::parse_instance_key(from, port);
        if (!parsed) return std::unexpected(error(400, "INVALID_INSTANCE", parsed.error().text()));
        command.from = *parsed;
    }
    return command;
}

Task<Response> begin(const Context& context, const Request& request, RejoinCommand command) {
    const auto begun = co_await context.command<Result<RejoinState>>(
        [command, caller = request.caller()](control::Control& c) { return c.rejoin(command, caller); });
    if (!begun) co_return error(begun.error(), "REJOIN_ERROR");
    co_return answer([&](JsonWriter& out) { write_rejoin(out, *begun); });
}

}  // namespace

void write_rejoin(JsonWriter& out, const RejoinState& s) {
    out.begin_object().key("Key");
    v1::write_key(out, s.instance);
    out.field("ClusterName", s.cluster_name).field("State", recovery::to_string(s.phase));
    out.field("Doing", s.doing).field("Result", s.result).field("Detail", s.detail).field("Lost", s.lost);
    out.field("Tries", s.tries).field("By", s.by);
    out.field("Began", s.began == WallTime{} ? "" : iso_time(s.began));
    out.field("Ended", s.ended == WallTime{} ? "" : iso_time(s.ended));
    write_plan_fields(out, s.plan);
    out.key("Job");
    if (s.job && s.phase == RejoinPhase::running) {
        write_job(out, *s.job);
    } else {
        out.null();
    }
    out.end_object();
}

Task<Response> rejoin(const Context& context, const Request& request) {
    auto command = command_of(context, request);
    if (!command) co_return command.error();
    command->from.reset();
    co_return co_await begin(context, request, *command);
}

Task<Response> reinit(const Context& context, const Request& request) {
    auto command = command_of(context, request);
    if (!command) co_return command.error();
    command->anew = true;
    co_return co_await begin(context, request, *command);
}

Task<Response> clone(const Context& context, const Request& request) {
    auto command = command_of(context, request);
    if (!command) co_return command.error();
    if (!command->from) co_return error(400, "INVALID_ARGUMENT", "from=HOST:PORT must be given");
    command->anew = true;
    co_return co_await begin(context, request, *command);
}

Task<Response> rejoin_plan(const Context& context, const Request& request) {
    const auto command = command_of(context, request);
    if (!command) co_return command.error();
    const auto plan = co_await context.on_control(
        [command = *command](control::Control& c) { return c.preview_rejoin(command); });
    if (!plan) co_return error(plan.error(), "REJOIN_ERROR");
    co_return answer([&](JsonWriter& out) {
        out.begin_object().key("Key");
        v1::write_key(out, command->key);
        write_plan_fields(out, *plan);
        out.end_object();
    });
}

Task<Response> rejoin_status(const Context& context, const Request& request) {
    const auto key = named_key(request);
    if (!key) co_return error(400, "INVALID_INSTANCE", key.error().text());
    const auto known = context.view()->topology->find_instance(*key);
    const auto wanted = known ? known->key : *key;
    const auto all = co_await context.on_control([](control::Control& c) { return c.rejoins(); });
    const auto at = std::ranges::find(all, wanted, &RejoinState::instance);
    if (at == all.end())
        co_return error(404, "NOT_FOUND", "nothing was done to bring " + key->text() + " back");
    co_return answer([&](JsonWriter& out) { write_rejoin(out, *at); });
}

Task<Response> cancel_rejoin(const Context& context, const Request& request) {
    const auto key = named_key(request);
    if (!key) co_return error(400, "INVALID_INSTANCE", key.error().text());
    const auto done =
        co_await context.on_control([key = *key, caller = request.caller()](control::Control& c) {
            return c.cancel_rejoin(key, caller);
        });
    if (!done) co_return error(done.error(), "REJOIN_ERROR");
    co_return ok("");
}

Task<Response> rejoins(const Context& context, const Request&) {
    const auto all = co_await context.on_control([](control::Control& c) { return c.rejoins(); });
    co_return answer([&](JsonWriter& out) {
        out.begin_array();
        for (const auto& s : all)
            write_rejoin(out, s);
        out.end_array();
    });
}

}  // namespace baton::http::v2
