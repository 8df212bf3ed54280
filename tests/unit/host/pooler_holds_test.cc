#include "host/pooler_holds.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/local/stream_protocol.hpp>
#include <filesystem>
#include <fstream>

#include "base/run.h"
#include "host/files.h"
#include "host/pooler_console.h"
#include "routing/fake_console.h"

namespace baton::host {
namespace {

using routing::Answer;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using Console = routing::FakeConsoleOn<asio::local::stream_protocol>;

/// A PgBouncer's console on a Unix socket, a server that answers and a port where nobody does.
class Holds : public testing::Test {
  protected:
    void SetUp() override {
        std::string path = testing::TempDir() + "bt-holds-XXXXXX";
        ASSERT_NE(mkdtemp(path.data()), nullptr);
        directory_ = path;
        std::ofstream(directory_ + "/targets.ini") << "app = host=127.0.0.1 port=1\n";
        std::ofstream(directory_ + "/pid") << getpid() << "\n";  // no PgBouncer: only its console is told
    }
    void TearDown() override { std::filesystem::remove_all(directory_); }

    std::vector<PoolerOptions> poolers() const {
        return {{.name = "pb1",
                 .databases_file = directory_ + "/targets.ini",
                 .pid_file = directory_ + "/pid",
                 .socket_directory = directory_,
                 .port = 6432}};
    }
    Console::Script script() {
        return [this](const std::string& command) {
            if (command == "SHOW DATABASES")
                return Answer{.columns = {"name", "host", "port", "paused"},
                              .rows = {{"app", "127.0.0.1", target_, paused_ ? "1" : "0"},
                                       {"other", "127.0.0.1", "1", "1"},
                                       {"pgbouncer", "", "6432", "0"}}};
            if (command.starts_with("RESUME")) paused_ = false;
            return Answer{};
        };
    }
    static agent::Order order(bool on, milliseconds span = milliseconds(20)) {
        return {.verb = agent::Verb::hold,
                .upstream = {"127.0.0.1", 2},
                .on = on,
                .router = "pb1",
                .databases = {"app"},
                .span = span};
    }
    std::string socket() const { return directory_ + "/.s.PGSQL.6432"; }
    bool remembered() const { return std::filesystem::exists(directory_ + "/poolers.held"); }

    std::string directory_;
    std::string target_ = "1";
    bool paused_ = true;
};

Task<void> until(Clock& clock, std::function<bool()> so) {
    const auto end = clock.now() + seconds(10);
    while (!so() && clock.now() < end)
        co_await clock.sleep_for(milliseconds(1));
    EXPECT_TRUE(so());
}

TEST_F(Holds, LetClientsGoWhenTheirTimeIsUp) {
    run_task<bool>([&](Clock& clock) -> Task<bool> {
        Console console(clock.executor(), script(), {socket()});
        PoolerHolds holds(clock, poolers(), directory_);
        const auto noted = co_await holds.obey(order(true), clock.now() + seconds(5));
        EXPECT_TRUE(noted) << noted.error().text();
        EXPECT_TRUE(remembered());
        co_await until(clock, [&] { return !paused_; });
        co_await until(clock, [&] { return !remembered(); });
        EXPECT_THAT(console.commands(), ElementsAre("SHOW DATABASES", "SHOW DATABASES", "RESUME \"app\""))
            << "and what is not of this cluster stays as it is";
        co_return true;
    });
}

TEST_F(Holds, DoNothingAboutClientsWhoWentOn) {
    run_task<bool>([&](Clock& clock) -> Task<bool> {
        Console console(clock.executor(), script(), {socket()});
        PoolerHolds holds(clock, poolers(), directory_);
        EXPECT_TRUE(co_await holds.obey(order(true, milliseconds(50)), clock.now() + seconds(5)));
        EXPECT_TRUE(co_await holds.obey(order(false), clock.now() + seconds(5)));
        co_await until(clock, [&] { return !remembered(); });
        EXPECT_TRUE(co_await holds.obey(order(true), clock.now() + seconds(5)));
        paused_ = false;
        co_await until(clock, [&] { return !remembered(); });
        EXPECT_THAT(console.commands(), Not(Contains(HasSubstr("RESUME"))));
        co_return true;
    });
}

TEST_F(Holds, AreKnownOverTheAgentsEnd) {
    run_task<bool>([&](Clock& clock) -> Task<bool> {
        Console console(clock.executor(), script(), {socket()});
        {
            PoolerHolds holds(clock, poolers(), directory_);
            EXPECT_TRUE(co_await holds.obey(order(true, milliseconds(100)), clock.now() + seconds(5)));
        }
        PoolerHolds again(clock, poolers(), directory_);
        again.start();
        co_await until(clock, [&] { return !paused_; });
        co_return true;
    });
}

TEST_F(Holds, LeadToTheOneWhoAnswers) {
    run_task<bool>([&](Clock& clock) -> Task<bool> {
        Console console(clock.executor(), script(), {socket()});
        // It takes a connection and says one byte: more is not asked of a server.
        asio::ip::tcp::acceptor server(clock.executor(), {asio::ip::address_v4::loopback(), 0});
        spawn(clock.executor(), [](asio::ip::tcp::acceptor& a) -> Task<void> {
            boost::system::error_code ec;
            auto socket = co_await a.async_accept(asio::redirect_error(asio::use_awaitable, ec));
            if (!ec)
                co_await asio::async_write(socket, asio::buffer("N", 1),
                                           asio::redirect_error(asio::use_awaitable, ec));
        }(server));
        auto told = order(true);
        told.upstream.port = server.local_endpoint().port();
        PoolerHolds holds(clock, poolers(), directory_);
        EXPECT_TRUE(co_await holds.obey(told, clock.now() + seconds(5)));
        const auto wanted = "app = host=127.0.0.1 port=" + std::to_string(told.upstream.port) + "\n";
        co_await until(clock, [&] { return read_whole(directory_ + "/targets.ini").value_or("") == wanted; });
        server.close();
        co_return true;
    });
}

TEST_F(Holds, AreNotPromisedWithoutAConsole) {
    run_task<bool>([&](Clock& clock) -> Task<bool> {
        PoolerHolds holds(clock, poolers(), directory_);
        const auto noted = co_await holds.obey(order(true), clock.now() + seconds(5));
        EXPECT_FALSE(noted);
        if (!noted) EXPECT_EQ(noted.error().kind, ErrorKind::refused);
        auto stranger = order(true);
        stranger.router = "pb2";
        const auto unknown = co_await holds.obey(stranger, clock.now() + seconds(5));
        EXPECT_TRUE(!unknown && unknown.error().kind == ErrorKind::not_found);
        EXPECT_FALSE(remembered());
        co_return true;
    });
}

}  // namespace
}  // namespace baton::host
