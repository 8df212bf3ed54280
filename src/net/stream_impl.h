#pragma once

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include <netinet/tcp.h>
#include <sys/socket.h>

#include "net/stream.h"

namespace baton::net {

/// The kernel has sent something again, and the other host's has answered nothing since. That bytes are on
/// their way tells nothing: a busy host takes a while for an acknowledgement. Of a Unix socket there is
/// nothing to tell.
template <class Socket>
bool repeats_in_vain(Socket& socket) {
    if constexpr (!std::is_same_v<Socket, asio::ip::tcp::socket>) return false;
    tcp_info info{};
    socklen_t size = sizeof info;
    return ::getsockopt(socket.native_handle(), IPPROTO_TCP, TCP_INFO, &info, &size) == 0 &&
           (info.tcpi_retransmits > 0 || info.tcpi_probes > 0);
}

/// A listener for IPv6 and IPv4 sees an IPv4 client as ::ffff:192.0.2.1; people know it as 192.0.2.1.
inline std::string address_text(const asio::ip::address& address) {
    if (!address.is_v6() || !address.to_v6().is_v4_mapped()) return address.to_string();
    return asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6()).to_string();
}

/// Asio 1.81 has no deadline for one operation: a timer that cancels the socket. Kept by shared_ptr, because
/// a timer handler may be on its way while the connection goes.
template <class Socket>
struct Watched {
    explicit Watched(Socket s) : socket(std::move(s)), timer(socket.get_executor()) {}

    static void arm(const std::shared_ptr<Watched>& self, Duration limit) {
        self->expired = false;
        const auto turn = ++self->turn;
        self->timer.expires_after(limit);
        self->timer.async_wait([weak = std::weak_ptr(self), turn](const boost::system::error_code& error) {
            const auto alive = weak.lock();
            // The time may have come in the very moment in which the operation ended: then the turn has
            // changed.
            if (error || !alive || alive->turn != turn) return;
            alive->expired = true;
            alive->cancel();
        });
    }
    void disarm() {
        ++turn;
        timer.cancel();
    }
    void cancel() {
        boost::system::error_code ignored;
        socket.cancel(ignored);
    }
    Error error(const boost::system::error_code& code) const {
        if (expired) return {ErrorKind::timeout, "the other side was too slow", "", ""};
        if (code == asio::error::operation_aborted) return {ErrorKind::cancelled, "cancelled", "", ""};
        return {ErrorKind::broken, code.message(), "", ""};
    }

    Socket socket;
    asio::steady_timer timer;
    uint64_t turn = 0;
    bool expired = false;
};

/// What an error means beyond its text: nothing, where there is no layer that could tell.
struct NoMeaning {
    std::string operator()(const boost::system::error_code& /*code*/) const { return {}; }
};

/// Reading and writing are the same for every layer on top of a socket. `meaning`: in words, of an error by
/// which the other side says that it does not trust us; "" of others.
template <class Layer, class Socket, class Meaning = NoMeaning>
Task<Result<size_t>> read_some(Layer& layer, std::shared_ptr<Watched<Socket>> watched,
                               asio::mutable_buffer into, std::optional<Duration> limit,
                               Meaning meaning = {}) {
    boost::system::error_code code;
    if (limit) Watched<Socket>::arm(watched, *limit);
    const auto count = co_await layer.async_read_some(into, asio::redirect_error(asio::use_awaitable, code));
    if (limit) watched->disarm();
    if (code && !watched->expired) {
        if (auto meant = meaning(code); !meant.empty())
            co_return fail(ErrorKind::authentication, std::move(meant));
    }
    if (code) co_return std::unexpected(watched->error(code));
    co_return count;
}

template <class Layer, class Socket>
Task<Result<void>> write_all(Layer& layer, std::shared_ptr<Watched<Socket>> watched, std::string_view bytes,
                             Duration limit) {
    boost::system::error_code code;
    Watched<Socket>::arm(watched, limit);
    co_await asio::async_write(layer, asio::buffer(bytes.data(), bytes.size()),
                               asio::redirect_error(asio::use_awaitable, code));
    watched->disarm();
    if (code) co_return std::unexpected(watched->error(code));
    co_return Result<void>{};
}

}  // namespace baton::net
