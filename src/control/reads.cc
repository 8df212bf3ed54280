// Reading the record.
#include <algorithm>
#include <fstream>

#include "control/manager.h"

namespace baton::control {
namespace {

constexpr size_t page_size = 20;
constexpr size_t durations_limit = 1000;

/// Newest first, the given page; a negative page is everything.
template <class T>
std::vector<T> page_of(std::vector<T> newest_first, int page) {
    if (page < 0) return newest_first;
    const size_t from = std::min(newest_first.size(), static_cast<size_t>(page) * page_size);
    const size_t to = std::min(newest_first.size(), from + page_size);
    return {newest_first.begin() + static_cast<long>(from), newest_first.begin() + static_cast<long>(to)};
}

double quantile(std::vector<double>& values, double q) {
    if (values.empty()) return 0;
    const auto at = values.begin() + static_cast<long>(q * static_cast<double>(values.size() - 1));
    std::ranges::nth_element(values, at);
    return *at;
}

size_t resident_bytes() {
    std::ifstream statm("/proc/self/statm");
    size_t total = 0;
    size_t resident = 0;
    statm >> total >> resident;
    return resident * 4096;
}

double ms(Duration d) {
    return std::chrono::duration<double, std::milli>(d).count();
}

}  // namespace

/// Does a record of that time belong to the cluster that `hint` means today, or then?
bool Manager::in_cluster(const std::string& id, const std::string& name, const std::string& alias,
                         const std::string& hint) const {
    if (hint == id || hint == name || (!alias.empty() && hint == alias)) return true;
    const auto cluster = discovery_->topology()->find_cluster(hint, default_port());
    return cluster && cluster->id == id;
}

bool Manager::matches(const store::Recovery& r, const RecoveryFilter& filter) const {
    if (filter.id && r.id != *filter.id) return false;
    if (filter.uid && r.uid != *filter.uid) return false;
    if (filter.cluster_hint &&
        !in_cluster(r.cluster_id, r.cluster_name, r.cluster_alias, *filter.cluster_hint))
        return false;
    if (filter.alias && !in_cluster(r.cluster_id, r.cluster_name, r.cluster_alias, *filter.alias))
        return false;
    if (filter.unacknowledged && r.acknowledged) return false;
    if (filter.active && !(r.in_active_period && r.state == store::RecoveryState::running)) return false;
    if (filter.ended_within && (r.ended == WallTime{} || clock_.wall() - r.ended > *filter.ended_within))
        return false;
    return !filter.successor || r.successor == filter.successor;
}

std::vector<store::Recovery> Manager::recoveries(const RecoveryFilter& filter) const {
    std::vector<store::Recovery> found;
    const auto& all = store_.state().recoveries;
    for (auto at = all.rbegin(); at != all.rend(); ++at) {
        if (matches(at->second, filter)) found.push_back(at->second);
    }
    return page_of(std::move(found), filter.page);
}

std::vector<store::RecoveryStep> Manager::recovery_steps(const std::string& uid) const {
    const auto at = store_.state().steps.find(uid);
    return at == store_.state().steps.end() ? std::vector<store::RecoveryStep>{} : at->second;
}

std::vector<store::Detection> Manager::detections(const RecoveryFilter& filter) const {
    std::vector<store::Detection> found;
    const auto& all = store_.state().detections;
    for (auto at = all.rbegin(); at != all.rend(); ++at) {
        const auto& d = at->second;
        if (filter.id && d.id != *filter.id) continue;
        if (filter.cluster_hint &&
            !in_cluster(d.cluster_id, d.cluster_name, d.cluster_alias, *filter.cluster_hint))
            continue;
        if (filter.alias && !in_cluster(d.cluster_id, d.cluster_name, d.cluster_alias, *filter.alias))
            continue;
        found.push_back(d);
    }
    return page_of(std::move(found), filter.page);
}

std::vector<store::BlockedRecovery> Manager::blocked(const std::optional<std::string>& cluster_hint) const {
    std::vector<store::BlockedRecovery> found;
    for (const auto& [key, b] : store_.state().blocked) {
        if (!cluster_hint || in_cluster(b.cluster_id, b.cluster_name, {}, *cluster_hint)) found.push_back(b);
    }
    return found;
}

std::vector<store::AuditEntry> Manager::audit(const std::optional<InstanceKey>& key, int page) const {
    std::vector<store::AuditEntry> found;
    const auto& all = store_.state().audit;
    for (auto at = all.rbegin(); at != all.rend(); ++at) {
        if (!key || at->second.instance == *key) found.push_back(at->second);
    }
    return page_of(std::move(found), page);
}

std::vector<store::Maintenance> Manager::maintenance() const {
    std::vector<store::Maintenance> found;
    for (const auto& [id, m] : store_.state().maintenance)
        found.push_back(m);
    return found;
}

std::vector<store::PromotionRuleRecord> Manager::promotion_rules() const {
    std::vector<store::PromotionRuleRecord> found;
    for (const auto& [key, rule] : store_.state().promotion_rules)
        found.push_back(rule);
    return found;
}

Metrics Manager::metrics() const {
    Metrics m;
    const auto counters = discovery_->counters();
    m.probes = counters.probes;
    m.probe_failures = counters.failures;
    m.snapshots = counters.snapshots;
    m.events = events_;
    std::vector<double> latency;
    std::vector<double> delay;
    for (const auto& s : discovery_->samples(seconds(60))) {
        if (s.error.empty()) latency.push_back(ms(s.latency));
        delay.push_back(ms(s.delay));
    }
    m.probe_latency_p50_ms = quantile(latency, 0.5);
    m.probe_latency_p99_ms = quantile(latency, 0.99);
    m.probe_delay_p50_ms = quantile(delay, 0.5);
    m.probe_delay_p99_ms = quantile(delay, 0.99);
    const auto topology = discovery_->topology();
    m.instances = topology->instance_count();
    m.clusters = topology->clusters.size();
    m.downtimed = store_.state().downtimes.size();
    for (const auto& p : recovery_->problems())
        ++m.problems_by_code[std::string(analysis::info(p.code).name)];
    for (const auto& [id, r] : store_.state().recoveries) {
        if (r.state == store::RecoveryState::running) {
            ++m.active_recoveries;
            continue;
        }
        const bool success = r.state == store::RecoveryState::succeeded;
        ++m.recoveries[{r.code, success ? "success" : "failed"}];
        m.recovery_seconds.push_back(std::chrono::duration<double>(r.ended - r.started).count());
    }
    if (m.recovery_seconds.size() > durations_limit) {
        m.recovery_seconds.erase(m.recovery_seconds.begin(), m.recovery_seconds.end() - durations_limit);
    }
    m.store_queue = store_.queued();
    m.agents = parts_.agents.counters();
    m.rss_bytes = resident_bytes();
    return m;
}

std::vector<DiscoveryMetric> Manager::discovery_metrics(seconds within) const {
    std::vector<DiscoveryMetric> out;
    for (const auto& s : discovery_->samples(within)) {
        out.push_back({.at = s.at, .key = s.key, .seconds = ms(s.latency) / 1000.0, .error = s.error});
    }
    return out;
}

}  // namespace baton::control
