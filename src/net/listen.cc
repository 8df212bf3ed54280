#include "net/listen.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/ip/v6_only.hpp>

#include "base/text.h"

namespace baton::net {

namespace {

using Tcp = asio::ip::tcp;
using Unix = asio::local::stream_protocol;

std::unexpected<Error> cannot_listen(const std::string& where, const boost::system::error_code& code,
                                     std::string_view setting) {
    return fail(ErrorKind::io, "cannot listen: " + code.message() + " (" + std::string(setting) + ")", where);
}

struct HostPort {
    std::string host;  ///< "" = all addresses
    uint16_t port = 0;
};

Result<HostPort> parse_address(const std::string& address, std::string_view setting) {
    const auto colon = address.rfind(':');
    const auto port = parse_uint(colon == std::string::npos ? address : address.substr(colon + 1));
    if (!port || *port > 65535) {
        return fail(ErrorKind::invalid_argument,
                    std::string(setting) + " must be :PORT or HOST:PORT with a port of 0 to 65535", address);
    }
    auto host = colon == std::string::npos ? std::string() : address.substr(0, colon);
    if (host.size() >= 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
    return HostPort{std::move(host), static_cast<uint16_t>(*port)};
}

Result<Tcp::acceptor> bind_to(const asio::any_io_executor& executor, const Tcp::endpoint& endpoint,
                              const std::string& address, std::string_view setting) {
    Tcp::acceptor acceptor(executor);
    boost::system::error_code code, ignored;
    acceptor.open(endpoint.protocol(), code);
    if (!code) close_on_exec(acceptor.native_handle());
    if (!code) acceptor.set_option(Tcp::acceptor::reuse_address(true), code);
    if (!code && endpoint.address().is_v6()) acceptor.set_option(asio::ip::v6_only(false), ignored);
    if (!code) acceptor.bind(endpoint, code);
    if (!code) acceptor.listen(asio::socket_base::max_listen_connections, code);
    if (code) return cannot_listen(address, code, setting);
    return acceptor;
}

/// Somebody listens on this socket file.
bool is_in_use(const asio::any_io_executor& executor, const std::string& path) {
    Unix::socket probe(executor);
    boost::system::error_code code;
    probe.connect(Unix::endpoint(path), code);
    return !code;
}

Result<void> clear_place(const asio::any_io_executor& executor, const std::string& path) {
    struct ::stat found{};
    if (::lstat(path.c_str(), &found) != 0) return {};
    if (!S_ISSOCK(found.st_mode))
        return fail(ErrorKind::io, "cannot listen: the file exists and is not a socket", path);
    if (is_in_use(executor, path)) return cannot_listen(path, asio::error::address_in_use, "ListenSocket");
    ::unlink(path.c_str());
    return {};
}

}  // namespace

void close_on_exec(int descriptor) {
    ::fcntl(descriptor, F_SETFD, FD_CLOEXEC);
}

Result<Tcp::acceptor> listen_tcp(const asio::any_io_executor& executor, const std::string& address,
                                 std::string_view setting) {
    const auto parsed = parse_address(address, setting);
    if (!parsed) return std::unexpected(parsed.error());
    if (parsed->host.empty()) {
        if (auto both = bind_to(executor, {Tcp::v6(), parsed->port}, address, setting)) return both;
        return bind_to(executor, {Tcp::v4(), parsed->port}, address, setting);
    }
    boost::system::error_code code;
    Tcp::resolver resolver(executor);
    const auto found =
        resolver.resolve(parsed->host, std::to_string(parsed->port), Tcp::resolver::passive, code);
    if (code || found.empty())
        return cannot_listen(address, code ? code : asio::error::host_not_found, setting);
    return bind_to(executor, found.begin()->endpoint(), address, setting);
}

Result<Unix::acceptor> listen_unix(const asio::any_io_executor& executor, const std::string& path) {
    constexpr size_t longest = sizeof(::sockaddr_un::sun_path) - 1;
    if (path.size() > longest)
        return fail(ErrorKind::invalid_argument, "the path of a Unix socket is too long", path);
    if (auto cleared = clear_place(executor, path); !cleared) return std::unexpected(cleared.error());
    Unix::acceptor acceptor(executor);
    boost::system::error_code code;
    acceptor.open(Unix(), code);
    if (!code) close_on_exec(acceptor.native_handle());
    if (!code) acceptor.bind(Unix::endpoint(path), code);
    if (!code) acceptor.listen(asio::socket_base::max_listen_connections, code);
    if (code) return cannot_listen(path, code, "ListenSocket");
    return acceptor;
}

}  // namespace baton::net
