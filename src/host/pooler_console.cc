// The little of PostgreSQL's protocol (manual, 55.2 and 55.7) that a console without a password needs.
#include "host/pooler_console.h"

#include <fmt/format.h>
#include <sys/un.h>

#include <array>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "base/async.h"
#include "base/text.h"

namespace baton::host {
namespace {

using Unix = asio::local::stream_protocol;

/// A row is one database: this is far more than any of them.
constexpr uint32_t most_message_bytes = 64 * 1024;
constexpr size_t most_rows = 10000;

struct Session {
    explicit Session(Clock& clock) : socket(clock.executor()), timer(clock.make_timer()) {}
    Unix::socket socket;
    std::unique_ptr<Timer> timer;
    bool over = false;
    bool expired = false;

    Error error_of(const boost::system::error_code& ec, std::string_view doing) const {
        if (expired) return {ErrorKind::timeout, fmt::format("no answer ({})", doing), "", ""};
        const bool nobody = ec == asio::error::connection_refused || ec.value() == ENOENT;
        return {nobody ? ErrorKind::refused : ErrorKind::broken, fmt::format("{}: {}", doing, ec.message()),
                "", ""};
    }
};
using SessionPtr = std::shared_ptr<Session>;

Task<void> watch_time(SessionPtr s, MonoTime until) {
    if (!co_await s->timer->wait_until(until) || s->over) co_return;
    s->expired = true;
    boost::system::error_code ignored;
    s->socket.close(ignored);
}

uint32_t number(std::string_view bytes) {
    uint32_t n = 0;
    for (const char c : bytes)
        n = n << 8 | static_cast<unsigned char>(c);
    return n;
}

std::string in_bytes(uint32_t n) {
    return {static_cast<char>(n >> 24), static_cast<char>(n >> 16), static_cast<char>(n >> 8),
            static_cast<char>(n)};
}

Task<Result<void>> send(SessionPtr s, std::string bytes) {
    boost::system::error_code ec;
    co_await asio::async_write(s->socket, asio::buffer(bytes), asio::redirect_error(asio::use_awaitable, ec));
    if (ec) co_return std::unexpected(s->error_of(ec, "asking"));
    co_return Result<void>{};
}

Task<Result<std::string>> read(SessionPtr s, size_t n) {
    std::string bytes(n, '\0');
    boost::system::error_code ec;
    co_await asio::async_read(s->socket, asio::buffer(bytes), asio::redirect_error(asio::use_awaitable, ec));
    if (ec) co_return std::unexpected(s->error_of(ec, "waiting for its answer"));
    co_return bytes;
}

struct Message {
    char type = 0;
    std::string body;
};

Task<Result<Message>> next(SessionPtr s) {
    const auto head = co_await read(s, 5);
    if (!head) co_return std::unexpected(head.error());
    const auto length = number(std::string_view(*head).substr(1));
    if (length < 4 || length > most_message_bytes)
        co_return fail(ErrorKind::broken, "what answers there is no PgBouncer");
    auto body = co_await read(s, length - 4);
    if (!body) co_return std::unexpected(body.error());
    co_return Message{head->front(), std::move(*body)};
}

/// Takes `n` bytes off the front; fewer where there are no more.
std::string_view take(std::string_view& from, size_t n) {
    const auto part = from.substr(0, n);
    from.remove_prefix(part.size());
    return part;
}

std::string_view take_text(std::string_view& from) {
    const auto text = take(from, std::min(from.find('\0'), from.size()));
    take(from, 1);
    return text;
}

std::vector<std::string> columns_of(std::string_view body) {
    constexpr size_t rest_of_a_column = 18;
    std::vector<std::string> names;
    for (auto left = number(take(body, 2)); left > 0 && !body.empty(); --left) {
        names.emplace_back(take_text(body));
        take(body, rest_of_a_column);
    }
    return names;
}

std::map<std::string, std::string> row_of(std::string_view body, const std::vector<std::string>& columns) {
    constexpr uint32_t null = 0xffffffff;
    std::map<std::string, std::string> row;
    const auto count = number(take(body, 2));
    for (size_t i = 0; i < count && i < columns.size() && !body.empty(); ++i) {
        const auto length = number(take(body, 4));
        row[columns[i]] = length == null ? std::string() : std::string(take(body, length));
    }
    return row;
}

Error complaint_of(std::string_view body) {
    Error e{ErrorKind::sql, "", "", ""};
    while (!body.empty() && body.front() != '\0') {
        const char field = take(body, 1).front();
        const auto text = take_text(body);
        if (field == 'M') e.message = printable(text, 300);
    }
    return e;
}

/// Reads until the console is ready for a command.
Task<Result<PoolerRows>> answer(SessionPtr s) {
    PoolerRows rows;
    std::vector<std::string> columns;
    std::optional<Error> wrong;
    for (;;) {
        const auto message = co_await next(s);
        if (!message) {
            // Who is not let in is told why, and then nobody is there any more.
            if (wrong) co_return std::unexpected(*wrong);
            co_return std::unexpected(message.error());
        }
        const std::string_view body = message->body;
        if (message->type == 'Z') break;
        if (message->type == 'R' && number(body.substr(0, 4)) != 0)
            co_return fail(ErrorKind::authentication,
                           "it wants a password: the agent must run as PgBouncer's own user");
        if (message->type == 'E') wrong = complaint_of(body);
        if (message->type == 'T') columns = columns_of(body);
        if (message->type == 'D' && rows.size() < most_rows) rows.push_back(row_of(body, columns));
    }
    if (wrong) co_return std::unexpected(*wrong);
    co_return rows;
}

Task<Result<PoolerRows>> converse(SessionPtr s, std::string path, std::string command) {
    boost::system::error_code ec;
    co_await s->socket.async_connect(Unix::endpoint(path), asio::redirect_error(asio::use_awaitable, ec));
    if (ec) co_return std::unexpected(s->error_of(ec, "connecting"));
    using namespace std::string_literals;
    const auto who = in_bytes(0x00030000) + "user\0pgbouncer\0database\0pgbouncer\0\0"s;
    if (auto sent = co_await send(s, in_bytes(static_cast<uint32_t>(who.size() + 4)) + who); !sent)
        co_return std::unexpected(sent.error());
    if (auto let_in = co_await answer(s); !let_in) co_return let_in;
    command += '\0';
    if (auto sent = co_await send(s, "Q" + in_bytes(static_cast<uint32_t>(command.size() + 4)) + command);
        !sent)
        co_return std::unexpected(sent.error());
    co_return co_await answer(s);
}

}  // namespace

Task<Result<PoolerRows>> ask_pooler(Clock& clock, PoolerSocket socket, std::string command,
                                    MonoTime deadline) {
    auto path = fmt::format("{}/.s.PGSQL.{}", socket.directory, socket.port);
    const auto name = path;
    if (path.starts_with('@')) path[0] = '\0';
    if (path.size() >= sizeof(sockaddr_un::sun_path))
        co_return fail(ErrorKind::invalid_argument, "the path of the socket is too long", name);
    const auto session = std::make_shared<Session>(clock);
    spawn(clock.executor(), watch_time(session, deadline));
    auto result = co_await converse(session, std::move(path), std::move(command));
    session->over = true;
    session->timer->cancel();
    boost::system::error_code ignored;
    session->socket.close(ignored);
    if (!result) result.error().who = name;
    co_return result;
}

std::string pooler_name(const std::string& text) {
    std::string out = "\"";
    for (const char c : text)
        out.append(c == '"' ? 2 : 1, c);
    return out + '"';
}

}  // namespace baton::host
