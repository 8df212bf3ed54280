#include "host/probe.h"

#include <fmt/format.h>

#include <array>
#include <boost/asio/connect.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "base/async.h"

namespace baton::host {
namespace {

using Socket = asio::generic::stream_protocol::socket;
using Endpoint = asio::generic::stream_protocol::endpoint;

/// What the request and its alarm share.
struct Attempt {
    explicit Attempt(Clock& clock)
        : socket(clock.executor()), resolver(clock.executor()), timer(clock.make_timer()) {}
    Socket socket;
    asio::ip::tcp::resolver resolver;
    std::unique_ptr<Timer> timer;
    bool over = false;
    bool expired = false;
};

Task<void> watch_time(std::shared_ptr<Attempt> a, MonoTime until) {
    if (!co_await a->timer->wait_until(until) || a->over) co_return;
    a->expired = true;
    boost::system::error_code ignored;
    a->resolver.cancel();
    a->socket.close(ignored);
}

Error error_of(const Attempt& a, const boost::system::error_code& ec, std::string_view doing) {
    const auto text = fmt::format("{}: {}", doing, ec.message());
    if (a.expired) return {ErrorKind::timeout, fmt::format("no answer ({})", doing), "", ""};
    if (ec == asio::error::connection_refused || ec.value() == ENOENT)
        return {ErrorKind::refused, text, "", ""};
    if (ec == asio::error::eof || ec == asio::error::connection_reset || ec == asio::error::broken_pipe)
        return {ErrorKind::broken, text, "", ""};
    // A Unix socket whose queue is full: nobody takes connections off it.
    if (ec == asio::error::try_again) return {ErrorKind::timeout, text, "", ""};
    return {ErrorKind::unreachable, text, "", ""};
}

Task<Result<std::vector<Endpoint>>> endpoints(std::shared_ptr<Attempt> a, const std::string& host,
                                              uint16_t port) {
    if (host.starts_with('/') || host.starts_with('@')) {
        auto path = fmt::format("{}/.s.PGSQL.{}", host, port);
        if (path.starts_with('@')) path[0] = '\0';
        if (path.size() >= sizeof(sockaddr_un::sun_path))
            co_return fail(ErrorKind::unreachable, "the path of the socket is too long");
        co_return std::vector<Endpoint>{asio::local::stream_protocol::endpoint(path)};
    }
    boost::system::error_code ec;
    const auto found = co_await a->resolver.async_resolve(host, std::to_string(port),
                                                          asio::redirect_error(asio::use_awaitable, ec));
    if (ec) co_return std::unexpected(error_of(*a, ec, "resolving"));
    std::vector<Endpoint> out;
    for (const auto& entry : found)
        out.emplace_back(entry.endpoint());
    co_return out;
}

Task<Result<void>> ask(std::shared_ptr<Attempt> a, std::string host, uint16_t port) {
    const auto where = co_await endpoints(a, host, port);
    if (!where) co_return std::unexpected(where.error());
    boost::system::error_code ec = asio::error::host_not_found;
    for (const auto& endpoint : *where) {
        boost::system::error_code ignored;
        if (a->expired) break;
        a->socket.close(ignored);
        co_await a->socket.async_connect(endpoint, asio::redirect_error(asio::use_awaitable, ec));
        if (!ec) break;
    }
    if (ec) co_return std::unexpected(error_of(*a, ec, "connecting"));
    // SSLRequest (PostgreSQL manual, 55.7): length 8, code 80877103.
    static constexpr std::array<unsigned char, 8> request{0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f};
    co_await asio::async_write(a->socket, asio::buffer(request),
                               asio::redirect_error(asio::use_awaitable, ec));
    if (ec) co_return std::unexpected(error_of(*a, ec, "asking"));
    std::array<char, 1> answer{};
    co_await asio::async_read(a->socket, asio::buffer(answer), asio::redirect_error(asio::use_awaitable, ec));
    if (ec) co_return std::unexpected(error_of(*a, ec, "waiting for its answer"));
    co_return Result<void>{};
}

}  // namespace

Task<Result<void>> probe_server(Clock& clock, const std::string& host, uint16_t port, Duration limit) {
    const auto attempt = std::make_shared<Attempt>(clock);
    spawn(clock.executor(), watch_time(attempt, clock.now() + limit));
    auto result = co_await ask(attempt, host, port);
    attempt->over = true;
    attempt->timer->cancel();
    boost::system::error_code ignored;
    attempt->socket.close(ignored);
    co_return result;
}

}  // namespace baton::host
