#include "http/application.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "base/json_writer.h"
#include "base/text.h"
#include "http/target.h"

namespace baton::http {

namespace {

constexpr std::string_view usual_status_endpoint = "/api/status";

bool is_v2(std::string_view pattern) {
    return pattern.starts_with("/api/v2/");
}

Response envelope_error(const std::string& message) {
    JsonWriter out;
    out.begin_object().field("Code", "ERROR").field("Message", message).key("Details").null().end_object();
    return {.status = 500, .body = out.take(), .headers = {}, .stream = nullptr};
}

Response v2_failure(int status, std::string_view code, const std::string& message) {
    JsonWriter out;
    out.begin_object().field("status", "error").key("error").begin_object();
    out.field("code", code).field("message", message).end_object().end_object();
    return {.status = status, .body = out.take(), .headers = {}, .stream = nullptr};
}

Response unauthorized(const Route& route) {
    if (is_v2(route.pattern)) return v2_failure(403, "UNAUTHORIZED", "Unauthorized");
    return envelope_error("Unauthorized");
}

Response failed(const Route& route, const Request& request, std::string_view what) {
    spdlog::error("{} {} failed: {}", request.method, request.path, what);
    const std::string message =
        "internal error in " + route.pattern + "; the log of the manager has the details";
    if (is_v2(route.pattern)) return v2_failure(500, "INTERNAL_ERROR", message);
    return envelope_error(message);
}

Response ask_for_credentials() {
    auto response = plain_text(401, "Not Authorized\n");
    response.headers.emplace_back("WWW-Authenticate", "Basic realm=\"Authorization Required\"");
    return response;
}

Task<Response> front_page(const Context&, const Request&) {
    co_return plain_text(200, fmt::format("Baton {}: high availability for PostgreSQL.\n\n"
                                          "/api/clusters-info  clusters\n"
                                          "/api/problems       what is wrong now\n"
                                          "/api/v2/clusters    the same, second API\n"
                                          "/api/v2/events      live events (Server-Sent Events)\n"
                                          "/api/health         this manager\n"
                                          "/metrics            Prometheus\n",
                                          BATON_VERSION));
}

/// Takes the status route out of `routes` when the configuration wants it elsewhere.
std::vector<Route> status_elsewhere(std::vector<Route>& routes, const std::string& endpoint) {
    if (endpoint.empty() || endpoint == usual_status_endpoint) return {};
    const auto it = std::ranges::find(routes, usual_status_endpoint, &Route::pattern);
    if (it == routes.end()) return {};
    auto moved = *it;
    routes.erase(it);
    moved.pattern = endpoint.starts_with('/') ? endpoint : "/" + endpoint;
    return {moved};
}

}  // namespace

Response plain_text(int status, std::string text) {
    return {.status = status,
            .content_type = "text/plain; charset=utf-8",
            .body = std::move(text),
            .headers = {{"X-Content-Type-Options", "nosniff"}},
            .stream = nullptr};
}

std::vector<Route> all_routes(const ServerOptions& options) {
    std::vector<Route> all{{"GET", "/", false, front_page, "what this is, and where to look"}};
    for (auto part : {v1_routes, v2_routes, service_routes}) {
        for (auto& route : part()) {
            if (route.pattern == "/metrics" && !options.metrics) continue;
            all.push_back(std::move(route));
        }
    }
    return all;
}

Application::Application(Context context, ServerOptions options, std::vector<Route> routes)
    : context_(std::move(context)), options_(std::move(options)) {
    auto elsewhere = status_elsewhere(routes, options_.status_endpoint);
    router_ = std::make_unique<Router>(std::move(routes), options_.url_prefix, std::move(elsewhere));
    for (const auto& pattern : router_->duplicates())
        spdlog::warn("route {} is declared twice; the first one counts", pattern);
}

bool Application::certificate_accepted(const config::Config& config, const net::Peer& peer,
                                       const std::string& path) const {
    if (!options_.use_tls || !options_.verify_clients) return true;
    const auto status_path = options_.status_endpoint == usual_status_endpoint
                                 ? options_.url_prefix + options_.status_endpoint
                                 : options_.status_endpoint;
    if (!config.StatusOUVerify && path == status_path) return true;
    if (!peer.verified) return false;
    return options_.valid_ous.empty() ||
           std::ranges::find_first_of(peer.units, options_.valid_ous) != peer.units.end();
}

Task<Response> Application::run(const Route& route, const Request& request) const {
    std::string what;
    try {
        co_return co_await route.handler(context_, request);
    } catch (const std::exception& e) {
        what = e.what();
    } catch (...) {
        what = "an exception of an unknown type";
    }
    co_return failed(route, request, what);
}

Task<Response> Application::answer(const Incoming& incoming) const {
    if (incoming.target.size() > max_target_bytes) co_return plain_text(414, "414 URI Too Long\n");
    auto target = parse_target(incoming.target);
    if (!target) co_return plain_text(400, "400 Bad Request: " + target.error().message + "\n");

    const auto config = context_.view()->config;
    if (!certificate_accepted(*config, incoming.peer, target->path))
        co_return plain_text(401, "Invalid OU\n");
    const auto identity = identify(*config, incoming.headers);
    if (!identity.admitted) co_return ask_for_credentials();

    auto match = router_->find(incoming.method, target->segments);
    if (!match) co_return plain_text(404, "404 page not found\n");
    Request request;
    request.method = incoming.method;
    request.path = std::move(target->path);
    request.params = std::move(match->params);
    request.query = std::move(target->query);
    request.headers = incoming.headers;
    request.remote = incoming.peer.address;
    request.user = identity.user;
    // Only where it matters: to know somebody's groups may take a question to a directory server.
    request.may_write = match->route->needs_write && may_write(*config, identity);
    if (match->route->needs_write && !request.may_write) co_return unauthorized(*match->route);
    co_return co_await run(*match->route, request);
}

}  // namespace baton::http
