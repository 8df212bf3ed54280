#pragma once

#include <string>

#include "base/clock.h"
#include "base/error.h"

namespace baton::host {

/// Asks a PostgreSQL server for TLS and waits for the one byte of its answer: that much needs its postmaster
/// and a new process, and no login. `host` is a name, a number or the directory of a Unix socket. Errors:
/// refused, unreachable, timeout (no answer within `limit`), broken.
Task<Result<void>> probe_server(Clock& clock, const std::string& host, uint16_t port, Duration limit);

}  // namespace baton::host
