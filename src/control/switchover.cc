// Planned switchovers, now or later.
#include <fmt/format.h>

#include "base/text.h"
#include "control/manager.h"

namespace baton::control {
namespace {

/// Nobody remembers what is planned for a later day than this.
constexpr std::chrono::hours furthest{24 * 31};

std::optional<seconds> span_of(std::string_view text) {
    if (text.size() < 2) return std::nullopt;
    const auto number = parse_uint(text.substr(0, text.size() - 1));
    if (!number || *number > 1'000'000) return std::nullopt;
    const auto n = static_cast<int64_t>(*number);
    switch (text.back()) {
        case 's':
            return seconds(n);
        case 'm':
            return std::chrono::minutes(n);
        case 'h':
            return std::chrono::hours(n);
        case 'd':
            return std::chrono::hours(24 * n);
        default:
            return std::nullopt;
    }
}

}  // namespace

Result<WallTime> when_of(std::string_view text, WallTime now) {
    std::optional<WallTime> at;
    if (text.starts_with('+')) {
        if (const auto span = span_of(text.substr(1))) at = now + *span;
    } else {
        at = parse_time(text);
    }
    if (!at)
        return fail(ErrorKind::invalid_argument,
                    fmt::format("\"{}\" is no time: write it as 2026-11-21T03:00:00Z, with an offset as "
                                "2026-11-21T03:00:00+01:00, or from now on as +30m",
                                printable(text)),
                    "at");
    if (*at <= now) return fail(ErrorKind::invalid_argument, iso_time(*at) + " is over", "at");
    if (*at - now > furthest)
        return fail(ErrorKind::invalid_argument, iso_time(*at) + " is more than 31 days away", "at");
    return *at;
}

Result<recovery::SwitchoverRequest> Manager::switchover_request(const SwitchoverCommand& command,
                                                                const Caller& caller) const {
    const auto cluster = known_cluster(command.cluster_hint);
    if (!cluster) return std::unexpected(cluster.error());
    recovery::SwitchoverRequest request{
        .cluster_id = (*cluster)->id, .skip_hooks = command.skip_hooks, .by = caller.name};
    if (!command.command_hint.empty()) request.command_hint = command.command_hint;
    if (!command.candidate) return request;
    const auto candidate = known(*command.candidate);
    if (!candidate) return std::unexpected(candidate.error());
    request.candidate = (*candidate)->key;
    return request;
}

Task<Result<plan::Plan>> Manager::preview_switchover(SwitchoverCommand command) {
    auto request = switchover_request(command, {});
    if (!request) co_return std::unexpected(request.error());
    co_return co_await recovery_->plan_switchover(std::move(*request));
}

Task<Result<SwitchoverOutcome>> Manager::switchover(SwitchoverCommand command, Caller caller) {
    auto request = switchover_request(command, caller);
    if (!request) co_return std::unexpected(request.error());
    const auto cluster = discovery_->cluster(request->cluster_id);
    const auto* primary = cluster ? cluster->primary() : nullptr;
    note(request->command_hint, primary != nullptr ? primary->key : InstanceKey{}, caller, "asked for");
    auto outcome = co_await recovery_->switchover(std::move(*request));
    publish();
    if (!outcome) co_return std::unexpected(outcome.error());
    co_return SwitchoverOutcome{outcome->recovery, outcome->attempted, std::move(outcome->obstacles)};
}

ScheduledSwitchover Manager::named(const recovery::ScheduledSwitchover& s) const {
    const auto cluster = discovery_->cluster(s.cluster_id);
    return {.cluster_id = s.cluster_id,
            .cluster_name = cluster ? cluster->name : std::string(),
            .candidate = s.candidate,
            .at = s.at,
            .by = s.by};
}

Task<Result<ScheduledSwitchover>> Manager::schedule_switchover(SwitchoverCommand command, std::string when,
                                                               Caller caller) {
    auto request = switchover_request(command, caller);
    if (!request) co_return std::unexpected(request.error());
    const auto at = when_of(when, clock_.wall());
    if (!at) co_return std::unexpected(at.error());
    const recovery::ScheduledSwitchover made{request->cluster_id, request->candidate, *at, caller.name};
    const auto done = co_await recovery_->schedule_switchover(std::move(*request), *at);
    if (!done) co_return std::unexpected(done.error());
    co_return named(made);
}

Task<Result<ScheduledSwitchover>> Manager::cancel_switchover(std::string cluster_hint, Caller caller) {
    const auto cluster = known_cluster(cluster_hint);
    if (!cluster) co_return std::unexpected(cluster.error());
    auto done = co_await recovery_->cancel_switchover((*cluster)->id, caller.name);
    if (!done) co_return fail(done.error().kind, done.error().message, (*cluster)->name);
    co_return named(*done);
}

std::vector<ScheduledSwitchover> Manager::scheduled_switchovers() const {
    std::vector<ScheduledSwitchover> all;
    for (const auto& s : recovery_->scheduled_switchovers())
        all.push_back(named(s));
    return all;
}

}  // namespace baton::control
