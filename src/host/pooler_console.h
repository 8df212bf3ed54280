#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"

namespace baton::host {

/// PgBouncer's admin console over its Unix socket. Whoever runs as PgBouncer's own user is let in there as
/// "pgbouncer", without a password and whatever `admin_users` says (PgBouncer's manual, admin console).
struct PoolerSocket {
    std::string directory;  ///< unix_socket_dir; "@…" in the abstract namespace
    int port = 6432;        ///< listen_port
};

/// Rows by the names of their columns.
using PoolerRows = std::vector<std::map<std::string, std::string>>;

/// One command over a session of its own. Errors: refused, timeout, broken; authentication: it wants a
/// password; sql: what the console says no to. Agent's thread.
Task<Result<PoolerRows>> ask_pooler(Clock& clock, PoolerSocket socket, std::string command,
                                    MonoTime deadline);

/// `text` as an identifier of the console, in double quotes.
std::string pooler_name(const std::string& text);

}  // namespace baton::host
