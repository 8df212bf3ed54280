#include <fmt/format.h>

#include "base/text.h"
#include "http/v1/answer.h"
#include "http/v1/routes.h"

namespace baton::http::v1 {

namespace {

using control::RecoveryFilter;
using MakeFilter = std::function<Result<RecoveryFilter>(const View&, const Request&)>;

constexpr int all_pages = -1;
constexpr std::chrono::minutes recently{5};

// ---- which recoveries a path means ------------------------------------------------------------------------
/// Whatever the path names: :id, :uid, :clusterName, :clusterAlias, :page; and ?unacknowledged=true.
Result<RecoveryFilter> filter_of_path(const View&, const Request& request) {
    RecoveryFilter filter{.page = page_of(request)};
    if (request.params.contains("id")) {
        filter.id = parse_int(text_param(request, "id"));
        if (!filter.id) {
            return fail(ErrorKind::invalid_argument,
                        fmt::format("Invalid id: {}; it is a number", text_param(request, "id")));
        }
    }
    if (request.params.contains("uid")) filter.uid = text_param(request, "uid");
    if (request.params.contains("clusterName")) filter.cluster_hint = text_param(request, "clusterName");
    if (request.params.contains("clusterAlias")) filter.alias = text_param(request, "clusterAlias");
    filter.unacknowledged = text_query(request, "unacknowledged") == "true";
    return filter;
}

Result<RecoveryFilter> active_in_cluster(const View&, const Request& request) {
    return RecoveryFilter{
        .cluster_hint = text_param(request, "clusterName"), .active = true, .page = all_pages};
}

Result<RecoveryFilter> recent_in_cluster(const View&, const Request& request) {
    return RecoveryFilter{
        .cluster_hint = text_param(request, "clusterName"), .ended_within = recently, .page = all_pages};
}

Result<RecoveryFilter> recent_of_successor(const View& view, const Request& request) {
    const auto key = canonical_key(view, request);
    if (!key) return std::unexpected(key.error());
    return RecoveryFilter{.ended_within = recently, .successor = *key, .page = all_pages};
}

Actor recoveries(MakeFilter make_filter) {
    return [make_filter = std::move(make_filter)](const Context& context,
                                                  const Request& request) -> Task<Result<Response>> {
        const auto view = context.view();
        const auto filter = make_filter(*view, request);
        if (!filter) co_return std::unexpected(filter.error());
        const auto found = co_await context.on_control([&](Control& c) { return c.recoveries(*filter); });
        co_return bare(json_of([&](JsonWriter& out) { write_recoveries(out, *view, found); }));
    };
}

Task<Result<Response>> detections(const Context& context, const Request& request) {
    const auto view = context.view();
    const auto filter = filter_of_path(*view, request);
    if (!filter) co_return std::unexpected(filter.error());
    const auto found = co_await context.on_control([&](Control& c) { return c.detections(*filter); });
    co_return bare(array_json(
        found, [&](JsonWriter& out, const store::Detection& d) { write_detection(out, *view, d); }));
}

Task<Result<Response>> steps(const Context& context, const Request& request) {
    const auto uid = text_param(request, "uid");
    const auto found = co_await context.on_control([&](Control& c) { return c.recovery_steps(uid); });
    co_return bare(array_json(found, write_recovery_step));
}

Task<Result<Response>> blocked(const Context& context, const Request& request) {
    const auto name = text_param(request, "clusterName");
    const auto hint = name.empty() ? std::nullopt : std::optional(name);
    const auto found = co_await context.on_control([&](Control& c) { return c.blocked(hint); });
    co_return bare(array_json(found, write_blocked));
}

Task<Result<Response>> audit(const Context& context, const Request& request) {
    std::optional<InstanceKey> only;
    if (request.params.contains("host")) {
        const auto key = canonical_key(*context.view(), request);
        if (!key) co_return std::unexpected(key.error());
        only = *key;
    }
    const auto page = page_of(request);
    const auto found = co_await context.on_control([&](Control& c) { return c.audit(only, page); });
    co_return bare(array_json(found, write_audit));
}

// ---- acknowledgements -------------------------------------------------------------------------------------
Result<std::string> comment_of(const Request& request) {
    auto comment = text_query(request, "comment");
    if (comment.empty()) return fail(ErrorKind::invalid_argument, "No acknowledge comment given");
    return comment;
}

Task<Result<int>> acknowledge(const Context& context, const Request& request, RecoveryFilter which) {
    const auto comment = comment_of(request);
    if (!comment) co_return std::unexpected(comment.error());
    const auto by = request.caller().name;
    co_return co_await context.command<Result<int>>(
        [&](Control& c) { return c.acknowledge(which, by, *comment); });
}

Actor acknowledge_cluster(bool by_alias) {
    return [by_alias](const Context& context, const Request& request) -> Task<Result<Response>> {
        if (const auto comment = comment_of(request); !comment) co_return std::unexpected(comment.error());
        const auto hint = text_param(request, by_alias ? "clusterAlias" : "clusterHint");
        const auto cluster = known_cluster(*context.view(), hint);
        if (!cluster) co_return std::unexpected(cluster.error());
        const auto done =
            co_await acknowledge(context, request, {.cluster_hint = (*cluster)->id, .page = all_pages});
        if (!done) co_return std::unexpected(done.error());
        co_return ok("Acknowledged cluster recoveries", text_json((*cluster)->name));
    };
}

/// Recoveries of a failed server, which may be known by no cluster any more.
Task<Result<Response>> acknowledge_instance(const Context& context, const Request& request) {
    if (const auto comment = comment_of(request); !comment) co_return std::unexpected(comment.error());
    const auto key = canonical_key(*context.view(), request);
    if (!key) co_return std::unexpected(key.error());
    const auto ids = co_await context.on_control([&](Control& c) {
        std::vector<int64_t> found;
        for (const auto& [id, r] : c.record().recoveries) {
            if (r.failed == *key && !r.acknowledged) found.push_back(id);
        }
        return found;
    });
    for (const auto id : ids) {
        const auto done = co_await acknowledge(context, request, {.id = id, .page = all_pages});
        if (!done) co_return std::unexpected(done.error());
    }
    co_return ok("Acknowledged instance recoveries", key_json(*key));
}

/// :recoveryId may be the id or the uid.
Task<Result<Response>> acknowledge_one(const Context& context, const Request& request) {
    const auto uid = text_param(request, "uid");
    const auto text = uid.empty() ? text_param(request, "recoveryId") : uid;
    const auto id = uid.empty() ? parse_int(text) : std::nullopt;
    RecoveryFilter which{.id = id, .page = all_pages};
    if (!id) which.uid = text;
    const auto done = co_await acknowledge(context, request, which);
    if (!done) co_return std::unexpected(done.error());
    co_return ok("Acknowledged recovery", text_json(text));
}

Task<Result<Response>> acknowledge_all(const Context& context, const Request& request) {
    const auto done = co_await acknowledge(context, request, {.page = all_pages});
    if (!done) co_return std::unexpected(done.error());
    co_return ok("Acknowledged all recoveries", text_json(text_query(request, "comment")));
}

void add_acknowledgements(Table& table) {
    table
        .act("/api/ack-recovery/cluster/:clusterHint", acknowledge_cluster(false),
             "Acknowledges the recoveries of a cluster; ?comment= says why.")
        .act("/api/ack-recovery/cluster/alias/:clusterAlias", acknowledge_cluster(true),
             "Acknowledges the recoveries of a cluster, by its alias.")
        .act("/api/ack-recovery/instance/:host/:port", acknowledge_instance,
             "Acknowledges the recoveries of a failed server.")
        .act("/api/ack-recovery/:recoveryId /api/ack-recovery/uid/:uid", acknowledge_one,
             "Acknowledges one recovery, by id or uid.")
        .act("/api/ack-all-recoveries", acknowledge_all, "Acknowledges all recoveries.");
}

}  // namespace

std::vector<Route> recovery_audit_routes() {
    Table table;
    table
        .ask(
            "/api/audit-failure-detection /api/audit-failure-detection/:page "
            "/api/audit-failure-detection/id/:id "
            "/api/audit-failure-detection/alias/:clusterAlias "
            "/api/audit-failure-detection/alias/:clusterAlias/:page",
            detections, "Failures that were detected, newest first, 20 a page.")
        .ask(
            "/api/audit-recovery /api/audit-recovery/:page /api/audit-recovery/id/:id "
            "/api/audit-recovery/uid/:uid "
            "/api/audit-recovery/cluster/:clusterName /api/audit-recovery/cluster/:clusterName/:page "
            "/api/audit-recovery/alias/:clusterAlias /api/audit-recovery/alias/:clusterAlias/:page",
            recoveries(filter_of_path), "Recoveries, newest first, 20 a page.")
        .ask("/api/audit-recovery-steps/:uid", steps, "The journal of a recovery.")
        .ask("/api/active-cluster-recovery/:clusterName", recoveries(active_in_cluster),
             "Recoveries of a cluster that are under way.")
        .ask("/api/recently-active-cluster-recovery/:clusterName", recoveries(recent_in_cluster),
             "Recoveries of a cluster that ended in the last 5 minutes.")
        .ask("/api/recently-active-instance-recovery/:host/:port", recoveries(recent_of_successor),
             "Recoveries of the last 5 minutes that promoted the instance.")
        .ask("/api/blocked-recoveries /api/blocked-recoveries/cluster/:clusterName", blocked,
             "Recoveries that an earlier one keeps from happening.")
        .ask(
            "/api/audit /api/audit/:page /api/audit/instance/:host/:port "
            "/api/audit/instance/:host/:port/:page",
            audit, "The audit, newest first, 20 a page.");
    add_acknowledgements(table);
    return table.take();
}

}  // namespace baton::http::v1
