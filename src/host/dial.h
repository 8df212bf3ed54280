#pragma once

#include <memory>
#include <string>

#include "net/channel.h"
#include "net/connect.h"

namespace baton::host {

/// Connects to one "host:port" again and again. A name that resolved once stays known: a name server that
/// fails must not cut the agent off.
class Dialer {
  public:
    Dialer(asio::any_io_executor executor, std::string address, uint16_t default_port,
           std::shared_ptr<net::TlsClient> tls);
    /// Errors as net::connect(); invalid_argument when the address is none.
    Task<Result<std::unique_ptr<net::Channel>>> dial(Duration limit);
    /// Where it was reached at last, without asking a name server; as dial() where it never was.
    Task<Result<std::unique_ptr<net::Channel>>> dial_again(Duration limit);
    const std::string& address() const { return address_; }

  private:
    asio::any_io_executor executor_;
    std::string address_;
    uint16_t default_port_;
    std::shared_ptr<net::TlsClient> tls_;
    std::string known_;  ///< the number that it was reached at last
};

}  // namespace baton::host
