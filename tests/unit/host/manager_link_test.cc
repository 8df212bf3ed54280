#include "host/manager_link.h"

#include <linux/filter.h>
#include <sys/socket.h>

#include <boost/asio/post.hpp>

#include "agent/codec.h"
#include "net/support.h"

namespace baton::host {
namespace {

/// From here on the kernel drops what comes for this socket, and acknowledges nothing: as if it were cut off.
void cut_off(int socket) {
    sock_filter nothing{.code = BPF_RET | BPF_K, .jt = 0, .jf = 0, .k = 0};
    const sock_fprog program{.len = 1, .filter = &nothing};
    EXPECT_EQ(::setsockopt(socket, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program), 0);
}

class Calls final : public ManagerCalls {
  public:
    agent::Hello hello() override {
        ++hellos;
        return {.version = "test", .agent = "a", .host = "db1"};
    }
    agent::Beat beat() override { return {.instances = {agent::Status{.key = {"db1", 5432}}}}; }
    void welcomed(const agent::Welcome&) override {}
    void answered(MonoTime, const agent::BeatAnswer&) override { ++answers; }
    void ordered(agent::Order, std::function<void(agent::Frame)>) override {}
    void cancelled(const agent::Cancel&) override {}

    int hellos = 0;
    int answers = 0;
};

class ManagerLinkTest : public net::NetTest {
  protected:
    void begin() { link_->start(); }

    /// The manager's side of a new connection, after the greeting.
    Task<std::unique_ptr<net::Channel>> let_in() {
        auto socket = co_await accept_one();
        accepted_ = socket.native_handle();
        auto channel = net::make_channel(net::make_stream(std::move(socket)), agent::frame_limit);
        const auto hello = co_await channel->read_line(seconds(5));
        EXPECT_TRUE(hello && std::holds_alternative<agent::Hello>(agent::parse_frame(*hello).value()));
        const agent::Welcome welcome{.manager = "m", .epoch = 1, .heartbeat = milliseconds(100)};
        EXPECT_TRUE(co_await channel->write_line(agent::to_text(welcome), seconds(5)));
        co_return channel;
    }
    static Task<agent::Beat> next_beat(net::Channel& channel) {
        const auto line = co_await channel.read_line(seconds(5));
        EXPECT_TRUE(line) << (line ? "" : line.error().text());
        co_return line ? std::get<agent::Beat>(agent::parse_frame(*line).value()) : agent::Beat{};
    }
    bool somebody_waits() {
        boost::system::error_code none;
        acceptor_.non_blocking(true);
        const auto socket = acceptor_.accept(none);
        return !none;
    }

    Calls calls_;
    int accepted_ = -1;  ///< the last one
    std::unique_ptr<Clock> clock_ = make_system_clock(io_.get_executor());
    std::shared_ptr<ManagerLink> link_ = std::make_shared<ManagerLink>(
        *clock_, calls_, Dialer(io_.get_executor(), "127.0.0.1:" + std::to_string(port_), 3001, nullptr));
};

TEST_F(ManagerLinkTest, AConnectionOnWhichNothingGetsThroughIsReplaced) {
    begin();
    run([&]() -> Task<void> {
        const auto stuck = co_await let_in();
        cut_off(accepted_);
        const auto next = co_await let_in();
        EXPECT_EQ(calls_.hellos, 2);
        const auto beat = co_await next_beat(*next);
        EXPECT_GT(beat.seq, 0U);
        EXPECT_TRUE(
            co_await next->write_line(agent::to_text(agent::BeatAnswer{.seq = beat.seq}), seconds(5)));
        while (calls_.answers == 0)
            co_await asio::post(io_, asio::use_awaitable);
        EXPECT_TRUE(link_->connected());
        link_->stop();
    }());
}

TEST_F(ManagerLinkTest, AManagerThatDoesNotAnswerIsLeftToItsSilence) {
    begin();
    run([&]() -> Task<void> {
        const auto channel = co_await let_in();
        for (int i = 0; i < 12; ++i)
            co_await next_beat(*channel);
        EXPECT_EQ(calls_.hellos, 1);
        EXPECT_FALSE(somebody_waits());
        link_->stop();
    }());
}

}  // namespace
}  // namespace baton::host
