#pragma once

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "control/control.h"

/// The HTTP face: one table of routes. Handlers run on an HTTP thread; what changes state is sent to the
/// control thread.
namespace baton::http {

struct Request {
    std::string method;                         ///< "GET", "HEAD", …
    std::string path;                           ///< without query, percent-decoded per segment after matching
    std::map<std::string, std::string> params;  ///< from ":name" segments, decoded
    std::map<std::string, std::string> query;   ///< decoded; first value wins
    std::vector<std::pair<std::string, std::string>> headers;
    std::string remote;      ///< peer address
    std::string user;        ///< authenticated user, "" = nobody
    bool may_write = false;  ///< authorised for routes with needs_write

    std::string param(const std::string& name) const;
    std::string query_value(const std::string& name) const;  ///< "" when absent
    std::string header(std::string_view name) const;         ///< case-insensitive, "" when absent
    control::Caller caller() const;                          ///< user, else remote
};

struct Response {
    int status = 200;
    std::string content_type = "application/json; charset=UTF-8";
    std::string body;
    std::vector<std::pair<std::string, std::string>> headers;
};

/// What handlers work with.
struct Context {
    control::Control& control;

    control::ViewPtr view() const { return control.view(); }
    /// Runs `work(control)` on the control thread and returns its result here. For reads of the record and
    /// for commands.
    template <class Work>
    auto on_control(Work work) const -> Task<decltype(work(control))>;
    /// Same for a coroutine: `start(control)` returns Task<T>.
    template <class T>
    Task<T> command(std::function<Task<T>(control::Control&)> start) const;
};

using Handler = std::function<Task<Response>(const Context&, const Request&)>;

struct Route {
    std::string method;
    std::string pattern;  ///< "/api/instance/:host/:port"; a trailing slash in a request is accepted
    bool needs_write = false;
    Handler handler;
    std::string doc;  ///< one sentence
};

template <class Work>
auto Context::on_control(Work work) const -> Task<decltype(work(control))> {
    auto& c = control;
    co_return co_await asio::co_spawn(
        c.executor(), [&c, work = std::move(work)]() -> Task<decltype(work(c))> { co_return work(c); },
        asio::use_awaitable);
}

template <class T>
Task<T> Context::command(std::function<Task<T>(control::Control&)> start) const {
    auto& c = control;
    co_return co_await asio::co_spawn(
        c.executor(), [&c, start = std::move(start)]() -> Task<T> { co_return co_await start(c); },
        asio::use_awaitable);
}

/// The tables of the rooms below; the server joins them.
std::vector<Route> v1_routes();       ///< http/v1: orchestrator's routes, envelopes and names
std::vector<Route> v2_routes();       ///< v2 envelope
std::vector<Route> service_routes();  ///< /metrics, /health/*, …

}  // namespace baton::http
