#include "fleet_sim/server.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>

#include "base/text.h"

namespace baton::bench {
namespace {

enum class Kind : uint32_t { listener, connection, commands };

constexpr uint32_t protocol_3 = 196608, ssl_request = 80877103, gss_request = 80877104;
constexpr size_t message_max = 1 << 20;

uint64_t tag(Kind kind, uint32_t index) {
    return static_cast<uint64_t>(kind) << 32 | index;
}

void watch(int epoll, int operation, int fd, uint32_t events, uint64_t data) {
    epoll_event event{.events = events, .data = {.u64 = data}};
    epoll_ctl(epoll, operation, fd, &event);
}

uint32_t read_int32(std::string_view bytes) {
    uint32_t value = 0;
    for (size_t i = 0; i < 4; ++i)
        value = value << 8 | static_cast<unsigned char>(bytes[i]);
    return value;
}

/// Takes a zero-terminated string off the front.
std::string take_text(std::string_view& bytes) {
    const auto end = bytes.find('\0');
    std::string text(bytes.substr(0, end));
    bytes.remove_prefix(end == std::string_view::npos ? bytes.size() : end + 1);
    return text;
}

Result<Socket> listen_on(const std::string& host, uint16_t port) {
    Socket socket(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    const int on = 1;
    setsockopt(socket.fd(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in at{.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {}, .sin_zero = {}};
    inet_pton(AF_INET, host.c_str(), &at.sin_addr);
    constexpr int backlog = 32;
    if (socket.fd() < 0 || bind(socket.fd(), reinterpret_cast<sockaddr*>(&at), sizeof at) != 0 ||
        ::listen(socket.fd(), backlog) != 0) {
        return fail(ErrorKind::refused, std::strerror(errno), fmt::format("{}:{}", host, port));
    }
    return socket;
}

std::string json_array(const std::vector<double>& values) {
    return fmt::format("[{:.1f}]", fmt::join(values, ", "));
}

}  // namespace

void Socket::close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

void Socket::reset() {
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close();
}

FleetServer::FleetServer(World& world) : world_(world), epoll_(epoll_create1(EPOLL_CLOEXEC)) {}

Result<void> FleetServer::listen() {
    for (const auto& s : world_.servers()) {
        auto listener = listen_on(s.host, world_.options().port);
        if (!listener) return std::unexpected(listener.error());
        watch(epoll_.fd(), EPOLL_CTL_ADD, listener->fd(), EPOLLIN, tag(Kind::listener, s.id));
        listeners_.push_back(std::move(*listener));
    }
    watch(epoll_.fd(), EPOLL_CTL_ADD, STDIN_FILENO, EPOLLIN, tag(Kind::commands, 0));
    return {};
}

void FleetServer::run() {
    const auto began = std::chrono::steady_clock::now();
    const auto elapsed = [began] {
        return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - began)
            .count();
    };
    std::array<epoll_event, 512> events;
    while (!stopping_) {
        const auto next = world_.advance(elapsed());
        const int wait_ms = next < 0 ? -1 : static_cast<int>((next + 999) / 1000);
        const int count = epoll_wait(epoll_.fd(), events.data(), static_cast<int>(events.size()), wait_ms);
        world_.advance(elapsed());
        for (int i = 0; i < count; ++i) {
            const auto index = static_cast<uint32_t>(events[static_cast<size_t>(i)].data.u64);
            switch (static_cast<Kind>(events[static_cast<size_t>(i)].data.u64 >> 32)) {
                case Kind::listener:
                    accept_from(index);
                    break;
                case Kind::connection:
                    on_connection(index, events[static_cast<size_t>(i)].events);
                    break;
                case Kind::commands:
                    read_commands();
            }
        }
        // Events of this round may still name a connection that has ended: its place is given away
        // afterwards.
        free_.insert(free_.end(), freed_now_.begin(), freed_now_.end());
        freed_now_.clear();
    }
}

void FleetServer::accept_from(uint32_t server) {
    if (listeners_[server].fd() < 0) return;
    Socket socket(accept4(listeners_[server].fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (socket.fd() < 0) return;
    const int on = 1;
    setsockopt(socket.fd(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (free_.empty()) {
        free_.push_back(static_cast<uint32_t>(connections_.size()));
        connections_.emplace_back();
    }
    const auto index = free_.back();
    free_.pop_back();
    watch(epoll_.fd(), EPOLL_CTL_ADD, socket.fd(), EPOLLIN, tag(Kind::connection, index));
    auto c = std::make_unique<Connection>();
    c->socket = std::move(socket);
    c->server = server;
    connections_[index] = std::move(c);
    ++sessions_;
}

void FleetServer::on_connection(uint32_t index, uint32_t) {
    auto* c = connections_[index].get();
    if (c == nullptr) return;
    if (!read_from(*c) || !handle_input(*c) || !flush(*c, index)) drop(index);
}

bool FleetServer::read_from(Connection& c) {
    std::array<char, 16384> buffer;
    const auto got = recv(c.socket.fd(), buffer.data(), buffer.size(), 0);
    if (got > 0) c.in.append(buffer.data(), static_cast<size_t>(got));
    return got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
}

bool FleetServer::handle_input(Connection& c) {
    std::string_view rest = c.in;
    for (;;) {
        const size_t head = c.ready ? 1 : 0;
        if (rest.size() < head + 4) break;
        const size_t length = read_int32(rest.substr(head));
        if (length < 4 || length > message_max) return false;
        if (rest.size() < head + length) break;
        const auto body = rest.substr(head + 4, length - 4);
        if (c.ready && rest[0] == 'X') return false;
        if (c.ready) {
            handle_message(c, rest[0], body);
        } else if (!handle_startup(c, body)) {
            return false;
        }
        rest.remove_prefix(head + length);
    }
    c.in.erase(0, c.in.size() - rest.size());
    return true;
}

bool FleetServer::handle_startup(Connection& c, std::string_view packet) {
    const auto code = packet.size() < 4 ? 0 : read_int32(packet);
    if (code == ssl_request || code == gss_request) {
        c.out.push_back('N');
        return true;
    }
    if (code != protocol_3) return false;
    Reply reply(c.out);
    reply.begin('R'), reply.int32(0), reply.end();
    for (const auto& [name, value] : {std::pair{"server_version", "15.18 (Debian 15.18-0+deb12u1)"},
                                      {"server_encoding", "UTF8"},
                                      {"client_encoding", "UTF8"},
                                      {"standard_conforming_strings", "on"},
                                      {"integer_datetimes", "on"},
                                      {"DateStyle", "ISO, MDY"},
                                      {"TimeZone", "Etc/UTC"},
                                      {"is_superuser", "off"}}) {
        reply.begin('S'), reply.text(name), reply.text(value), reply.end();
    }
    reply.begin('K'), reply.int32(static_cast<size_t>(sessions_)), reply.int32(1), reply.end();
    reply.ready();
    c.ready = true;
    return true;
}

void FleetServer::handle_message(Connection& c, char type, std::string_view body) {
    Reply reply(c.out);
    if (type == 'S') {
        c.failed = false;
        return reply.ready();
    }
    if (type == 'Q') return simple_query(c, body);
    if (c.failed) return;
    if (type == 'P') return parse(c, body);
    if (type == 'B') {
        take_text(body);  // the portal
        c.bound = take_text(body);
        return reply.simple('2');
    }
    const auto statement = c.prepared.find(c.bound);
    if (statement == c.prepared.end()) {
        c.failed = true;
        return reply.error("26000", "prepared statement does not exist");
    }
    const auto& [what, sql] = statement->second;
    if (type == 'D') {
        const auto columns = columns_of(what);
        return columns > 0 ? reply.columns(columns) : reply.simple('n');
    }
    if (type == 'E') run_statement(c, what, sql, false);
}

void FleetServer::parse(Connection& c, std::string_view body) {
    const auto name = take_text(body);
    auto sql = take_text(body);
    const auto what = recognise(sql);
    c.prepared[name] = {what, what == Statement::look ? std::string() : std::move(sql)};
    Reply(c.out).simple('1');
}

void FleetServer::simple_query(Connection& c, std::string_view body) {
    const auto sql = take_text(body);
    run_statement(c, recognise(sql), sql, true);
    c.failed = false;
    Reply(c.out).ready();
}

void FleetServer::run_statement(Connection& c, Statement statement, std::string_view sql, bool describe) {
    ++statements_;
    if (statement == Statement::look) ++looks_;
    if (statement == Statement::unknown) {
        ++unknown_count_;
        unknown_ = sql;
    }
    Reply reply(c.out);
    const auto before = c.out.size();
    if (const auto columns = columns_of(statement); describe && columns > 0) reply.columns(columns);
    const auto described = c.out.size();
    execute(world_, world_.server(c.server), statement, sql, reply);
    c.failed = c.out.size() > described && c.out[described] == 'E';
    if (c.failed) c.out.erase(before, described - before);  // an error comes instead of the columns
}

bool FleetServer::flush(Connection& c, uint32_t index) {
    while (!c.out.empty()) {
        const auto sent = send(c.socket.fd(), c.out.data(), c.out.size(), MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0 && errno != EAGAIN) return false;
        if (sent < 0) {
            watch(epoll_.fd(), EPOLL_CTL_MOD, c.socket.fd(), EPOLLIN | EPOLLOUT,
                  tag(Kind::connection, index));
            return true;
        }
        c.out.erase(0, static_cast<size_t>(sent));
    }
    return true;
}

void FleetServer::drop(uint32_t index) {
    connections_[index].reset();
    freed_now_.push_back(index);
}

void FleetServer::read_commands() {
    std::array<char, 4096> buffer;
    const auto got = read(STDIN_FILENO, buffer.data(), buffer.size());
    if (got <= 0) {
        stopping_ = true;
        return;
    }
    commands_.append(buffer.data(), static_cast<size_t>(got));
    for (auto end = commands_.find('\n'); end != std::string::npos; end = commands_.find('\n')) {
        command(commands_.substr(0, end));
        commands_.erase(0, end + 1);
    }
}

void FleetServer::command(const std::string& line) {
    if (line.starts_with("kill ")) {
        kill(parse_uint(line.substr(5)).value_or(0));
    } else if (line == "status") {
        report();
    } else if (line == "quit") {
        stopping_ = true;
    } else {
        fmt::print("{{\"error\": \"commands are: kill N, status, quit\"}}\n");
    }
    std::fflush(stdout);
}

void FleetServer::kill(size_t count) {
    std::vector<bool> dead(world_.servers().size(), false);
    const auto killed = world_.kill_primaries(count);
    for (const auto id : killed) {
        dead[id] = true;
        listeners_[id].close();
    }
    for (uint32_t i = 0; i < connections_.size(); ++i) {
        if (!connections_[i] || !dead[connections_[i]->server]) continue;
        connections_[i]->socket.reset();
        drop(i);
    }
    fmt::print("{{\"killed\": {}}}\n", killed.size());
}

/// One line of JSON.
void FleetServer::report() const {
    size_t up = 0, primaries = 0, streaming = 0, open = 0;
    for (const auto& s : world_.servers()) {
        up += s.up;
        primaries += s.up && s.primary;
        streaming += s.up && s.streaming;
    }
    for (const auto& c : connections_)
        open += c != nullptr;
    const auto o = world_.outcome();
    fmt::print(
        R"({{"up": {}, "primaries": {}, "streaming": {}, "sessions": {}, "opened": {}, "statements": {}, "looks": {}, )",
        up, primaries, streaming, open, sessions_, statements_, looks_);
    fmt::print(R"("unknown": {}, "killed": {}, "promoted_twice": {}, "promoted_ms": {}, "rewired_ms": {}}})",
               unknown_count_, o.killed, o.promoted_twice, json_array(o.promoted_ms),
               json_array(o.rewired_ms));
    fmt::print("\n");
    if (!unknown_.empty()) fmt::print(stderr, "last statement that was not recognised: {}\n", unknown_);
}

}  // namespace baton::bench
