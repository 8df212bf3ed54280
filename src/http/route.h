#pragma once

#include <atomic>
#include <boost/asio/use_awaitable.hpp>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "control/control.h"

/// The HTTP face: one table of routes. Handlers run on an HTTP thread; what changes state is sent to the
/// control thread.
namespace baton::http {

class EventHub;

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

/// The open end of an answer that is written bit by bit. Used on the thread of its handler.
class BodyWriter {
  public:
    virtual ~BodyWriter() = default;
    /// False: the client is gone, or did not take it in time.
    virtual Task<bool> write(std::string_view piece) = 0;
    virtual asio::any_io_executor executor() = 0;
    /// Called once, when the client leaves or the server stops; may be at once.
    virtual void when_closed(std::function<void()> callback) = 0;
};

struct Response {
    int status = 200;
    std::string content_type = "application/json; charset=UTF-8";
    std::string body;
    std::vector<std::pair<std::string, std::string>> headers;
    /// When set, the body is what this writes, until it returns; `body` is not looked at.
    std::function<Task<void>(BodyWriter&)> stream;
};

/// What the server counts about itself, since it began.
struct ServerFigures {
    std::atomic<uint64_t> requests = 0, server_errors = 0, connections_refused = 0;
    std::atomic<size_t> connections = 0;  ///< open now
};

/// What handlers work with.
struct Context {
    control::Control& control;
    std::shared_ptr<EventHub> events = nullptr;              ///< null without a server
    std::shared_ptr<const ServerFigures> figures = nullptr;  ///< null without a server

    /// What control.view() shows, with empty values for what it has not got yet: no member is null.
    control::ViewPtr view() const;
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
