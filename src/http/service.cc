// What monitoring and load balancers ask for: metrics, and the health routes with their fixed little answers.
#include "http/events.h"
#include "http/metrics.h"
#include "http/route.h"

namespace baton::http {

namespace {

Response little_status(int status, std::string_view what) {
    Response response;
    response.status = status;
    response.content_type = "application/json";
    response.body = R"({"status":")" + std::string(what) + "\"}\n";
    return response;
}

Task<Measured> measure(const Context& context) {
    Measured measured;
    measured.control = co_await context.on_control([](control::Control& c) { return c.metrics(); });
    measured.view = context.view();
    if (context.events) measured.events = context.events->figures();
    measured.server = context.figures;
    co_return measured;
}

Task<Response> metrics(const Context& context, const Request&) {
    Response response;
    response.content_type = "text/plain; version=0.0.4; charset=utf-8";
    response.body = prometheus_text(co_await measure(context));
    co_return response;
}

Task<Response> debug_metrics(const Context& context, const Request&) {
    Response response;
    response.body = debug_metrics_json(co_await measure(context));
    co_return response;
}

Task<Response> live(const Context&, const Request&) {
    co_return little_status(200, "alive");
}

/// From the view alone: a load balancer gets its answer even while the control thread is busy.
Task<Response> ready(const Context& context, const Request&) {
    co_return context.view()->ready ? little_status(200, "ready") : little_status(503, "not ready");
}

/// A manager that stands alone leads whenever it is ready.
Task<Response> leader(const Context& context, const Request&) {
    co_return context.view()->ready ? little_status(200, "leader") : little_status(503, "not leader");
}

}  // namespace

std::vector<Route> service_routes() {
    return {
        {"GET", "/metrics", false, metrics, "Measurements for Prometheus."},
        {"GET", "/debug/metrics", false, debug_metrics, "Measurements as one flat JSON object."},
        {"GET", "/health/live", false, live, "The process is up."},
        {"GET", "/health/ready", false, ready, "Everything was looked at once, and the store is healthy."},
        {"GET", "/health/leader", false, leader, "This manager leads."},
    };
}

}  // namespace baton::http
