#include <gtest/gtest.h>

#include <boost/asio/detached.hpp>
#include <boost/asio/local/connect_pair.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

#include "fake_control.h"
#include "http/session.h"
#include "server_client.h"

namespace baton::http {

namespace {

using namespace testing;

/// One session with short limits, served by a thread of its own; the test holds the other end.
class SessionTest : public ::testing::Test {
  protected:
    using Socket = asio::local::stream_protocol::socket;

    static std::vector<Route> routes() {
        return {
            {"GET", "/api/hello", false,
             [](const Context&, const Request&) -> Task<Response> { co_return Response{.body = "hello"}; },
             ""},
            {"GET", "/api/huge", false,
             [](const Context&, const Request&) -> Task<Response> {
                 co_return Response{.body = std::string(64 << 20, 'x')};
             },
             ""},
            {"GET", "/api/slow", false,
             [](const Context&, const Request&) -> Task<Response> {
                 asio::steady_timer timer(co_await asio::this_coro::executor, milliseconds(300));
                 co_await timer.async_wait(asio::use_awaitable);
                 co_return Response{.body = "at last"};
             },
             ""},
            {"GET", "/api/stream", false,
             [](const Context&, const Request&) -> Task<Response> {
                 Response response;
                 response.headers = {{"X-Test", "a\r\nInjected: b"}};
                 response.stream = [](BodyWriter& out) -> Task<void> {
                     while (co_await out.write(std::string(65536, 'x'))) {
                     }
                 };
                 co_return response;
             },
             ""},
        };
    }
    void begin(SessionLimits limits) {
        Socket near(client_io_), far(io_);
        asio::local::connect_pair(near, far);
        client_ = std::make_unique<Socket>(std::move(near));
        const auto application =
            std::make_shared<const Application>(Context{world_.control}, ServerOptions{}, routes());
        session_ = std::make_shared<Session>(net::make_stream(std::move(far)), application, figures_, limits);
        asio::co_spawn(io_, [session = session_] { return session->run(); }, asio::detached);
        thread_ = std::thread([this] { io_.run(); });
    }
    ~SessionTest() override {
        session_.reset();
        if (thread_.joinable()) thread_.join();
    }
    void send(std::string_view text) { asio::write(*client_, asio::buffer(text)); }
    std::string receive_all() {
        std::string all;
        boost::system::error_code code;
        asio::read(*client_, asio::dynamic_buffer(all), code);
        return all;
    }
    std::string receive_through(std::string_view mark) {
        std::string text;
        char c = 0;
        boost::system::error_code code;
        while (!text.ends_with(mark) && asio::read(*client_, asio::buffer(&c, 1), code) == 1)
            text += c;
        return text;
    }

    FakeWorld world_;
    asio::io_context io_{1}, client_io_{1};
    std::shared_ptr<ServerFigures> figures_ = std::make_shared<ServerFigures>();
    std::unique_ptr<Socket> client_;
    std::shared_ptr<Session> session_;
    std::thread thread_;
};

TEST_F(SessionTest, AnIdleConnectionIsClosedWithoutAWord) {
    begin({.idle = milliseconds(30)});
    EXPECT_EQ(receive_all(), "");
    EXPECT_EQ(figures_->requests, 0U);
}

TEST_F(SessionTest, ARequestThatDoesNotEndIsTooLate) {
    begin({.request = milliseconds(50)});
    send("GET /api/hello HTTP/1.1\r\nHost: t\r\nX: ");
    const auto answer = receive_all();
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 408 ")) << answer;
}

TEST_F(SessionTest, DrippingDoesNotStretchTheLimit) {
    begin({.request = milliseconds(100)});
    const auto before = std::chrono::steady_clock::now();
    boost::system::error_code code;
    // A byte now and then would keep a limit on single reads from ever striking.
    while (!code && std::chrono::steady_clock::now() - before < std::chrono::seconds(5)) {
        asio::write(*client_, asio::buffer("G", 1), code);
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
        if (client_->available() > 0) break;
    }
    EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(2));
    EXPECT_TRUE(receive_all().starts_with("HTTP/1.1 408 "));
}

TEST_F(SessionTest, AHandlerMayTakeLongerThanAnyLimit) {
    begin({.idle = milliseconds(50), .request = milliseconds(50), .write = milliseconds(50)});
    send("GET /api/slow HTTP/1.1\r\nHost: t\r\n\r\n");
    EXPECT_TRUE(receive_all().ends_with("\r\n\r\nat last"));
}

TEST_F(SessionTest, AClientThatDoesNotTakeItsAnswerIsCutOff) {
    begin({.write = milliseconds(50)});
    send("GET /api/huge HTTP/1.1\r\nHost: t\r\n\r\n");
    thread_.join();
    EXPECT_LT(receive_all().size(), 64U << 20);
}

TEST_F(SessionTest, AStreamEndsWhenItsReaderLeavesOrStalls) {
    begin({.write = milliseconds(50)});
    send("GET /api/stream HTTP/1.1\r\nHost: t\r\n\r\n");
    const auto head = receive_through("\r\n\r\n");
    EXPECT_NE(head.find("X-Test: aInjected: b\r\n"), std::string::npos)
        << "no header out of a value: " << head;
    thread_.join();
}

TEST_F(SessionTest, LeavingEndsAStream) {
    begin({.write = seconds(10)});
    send("GET /api/stream HTTP/1.1\r\nHost: t\r\n\r\n");
    receive_through("\r\n\r\n");
    client_->close();
    thread_.join();
}

TEST_F(SessionTest, StopLetsARequestBeAnswered) {
    begin({});
    send("GET /api/slow HTTP/1.1\r\nHost: t\r\n\r\n");
    while (figures_->requests == 0)
        std::this_thread::yield();
    asio::post(io_, [session = session_] { session->stop(); });
    const auto answer = receive_all();
    EXPECT_TRUE(answer.ends_with("\r\n\r\nat last"));
    EXPECT_NE(answer.find("Connection: close\r\n"), std::string::npos);
}

}  // namespace

}  // namespace baton::http
