#include "net/channel.h"

#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

#include "support.h"

namespace baton::net {

namespace {

/// A channel, and the bare socket at its other end.
class ChannelTest : public NetTest {
  protected:
    Task<void> open(ChannelLimits limits = {}) {
        asio::ip::tcp::socket near(io_);
        co_await near.async_connect(acceptor_.local_endpoint(), asio::use_awaitable);
        far_.emplace(co_await accept_one());
        channel_ = std::make_unique<Channel>(make_stream(std::move(near)), limits);
    }
    void say(std::string_view bytes) { asio::write(*far_, asio::buffer(bytes.data(), bytes.size())); }
    Task<std::string> hear(size_t bytes) {
        std::string text(bytes, '\0');
        co_await asio::async_read(*far_, asio::buffer(text), asio::use_awaitable);
        co_return text;
    }
    /// A short receive buffer, so that a writer soon has to wait.
    void hear_little() { far_->set_option(asio::socket_base::receive_buffer_size(4096)); }

    std::optional<asio::ip::tcp::socket> far_;
    std::unique_ptr<Channel> channel_;
};

TEST_F(ChannelTest, CutsWhatComesIntoLines) {
    run([&]() -> Task<void> {
        co_await open();
        say("one\ntwo\n\nthr");
        EXPECT_EQ(co_await channel_->read_line(seconds(5)), "one");
        EXPECT_EQ(co_await channel_->read_line(seconds(5)), "two");
        EXPECT_EQ(co_await channel_->read_line(seconds(5)), "");
        const auto early = co_await channel_->read_line(milliseconds(20));
        EXPECT_EQ(early.error().kind, ErrorKind::timeout);
        say("ee\nlast, without its end");
        EXPECT_EQ(co_await channel_->read_line(seconds(5)), "three");
        far_->close();
        const auto none = co_await channel_->read_line(seconds(5));
        EXPECT_EQ(none.error().kind, ErrorKind::broken);
        EXPECT_EQ(channel_->over()->kind, ErrorKind::broken);
        EXPECT_EQ(channel_->send("too late").error().kind, ErrorKind::broken);
    }());
}

TEST_F(ChannelTest, WhatCameBeforeTheEndIsStillRead) {
    run([&]() -> Task<void> {
        co_await open();
        say("hello\nrefused: wrong token\n");
        far_->close();
        EXPECT_EQ(co_await channel_->read_line(seconds(5)), "hello");
        while (!channel_->over())
            co_await asio::post(io_, asio::use_awaitable);
        EXPECT_EQ(co_await channel_->read_line(seconds(5)), "refused: wrong token");
        EXPECT_FALSE(co_await channel_->read_line(seconds(5)));
    }());
}

TEST_F(ChannelTest, ALineBeyondTheLimitEndsIt) {
    run([&]() -> Task<void> {
        co_await open({.line_bytes = 10});
        say("1234567890\n");
        EXPECT_EQ(co_await channel_->read_line(seconds(5)), "1234567890");
        say("12345678901");
        const auto line = co_await channel_->read_line(seconds(5));
        EXPECT_EQ(line.error().kind, ErrorKind::broken);
        EXPECT_NE(line.error().message.find("more than 10 bytes"), std::string::npos);
    }());
}

TEST_F(ChannelTest, SendsInOrderWhileItWaitsToRead) {
    run([&]() -> Task<void> {
        co_await open();
        bool read = false;
        spawn(io_.get_executor(), [](Channel& channel, bool& flag) -> Task<void> {
            flag = co_await channel.read_line(seconds(10)) == "answer";
        }(*channel_, read));
        EXPECT_TRUE(channel_->send("a"));
        EXPECT_TRUE(channel_->send("b"));
        EXPECT_TRUE(co_await channel_->write_line("c", seconds(5)));
        EXPECT_EQ(co_await hear(6), "a\nb\nc\n");
        say("answer\n");
        while (!read && !channel_->over())
            co_await asio::post(io_, asio::use_awaitable);
        EXPECT_TRUE(read);
    }());
}

TEST_F(ChannelTest, RefusesWhatIsNotOneLine) {
    run([&]() -> Task<void> {
        co_await open({.line_bytes = 3});
        EXPECT_EQ(channel_->send("long").error().kind, ErrorKind::invalid_argument);
        EXPECT_EQ(channel_->send("a\nb").error().kind, ErrorKind::invalid_argument);
        EXPECT_EQ((co_await channel_->write_line("long", seconds(1))).error().kind,
                  ErrorKind::invalid_argument);
        EXPECT_TRUE(channel_->send("abc"));
        EXPECT_EQ(co_await hear(4), "abc\n");
    }());
}

TEST_F(ChannelTest, AFullQueueEndsIt) {
    run([&]() -> Task<void> {
        co_await open({.queue_lines = 4});
        for (int n = 0; n < 4; ++n)
            EXPECT_TRUE(channel_->send("x"));
        EXPECT_EQ(channel_->send("x").error().kind, ErrorKind::broken);
        EXPECT_TRUE(channel_->over());
    }());
    run([&]() -> Task<void> {
        co_await open({.queue_bytes = 100});
        EXPECT_EQ(channel_->send(std::string(101, 'x')).error().kind, ErrorKind::broken);
    }());
}

TEST_F(ChannelTest, SomebodyWhoDoesNotReadIsLeft) {
    run([&]() -> Task<void> {
        co_await open({.write = milliseconds(50)});
        hear_little();
        const std::string much(900UL * 1024, 'x');
        Result<void> written;
        for (int n = 0; n < 100 && written; ++n)
            written = co_await channel_->write_line(much, milliseconds(50));
        EXPECT_EQ(written.error().kind, ErrorKind::timeout);
        EXPECT_EQ((co_await channel_->read_line(seconds(5))).error().kind, ErrorKind::timeout);
        EXPECT_TRUE(channel_->over());
    }());
}

TEST_F(ChannelTest, ReadsAheadOnlySoFar) {
    run([&]() -> Task<void> {
        co_await open({.inbox_bytes = 1000});
        constexpr int lines = 20000;
        spawn(io_.get_executor(), [](asio::ip::tcp::socket& far) -> Task<void> {
            const std::string line = std::string(999, 'x') + "\n";
            for (int n = 0; n < lines; ++n)
                co_await asio::async_write(far, asio::buffer(line), asio::use_awaitable);
        }(*far_));
        for (int n = 0; n < lines; ++n) {
            const auto line = co_await channel_->read_line(seconds(5));
            EXPECT_TRUE(line && line->size() == 999);
            if (!line) break;
        }
    }());
}

TEST_F(ChannelTest, CancelEndsWhatIsUnderWay) {
    run([&]() -> Task<void> {
        co_await open();
        asio::post(io_, [&] { channel_->cancel(); });
        EXPECT_EQ((co_await channel_->read_line(seconds(10))).error().kind, ErrorKind::cancelled);
        EXPECT_EQ(channel_->send("x").error().kind, ErrorKind::cancelled);
    }());
}

TEST_F(ChannelTest, CloseSendsWhatIsQueuedAndEndsAReader) {
    run([&]() -> Task<void> {
        co_await open();
        std::optional<ErrorKind> reader;
        spawn(io_.get_executor(), [](Channel& channel, std::optional<ErrorKind>& kind) -> Task<void> {
            kind = (co_await channel.read_line({})).error().kind;
        }(*channel_, reader));
        EXPECT_TRUE(channel_->send("goodbye"));
        spawn(io_.get_executor(),
              [](Channel& channel) -> Task<void> { co_await channel.close(seconds(1)); }(*channel_));
        EXPECT_EQ(co_await hear(8), "goodbye\n");
        char byte = 0;
        boost::system::error_code code;
        co_await asio::async_read(*far_, asio::buffer(&byte, 1),
                                  asio::redirect_error(asio::use_awaitable, code));
        EXPECT_EQ(code, asio::error::eof);
        EXPECT_EQ(reader, ErrorKind::cancelled);
        far_->close();
    }());
}

TEST_F(ChannelTest, GoesWithItsOwner) {
    run([&]() -> Task<void> {
        co_await open();
        (void)co_await channel_->read_line(milliseconds(1));
        channel_.reset();
        char byte = 0;
        boost::system::error_code code;
        co_await asio::async_read(*far_, asio::buffer(&byte, 1),
                                  asio::redirect_error(asio::use_awaitable, code));
        EXPECT_EQ(code, asio::error::eof);
    }());
}

}  // namespace

}  // namespace baton::net
