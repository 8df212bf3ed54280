#include "routing/console.h"

#include <fmt/format.h>
#include <libpq-fe.h>
#include <poll.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include "base/text.h"

namespace baton::routing {
namespace {

using Descriptor = asio::posix::stream_descriptor;

struct ResultDeleter {
    void operator()(PGresult* result) const { PQclear(result); }
};
struct ConnectionDeleter {
    void operator()(PGconn* connection) const { PQfinish(connection); }
};
using ResultPtr = std::unique_ptr<PGresult, ResultDeleter>;
using ConnectionPtr = std::unique_ptr<PGconn, ConnectionDeleter>;

struct Awaited {
    explicit Awaited(Clock& clock) : signal(clock) {}
    Signal signal;
    bool over = false;
    bool ready = false;
};

/// True when the socket is ready before the deadline. libpq may close it afterwards: nothing holds on to it.
Task<bool> wait_ready(Clock& clock, int fd, Descriptor::wait_type type, MonoTime deadline) {
    const auto awaited = std::make_shared<Awaited>(clock);
    Descriptor descriptor(clock.executor(), fd);
    descriptor.async_wait(type, [awaited](const boost::system::error_code& ec) {
        awaited->ready = !ec;
        awaited->over = true;
        awaited->signal.notify();
    });
    while (!awaited->over) {
        if (!co_await awaited->signal.wait_until(deadline)) break;
    }
    descriptor.release();
    co_return awaited->ready;
}

struct Found {
    explicit Found(Clock& clock) : signal(clock) {}
    Signal signal;
    bool over = false;
    std::string address;
    std::string problem;
};

/// The name's first address: libpq itself would look it up while everything else waits.
Task<Result<std::string>> address_of(Clock& clock, std::string host, MonoTime deadline) {
    const auto found = std::make_shared<Found>(clock);
    asio::ip::tcp::resolver lookup(clock.executor());
    lookup.async_resolve(host, "", [found](const auto& ec, const auto& results) {
        found->over = true;
        if (ec) found->problem = ec.message();
        if (!ec && !results.empty()) found->address = results.begin()->endpoint().address().to_string();
        found->signal.notify();
    });
    while (!found->over) {
        if (co_await found->signal.wait_until(deadline)) continue;
        co_return fail(ErrorKind::timeout, "its name could not be looked up in time", host);
    }
    if (!found->address.empty()) co_return found->address;
    co_return fail(ErrorKind::unreachable,
                   "its name does not resolve" + (found->problem.empty() ? "" : ": " + found->problem), host);
}

std::string message_of(const char* text) {
    return printable(trim(text), 300);
}

/// libpq has no code for what went wrong while it connected.
ErrorKind kind_of(std::string_view message) {
    const auto says = [&](std::string_view part) { return message.find(part) != std::string_view::npos; };
    if (says("refused")) return ErrorKind::refused;
    if (says("auth") || says("password") || says("no such user") || says("not allowed"))
        return ErrorKind::authentication;
    if (says("No route") || says("unreachable")) return ErrorKind::unreachable;
    return ErrorKind::broken;
}

ConsoleRows rows_of(const PGresult* result) {
    ConsoleRows rows;
    for (int r = 0; r < PQntuples(result); ++r) {
        auto& row = rows.emplace_back();
        for (int c = 0; c < PQnfields(result); ++c)
            row[PQfname(result, c)] = PQgetvalue(result, r, c);
    }
    return rows;
}

void ignore_notice(void*, const PGresult*) {}

}  // namespace

struct Console::Session {
    Clock& clock;
    ConsoleLogin login;
    ConnectionPtr conn;

    std::string who() const { return fmt::format("{}:{}", login.host, login.port); }
    Task<Result<void>> connect(MonoTime deadline);
    Task<Result<ConsoleRows>> answer(MonoTime deadline);
    std::unexpected<Error> lost(ErrorKind kind, std::string message) {
        conn.reset();
        return fail(kind, std::move(message), who());
    }
};

Console::Console(Clock& clock, ConsoleLogin login)
    : session_(std::make_unique<Session>(clock, std::move(login), nullptr)) {}
Console::~Console() = default;

Task<Result<void>> Console::Session::connect(MonoTime deadline) {
    const auto address = co_await address_of(clock, login.host, deadline);
    if (!address) co_return std::unexpected(address.error());
    const auto port = std::to_string(login.port);
    std::vector<const char*> keys, values;
    const auto add = [&](const char* key, const char* value) {
        if (*value == '\0') return;
        keys.push_back(key);
        values.push_back(value);
    };
    add("host", login.host.c_str());
    add("hostaddr", address->c_str());
    add("port", port.c_str());
    add("user", login.user.c_str());
    add("password", login.password.c_str());
    add("passfile", login.passfile.c_str());
    add("dbname", login.database.c_str());
    add("gssencmode", "disable");
    add("application_name", "baton");
    add("client_encoding", "UTF8");
    add("tcp_user_timeout", "5000");
    keys.push_back(nullptr);
    values.push_back(nullptr);
    conn.reset(PQconnectStartParams(keys.data(), values.data(), 0));
    if (!conn) co_return lost(ErrorKind::internal, "out of memory");
    PQsetNoticeReceiver(conn.get(), ignore_notice, nullptr);
    for (auto wanted = PGRES_POLLING_WRITING; wanted != PGRES_POLLING_OK;) {
        if (wanted == PGRES_POLLING_FAILED || PQstatus(conn.get()) == CONNECTION_BAD) {
            const auto message = message_of(PQerrorMessage(conn.get()));
            co_return lost(kind_of(message), message);
        }
        const auto type = wanted == PGRES_POLLING_READING ? Descriptor::wait_read : Descriptor::wait_write;
        if (!co_await wait_ready(clock, PQsocket(conn.get()), type, deadline))
            co_return lost(ErrorKind::timeout, "it did not let us in in time");
        wanted = PQconnectPoll(conn.get());
    }
    PQsetnonblocking(conn.get(), 1);
    co_return Result<void>{};
}

Task<Result<ConsoleRows>> Console::Session::answer(MonoTime deadline) {
    for (int left = PQflush(conn.get()); left != 0; left = PQflush(conn.get())) {
        if (left < 0) co_return lost(ErrorKind::broken, message_of(PQerrorMessage(conn.get())));
        if (!co_await wait_ready(clock, PQsocket(conn.get()), Descriptor::wait_write, deadline))
            co_return lost(ErrorKind::timeout, "it did not take the command in time");
    }
    ResultPtr last;
    for (;;) {
        while (PQisBusy(conn.get()) == 1) {
            if (!co_await wait_ready(clock, PQsocket(conn.get()), Descriptor::wait_read, deadline))
                co_return lost(ErrorKind::timeout, "it did not answer in time");
            if (PQconsumeInput(conn.get()) == 0)
                co_return lost(ErrorKind::broken, message_of(PQerrorMessage(conn.get())));
        }
        ResultPtr result(PQgetResult(conn.get()));
        if (!result) break;
        last = std::move(result);
    }
    const auto status = last ? PQresultStatus(last.get()) : PGRES_FATAL_ERROR;
    if (status == PGRES_TUPLES_OK) co_return rows_of(last.get());
    if (status == PGRES_COMMAND_OK || status == PGRES_EMPTY_QUERY) co_return ConsoleRows{};
    const auto message = message_of(last ? PQresultErrorMessage(last.get()) : PQerrorMessage(conn.get()));
    if (PQstatus(conn.get()) == CONNECTION_BAD) co_return lost(ErrorKind::broken, message);
    co_return fail(ErrorKind::sql, message, who());
}

Task<Result<ConsoleRows>> Console::ask(std::string command, MonoTime deadline) {
    auto& s = *session_;
    if (!s.conn) {
        if (auto connected = co_await s.connect(deadline); !connected)
            co_return std::unexpected(connected.error());
    }
    if (PQsendQuery(s.conn.get(), command.c_str()) == 0)
        co_return s.lost(ErrorKind::broken, message_of(PQerrorMessage(s.conn.get())));
    co_return co_await s.answer(deadline);
}

std::string quoted(const std::string& text) {
    std::string out = "\"";
    for (const char c : text)
        out.append(c == '"' ? 2 : 1, c);
    return out + '"';
}

}  // namespace baton::routing
