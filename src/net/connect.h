#pragma once

#include <memory>
#include <string>
#include <vector>

#include "net/stream.h"

namespace baton::net {

struct Target {
    std::string host;  ///< a name or a number; the name that a TLS certificate must have
    uint16_t port = 0;
    /// Where `host` is, as numbers, when the caller knows; else the system's resolver is asked.
    std::vector<std::string> addresses;
};

/// Connects, trying the addresses of `target` one after the other, and with `tls` shakes hands; all of it
/// within `limit`. Errors: refused, unreachable (no such name, no route), timeout, authentication (the
/// certificate is not accepted), broken, cancelled.
Task<Result<std::unique_ptr<Stream>>> connect(asio::any_io_executor executor, Target target, Duration limit,
                                              std::shared_ptr<TlsClient> tls = nullptr);

}  // namespace baton::net
