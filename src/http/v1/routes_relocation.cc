#include <fmt/format.h>

#include "http/v1/answer.h"
#include "http/v1/routes.h"

namespace baton::http::v1 {

namespace {

using control::Caller;
using MovedResult = Result<Control::Moved>;

/// The destination of a move, under the name by which it is known.
Result<InstanceKey> destination(const View& view, const Request& request, const std::string& host,
                                const std::string& port) {
    const auto instance = known_instance(view, request, host, port);
    if (!instance) return std::unexpected(instance.error());
    return (*instance)->key;
}

using MoveOne = std::function<Task<Result<InstancePtr>>(Control&, InstanceKey, Caller)>;
using MoveBelow = std::function<Task<Result<InstancePtr>>(Control&, InstanceKey, InstanceKey, Caller)>;

/// `message` has one {} for the instance.
Actor move_one(MoveOne move, std::string message) {
    return [move = std::move(move), message = std::move(message)](
               const Context& context, const Request& request) -> Task<Result<Response>> {
        const auto instance = known_instance(*context.view(), request);
        if (!instance) co_return std::unexpected(instance.error());
        const auto key = (*instance)->key;
        const auto moved = co_await context.command<Result<InstancePtr>>(
            [&](Control& c) { return move(c, key, request.caller()); });
        if (!moved) co_return std::unexpected(moved.error());
        co_return ok(fmt::format(fmt::runtime(message), key.text()), instance_json(*context.view(), **moved));
    };
}

/// `message` has two: the instance, and what it is below now.
Actor move_below(MoveBelow move, std::string message, std::string host = "belowHost",
                 std::string port = "belowPort") {
    return
        [move = std::move(move), message = std::move(message), host = std::move(host),
         port = std::move(port)](const Context& context, const Request& request) -> Task<Result<Response>> {
            const auto view = context.view();
            const auto instance = known_instance(*view, request);
            if (!instance) co_return std::unexpected(instance.error());
            const auto below = destination(*view, request, host, port);
            if (!below) co_return std::unexpected(below.error());
            const auto key = (*instance)->key;
            const auto moved = co_await context.command<Result<InstancePtr>>(
                [&](Control& c) { return move(c, key, *below, request.caller()); });
            if (!moved) co_return std::unexpected(moved.error());
            co_return ok(fmt::format(fmt::runtime(message), key.text(), below->text()),
                         instance_json(*context.view(), **moved));
        };
}

/// orchestrator counts the errors in its message; here they are told as well.
std::string errors_text(const std::vector<std::string>& errors) {
    auto text = fmt::format("{} errors", errors.size());
    for (size_t i = 0; i < errors.size(); ++i)
        text += (i == 0 ? ": " : "; ") + errors[i];
    return text;
}

/// Nothing moved and something failed: an error.
Response moved_answer(const View& view, const Control::Moved& moved, const std::string& message) {
    const auto details = instances_json(view, moved.moved);
    const auto text = fmt::format("{}; {}", message, errors_text(moved.errors));
    return moved.moved.empty() && !moved.errors.empty() ? failed(text, details) : ok(text, details);
}

Task<Result<Response>> relocate_replicas(const Context& context, const Request& request) {
    const auto view = context.view();
    const auto instance = known_instance(*view, request);
    if (!instance) co_return std::unexpected(instance.error());
    const auto below = destination(*view, request, "belowHost", "belowPort");
    if (!below) co_return std::unexpected(below.error());
    const auto key = (*instance)->key;
    const auto moved = co_await context.command<MovedResult>([&](Control& c) {
        return c.relocate_replicas(key, *below, text_query(request, "pattern"), request.caller());
    });
    if (!moved) co_return std::unexpected(moved.error());
    co_return moved_answer(
        *context.view(), *moved,
        fmt::format("Relocated {} replicas of {} below {}", moved->moved.size(), key.text(), below->text()));
}

using MoveReplicas = Task<MovedResult> (Control::*)(InstanceKey, std::string, Caller);

/// `message` has {} for the count and {} for the instance.
Actor move_replicas(MoveReplicas move, std::string message) {
    return [move, message = std::move(message)](const Context& context,
                                                const Request& request) -> Task<Result<Response>> {
        const auto instance = known_instance(*context.view(), request);
        if (!instance) co_return std::unexpected(instance.error());
        const auto key = (*instance)->key;
        const auto moved = co_await context.command<MovedResult>(
            [&](Control& c) { return (c.*move)(key, text_query(request, "pattern"), request.caller()); });
        if (!moved) co_return std::unexpected(moved.error());
        co_return moved_answer(*context.view(), *moved,
                               fmt::format(fmt::runtime(message), moved->moved.size(), key.text()));
    };
}

Task<Result<Response>> regroup(const Context& context, const Request& request) {
    const auto instance = known_instance(*context.view(), request);
    if (!instance) co_return std::unexpected(instance.error());
    const auto key = (*instance)->key;
    const auto moved = co_await context.command<MovedResult>(
        [&](Control& c) { return c.regroup_replicas(key, request.caller()); });
    if (!moved) co_return std::unexpected(moved.error());
    if (!moved->promoted) {
        co_return failed(fmt::format("No replica of {} could take over its siblings; {}", key.text(),
                                     errors_text(moved->errors)));
    }
    co_return ok(fmt::format("promoted replica: {}, moved: {}, lost: {}", moved->promoted->text(),
                             moved->moved.size(), moved->errors.size()),
                 key_json(*moved->promoted));
}

Task<Result<Response>> can_replicate_from(const Context& context, const Request& request) {
    const auto view = context.view();
    const auto instance = known_instance(*view, request);
    if (!instance) co_return std::unexpected(instance.error());
    const auto below = destination(*view, request, "belowHost", "belowPort");
    if (!below) co_return std::unexpected(below.error());
    const auto allowed = co_await context.on_control(
        [&](Control& c) { return c.can_replicate_from((*instance)->key, *below); });
    if (!allowed) co_return std::unexpected(allowed.error());
    co_return ok("true", key_json(*below));
}

Actor relocate() {
    return move_below([](Control& c, InstanceKey key, InstanceKey below,
                         Caller by) { return c.relocate(std::move(key), std::move(below), std::move(by)); },
                      "Instance {} relocated below {}");
}

Actor repoint() {
    return move_below([](Control& c, InstanceKey key, InstanceKey below,
                         Caller by) { return c.repoint(std::move(key), std::move(below), std::move(by)); },
                      "Instance {} repointed below {}");
}

Actor move_below_sibling() {
    return move_below([](Control& c, InstanceKey key, InstanceKey below,
                         Caller by) { return c.move_below(std::move(key), std::move(below), std::move(by)); },
                      "Instance {} moved below {}", "siblingHost", "siblingPort");
}

Actor move_up() {
    return move_one(
        [](Control& c, InstanceKey key, Caller by) { return c.move_up(std::move(key), std::move(by)); },
        "Instance {} moved up");
}

Actor take_siblings() {
    return move_one(
        [](Control& c, InstanceKey key, Caller by) { return c.take_siblings(std::move(key), std::move(by)); },
        "Took siblings of {}");
}

}  // namespace

std::vector<Route> relocation_routes() {
    Table table;
    table
        .act(
            "/api/relocate/:host/:port/:belowHost/:belowPort "
            "/api/relocate-below/:host/:port/:belowHost/:belowPort",
            relocate(), "Moves a replica under another server.")
        .act(
            "/api/relocate-slaves/:host/:port/:belowHost/:belowPort "
            "/api/relocate-replicas/:host/:port/:belowHost/:belowPort",
            relocate_replicas,
            "Moves all replicas of a server (or those that match ?pattern=) under another.")
        .act("/api/regroup-slaves/:host/:port /api/regroup-replicas/:host/:port", regroup,
             "Picks one replica of a server and puts its siblings under it.")
        .act("/api/move-up/:host/:port", move_up(), "Moves a replica one level up.")
        .act("/api/move-up-slaves/:host/:port /api/move-up-replicas/:host/:port",
             move_replicas(&Control::move_up_replicas, "Moved up {} replicas of {}"),
             "Moves all replicas of a server (or those that match ?pattern=) one level up.")
        .act("/api/move-below/:host/:port/:siblingHost/:siblingPort", move_below_sibling(),
             "Moves a replica under its sibling.")
        .act("/api/repoint/:host/:port/:belowHost/:belowPort", repoint(),
             "Points a replica at another upstream.")
        .act("/api/repoint-slaves/:host/:port /api/repoint-replicas/:host/:port",
             move_replicas(&Control::repoint_replicas, "Repointed {} replicas of {}"),
             "Points all replicas of a server at it again.")
        .act("/api/enslave-siblings/:host/:port /api/take-siblings/:host/:port", take_siblings(),
             "Puts all siblings of a replica under it.")
        .ask("/api/can-replicate-from/:host/:port/:belowHost/:belowPort", can_replicate_from,
             "Could a server replicate from another? The error says why not.");
    return table.take();
}

}  // namespace baton::http::v1
