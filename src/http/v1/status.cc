#include "http/v1/status.h"

#include <algorithm>

#include "config/filters.h"

namespace baton::http::v1 {

namespace {

/// The filters of one configuration, compiled once for each thread that answers.
struct Filters {
    std::shared_ptr<const config::Config> of;
    config::ClusterFilter primary, intermediate;
    config::HostFilter problems, promotion;
};

template <class Filter>
Filter compiled(const config::Texts& entries) {
    // The configuration was checked when it was read; a list that does not compile cannot be in force.
    auto filter = Filter::compile(entries);
    return filter ? std::move(*filter) : Filter{};
}

const Filters& filters_of(const View& view) {
    thread_local Filters cached;
    if (cached.of != view.config) {
        const auto& c = *view.config;
        cached = {.of = view.config,
                  .primary = compiled<config::ClusterFilter>(c.RecoverMasterClusterFilters),
                  .intermediate = compiled<config::ClusterFilter>(c.RecoverIntermediateMasterClusterFilters),
                  .problems = compiled<config::HostFilter>(c.ProblemIgnoreHostnameFilters),
                  .promotion = compiled<config::HostFilter>(c.PromotionIgnoreHostnameFilters)};
    }
    return cached;
}

int receive_thread_of(const Instance& instance) {
    return instance.seen && instance.seen->receiving() ? thread_running : thread_stopped;
}

int replay_thread_of(const Instance& instance) {
    return instance.seen && !instance.seen->replay_paused ? thread_running : thread_stopped;
}

std::vector<InstancePtr> busiest(std::vector<InstancePtr> candidates, size_t limit) {
    std::erase_if(candidates, [](const InstancePtr& i) { return i->downstream.empty(); });
    std::ranges::sort(candidates, {},
                      [](const InstancePtr& i) { return std::make_pair(~i->downstream.size(), i->key); });
    if (candidates.size() > limit) candidates.resize(limit);
    return candidates;
}

std::vector<InstancePtr> sound_replicas(const Cluster& cluster, const InstanceKey& upstream) {
    std::vector<InstancePtr> found;
    std::ranges::copy_if(cluster.instances, std::back_inserter(found), [&](const InstancePtr& i) {
        return i->upstream == upstream && i->health.ok() && i->is_standby();
    });
    return found;
}

void append(std::vector<InstancePtr>& to, std::span<const InstancePtr> more) {
    for (const auto& i : more) {
        if (std::ranges::find(to, i) == to.end()) to.push_back(i);
    }
}

}  // namespace

bool InstanceStatus::lags_more_than(int64_t limit_seconds) const {
    return lag_seconds && std::abs(*lag_seconds - delay_seconds) > limit_seconds;
}

bool in_force(const std::optional<topology::Downtime>& span, WallTime wall) {
    return span && span->begins <= wall && wall < span->ends;
}

InstanceStatus status_of(const View& view, const Instance& instance) {
    InstanceStatus s;
    s.replica = instance.is_standby() || (instance.upstream && !instance.is_primary());
    s.last_check_valid = instance.health.ok();
    if (instance.health.last_attempt != MonoTime{}) {
        const auto age = std::chrono::floor<seconds>(view.now - instance.health.last_attempt).count();
        s.up_to_date = age <= view.config->InstancePollSeconds;
        s.recently_checked = age <= 5 * view.config->InstancePollSeconds;
    }
    s.downtimed = in_force(instance.downtime, view.wall);
    if (!s.replica) return s;
    s.receive_thread = receive_thread_of(instance);
    s.replay_thread = replay_thread_of(instance);
    s.lag_seconds = instance.lag.seconds;
    if (instance.seen) s.delay_seconds = instance.seen->settings.recovery_min_apply_delay_ms / 1000;
    return s;
}

std::vector<InstancePtr> control_replicas(const Cluster& cluster) {
    const auto* primary = cluster.primary();
    if (!primary) return {};
    const auto direct = sound_replicas(cluster, primary->key);
    const auto intermediate = busiest(direct, 2);
    std::vector<InstancePtr> below, third_tier, leaves, result;
    for (const auto& i : intermediate)
        append(below, sound_replicas(cluster, i->key));
    const auto busy_below = busiest(below, 2);
    for (const auto& i : busy_below)
        append(third_tier, sound_replicas(cluster, i->key));
    std::ranges::copy_if(direct, std::back_inserter(leaves),
                         [](const InstancePtr& i) { return i->downstream.empty(); });

    append(result, intermediate);
    append(result, std::span(below).first(std::min<size_t>(below.size(), 2)));
    append(result, std::span(third_tier).first(std::min<size_t>(third_tier.size(), 2)));
    append(result, std::span(leaves).first(std::min<size_t>(leaves.size(), 2)));
    return result;
}

int64_t heuristic_lag(const Cluster& cluster) {
    int64_t greatest = 0;
    for (const auto& i : control_replicas(cluster))
        greatest = std::max(greatest, i->lag.seconds.value_or(0));
    return greatest;
}

AutomatedRecovery automated_recovery(const View& view, std::span<const std::string> names,
                                     std::string_view alias) {
    const auto& f = filters_of(view);
    return {.primary = f.primary.matches(names, alias), .intermediate = f.intermediate.matches(names, alias)};
}

bool ignored_as_problem(const View& view, const InstanceKey& key) {
    return filters_of(view).problems.matches(key.host, key.port);
}

bool ignored_for_promotion(const View& view, const InstanceKey& key) {
    return filters_of(view).promotion.matches(key.host, key.port);
}

}  // namespace baton::http::v1
