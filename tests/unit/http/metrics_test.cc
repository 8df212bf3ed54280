#include <gtest/gtest.h>

#include "fake_control.h"
#include "http/metrics.h"
#include "server_client.h"

namespace baton::http {

namespace {

using namespace testing;

control::Metrics sample_figures() {
    control::Metrics m;
    m.probes = 1000;
    m.probe_failures = 7;
    m.instances = 3;
    m.clusters = 1;
    m.downtimed = 1;
    m.active_recoveries = 2;
    m.probe_latency_p50_ms = 1.5;
    m.probe_delay_p99_ms = 0.25;
    m.problems_by_code = {{"DeadPrimary", 1}, {"ReplayPaused", 2}};
    m.recoveries = {{{"DeadPrimary", "success"}, 4},
                    {{"DeadPrimary", "failed"}, 1},
                    {{"DeadIntermediatePrimary", "success"}, 2},
                    {{"DeadPrimaryAndSomeStandbys", "success"}, 1}};
    m.recovery_seconds = {0.2, 0.22, 0.7, 3.0};
    m.store_queue = 5;
    m.agents = {.connected = 3, .beats = 70, .orders = 4, .orders_failed = 1, .refused = 2};
    m.rss_bytes = 20'000'000;
    return m;
}

TEST(Metrics, PrometheusText) {
    FakeWorld world;
    world.on_control([](FakeControl& c) {
        c.figures = sample_figures();
        return 0;
    });
    auto server = make_server(world.control, loopback(), service_routes());
    ASSERT_TRUE(server->start());
    const auto answer = fetch(server->port(), "/metrics");
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    for (const auto* line : {
             "# TYPE orchestrator_discoveries_total counter\n",
             "\norchestrator_discoveries_total 1000\n",
             "\norchestrator_discovery_errors_total 7\n",
             "\norchestrator_instances_total 3\n",
             "\norchestrator_clusters_total 1\n",
             "\norchestrator_recoveries_total{type=\"DeadPrimary\",result=\"success\"} 4\n",
             "\norchestrator_recoveries_total{type=\"DeadPrimary\",result=\"failed\"} 1\n",
             "# TYPE orchestrator_recovery_duration_seconds histogram\n",
             "\norchestrator_recovery_duration_seconds_count 4\n",
             "\norchestrator_recovery_duration_seconds_bucket{le=\"0.5\"} 2\n",
             "\norchestrator_recovery_duration_seconds_bucket{le=\"1\"} 3\n",
             "\norchestrator_recovery_duration_seconds_bucket{le=\"1024\"} 4\n",
             "\norchestrator_recovery_duration_seconds_bucket{le=\"+Inf\"} 4\n",
             "\nbaton_recovery_duration_seconds_bucket{le=\"0.25\"} 2\n",
             "\nbaton_probe_latency_seconds{quantile=\"0.5\"} 0.0015\n",
             "\nbaton_probe_delay_seconds{quantile=\"0.99\"} 0.00025\n",
             "\nbaton_problems{code=\"ReplayPaused\"} 2\n",
             "\nbaton_recoveries_active 2\n",
             "\nbaton_instances_downtimed 1\n",
             "\nbaton_store_queue 5\n",
             "\nbaton_agents_connected 3\n",
             "\nbaton_agent_beats_total 70\n",
             "\nbaton_agent_orders_failed_total 1\n",
             "\nbaton_agents_refused_total 2\n",
             "\nbaton_ready 1\n",
             "\nbaton_http_requests_total 1\n",
             "\nbaton_build_info{version=\"" BATON_VERSION "\"} 1\n",
             "\nprocess_resident_memory_bytes 20000000\n",
         }) {
        EXPECT_NE(("\n" + answer.body).find(line), std::string::npos) << line << "in\n" << answer.body;
    }
}

TEST(Metrics, DebugMetricsAreFlat) {
    FakeWorld world;
    Measured measured{
        .control = sample_figures(), .view = world.control.view(), .events = {}, .server = nullptr};
    const auto figures = boost::json::parse(debug_metrics_json(measured)).as_object();
    const std::map<std::string, int64_t> expected{
        {"recover.dead_master.start", 6},
        {"recover.dead_master.success", 5},
        {"recover.dead_master.fail", 1},
        {"recover.dead_intermediate_master.success", 2},
        {"recover.dead_co_master.start", 0},
        {"recover.pending", 2},
        {"discoveries.attempt", 1000},
        {"discoveries.fail", 7},
        {"health.is_healthy", 1},
    };
    for (const auto& [name, value] : expected) {
        ASSERT_TRUE(figures.contains(name)) << name;
        EXPECT_EQ(figures.at(name).to_number<int64_t>(), value) << name;
    }
}

TEST(Metrics, HealthRoutes) {
    FakeWorld world;
    auto server = make_server(world.control, loopback(), service_routes());
    ASSERT_TRUE(server->start());
    const auto expect = [&](const char* target, int status, const char* body) {
        const auto answer = fetch(server->port(), target);
        EXPECT_EQ(answer.status, status) << target;
        EXPECT_EQ(answer.body, body) << target;
    };
    expect("/health/live", 200, "{\"status\":\"alive\"}\n");
    expect("/health/ready", 200, "{\"status\":\"ready\"}\n");
    expect("/health/leader", 200, "{\"status\":\"leader\"}\n");
    world.control.change_view([](control::View& v) { v.ready = false; });
    expect("/health/live", 200, "{\"status\":\"alive\"}\n");
    expect("/health/ready", 503, "{\"status\":\"not ready\"}\n");
    expect("/health/leader", 503, "{\"status\":\"not leader\"}\n");
}

}  // namespace

}  // namespace baton::http
