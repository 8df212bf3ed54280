#include "net/connect.h"

#include <netinet/tcp.h>

#include "net/listen.h"
#include "net/stream_impl.h"

namespace baton::net {

namespace {

using Tcp = asio::ip::tcp;
using Endpoints = std::vector<Tcp::endpoint>;
using SteadyTime = std::chrono::steady_clock::time_point;

constexpr size_t addresses_max = 8;  // each may cost its share of the time
/// What was sent and stays unconfirmed for so long ends the connection, as does a host that answers no
/// keepalive: a network that swallows packets tells nobody.
constexpr int silence_ms = 10000;
constexpr int keepalive_idle_s = 5;

std::string text_of(const Target& target) {
    const bool v6 = target.host.find(':') != std::string::npos;
    return (v6 ? "[" + target.host + "]" : target.host) + ":" + std::to_string(target.port);
}

ErrorKind kind_of(const boost::system::error_code& code) {
    namespace e = asio::error;
    if (code == e::connection_refused) return ErrorKind::refused;
    if (code == e::timed_out) return ErrorKind::timeout;
    if (code == e::host_unreachable || code == e::network_unreachable) return ErrorKind::unreachable;
    if (code == e::operation_aborted) return ErrorKind::cancelled;
    return ErrorKind::broken;
}

/// The resolver's thread cannot be interrupted, so it is left to finish what nobody waits for any more.
struct Lookup {
    explicit Lookup(const asio::any_io_executor& executor) : resolver(executor), done(executor) {}
    Tcp::resolver resolver;
    asio::steady_timer done;
    std::optional<Result<Endpoints>> found;
};

Endpoints endpoints_of(const Tcp::resolver::results_type& results) {
    Endpoints endpoints;
    for (const auto& entry : results)
        if (endpoints.size() < addresses_max) endpoints.push_back(entry.endpoint());
    return endpoints;
}

Task<Result<Endpoints>> resolve(asio::any_io_executor executor, const Target& target, SteadyTime deadline) {
    const auto lookup = std::make_shared<Lookup>(executor);
    const auto who = text_of(target);
    lookup->done.expires_at(deadline);
    lookup->resolver.async_resolve(
        target.host, std::to_string(target.port), Tcp::resolver::numeric_service,
        [lookup, who](const boost::system::error_code& code, const Tcp::resolver::results_type& results) {
            if (code) {
                lookup->found =
                    fail(ErrorKind::unreachable, "its name does not resolve: " + code.message(), who);
            } else {
                lookup->found = endpoints_of(results);
            }
            lookup->done.cancel();
        });
    boost::system::error_code ignored;
    co_await lookup->done.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    if (!lookup->found)
        co_return fail(ErrorKind::timeout, "its name did not resolve within the deadline", who);
    co_return *lookup->found;
}

/// Numbers need no resolver.
Endpoints known_endpoints(const Target& target) {
    Endpoints endpoints;
    const auto add = [&](const std::string& text) {
        boost::system::error_code code;
        const auto address = asio::ip::make_address(text, code);
        if (!code && endpoints.size() < addresses_max) endpoints.emplace_back(address, target.port);
    };
    for (const auto& address : target.addresses)
        add(address);
    if (endpoints.empty()) add(target.host);
    return endpoints;
}

void notice_silence(Tcp::socket& socket) {
    const int fd = socket.native_handle();
    const auto set = [fd](int level, int option, int value) {
        ::setsockopt(fd, level, option, &value, sizeof value);
    };
    set(SOL_SOCKET, SO_KEEPALIVE, 1);
    set(IPPROTO_TCP, TCP_KEEPIDLE, keepalive_idle_s);
    set(IPPROTO_TCP, TCP_KEEPINTVL, 2);
    set(IPPROTO_TCP, TCP_KEEPCNT, 3);
    set(IPPROTO_TCP, TCP_USER_TIMEOUT, silence_ms);
}

Task<Result<Tcp::socket>> connect_to(asio::any_io_executor executor, Tcp::endpoint endpoint, Duration limit) {
    const auto watched = std::make_shared<Watched<Tcp::socket>>(Tcp::socket(executor));
    boost::system::error_code code;
    watched->socket.open(endpoint.protocol(), code);
    if (code) co_return fail(kind_of(code), code.message());
    close_on_exec(watched->socket.native_handle());
    Watched<Tcp::socket>::arm(watched, limit);
    co_await watched->socket.async_connect(endpoint, asio::redirect_error(asio::use_awaitable, code));
    watched->disarm();
    if (code && watched->expired) co_return fail(ErrorKind::timeout, "no answer within the deadline");
    if (code) co_return fail(kind_of(code), code.message());
    notice_silence(watched->socket);
    co_return std::move(watched->socket);
}

/// Each address gets an equal share of what is left of the time.
Task<Result<Tcp::socket>> connect_to_any(asio::any_io_executor executor, Endpoints endpoints,
                                         SteadyTime deadline) {
    Result<Tcp::socket> last = fail(ErrorKind::unreachable, "its name has no addresses");
    for (size_t n = 0; n < endpoints.size(); ++n) {
        const Duration left = deadline - std::chrono::steady_clock::now();
        const auto share = left / static_cast<int64_t>(endpoints.size() - n);
        if (share <= Duration::zero()) break;
        last = co_await connect_to(executor, endpoints[n], share);
        if (last) break;
    }
    co_return last;
}

}  // namespace

Task<Result<std::unique_ptr<Stream>>> connect(asio::any_io_executor executor, Target target, Duration limit,
                                              std::shared_ptr<TlsClient> tls) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    auto endpoints = known_endpoints(target);
    if (endpoints.empty()) {
        auto found = co_await resolve(executor, target, deadline);
        if (!found) co_return std::unexpected(found.error());
        endpoints = std::move(*found);
    }
    auto socket = co_await connect_to_any(executor, std::move(endpoints), deadline);
    if (!socket) co_return fail(socket.error().kind, socket.error().message, text_of(target));
    auto stream = tls ? tls->make_stream(std::move(*socket), target.host) : make_stream(std::move(*socket));
    const Duration left = deadline - std::chrono::steady_clock::now();
    const auto shaken = co_await stream->handshake(std::max(left, Duration(1)));
    if (!shaken) co_return fail(shaken.error().kind, shaken.error().message, text_of(target));
    co_return stream;
}

}  // namespace baton::net
