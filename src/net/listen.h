#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <string>

#include "base/clock.h"
#include "base/error.h"

namespace baton::net {

/// Binds "host:port", ":port" (all addresses, IPv6 too where the machine has it) or "[v6]:port". The error
/// names the address and the reason, and the setting that it comes from.
Result<asio::ip::tcp::acceptor> listen_tcp(const asio::any_io_executor& executor, const std::string& address,
                                           std::string_view setting = "ListenAddress");

/// Binds a Unix socket. A socket file that a dead process left is replaced; one that somebody answers on, or
/// a file that is no socket, is an error.
Result<asio::local::stream_protocol::acceptor> listen_unix(const asio::any_io_executor& executor,
                                                           const std::string& path);

/// Child processes (hooks) must not inherit sockets.
void close_on_exec(int descriptor);

}  // namespace baton::net
