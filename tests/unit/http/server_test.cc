#include <gtest/gtest.h>
#include <zlib.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <thread>

#include "fake_control.h"
#include "server_client.h"

namespace baton::http {

namespace {

using namespace testing;

std::string gunzip(const std::string& packed) {
    z_stream stream{};
    inflateInit2(&stream, 15 + 16);
    std::string out(10 << 20, '\0');
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
    stream.avail_in = static_cast<uInt>(packed.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    const bool whole = inflate(&stream, Z_FINISH) == Z_STREAM_END;
    out.resize(stream.total_out);
    inflateEnd(&stream);
    return whole ? out : "";
}

std::string big_text() {
    std::string text;
    for (int n = 0; text.size() < 500'000; ++n)
        text += "{\"Hostname\":\"db" + std::to_string(n) + "\",\"Port\":5432},";
    return text;
}

Response body_of(std::string text) {
    Response response;
    response.body = std::move(text);
    return response;
}

std::vector<Route> test_routes() {
    return {
        {"GET", "/api/hello/:name", false,
         [](const Context&, const Request& r) -> Task<Response> {
             co_return body_of("hello " + r.param("name") + r.query_value("q"));
         },
         ""},
        {"GET", "/api/big", false,
         [](const Context&, const Request&) -> Task<Response> { co_return body_of(big_text()); }, ""},
        {"GET", "/api/throws", false,
         [](const Context&, const Request&) -> Task<Response> {
             throw std::runtime_error("secret detail");
             co_return Response{};
         },
         ""},
        {"GET", "/api/v2/throws", false,
         [](const Context&, const Request&) -> Task<Response> {
             throw 42;
             co_return Response{};
         },
         ""},
        {"GET", "/api/view", false,
         [](const Context& c, const Request& r) -> Task<Response> {
             const auto name =
                 co_await c.on_control([](control::Control& x) { return x.view()->node_hostname; });
             co_return body_of(name + " " + r.remote);
         },
         ""},
        {"GET", "/api/recover/:host/:port", true,
         [](const Context& c, const Request&) -> Task<Response> {
             const auto outcome = co_await c.command<Result<control::RecoveryOutcome>>(
                 [](control::Control& x) { return x.recover({}, {"test"}); });
             co_return body_of(outcome ? "recovered" : outcome.error().message);
         },
         ""},
        {"GET", "/api/status", false,
         [](const Context&, const Request&) -> Task<Response> { co_return body_of("fine"); }, ""},
    };
}

class HttpServer : public ::testing::Test {
  protected:
    void begin(ServerOptions options = loopback()) {
        server_ = make_server(world_.control, std::move(options), test_routes());
        const auto started = server_->start();
        ASSERT_TRUE(started) << started.error().text();
    }
    uint16_t port() const { return server_->port(); }

    FakeWorld world_;
    std::unique_ptr<Server> server_;
};

TEST_F(HttpServer, AnswersOnAConnectionThatStays) {
    begin();
    Client client(port());
    for (const auto* name : {"one", "two", "three"}) {
        const auto answer = client.get(std::string("/api/hello/") + name);
        ASSERT_TRUE(answer);
        EXPECT_EQ(answer->status, 200);
        EXPECT_EQ(answer->body, std::string("hello ") + name);
        EXPECT_EQ(answer->header("content-type"), "application/json; charset=UTF-8");
        EXPECT_EQ(answer->header("content-length"), std::to_string(answer->body.size()));
        EXPECT_TRUE(answer->header("date").ends_with(" GMT"));
    }
}

TEST_F(HttpServer, AnswersRequestsThatComeTogetherOrInPieces) {
    begin();
    Client client(port());
    client.send(
        "GET /api/hello/a HTTP/1.1\r\nHost: t\r\n\r\nGET /api/hello/b HTTP/1.1\r\nHost: t\r\n\r\nGET "
        "/api/hel");
    EXPECT_EQ(client.read_answer()->body, "hello a");
    EXPECT_EQ(client.read_answer()->body, "hello b");
    for (const char c : std::string("lo/c HTTP/1.1\r\nHost: t\r\n\r\n"))
        client.send(std::string(1, c));
    EXPECT_EQ(client.read_answer()->body, "hello c");
}

TEST_F(HttpServer, ClosesWhenAskedTo) {
    begin();
    for (const auto* request : {"GET /api/hello/a HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n",
                                "GET /api/hello/a HTTP/1.0\r\n\r\n"}) {
        Client client(port());
        client.send(request);
        EXPECT_EQ(client.read_answer()->header("connection"), "close");
        EXPECT_TRUE(client.at_end());
    }
}

TEST_F(HttpServer, UnknownPathsAndMethodsAreNotFound) {
    begin();
    for (const auto* method : {"GET", "POST", "PUT", "DELETE", "OPTIONS", "BREW"}) {
        const auto target = std::string(method) == "GET" ? "/nosuchroute" : "/api/status";
        const auto answer = fetch(port(), target, "Content-Length: 0\r\n", method);
        EXPECT_EQ(answer.status, 404) << method;
        EXPECT_EQ(answer.body, "404 page not found\n") << method;
        EXPECT_EQ(answer.header("content-type"), "text/plain; charset=utf-8") << method;
    }
}

TEST_F(HttpServer, HeadHasTheHeadersOfGet) {
    begin();
    Client client(port());
    const auto head = client.get("/api/hello/x", "", "HEAD");
    ASSERT_TRUE(head);
    EXPECT_EQ(head->status, 200);
    EXPECT_EQ(head->header("content-length"), "7");
    EXPECT_EQ(client.get("/api/hello/y")->body, "hello y") << "no body came in between";
}

TEST_F(HttpServer, MalformedRequestsAreRefused) {
    begin();
    const std::string host = "Host: t\r\n\r\n";
    struct Case {
        std::string request;
        int status;
    };
    const std::vector<Case> cases{
        {"GET /api/hello/%zz HTTP/1.1\r\n" + host, 400},
        {"GET /api/hello/%00 HTTP/1.1\r\n" + host, 400},
        {"GET /api/hello/%ff HTTP/1.1\r\n" + host, 400},
        {"GET /api/hello/x?q=% HTTP/1.1\r\n" + host, 400},
        {"GET api/hello HTTP/1.1\r\n" + host, 400},
        {"OPTIONS * HTTP/1.1\r\n" + host, 400},
        {"GET /api/hello/" + std::string(9000, 'a') + " HTTP/1.1\r\n" + host, 414},
        {"GET /api/hello/x HTTP/1.1\r\nX: " + std::string(20000, 'a') + "\r\n" + host, 431},
        {"GET /api/hello/x HTTP/1.1\r\n\r\n", 400},
        {"GET /api/hello/x HTTP/3.7\r\n" + host, 400},
        {"GET /api/hello/x\r\n" + host, 400},
        {"GET  HTTP/1.1\r\n" + host, 400},
        {std::string("GET /api/\0hello HTTP/1.1\r\n", 27) + host, 400},
        {"GET /api/hello/x HTTP/1.1\r\nNo colon here\r\n" + host, 400},
        {"GET /api/hello/x HTTP/1.1\r\nContent-Length: x\r\n" + host, 400},
        {"GET /api/hello/x HTTP/1.1\r\nContent-Length: 99999999\r\n" + host, 413},
        {"GET /api/hello/x HTTP/1.1\r\nTransfer-Encoding: chunked\r\nHost: t\r\n\r\nzz\r\n", 400},
        {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello, TLS\r\n\r\n", 400},
    };
    for (const auto& c : cases) {
        SCOPED_TRACE(c.request.substr(0, 60));
        Client client(port());
        client.send(c.request);
        const auto answer = client.read_answer();
        ASSERT_TRUE(answer);
        EXPECT_EQ(answer->status, c.status) << answer->body;
    }
    EXPECT_EQ(fetch(port(), "/api/hello/still").body, "hello still");
}

TEST_F(HttpServer, ReadsAndForgetsBodies) {
    begin();
    Client client(port());
    client.send(
        "GET /api/hello/a HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\n12345"
        "GET /api/hello/b HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
        "GET /api/hello/c HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    EXPECT_EQ(client.read_answer()->body, "hello a");
    EXPECT_EQ(client.read_answer()->body, "hello b");
    EXPECT_EQ(client.read_answer(false)->status, 100);
    client.send("ok");
    EXPECT_EQ(client.read_answer()->body, "hello c");
}

TEST_F(HttpServer, CompressesForThoseWhoTakeIt) {
    begin();
    const auto plain = fetch(port(), "/api/big");
    EXPECT_EQ(plain.body, big_text());
    EXPECT_EQ(plain.header("content-encoding"), "");
    const auto packed = fetch(port(), "/api/big", "Accept-Encoding: gzip, deflate\r\n");
    EXPECT_EQ(packed.header("content-encoding"), "gzip");
    EXPECT_EQ(packed.header("vary"), "Accept-Encoding");
    EXPECT_LT(packed.body.size(), plain.body.size() / 5);
    EXPECT_EQ(gunzip(packed.body), plain.body);
    EXPECT_EQ(fetch(port(), "/api/hello/small", "Accept-Encoding: gzip\r\n").body, "hello small");
}

TEST_F(HttpServer, AHandlerThatThrowsIsAnError) {
    begin();
    const auto first = fetch(port(), "/api/throws");
    EXPECT_EQ(first.status, 500);
    EXPECT_TRUE(first.body.starts_with(R"({"Code":"ERROR","Message":"internal error)")) << first.body;
    EXPECT_EQ(first.body.find("secret detail"), std::string::npos);
    const auto second = fetch(port(), "/api/v2/throws");
    EXPECT_EQ(second.status, 500);
    EXPECT_TRUE(second.body.starts_with(R"({"status":"error","error":{"code":"INTERNAL_ERROR")"))
        << second.body;
}

TEST_F(HttpServer, HandlersReachTheControlThread) {
    auto options = loopback();
    options.threads = 3;
    begin(options);
    std::vector<std::thread> clients;
    std::atomic<int> good = 0;
    for (int n = 0; n < 8; ++n) {
        clients.emplace_back([&] {
            Client client(port());
            for (int i = 0; i < 50; ++i) {
                const auto answer = client.get("/api/view");
                if (answer && answer->body == "manager1 127.0.0.1") ++good;
            }
        });
    }
    for (auto& client : clients)
        client.join();
    EXPECT_EQ(good, 400);
}

TEST_F(HttpServer, ServesOthersWhileARecoveryRuns) {
    std::promise<void> release;
    auto released = release.get_future().share();
    world_.control.before_recover = [released]() -> Task<void> {
        asio::steady_timer timer(co_await asio::this_coro::executor);
        while (released.wait_for(std::chrono::seconds(0)) != std::future_status::ready) {
            timer.expires_after(std::chrono::milliseconds(1));
            co_await timer.async_wait(asio::use_awaitable);
        }
    };
    begin();
    Client patient(port());
    patient.send("GET /api/recover/db1/5432 HTTP/1.1\r\nHost: t\r\n\r\n");
    EXPECT_EQ(fetch(port(), "/api/hello/meanwhile").body, "hello meanwhile");
    release.set_value();
    EXPECT_EQ(patient.read_answer()->body, "recovered");
}

TEST_F(HttpServer, StopsThoughAHandlerNeverEnds) {
    world_.control.before_recover = []() -> Task<void> {
        asio::steady_timer timer(co_await asio::this_coro::executor, std::chrono::hours(1));
        co_await timer.async_wait(asio::use_awaitable);
    };
    begin();
    Client client(port());
    client.send("GET /api/recover/db1/5432 HTTP/1.1\r\nHost: t\r\n\r\n");
    EXPECT_EQ(fetch(port(), "/api/hello/a").status, 200);
    server_->stop();
    EXPECT_FALSE(Client(port()).connected());
}

/// An answer is here before the control thread has left the call: it may still touch what the server owns.
TEST_F(HttpServer, StaysUntilTheControlThreadIsPastItsCalls) {
    begin();
    EXPECT_EQ(fetch(port(), "/api/hello/a").status, 200);
    std::promise<void> may_go_on;
    std::promise<void> is_there;
    std::thread control([&] {
        world_.on_control([&](auto&) {
            is_there.set_value();
            may_go_on.get_future().wait();
        });
    });
    is_there.get_future().wait();
    auto stopped = std::async(std::launch::async, [&] { server_->stop(); });
    EXPECT_EQ(stopped.wait_for(std::chrono::milliseconds(700)), std::future_status::timeout);
    may_go_on.set_value();
    stopped.get();
    control.join();
}

TEST_F(HttpServer, StopEndsIdleConnectionsAtOnce) {
    begin();
    Client client(port());
    EXPECT_EQ(client.get("/api/hello/a")->status, 200);
    const auto before = std::chrono::steady_clock::now();
    server_->stop();
    EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(1));
    EXPECT_TRUE(client.at_end());
    server_->stop();
}

TEST_F(HttpServer, RefusesMoreConnectionsThanTheLimit) {
    auto options = loopback();
    options.max_connections = 2;
    begin(options);
    Client first(port()), second(port());
    ASSERT_EQ(first.get("/api/hello/a")->status, 200);
    ASSERT_EQ(second.get("/api/hello/a")->status, 200);
    Client third(port());
    const auto refused = third.read_answer();
    ASSERT_TRUE(refused);
    EXPECT_EQ(refused->status, 503);
    first.close();
    int status = 0;
    for (int n = 0; n < 1000 && status != 200; ++n)
        status = fetch(port(), "/api/hello/a").status;
    EXPECT_EQ(status, 200) << "a place became free";
}

TEST_F(HttpServer, PrefixAndStatusEndpoint) {
    auto options = loopback();
    options.url_prefix = "/ha";
    begin(options);
    EXPECT_EQ(fetch(port(), "/ha/api/hello/x").status, 200);
    EXPECT_EQ(fetch(port(), "/api/hello/x").status, 404);
    EXPECT_EQ(fetch(port(), "/ha/api/status").body, "fine");
    server_->stop();

    options.status_endpoint = "/healthz";
    begin(options);
    EXPECT_EQ(fetch(port(), "/healthz").body, "fine");
    EXPECT_EQ(fetch(port(), "/ha/api/status").status, 404);
}

TEST_F(HttpServer, ListensOnAUnixSocket) {
    const auto path =
        (std::filesystem::temp_directory_path() / ("baton-http-" + std::to_string(::getpid()))).string();
    auto options = loopback();
    options.listen_socket = path;
    begin(options);
    {
        Client client(path);
        ASSERT_TRUE(client.connected());
        EXPECT_EQ(client.get("/api/hello/x")->body, "hello x");
        EXPECT_EQ(client.get("/api/view")->body, "manager1 unix");
    }
    auto second = make_server(world_.control, options, {});
    const auto refused = second->start();
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().text().find(path), std::string::npos);
    EXPECT_NE(refused.error().text().find("in use"), std::string::npos) << refused.error().text();
    server_->stop();
    EXPECT_FALSE(std::filesystem::exists(path));

    std::ofstream(path) << "not a socket";
    EXPECT_FALSE(make_server(world_.control, options, {})->start());
    EXPECT_TRUE(std::filesystem::exists(path)) << "somebody else's file stays";
    std::filesystem::remove(path);
}

TEST_F(HttpServer, SaysWhyItCannotListen) {
    begin();
    auto options = loopback();
    options.listen_address = "127.0.0.1:" + std::to_string(port());
    const auto taken = make_server(world_.control, options, {})->start();
    ASSERT_FALSE(taken);
    EXPECT_EQ(taken.error().who, options.listen_address);
    EXPECT_NE(taken.error().message.find("Address already in use"), std::string::npos)
        << taken.error().message;
    for (const auto* bad : {":99999", "host:port", "", "no.such.host.invalid:16100", "192.0.2.1:16100"}) {
        options.listen_address = bad;
        EXPECT_FALSE(make_server(world_.control, options, {})->start()) << bad;
    }
}

}  // namespace

}  // namespace baton::http
