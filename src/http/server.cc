#include "http/server.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <boost/asio/dispatch.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/redirect_error.hpp>
#include <condition_variable>
#include <future>
#include <mutex>
#include <thread>
#include <unordered_set>

#include "base/async.h"
#include "http/application.h"
#include "http/events.h"
#include "http/session.h"
#include "net/listen.h"

namespace baton::http {

namespace {

using Tcp = asio::ip::tcp;
using Unix = asio::local::stream_protocol;

/// How long stop() waits for answers that are under way.
constexpr auto stop_patience = milliseconds(2000);

/// One HTTP thread with its context, and the connections that it serves.
struct Worker {
    asio::io_context io{1};
    asio::executor_work_guard<asio::io_context::executor_type> work{asio::make_work_guard(io)};
    std::unordered_set<std::shared_ptr<Session>> sessions;  ///< on its own thread only
    std::thread thread;
};

class ServerImpl final : public Server {
  public:
    ServerImpl(control::Control& control, ServerOptions options, std::vector<Route> routes)
        : control_(control), options_(std::move(options)), figures_(std::make_shared<ServerFigures>()) {
        limits_.body_bytes = options_.max_body_bytes;
        events_ = std::make_shared<EventHub>(
            EventHub::Limits{.subscribers = options_.max_event_subscribers, .queue = options_.event_queue});
        application_ = std::make_shared<const Application>(Context{control_, events_, figures_}, options_,
                                                           std::move(routes));
        for (int n = 0; n < std::max(1, options_.threads); ++n)
            workers_.push_back(std::make_unique<Worker>());
    }
    ~ServerImpl() override { stop(); }

    Result<void> start() override;
    void stop() override;
    uint16_t port() const override { return port_; }

  private:
    Result<void> prepare_tls();
    Result<void> listen();
    std::string bound_address() const;
    template <class Protocol>
    Task<void> accept_all(std::shared_ptr<typename Protocol::acceptor> acceptor);
    template <class Socket>
    void admit(Socket socket, Worker& worker);
    std::unique_ptr<net::Stream> stream_for(Tcp::socket socket);
    std::unique_ptr<net::Stream> stream_for(Unix::socket socket) {
        return net::make_stream(std::move(socket));
    }
    Task<void> serve(std::shared_ptr<Session> session, Worker& worker);
    template <class Socket>
    Task<void> refuse(Socket socket);
    void connection_ended();
    void stop_worker(Worker& worker);
    bool wait_for_connections();
    bool wait_for_control();

    control::Control& control_;
    const ServerOptions options_;
    SessionLimits limits_;
    std::shared_ptr<ServerFigures> figures_;
    std::shared_ptr<EventHub> events_;
    std::shared_ptr<const Application> application_;
    std::shared_ptr<net::TlsContext> tls_;
    std::vector<std::unique_ptr<Worker>> workers_;
    std::shared_ptr<Tcp::acceptor> tcp_;
    std::shared_ptr<Unix::acceptor> unix_;
    std::atomic<bool> running_ = false;
    std::atomic<uint16_t> port_ = 0;
    uint64_t subscription_ = 0;
    size_t next_worker_ = 0;  ///< on the first worker's thread
    std::mutex ended_mutex_;
    std::condition_variable ended_;
};

Result<void> ServerImpl::prepare_tls() {
    if (!options_.use_tls) return {};
    auto made = net::make_tls_context({.certificate_file = options_.certificate_file,
                                       .key_file = options_.key_file,
                                       .ca_file = options_.ca_file,
                                       .ask_for_client_certificate = options_.verify_clients});
    if (!made) return std::unexpected(made.error());
    tls_ = std::move(*made);
    return {};
}

Result<void> ServerImpl::listen() {
    const auto executor = workers_.front()->io.get_executor();
    if (!options_.listen_socket.empty()) {
        auto acceptor = net::listen_unix(executor, options_.listen_socket);
        if (!acceptor) return std::unexpected(acceptor.error());
        unix_ = std::make_shared<Unix::acceptor>(std::move(*acceptor));
        return {};
    }
    auto acceptor = net::listen_tcp(executor, options_.listen_address);
    if (!acceptor) return std::unexpected(acceptor.error());
    tcp_ = std::make_shared<Tcp::acceptor>(std::move(*acceptor));
    port_ = tcp_->local_endpoint().port();
    return {};
}

/// The listen address with the port that was really bound, where 0 asked for any.
std::string ServerImpl::bound_address() const {
    const auto& address = options_.listen_address;
    return address.substr(0, address.rfind(':') + 1) + std::to_string(port_);
}

Result<void> ServerImpl::start() {
    if (auto ready = prepare_tls(); !ready) return ready;
    if (auto ready = listen(); !ready) return ready;
    running_ = true;
    subscription_ = control_.subscribe([hub = events_](const control::Event& event) { hub->publish(event); });
    const auto executor = workers_.front()->io.get_executor();
    if (tcp_) spawn(executor, accept_all<Tcp>(tcp_));
    if (unix_) spawn(executor, accept_all<Unix>(unix_));
    for (auto& worker : workers_)
        worker->thread = std::thread([w = worker.get()] { w->io.run(); });
    spdlog::info("HTTP API on {}{}", unix_ ? options_.listen_socket : options_.listen_address,
                 tls_ ? " (TLS)" : "");
    return {};
}

template <class Protocol>
Task<void> ServerImpl::accept_all(std::shared_ptr<typename Protocol::acceptor> acceptor) {
    while (running_) {
        auto& worker = *workers_[next_worker_++ % workers_.size()];
        typename Protocol::socket socket(worker.io);
        boost::system::error_code code;
        co_await acceptor->async_accept(socket, asio::redirect_error(asio::use_awaitable, code));
        if (code == asio::error::operation_aborted || !running_) co_return;
        if (code) {
            // Mostly "too many open files": it passes when some are closed.
            spdlog::warn("cannot accept a connection: {}", code.message());
            asio::steady_timer pause(acceptor->get_executor(), milliseconds(100));
            co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, code));
            continue;
        }
        net::close_on_exec(socket.native_handle());
        admit(std::move(socket), worker);
    }
}

template <class Socket>
void ServerImpl::admit(Socket socket, Worker& worker) {
    if (figures_->connections >= options_.max_connections) {
        ++figures_->connections_refused;
        spawn(worker.io.get_executor(), refuse(std::move(socket)));
        return;
    }
    ++figures_->connections;
    asio::post(worker.io, [this, &worker, socket = std::move(socket)]() mutable {
        auto session =
            std::make_shared<Session>(stream_for(std::move(socket)), application_, figures_, limits_);
        worker.sessions.insert(session);
        spawn(worker.io.get_executor(), serve(std::move(session), worker));
    });
}

std::unique_ptr<net::Stream> ServerImpl::stream_for(Tcp::socket socket) {
    return tls_ ? tls_->make_stream(std::move(socket)) : net::make_stream(std::move(socket));
}

Task<void> ServerImpl::serve(std::shared_ptr<Session> session, Worker& worker) {
    if (!running_) session->stop();
    co_await session->run();
    worker.sessions.erase(session);
    connection_ended();
}

template <class Socket>
Task<void> ServerImpl::refuse(Socket socket) {
    static const std::string body = "503 Service Unavailable: too many connections (HTTPMaxConnections)\n";
    static const std::string text =
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\nRetry-After: 1\r\n"
        "Connection: close\r\nContent-Length: " +
        std::to_string(body.size()) + "\r\n\r\n" + body;
    // Under TLS a plain answer would be noise: there the connection just ends.
    if (tls_) co_return;
    auto stream = net::make_stream(std::move(socket));
    if (co_await stream->write(text, seconds(1))) co_await stream->close(milliseconds(200));
}

void ServerImpl::connection_ended() {
    const std::lock_guard lock(ended_mutex_);
    --figures_->connections;
    ended_.notify_all();
}

void ServerImpl::stop_worker(Worker& worker) {
    asio::post(worker.io, [this, &worker] {
        if (&worker == workers_.front().get()) {
            boost::system::error_code ignored;
            if (tcp_) tcp_->close(ignored);
            if (unix_) unix_->close(ignored);
        }
        for (const auto& session : worker.sessions)
            session->stop();
    });
}

bool ServerImpl::wait_for_connections() {
    std::unique_lock lock(ended_mutex_);
    return ended_.wait_for(lock, stop_patience, [this] { return figures_->connections == 0; });
}

/// The control thread touches a worker's context a little longer than it takes to hand an answer over to it:
/// until it has come to its next piece of work. On the control thread itself this is so at once.
bool ServerImpl::wait_for_control() {
    const auto past = std::make_shared<std::promise<void>>();
    asio::dispatch(control_.executor(), [past] { past->set_value(); });
    return past->get_future().wait_for(stop_patience) == std::future_status::ready;
}

void ServerImpl::stop() {
    if (!running_.exchange(false)) return;
    control_.unsubscribe(subscription_);
    events_->close();
    for (auto& worker : workers_)
        stop_worker(*worker);
    const bool all_ended = wait_for_connections();
    for (auto& worker : workers_) {
        worker->work.reset();
        worker->io.stop();
        worker->thread.join();
    }
    if (unix_) ::unlink(options_.listen_socket.c_str());
    if (all_ended && wait_for_control()) return;
    if (!all_ended) spdlog::warn("stopped with {} requests unanswered", figures_->connections.load());
    // Handlers that wait for the control thread will be resumed through the context they came from, perhaps
    // after this object is gone: so the contexts stay, at rest, for the rest of the process's life.
    static auto* const resting = new std::vector<std::unique_ptr<Worker>>;
    for (auto& worker : workers_)
        resting->push_back(std::move(worker));
    workers_.clear();
}

}  // namespace

std::unique_ptr<Server> make_server(control::Control& control, ServerOptions options,
                                    std::vector<Route> routes) {
    return std::make_unique<ServerImpl>(control, std::move(options), std::move(routes));
}

std::unique_ptr<Server> make_server(control::Control& control, ServerOptions options) {
    auto routes = all_routes(options);
    return make_server(control, std::move(options), std::move(routes));
}

}  // namespace baton::http
