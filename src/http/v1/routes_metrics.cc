#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "base/text.h"
#include "http/v1/answer.h"
#include "http/v1/routes.h"

namespace baton::http::v1 {

namespace {

using control::DiscoveryMetric;

constexpr uint64_t longest_span_seconds = 7 * 24 * 3600;

Result<seconds> span_of(const Request& request) {
    const auto text = text_param(request, "seconds");
    const auto number = parse_uint(text);
    if (!number || *number == 0 || *number > longest_span_seconds) {
        return fail(
            ErrorKind::invalid_argument,
            fmt::format("Invalid seconds: {}; it is a number from 1 to {}", text, longest_span_seconds));
    }
    return seconds(static_cast<int64_t>(*number));
}

/// "2026-11-20T10:37:29.508092Z"; never: "0001-01-01T00:00:00Z".
std::string precise_time(WallTime t) {
    if (t == WallTime{}) return "0001-01-01T00:00:00Z";
    auto text = iso_time(t);
    const auto fraction = t.time_since_epoch().count() % 1'000'000;
    text.insert(text.size() - 1, fmt::format(".{:06}", fraction));
    return text;
}

Task<Result<std::vector<DiscoveryMetric>>> probes(const Context& context, const Request& request) {
    const auto span = span_of(request);
    if (!span) co_return std::unexpected(span.error());
    co_return co_await context.on_control([&](Control& c) { return c.discovery_metrics(*span); });
}

void write_probe(JsonWriter& out, const DiscoveryMetric& m) {
    out.begin_object();
    out.field("Timestamp", precise_time(m.at)).field("Hostname", m.key.host).field("Port", m.key.port);
    out.field("BackendLatencySeconds", 0).field("InstanceLatencySeconds", m.seconds);
    out.field("TotalLatencySeconds", m.seconds).field("Err", m.error);
    out.end_object();
}

Task<Result<Response>> raw_probes(const Context& context, const Request& request) {
    const auto found = co_await probes(context, request);
    if (!found) co_return std::unexpected(found.error());
    co_return bare(array_json(*found, write_probe));
}

/// Of a list of durations in seconds; all 0 when it is empty.
struct Figures {
    double mean = 0, maximum = 0, median = 0, p95 = 0;
};

Figures figures_of(std::vector<double> values) {
    if (values.empty()) return {};
    std::ranges::sort(values);
    const auto at = [&](double part) {
        return values[static_cast<size_t>(part * static_cast<double>(values.size() - 1) + 0.5)];
    };
    const auto sum = std::accumulate(values.begin(), values.end(), 0.0);
    return {.mean = sum / static_cast<double>(values.size()),
            .maximum = values.back(),
            .median = at(0.5),
            .p95 = at(0.95)};
}

/// The backend takes no part in a probe of Baton, so its share is always 0.
void write_figures(JsonWriter& out, std::string_view prefix, double total) {
    out.field(fmt::format("{}TotalSeconds", prefix), total);
    out.field(fmt::format("{}BackendSeconds", prefix), 0);
    out.field(fmt::format("{}InstanceSeconds", prefix), total);
}

struct Aggregate {
    std::set<InstanceKey> all, good, bad;
    std::vector<double> good_seconds, bad_seconds;
    WallTime first{}, last{};

    void add(const DiscoveryMetric& m) {
        all.insert(m.key);
        (m.error.empty() ? good : bad).insert(m.key);
        (m.error.empty() ? good_seconds : bad_seconds).push_back(m.seconds);
        first = first == WallTime{} ? m.at : std::min(first, m.at);
        last = std::max(last, m.at);
    }
};

std::string aggregate_json(const Aggregate& a) {
    const auto good = figures_of(a.good_seconds), bad = figures_of(a.bad_seconds);
    JsonWriter out;
    out.begin_object();
    out.field("FirstSeen", precise_time(a.first)).field("LastSeen", precise_time(a.last));
    out.field("CountDistinctInstanceKeys", a.all.size());
    out.field("CountDistinctOkInstanceKeys", a.good.size());
    out.field("CountDistinctFailedInstanceKeys", a.bad.size());
    out.field("FailedDiscoveries", a.bad_seconds.size())
        .field("SuccessfulDiscoveries", a.good_seconds.size());
    write_figures(out, "Mean", good.mean);
    write_figures(out, "FailedMean", bad.mean);
    write_figures(out, "Max", good.maximum);
    write_figures(out, "FailedMax", bad.maximum);
    write_figures(out, "Median", good.median);
    write_figures(out, "FailedMedian", bad.median);
    write_figures(out, "P95", good.p95);
    write_figures(out, "FailedP95", bad.p95);
    out.end_object();
    return out.take();
}

Task<Result<Response>> aggregated_probes(const Context& context, const Request& request) {
    const auto found = co_await probes(context, request);
    if (!found) co_return std::unexpected(found.error());
    Aggregate aggregate;
    for (const auto& m : *found)
        aggregate.add(m);
    co_return bare(aggregate_json(aggregate));
}

/// For what orchestrator measures and Baton does not have: no queue in front of discovery, no statements to a
/// backend, no buffer of instances to write. The true figures are none, and 0.
Reader nothing_measured(std::string json) {
    return [json = std::move(json)](const View&, const Request& request) -> Result<Response> {
        if (const auto span = span_of(request); !span) return std::unexpected(span.error());
        return bare(json);
    };
}

std::string zeros(std::span<const std::string_view> names) {
    JsonWriter out;
    out.begin_object();
    for (const auto name : names)
        out.field(name, 0);
    out.end_object();
    return out.take();
}

constexpr std::string_view queue_figures[] = {
    "ActiveMinEntries", "ActiveMeanEntries", "ActiveMedianEntries", "ActiveP95Entries", "ActiveMaxEntries",
    "QueuedMinEntries", "QueuedMeanEntries", "QueuedMedianEntries", "QueuedP95Entries", "QueuedMaxEntries"};
constexpr std::string_view query_figures[] = {
    "Count",          "MaxLatencySeconds", "MeanLatencySeconds", "MedianLatencySeconds", "P95LatencySeconds",
    "MaxWaitSeconds", "MeanWaitSeconds",   "MedianWaitSeconds",  "P95WaitSeconds"};
constexpr std::string_view buffer_figures[] = {"CountInstances",  "MaxInstances",      "MeanInstances",
                                               "MedianInstances", "P95Instances",      "MaxWaitSeconds",
                                               "MeanWaitSeconds", "MedianWaitSeconds", "P95WaitSeconds"};

}  // namespace

std::vector<Route> metric_routes() {
    Table table;
    table.ask("/api/discovery-metrics-raw/:seconds", raw_probes, "Each probe of the last seconds.")
        .ask("/api/discovery-metrics-aggregated/:seconds", aggregated_probes, "Figures over those probes.")
        .read("/api/discovery-queue-metrics-raw/:seconds /api/discovery-queue-metrics-raw/:queue/:seconds",
              nothing_measured("[]"), "Probes do not queue here.")
        .read(
            "/api/discovery-queue-metrics-aggregated/:seconds "
            "/api/discovery-queue-metrics-aggregated/:queue/:seconds",
            nothing_measured(zeros(queue_figures)), "Probes do not queue here.")
        .read("/api/backend-query-metrics-raw/:seconds", nothing_measured("[]"),
              "There is no database server behind this.")
        .read("/api/backend-query-metrics-aggregated/:seconds", nothing_measured(zeros(query_figures)),
              "There is no database server behind this.")
        .read("/api/write-buffer-metrics-raw/:seconds", nothing_measured("[]"), "Instances are not buffered.")
        .read("/api/write-buffer-metrics-aggregated/:seconds", nothing_measured(zeros(buffer_figures)),
              "Instances are not buffered.");
    return table.take();
}

}  // namespace baton::http::v1
