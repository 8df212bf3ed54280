#include <fmt/format.h>

#include "base/text.h"
#include "http/v1/answer.h"
#include "http/v1/routes.h"
#include "http/v1/status.h"
#include "http/v1/takeover.h"

namespace baton::http::v1 {

namespace {

using control::RecoveryOutcome;
using control::RecoveryRequest;
using OutcomeResult = Result<RecoveryOutcome>;

Task<OutcomeResult> run(const Context& context, const Request& request, RecoveryRequest wanted) {
    const auto caller = request.caller();
    co_return co_await context.command<OutcomeResult>([&](Control& c) { return c.recover(wanted, caller); });
}

// ---- recover ----------------------------------------------------------------------------------------------
Response recover_answer(const InstanceKey& failed_key, const RecoveryOutcome& outcome) {
    if (!outcome.attempted) {
        const auto& why = outcome.not_attempted_because;
        return failed("Recovery not attempted" + (why.empty() ? "" : ": " + why), key_json(failed_key));
    }
    if (!outcome.recovery.successor) {
        return failed("Recovery attempted but no instance promoted", key_json(failed_key));
    }
    return ok("Recovery executed on " + failed_key.text(), key_json(*outcome.recovery.successor));
}

/// The candidate of the path; nothing when the route has none.
Result<std::optional<InstanceKey>> candidate_of(const View& view, const Request& request,
                                                const std::string& host, const std::string& port) {
    if (!request.params.contains(host)) return std::nullopt;
    const auto instance = known_instance(view, request, host, port);
    if (!instance) return std::unexpected(instance.error());
    return (*instance)->key;
}

Actor recover(bool lite) {
    return [lite](const Context& context, const Request& request) -> Task<Result<Response>> {
        const auto view = context.view();
        const auto instance = known_instance(*view, request);
        if (!instance) co_return std::unexpected(instance.error());
        const auto candidate = candidate_of(*view, request, "candidateHost", "candidatePort");
        if (!candidate) co_return std::unexpected(candidate.error());
        const auto key = (*instance)->key;
        const auto outcome =
            co_await run(context, request,
                         {.failed = key,
                          .cluster_hint = {},
                          .candidate = *candidate,
                          .skip_hooks = lite || text_query(request, "skipProcesses") == "true",
                          .command_hint = {}});
        if (!outcome) co_return failed("Recovery not attempted: " + outcome.error().text(), key_json(key));
        co_return recover_answer(key, *outcome);
    };
}

// ---- forced failover and takeover -------------------------------------------------------------------------
/// The cluster that the path names, by a hint or by one of its servers.
Result<ClusterPtr> named_cluster(const View& view, const Request& request) {
    if (request.params.contains("clusterHint"))
        return known_cluster(view, text_param(request, "clusterHint"));
    const auto instance = known_instance(view, request);
    if (!instance) return std::unexpected(instance.error());
    return known_cluster(view, (*instance)->cluster_id);
}

/// As the caller wrote it, for messages.
std::string named_hint(const Request& request) {
    if (request.params.contains("clusterHint")) return text_param(request, "clusterHint");
    return text_param(request, "host") + ":" + text_param(request, "port");
}

Response forced_answer(const View& view, const OutcomeResult& outcome) {
    if (!outcome) return failed("Master not failed over: " + outcome.error().text());
    if (!outcome->attempted) {
        const auto& why = outcome->not_attempted_because;
        return failed("Master not failed over: recovery not attempted" + (why.empty() ? "" : ": " + why));
    }
    const auto details = json_of(
        [&](JsonWriter& out) { write_recovery(out, view, outcome->recovery, RecoveryForm::returned); });
    if (!outcome->recovery.successor) {
        return failed("Master not failed over: Recovery attempted yet no replica promoted", details);
    }
    return ok("Master failed over", details);
}

Task<Result<Response>> force_failover(const Context& context, const Request& request) {
    const auto view = context.view();
    const auto cluster = named_cluster(*view, request);
    if (!cluster) co_return std::unexpected(cluster.error());
    const auto* primary = (*cluster)->primary();
    if (!primary) {
        co_return fail(ErrorKind::not_found, "Cannot deduce cluster master for " + named_hint(request));
    }
    const auto outcome = co_await run(context, request,
                                      {.failed = primary->key,
                                       .cluster_hint = (*cluster)->id,
                                       .candidate = std::nullopt,
                                       .force_failover = true,
                                       .command_hint = "force-master-failover"});
    co_return forced_answer(*context.view(), outcome);
}

Result<InstancePtr> designated_of(const View& view, const Request& request) {
    const auto key = key_param(request, "designatedHost", "designatedPort");
    if (!key) return std::unexpected(key.error());
    if (auto instance = view.topology->find_instance(*key)) return instance;
    return fail(ErrorKind::not_found, "Instance not found: " + key->text());
}

Task<Result<Response>> force_takeover(const Context& context, const Request& request) {
    const auto view = context.view();
    const auto cluster = named_cluster(*view, request);
    if (!cluster) co_return std::unexpected(cluster.error());
    const auto designated = designated_of(*view, request);
    if (!designated) co_return std::unexpected(designated.error());
    const auto primary = only_primary(**cluster, named_hint(request));
    if (!primary) co_return std::unexpected(primary.error());
    if (const auto direct = check_direct_replica(**primary, **designated); !direct) {
        co_return std::unexpected(direct.error());
    }
    const auto outcome = co_await run(context, request,
                                      {.failed = (*primary)->key,
                                       .cluster_hint = (*cluster)->id,
                                       .candidate = (*designated)->key,
                                       .force_failover = true,
                                       .command_hint = "force-master-takeover"});
    co_return forced_answer(*context.view(), outcome);
}

// ---- planned takeover -------------------------------------------------------------------------------------
/// Both forms bring the old primary back as a standby: PostgreSQL has no such thing as one that is left
/// stopped beside the new one.
Response planned_answer(const View& view, const Result<control::SwitchoverOutcome>& outcome) {
    if (!outcome) return failed("graceful-master-takeover: no successor promoted: " + outcome.error().text());
    if (!outcome->attempted)
        return failed("graceful-master-takeover: not begun: " + join(outcome->obstacles, "; "));
    const auto details = json_of(
        [&](JsonWriter& out) { write_recovery(out, view, outcome->recovery, RecoveryForm::returned); });
    if (outcome->recovery.successor) return ok("graceful-master-takeover: successor promoted", details);
    const auto& errors = outcome->recovery.errors;
    return failed(
        "graceful-master-takeover: no successor promoted" + (errors.empty() ? "" : ": " + errors.front()),
        details);
}

Actor graceful_takeover(bool choose) {
    return [choose](const Context& context, const Request& request) -> Task<Result<Response>> {
        const auto view = context.view();
        const auto cluster = named_cluster(*view, request);
        if (!cluster) co_return std::unexpected(cluster.error());
        // A designated server that makes no sense counts as none given.
        const auto key = key_param(request, "designatedHost", "designatedPort");
        const auto designated = key ? std::optional(*key) : std::nullopt;
        const auto target =
            graceful_takeover_target(*view, **cluster, named_hint(request), designated, choose);
        if (!target) co_return std::unexpected(target.error());
        control::SwitchoverCommand command{.cluster_hint = (*cluster)->id};
        // Of several the switchover itself finds the best that is fit for it.
        if (designated || !choose) command.candidate = (*target)->key;
        const auto caller = request.caller();
        const auto outcome = co_await context.command<Result<control::SwitchoverOutcome>>(
            [&](Control& c) { return c.switchover(command, caller); });
        co_return planned_answer(*context.view(), outcome);
    };
}

// ---- the global switch and the filters --------------------------------------------------------------------
Actor switch_recoveries(bool enabled) {
    return [enabled](const Context& context, const Request& request) -> Task<Result<Response>> {
        const auto done = co_await context.command<Result<void>>(
            [&](Control& c) { return c.set_global_recoveries(enabled, request.caller()); });
        if (!done) co_return std::unexpected(done.error());
        co_return enabled ? ok("Globally enabled recoveries", text_json("enabled"))
                          : ok("Globally disabled recoveries", text_json("disabled"));
    };
}

Result<Response> global_state(const View& view, const Request&) {
    const std::string_view state = view.recoveries_enabled ? "enabled" : "disabled";
    return ok(fmt::format("Global recoveries {}", state), text_json(state));
}

Result<Response> filters(const View& view, const Request&) {
    JsonWriter out;
    const auto list = [&](std::string_view name, const config::Texts& entries) {
        out.key(name).begin_array();
        for (const auto& e : entries)
            out.value(e);
        out.end_array();
    };
    out.begin_object();
    list("RecoverIntermediateMasterClusterFilters", view.config->RecoverIntermediateMasterClusterFilters);
    list("RecoverMasterClusterFilters", view.config->RecoverMasterClusterFilters);
    list("RecoveryIgnoreHostnameFilters", view.config->RecoveryIgnoreHostnameFilters);
    out.end_object();
    return ok("Automated recovery configuration details", out.text());
}

/// The four ways to name the cluster and the designated server.
std::string takeover_patterns(const std::string& name) {
    return fmt::format(
        "/api/{0}/:host/:port /api/{0}/:host/:port/:designatedHost/:designatedPort /api/{0}/:clusterHint "
        "/api/{0}/:clusterHint/:designatedHost/:designatedPort",
        name);
}

}  // namespace

std::vector<Route> recovery_routes() {
    Table table;
    table
        .act("/api/recover/:host/:port /api/recover/:host/:port/:candidateHost/:candidatePort",
             recover(false), "Recovers a failed server, whatever blocks automatic recovery.")
        .act("/api/recover-lite/:host/:port /api/recover-lite/:host/:port/:candidateHost/:candidatePort",
             recover(true), "The same without hooks.")
        .act(takeover_patterns("graceful-master-takeover"), graceful_takeover(false),
             "Planned switchover without loss, by the agents on the hosts.")
        .act(takeover_patterns("graceful-master-takeover-auto"), graceful_takeover(true),
             "Planned switchover to the best replica.")
        .act("/api/force-master-failover/:host/:port /api/force-master-failover/:clusterHint", force_failover,
             "Fails over the primary, whatever the analysis says.")
        .act(
            "/api/force-master-takeover/:clusterHint/:designatedHost/:designatedPort "
            "/api/force-master-takeover/:host/:port/:designatedHost/:designatedPort",
            force_takeover, "Fails over to one direct replica, whatever the analysis says.")
        .read("/api/automated-recovery-filters", filters, "The filters of automatic recovery.")
        .act("/api/disable-global-recoveries", switch_recoveries(false),
             "Stops automatic recovery everywhere.")
        .act("/api/enable-global-recoveries", switch_recoveries(true), "Allows automatic recovery again.")
        .read("/api/check-global-recoveries", global_state, "Is automatic recovery allowed?");
    return table.take();
}

}  // namespace baton::http::v1
