#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"

/// A console that speaks the simple protocol of PostgreSQL and is no PostgreSQL.
namespace baton::routing {

struct ConsoleLogin {
    std::string host;
    uint16_t port = 0;
    std::string user;
    std::string password;  ///< "" = passfile, else none
    std::string passfile;  ///< in the format of libpq
    std::string database = "pgbouncer";
    bool operator==(const ConsoleLogin&) const = default;
};

/// Rows by the names of their columns.
using ConsoleRows = std::vector<std::map<std::string, std::string>>;

/// One session. One command at a time; it may be destroyed between two.
class Console {
  public:
    Console(Clock& clock, ConsoleLogin login);
    ~Console();
    Console(const Console&) = delete;
    Console& operator=(const Console&) = delete;

    /// Connects first where there is no session. Errors: refused, unreachable, timeout, authentication,
    /// broken, and sql: what the console says no to. After all but sql there is no session left.
    Task<Result<ConsoleRows>> ask(std::string command, MonoTime deadline);

  private:
    struct Session;
    std::unique_ptr<Session> session_;
};

/// `text` as an identifier of the console, in double quotes.
std::string quoted(const std::string& text);

}  // namespace baton::routing
