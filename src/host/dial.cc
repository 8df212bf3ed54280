#include "host/dial.h"

#include "agent/protocol.h"
#include "topology/instance_key.h"

namespace baton::host {

Dialer::Dialer(asio::any_io_executor executor, std::string address, uint16_t default_port,
               std::shared_ptr<net::TlsClient> tls)
    : executor_(std::move(executor)),
      address_(std::move(address)),
      default_port_(default_port),
      tls_(std::move(tls)) {}

Task<Result<std::unique_ptr<net::Channel>>> Dialer::dial(Duration limit) {
    const auto key = topology::parse_instance_key(address_, default_port_);
    if (!key) co_return std::unexpected(key.error());
    net::Target target{.host = key->host, .port = key->port, .addresses = {}};
    auto stream = co_await net::connect(executor_, target, known_.empty() ? limit : limit / 2, tls_);
    const bool nowhere = !stream && (stream.error().kind == ErrorKind::unreachable ||
                                     stream.error().kind == ErrorKind::timeout);
    if (nowhere && !known_.empty()) {
        target.addresses = {known_};
        stream = co_await net::connect(executor_, target, limit / 2, tls_);
    }
    if (!stream) co_return std::unexpected(stream.error());
    known_ = (*stream)->peer().address;
    co_return net::make_channel(std::move(*stream), agent::frame_limit);
}

Task<Result<std::unique_ptr<net::Channel>>> Dialer::dial_again(Duration limit) {
    const auto key = topology::parse_instance_key(address_, default_port_);
    if (!key || known_.empty()) co_return co_await dial(limit);
    net::Target target{.host = key->host, .port = key->port, .addresses = {known_}};
    auto stream = co_await net::connect(executor_, target, limit, tls_);
    if (!stream) co_return std::unexpected(stream.error());
    co_return net::make_channel(std::move(*stream), agent::frame_limit);
}

}  // namespace baton::host
