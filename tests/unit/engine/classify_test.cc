#include "engine/postgresql/classify.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace baton::engine::postgresql {
namespace {

TEST(Classify, decides_by_errno_sqlstate_and_stage) {
    const struct {
        std::string name;
        Failure failure;
        Reach reach;
        ErrorKind kind;
        bool on_new_connection;
    } cases[] = {
        {"no such name", {.stage = Stage::resolving}, Reach::unreachable, ErrorKind::unreachable, true},
        {"refused",
         {.stage = Stage::connecting, .os_error = ECONNREFUSED},
         Reach::refused,
         ErrorKind::refused,
         true},
        {"no route",
         {.stage = Stage::connecting, .os_error = EHOSTUNREACH},
         Reach::unreachable,
         ErrorKind::unreachable,
         true},
        {"no network",
         {.stage = Stage::connecting, .os_error = ENETUNREACH},
         Reach::unreachable,
         ErrorKind::unreachable,
         true},
        {"no SYN-ACK",
         {.stage = Stage::connecting, .timed_out = true},
         Reach::silent,
         ErrorKind::timeout,
         true},
        {"kernel gave up",
         {.stage = Stage::connecting, .os_error = ETIMEDOUT},
         Reach::silent,
         ErrorKind::timeout,
         true},
        {"hung server",
         {.stage = Stage::handshake, .timed_out = true},
         Reach::unresponsive,
         ErrorKind::timeout,
         true},
        {"hangs up",
         {.stage = Stage::handshake, .ended = true},
         Reach::unresponsive,
         ErrorKind::broken,
         true},
        {"starting",
         {.stage = Stage::handshake, .sqlstate = "57P03"},
         Reach::starting,
         ErrorKind::starting_up,
         true},
        {"full",
         {.stage = Stage::handshake, .sqlstate = "53300"},
         Reach::too_many_connections,
         ErrorKind::too_many_connections,
         true},
        {"password",
         {.stage = Stage::handshake, .sqlstate = "28P01"},
         Reach::not_permitted,
         ErrorKind::authentication,
         true},
        {"pg_hba.conf",
         {.stage = Stage::handshake, .sqlstate = "28000"},
         Reach::not_permitted,
         ErrorKind::authentication,
         true},
        {"database",
         {.stage = Stage::handshake, .sqlstate = "3D000"},
         Reach::not_permitted,
         ErrorKind::authentication,
         true},
        {"no CONNECT",
         {.stage = Stage::handshake, .sqlstate = "42501"},
         Reach::not_permitted,
         ErrorKind::privilege,
         true},
        {"TLS", {.stage = Stage::handshake}, Reach::not_permitted, ErrorKind::authentication, true},
        {"out of memory",
         {.stage = Stage::handshake, .sqlstate = "53200"},
         Reach::failing,
         ErrorKind::sql,
         true},
        {"login works, query hangs",
         {.stage = Stage::first_use, .timed_out = true},
         Reach::unresponsive,
         ErrorKind::timeout,
         true},
        {"first query fails",
         {.stage = Stage::first_use, .sqlstate = "42501"},
         Reach::failing,
         ErrorKind::privilege,
         true},
        {"session hangs",
         {.stage = Stage::session, .timed_out = true},
         Reach::silent,
         ErrorKind::timeout,
         false},
        {"session ends",
         {.stage = Stage::session, .ended = true, .sqlstate = "57P01"},
         Reach::unresponsive,
         ErrorKind::broken,
         false},
        {"query fails",
         {.stage = Stage::session, .sqlstate = "42P01"},
         Reach::failing,
         ErrorKind::sql,
         false},
        {"query cancelled",
         {.stage = Stage::session, .sqlstate = "57014"},
         Reach::failing,
         ErrorKind::timeout,
         false},
    };
    for (const auto& c : cases) {
        const auto verdict = classify(c.failure, "db1:5432");
        EXPECT_EQ(verdict.reach, c.reach) << c.name;
        EXPECT_EQ(verdict.error.kind, c.kind) << c.name;
        EXPECT_EQ(verdict.on_new_connection, c.on_new_connection) << c.name;
        EXPECT_EQ(verdict.error.who, "db1:5432");
    }
}

TEST(ReadConnectMessage, takes_the_sqlstate_out_of_libpqs_words) {
    const std::string prefix = "connection to server at \"127.0.0.1\", port 5432 failed: ";
    const struct {
        std::string text, sqlstate, message;
    } cases[] = {
        {prefix + "FATAL:  57P03: the database system is starting up\nLOCATION:  ProcessStartupPacket, "
                  "postmaster.c:2385\n",
         "57P03", "the database system is starting up"},
        {prefix + "FATAL:  28000: no entry for SSL\n" + prefix +
             "FATAL:  28P01: password authentication failed\n",
         "28P01", "password authentication failed"},
        {prefix + "FATAL:  53300: desol\xC3\xA9: trop de clients\n", "53300",
         "desol\xC3\xA9: trop de clients"},
        {prefix + "ФАТАЛЬНО:  57P03: система запускается\n", "57P03", "система запускается"},
        {prefix + "fe_sendauth: no password supplied\n", "", prefix + "fe_sendauth: no password supplied"},
        {"", "", ""},
    };
    for (const auto& c : cases) {
        const auto read = read_connect_message(c.text);
        EXPECT_EQ(read.sqlstate, c.sqlstate) << c.text;
        EXPECT_EQ(read.message, c.message) << c.text;
    }
}

TEST(ErrnoOfMessage, knows_what_libc_calls_them) {
    EXPECT_EQ(errno_of_message("connection to server failed: Connection refused\n\tIs it running?"),
              ECONNREFUSED);
    EXPECT_EQ(errno_of_message("connection to server failed: No route to host"), EHOSTUNREACH);
    EXPECT_EQ(errno_of_message("something else"), 0);
}

}  // namespace
}  // namespace baton::engine::postgresql
