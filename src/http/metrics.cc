#include "http/metrics.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include "base/json_writer.h"

namespace baton::http {

namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<ClientMetric::Label>;

/// Upper bounds of orchestrator_recovery_duration_seconds: 0.5 s and its doubles. A failover here takes about
/// 0.2 s, so finer ones for it are in baton_recovery_duration_seconds.
constexpr std::array orchestrator_buckets{0.5,  1.0,  2.0,   4.0,   8.0,   16.0,
                                          32.0, 64.0, 128.0, 256.0, 512.0, 1024.0};
constexpr std::array baton_buckets{0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.6, 1.0, 2.0, 5.0, 10.0, 30.0};

class Page {
  public:
    void counter(std::string_view name, std::string_view help, double value, Labels labels = {}) {
        add(name, help, MetricType::Counter, std::move(labels)).counter.value = value;
    }
    void gauge(std::string_view name, std::string_view help, double value, Labels labels = {}) {
        add(name, help, MetricType::Gauge, std::move(labels)).gauge.value = value;
    }
    void histogram(std::string_view name, std::string_view help, std::span<const double> bounds,
                   const std::vector<double>& samples) {
        auto& histogram = add(name, help, MetricType::Histogram, {}).histogram;
        histogram.sample_count = samples.size();
        for (const double sample : samples)
            histogram.sample_sum += sample;
        for (const double bound : bounds) {
            const auto count = std::ranges::count_if(samples, [&](double s) { return s <= bound; });
            histogram.bucket.push_back({static_cast<uint64_t>(count), bound});
        }
    }
    std::string text() const { return prometheus::TextSerializer().Serialize(families_); }

  private:
    ClientMetric& add(std::string_view name, std::string_view help, MetricType type, Labels labels) {
        if (families_.empty() || families_.back().name != name) {
            families_.push_back({std::string(name), std::string(help), type, {}});
        }
        auto& metric = families_.back().metric.emplace_back();
        metric.label = std::move(labels);
        return metric;
    }
    std::vector<MetricFamily> families_;
};

void add_discovery(Page& page, const control::Metrics& m) {
    page.counter("orchestrator_discoveries_total", "Probes of database servers.",
                 static_cast<double>(m.probes));
    page.counter("orchestrator_discovery_errors_total", "Probes that failed.",
                 static_cast<double>(m.probe_failures));
    page.gauge("orchestrator_instances_total", "Known instances.", static_cast<double>(m.instances));
    page.gauge("orchestrator_clusters_total", "Known clusters.", static_cast<double>(m.clusters));
    page.gauge("baton_probe_latency_seconds", "Time a probe takes.", m.probe_latency_p50_ms / 1000,
               {{"quantile", "0.5"}});
    page.gauge("baton_probe_latency_seconds", "Time a probe takes.", m.probe_latency_p99_ms / 1000,
               {{"quantile", "0.99"}});
    page.gauge("baton_probe_delay_seconds", "How late probes begin.", m.probe_delay_p50_ms / 1000,
               {{"quantile", "0.5"}});
    page.gauge("baton_probe_delay_seconds", "How late probes begin.", m.probe_delay_p99_ms / 1000,
               {{"quantile", "0.99"}});
    page.counter("baton_snapshots_total", "Topology snapshots made.", static_cast<double>(m.snapshots));
    page.gauge("baton_instances_downtimed", "Instances in downtime.", static_cast<double>(m.downtimed));
}

void add_recoveries(Page& page, const control::Metrics& m) {
    for (const auto& [what, count] : m.recoveries) {
        page.counter("orchestrator_recoveries_total", "Recoveries by analysis code and result.",
                     static_cast<double>(count), {{"type", what.first}, {"result", what.second}});
    }
    page.histogram("orchestrator_recovery_duration_seconds", "Duration of recoveries.", orchestrator_buckets,
                   m.recovery_seconds);
    page.histogram("baton_recovery_duration_seconds", "Duration of recoveries, in finer steps.",
                   baton_buckets, m.recovery_seconds);
    page.gauge("baton_recoveries_active", "Recoveries under way.", static_cast<double>(m.active_recoveries));
    for (const auto& [code, count] : m.problems_by_code) {
        page.gauge("baton_problems", "Present problems by code.", static_cast<double>(count),
                   {{"code", code}});
    }
}

void add_agents(Page& page, const control::Metrics& m) {
    const auto& a = m.agents;
    page.gauge("baton_agents_connected", "Host agents that are connected.", static_cast<double>(a.connected));
    page.counter("baton_agent_beats_total", "Heartbeats of host agents.", static_cast<double>(a.beats));
    page.counter("baton_agent_orders_total", "Orders to host agents.", static_cast<double>(a.orders));
    page.counter("baton_agent_orders_failed_total", "Orders to host agents that failed.",
                 static_cast<double>(a.orders_failed));
    page.counter("baton_agents_refused_total", "Connections of host agents that were refused.",
                 static_cast<double>(a.refused));
}

void add_node(Page& page, const Measured& measured) {
    const auto& view = *measured.view;
    page.gauge("baton_build_info", "Version of this manager.", 1, {{"version", BATON_VERSION}});
    page.gauge("baton_ready", "1 when everything was looked at once and the store is healthy.",
               view.ready ? 1 : 0);
    page.gauge("baton_recoveries_enabled", "1 when automatic recoveries are switched on.",
               view.recoveries_enabled ? 1 : 0);
    page.gauge("baton_store_queue", "Changes that wait to be written.",
               static_cast<double>(measured.control.store_queue));
    page.gauge("process_resident_memory_bytes", "Resident memory size in bytes.",
               static_cast<double>(measured.control.rss_bytes));
    page.gauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds.",
               std::chrono::duration<double>(view.started.time_since_epoch()).count());
}

void add_server(Page& page, const Measured& measured) {
    page.counter("baton_events_total", "Events made.", static_cast<double>(measured.control.events));
    const auto lost =
        measured.control.events_dropped + (measured.events ? measured.events->events_dropped : 0);
    page.counter("baton_events_dropped_total", "Events that listeners did not get.",
                 static_cast<double>(lost));
    if (measured.events) {
        page.gauge("baton_event_subscribers", "Clients that listen to events.",
                   static_cast<double>(measured.events->subscribers));
        page.counter("baton_event_subscribers_dropped_total",
                     "Listeners cut off because they read too slowly.",
                     static_cast<double>(measured.events->subscribers_dropped));
    }
    if (!measured.server) return;
    page.counter("baton_http_requests_total", "Requests read.",
                 static_cast<double>(measured.server->requests));
    page.counter("baton_http_server_errors_total", "Requests answered with 5xx.",
                 static_cast<double>(measured.server->server_errors));
    page.gauge("baton_http_connections", "Open connections.",
               static_cast<double>(measured.server->connections));
    page.counter("baton_http_connections_refused_total", "Connections refused for being too many.",
                 static_cast<double>(measured.server->connections_refused));
}

/// The name that go-metrics has for recoveries of this analysis code; "" when it has none.
std::string_view recovery_name(std::string_view code) {
    if (code.find("Intermediate") != std::string_view::npos) return "dead_intermediate_master";
    if (code.find("CoMaster") != std::string_view::npos) return "dead_co_master";
    if (code.find("GroupMember") != std::string_view::npos) return "dead_replication_group_member";
    if (code.starts_with("DeadPrimary") || code.starts_with("DeadMaster")) return "dead_master";
    return "";
}

std::map<std::string, uint64_t> recovery_counts(const control::Metrics& m) {
    std::map<std::string, uint64_t> counts;
    for (const auto* kind :
         {"dead_master", "dead_intermediate_master", "dead_co_master", "dead_replication_group_member"}) {
        for (const auto* what : {"start", "success", "fail"})
            counts["recover." + std::string(kind) + "." + what] = 0;
    }
    for (const auto& [what, count] : m.recoveries) {
        const auto kind = recovery_name(what.first);
        if (kind.empty()) continue;
        const auto name = "recover." + std::string(kind);
        counts[name + ".start"] += count;
        counts[name + (what.second == "success" ? ".success" : ".fail")] += count;
    }
    return counts;
}

}  // namespace

std::string prometheus_text(const Measured& measured) {
    Page page;
    add_discovery(page, measured.control);
    add_recoveries(page, measured.control);
    add_agents(page, measured.control);
    add_node(page, measured);
    add_server(page, measured);
    return page.text();
}

std::string debug_metrics_json(const Measured& measured) {
    auto figures = recovery_counts(measured.control);
    figures["recover.pending"] = measured.control.active_recoveries;
    figures["discoveries.attempt"] = measured.control.probes;
    figures["discoveries.fail"] = measured.control.probe_failures;
    figures["discoveries.recent_count"] = measured.control.instances;
    // This manager stands alone: it leads, and knows of no Raft group that it could be an unhealthy part of.
    figures["elect.is_elected"] = 1;
    figures["health.is_healthy"] = measured.view->ready ? 1 : 0;
    figures["raft.is_healthy"] = 0;
    figures["raft.is_leader"] = 0;
    JsonWriter out;
    out.begin_object();
    for (const auto& [name, value] : figures)
        out.field(name, value);
    out.end_object();
    return out.take();
}

}  // namespace baton::http
