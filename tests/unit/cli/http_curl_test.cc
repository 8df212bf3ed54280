#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/streambuf.hpp>
#include <boost/asio/write.hpp>
#include <thread>

#include "cli/http.h"

namespace baton::cli {
namespace {

using boost::asio::ip::tcp;
using testing::HasSubstr;

/// Answers each of `answers` to one connection, in order; "" keeps silent until the client goes away.
class SmallServer {
  public:
    explicit SmallServer(std::vector<std::string> answers)
        : acceptor_(context_, tcp::endpoint(boost::asio::ip::address_v4::loopback(), 0)),
          thread_([this, answers = std::move(answers)] {
              for (const auto& answer : answers)
                  serve(answer);
          }) {}
    ~SmallServer() { thread_.join(); }

    std::string url(std::string_view path) const {
        return "http://127.0.0.1:" + std::to_string(acceptor_.local_endpoint().port()) + std::string(path);
    }
    void finish() {
        if (thread_.joinable()) thread_.join();
        thread_ = std::thread([] {});
    }
    std::string asked;

  private:
    void serve(const std::string& answer) {
        boost::system::error_code error;
        tcp::socket socket(context_);
        acceptor_.accept(socket, error);
        boost::asio::streambuf buffer;
        boost::asio::read_until(socket, buffer, "\r\n\r\n", error);
        asked.assign(buffers_begin(buffer.data()), buffers_end(buffer.data()));
        if (!answer.empty()) boost::asio::write(socket, boost::asio::buffer(answer), error);
        if (answer.empty()) boost::asio::read_until(socket, buffer, "never", error);
    }

    boost::asio::io_context context_;
    tcp::acceptor acceptor_;
    std::thread thread_;
};

std::string answer(std::string_view status, std::string_view body) {
    return "HTTP/1.1 " + std::string(status) + "\r\nContent-Length: " + std::to_string(body.size()) +
           "\r\nConnection: close\r\n\r\n" + std::string(body);
}

TEST(CurlHttp, GivesStatusAndBodyOfAnyAnswer) {
    SmallServer server({answer("500 Internal Server Error", "{\"Code\":\"ERROR\"}")});
    const auto http = make_curl_http();
    HttpRequest request{.url = server.url("/api/x?a=b")};
    request.user = "ops";
    request.password = "p:w";
    request.headers = {"X-User: me"};
    const auto reply = http->get(request);
    ASSERT_TRUE(reply) << reply.error().text();
    EXPECT_EQ(reply->status, 500);
    EXPECT_EQ(reply->body, "{\"Code\":\"ERROR\"}");
    server.finish();
    EXPECT_THAT(server.asked, HasSubstr("GET /api/x?a=b HTTP/1.1"));
    EXPECT_THAT(server.asked, HasSubstr("Authorization: Basic b3BzOnA6dw=="));
    EXPECT_THAT(server.asked, HasSubstr("X-User: me"));
}

TEST(CurlHttp, TellsWhetherTheRequestCanHaveArrived) {
    std::string dead_url;
    {
        boost::asio::io_context context;
        const tcp::acceptor bound(context, tcp::endpoint(boost::asio::ip::address_v4::loopback(), 0));
        dead_url = "http://127.0.0.1:" + std::to_string(bound.local_endpoint().port()) + "/";
    }
    const auto http = make_curl_http();
    EXPECT_EQ(http->get({.url = dead_url}).error().kind, ErrorKind::refused);
    EXPECT_EQ(http->get({.url = "file:///etc/hosts"}).error().kind, ErrorKind::invalid_argument);
    SmallServer server({"", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"});
    HttpRequest request{.url = server.url("/")};
    request.total_timeout = milliseconds(100);
    EXPECT_EQ(http->get(request).error().kind, ErrorKind::timeout);
    request.total_timeout = milliseconds(10000);
    EXPECT_EQ(http->get(request).error().kind, ErrorKind::broken);
}

TEST(CurlHttp, StreamsUntilToldToStop) {
    SmallServer server(
        {answer("200 OK", "data: 1\n\ndata: 2\n\n"), answer("401 Unauthorized", "who are you")});
    const auto http = make_curl_http();
    std::string taken;
    const auto take = [&](std::string_view data) {
        taken += data;
        return false;
    };
    EXPECT_TRUE(http->stream({.url = server.url("/")}, take));
    EXPECT_THAT(taken, HasSubstr("data: 1"));
    const auto refused = http->stream({.url = server.url("/")}, take);
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message, HasSubstr("who are you"));
}

}  // namespace
}  // namespace baton::cli
