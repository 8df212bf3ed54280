#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/asio/redirect_error.hpp>
#include <filesystem>

#include "base/async.h"
#include "net/certificates.h"
#include "net/connect.h"
#include "net/listen.h"

namespace baton::net {

/// A directory that goes with the test.
class TestDirectory {
  public:
    TestDirectory()
        : path_(std::filesystem::temp_directory_path() /
                ("baton-net-" + std::to_string(::getpid()) + "-" + std::to_string(++count_))) {
        std::filesystem::create_directories(path_);
    }
    ~TestDirectory() { std::filesystem::remove_all(path_); }
    TestDirectory(const TestDirectory&) = delete;
    TestDirectory& operator=(const TestDirectory&) = delete;
    std::string file(const std::string& name) const { return (path_ / name).string(); }
    std::string path() const { return path_.string(); }

  private:
    static inline int count_ = 0;
    std::filesystem::path path_;
};

/// Sockets over loopback, in one thread. run() ends with its task.
class NetTest : public ::testing::Test {
  protected:
    using Streams = std::pair<std::unique_ptr<Stream>, std::unique_ptr<Stream>>;

    void run(Task<void> task) {
        bool ended = false;
        spawn(io_.get_executor(), [](Task<void> t, bool& flag, asio::io_context& io) -> Task<void> {
            co_await std::move(t);
            flag = true;
            io.stop();
        }(std::move(task), ended, io_));
        io_.run_for(seconds(20));
        io_.restart();
        ASSERT_TRUE(ended) << "something waits for ever";
    }

    /// Accepts one connection; nothing is said about its handshake.
    Task<asio::ip::tcp::socket> accept_one() {
        asio::ip::tcp::socket socket(io_);
        co_await acceptor_.async_accept(socket, asio::use_awaitable);
        co_return socket;
    }

    asio::io_context io_{1};
    asio::ip::tcp::acceptor acceptor_ = std::move(*listen_tcp(io_.get_executor(), "127.0.0.1:0"));
    const uint16_t port_ = acceptor_.local_endpoint().port();
};

}  // namespace baton::net
