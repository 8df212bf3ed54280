#include <gtest/gtest.h>

#include "fake_control.h"
#include "http/events.h"
#include "server_client.h"

namespace baton::http {

namespace {

using namespace testing;

class Events : public ::testing::Test {
  protected:
    void begin(ServerOptions options = loopback()) {
        server_ = make_server(world_.control, std::move(options),
                              {{"GET", "/api/v2/events", false, events_response, ""}});
        ASSERT_TRUE(server_->start());
    }
    /// Connects and reads through the first event.
    std::unique_ptr<Client> listen(const std::string& headers = "", const std::string& query = "") {
        auto client = std::make_unique<Client>(server_->port());
        client->send("GET /api/v2/events" + query + " HTTP/1.1\r\nHost: t\r\n" + headers + "\r\n");
        head_ = client->read_through("\r\n\r\n");
        hello_ = client->read_through("\n\n");
        return client;
    }
    void publish(uint64_t id, const std::string& type = "problem") {
        world_.control.publish({.id = id, .type = type, .json = "{\"n\":" + std::to_string(id) + "}"});
    }
    static std::string text(uint64_t id, const std::string& type = "problem") {
        const auto n = std::to_string(id);
        return "id: " + n + "\nevent: " + type + "\ndata: {\"n\":" + n + "}\n\n";
    }

    FakeWorld world_;
    std::unique_ptr<Server> server_;
    std::string head_, hello_;
};

TEST_F(Events, BeginWithHelloAndFollow) {
    begin();
    auto client = listen();
    EXPECT_TRUE(head_.starts_with("HTTP/1.1 200 OK\r\n"));
    EXPECT_EQ(Client::parse_head(head_).header("content-type"), "text/event-stream; charset=utf-8");
    EXPECT_EQ(Client::parse_head(head_).header("content-length"), "");
    EXPECT_NE(hello_.find("event: hello\ndata: {\"version\":\"" BATON_VERSION "\""), std::string::npos)
        << hello_;
    publish(1, "topology");
    EXPECT_EQ(client->read_through("\n\n"), text(1, "topology"));
    publish(2);
    publish(3);
    EXPECT_EQ(client->read_through("\n\n"), text(2));
    EXPECT_EQ(client->read_through("\n\n"), text(3));
}

TEST_F(Events, ComeAgainAfterTheLastOneSeen) {
    begin();
    {
        auto client = listen();
        for (uint64_t id = 1; id <= 5; ++id)
            publish(id);
        for (uint64_t id = 1; id <= 5; ++id)
            EXPECT_EQ(client->read_through("\n\n"), text(id));
    }
    auto by_header = listen("Last-Event-ID: 3\r\n");
    EXPECT_EQ(by_header->read_through("\n\n"), text(4));
    EXPECT_EQ(by_header->read_through("\n\n"), text(5));
    auto by_query = listen("", "?last_event_id=4");
    EXPECT_EQ(by_query->read_through("\n\n"), text(5));
    auto up_to_date = listen("Last-Event-ID: 5\r\n");
    publish(6);
    EXPECT_EQ(up_to_date->read_through("\n\n"), text(6));
}

TEST_F(Events, TellOfAGap) {
    auto options = loopback();
    options.event_queue = 3;
    begin(options);
    {
        auto client = listen();
        for (uint64_t id = 1; id <= 10; ++id) {
            publish(id);
            EXPECT_EQ(client->read_through("\n\n"), text(id));
        }
    }
    auto too_old = listen("Last-Event-ID: 2\r\n");
    EXPECT_EQ(too_old->read_through("\n\n"), "event: gap\ndata: {\"after\":2,\"last_event_id\":10}\n\n");
    auto of_an_earlier_run = listen("Last-Event-ID: 4711\r\n");
    EXPECT_EQ(of_an_earlier_run->read_through("\n\n"),
              "event: gap\ndata: {\"after\":4711,\"last_event_id\":10}\n\n");
    auto just_kept = listen("Last-Event-ID: 7\r\n");
    EXPECT_EQ(just_kept->read_through("\n\n"), text(8));
}

TEST_F(Events, HaveALimitOfListeners) {
    auto options = loopback();
    options.max_event_subscribers = 1;
    begin(options);
    auto first = listen();
    const auto refused = fetch(server_->port(), "/api/v2/events");
    EXPECT_EQ(refused.status, 503);
    EXPECT_NE(refused.body.find("TOO_MANY_SUBSCRIBERS"), std::string::npos);
    first->close();
    std::string head;
    for (int n = 0; n < 1000 && !head.starts_with("HTTP/1.1 200"); ++n) {
        auto next = listen();
        head = head_;
    }
    EXPECT_TRUE(head.starts_with("HTTP/1.1 200")) << "the place of one who left is free again";
}

TEST_F(Events, EndWhenTheServerStops) {
    begin();
    auto client = listen();
    const auto before = std::chrono::steady_clock::now();
    server_->stop();
    EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(1));
    EXPECT_TRUE(client->at_end());
    EXPECT_EQ(world_.control.subscriber_count(), 0U);
}

TEST(EventHub, DropsASlowListener) {
    asio::io_context io;
    const auto hub = std::make_shared<EventHub>(EventHub::Limits{.subscribers = 10, .queue = 3});
    auto slow = *hub->subscribe(io.get_executor(), {});
    auto quick = *hub->subscribe(io.get_executor(), {});
    const auto next = [&](EventHub::Subscription& s) {
        auto result = asio::co_spawn(io, s.next(milliseconds(1)), asio::use_future);
        io.restart();
        io.run();
        return result.get();
    };
    for (uint64_t id = 1; id <= 3; ++id)
        hub->publish({.id = id, .type = "topology", .json = "{}"});
    EXPECT_EQ(next(*quick).events.size(), 3U);
    hub->publish({.id = 4, .type = "topology", .json = "{}"});
    EXPECT_EQ(next(*quick).events.size(), 1U);
    const auto last = next(*slow);
    EXPECT_TRUE(last.ended);
    EXPECT_TRUE(last.events.empty());
    const auto figures = hub->figures();
    EXPECT_EQ(figures.subscribers_dropped, 1U);
    EXPECT_EQ(figures.events_dropped, 4U);
    EXPECT_EQ(figures.published, 4U);
    const auto nothing = next(*quick);
    EXPECT_FALSE(nothing.ended);
    EXPECT_TRUE(nothing.events.empty()) << "the time for a heartbeat";
}

TEST(EventHub, KeepsAnEventOnItsLines) {
    asio::io_context io;
    const auto hub = std::make_shared<EventHub>(EventHub::Limits{});
    auto listener = *hub->subscribe(io.get_executor(), {});
    hub->publish({.id = 1, .type = "a\nid: 9", .json = "{\r\n}"});
    auto result = asio::co_spawn(io, listener->next(milliseconds(1)), asio::use_future);
    io.run();
    EXPECT_EQ(*result.get().events.front(), "id: 1\nevent: a id: 9\ndata: {  }\n\n");
}

}  // namespace

}  // namespace baton::http
