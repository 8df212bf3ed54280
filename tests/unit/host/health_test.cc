#include "host/health.h"

#include <gtest/gtest.h>

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "base/run.h"
#include "host/live_servers.h"
#include "host/upstream_look.h"

namespace baton::host {
namespace {

using Tcp = asio::ip::tcp;

uint16_t free_port() {
    asio::io_context io;
    return Tcp::acceptor(io, Tcp::endpoint(asio::ip::address_v4::loopback(), 0)).local_endpoint().port();
}

/// Sends `text`, reads until the other side closes.
Task<std::string> talk(Clock& clock, uint16_t port, std::string text) {
    Tcp::socket socket(clock.executor());
    boost::system::error_code ec;
    co_await socket.async_connect({asio::ip::address_v4::loopback(), port},
                                  asio::redirect_error(asio::use_awaitable, ec));
    EXPECT_FALSE(ec) << ec.message();
    co_await asio::async_write(socket, asio::buffer(text), asio::redirect_error(asio::use_awaitable, ec));
    std::string answer;
    co_await asio::async_read(socket, asio::dynamic_buffer(answer),
                              asio::redirect_error(asio::use_awaitable, ec));
    co_return answer;
}

TEST(Health, AnswersOverKeptConnectionsAndRefusesTheRest) {
    Options options;
    const auto port = free_port();
    options.health_listen_address = "127.0.0.1:" + std::to_string(port);
    agent::Status status;
    status.key = {"db1", 5432};
    status.state = agent::ServerState::running;
    run_task<bool>([&](Clock& clock) -> Task<bool> {
        const auto health = make_health(clock, options, [&] { return std::vector{status}; });
        EXPECT_TRUE(health->start());
        const auto taken = make_health(clock, options, [] { return std::vector<agent::Status>{}; });
        EXPECT_EQ(taken->start().error().kind, ErrorKind::io);
        const auto both = co_await talk(
            clock, port,
            "GET /primary HTTP/1.1\r\nHost: x\r\n\r\nGET /replica HTTP/1.1\r\nConnection: close\r\n\r\n");
        EXPECT_TRUE(both.starts_with("HTTP/1.1 200 OK\r\n")) << both;
        EXPECT_NE(both.find("HTTP/1.1 503 Service Unavailable\r\n"), std::string::npos) << both;
        EXPECT_TRUE((co_await talk(clock, port, "POST / HTTP/1.0\r\n\r\n")).starts_with("HTTP/1.1 405"));
        EXPECT_TRUE((co_await talk(clock, port, "nonsense\r\n\r\n")).starts_with("HTTP/1.1 400"));
        EXPECT_EQ(co_await talk(clock, port, std::string(20000, 'x')), "");
        health->stop();
        co_return true;
    });
}

TEST(Health, AsksTheUpstreamForLagAndSynchrony) {
    if (live::programs().empty()) GTEST_SKIP() << "no PostgreSQL programs";
    live::Pair pair;
    pair.sql('a', "GRANT pg_monitor TO rewinder");
    pair.sql('a', "ALTER SYSTEM SET synchronous_standby_names = 'b'");
    pair.sql('a', "SELECT pg_reload_conf()");
    pair.sql('a', "CREATE TABLE later()");
    const auto look = [&](bool with_rewind_login) {
        auto options = pair.options('b');
        if (!with_rewind_login) options.rewind_conninfo.clear();
        return live::as_server_user([&, options] {
            const auto seen = run_task<UpstreamLook>([&](Clock& clock) -> Task<UpstreamLook> {
                UpstreamLooks looks(clock, {options}, pair.state_directory());
                co_return co_await looks.look(0);
            });
            EXPECT_TRUE(seen.lag_bytes) << seen.why_not;
            EXPECT_LT(seen.lag_bytes.value_or(0), 1000000);
            EXPECT_EQ(seen.sync_state, with_rewind_login ? "sync" : "") << seen.why_not;
        });
    };
    EXPECT_EQ(look(true), 0);
    EXPECT_EQ(look(false), 0);
}

}  // namespace
}  // namespace baton::host
