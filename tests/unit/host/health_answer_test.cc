#include "host/health_answer.h"

#include <gtest/gtest.h>

namespace baton::host {
namespace {

using agent::ServerState;
using agent::Status;

Status server(ServerState state, bool standby, uint16_t port = 5432) {
    Status s;
    s.key = {"db1", port};
    s.state = state;
    s.standby_signal = standby;
    s.version = "15.4";
    s.system_identifier = "73";
    s.control.timeline = 3;
    return s;
}

HealthRequest get(const std::string& target) {
    return *parse_health_request("GET " + target + " HTTP/1.1\r\nHost: x\r\n\r\n");
}

int ask(const std::string& target, const Status& status, const UpstreamLook& look = {}) {
    const auto found = find_health_target(get(target), {status});
    if (!found) return found.error().kind == ErrorKind::not_found ? 404 : 400;
    return health_answer(*found, status, look).status;
}

TEST(HealthAnswer, WhoAnswersWhat) {
    const auto primary = server(ServerState::running, false);
    const auto standby = server(ServerState::running, true);
    const auto down = server(ServerState::down, false);
    const auto hung = server(ServerState::hung, true);
    struct Case {
        std::string path;
        int primary, standby, down, hung;
    };
    const std::vector<Case> cases = {
        {"/", 200, 503, 503, 503},
        {"/primary", 200, 503, 503, 503},
        {"/read-write", 200, 503, 503, 503},
        {"/leader", 200, 503, 503, 503},
        {"/replica", 503, 200, 503, 503},
        {"/replica/", 503, 200, 503, 503},
        {"/read-only", 200, 200, 503, 503},
        {"/health", 200, 200, 503, 503},
        {"/readiness", 200, 200, 503, 503},
        {"/liveness", 200, 200, 200, 200},
        {"/sync", 503, 503, 503, 503},
        {"/async", 503, 503, 503, 503},
        {"/nothing", 404, 404, 404, 404},
        {"/replica?lag=x", 400, 400, 400, 400},
        {"/db1:5432/primary", 200, 503, 503, 503},
    };
    for (const auto& c : cases) {
        EXPECT_EQ(ask(c.path, primary), c.primary) << c.path;
        EXPECT_EQ(ask(c.path, standby), c.standby) << c.path;
        EXPECT_EQ(ask(c.path, down), c.down) << c.path;
        EXPECT_EQ(ask(c.path, hung), c.hung) << c.path;
    }
}

TEST(HealthAnswer, APrimaryThatMayBeReplacedTakesNoWrites) {
    auto primary = server(ServerState::running, false);
    primary.hold = agent::Hold::fenced;
    EXPECT_EQ(ask("/primary", primary), 503);
    EXPECT_EQ(ask("/read-only", primary), 503);
    primary.hold = agent::Hold::none;
    primary.lease.on = true;
    EXPECT_EQ(ask("/primary", primary), 503);
    primary.lease.held_by = "vouches";
    EXPECT_EQ(ask("/primary", primary), 200);
}

TEST(HealthAnswer, LagAndSynchrony) {
    const auto standby = server(ServerState::running, true);
    const UpstreamLook behind{.lag_bytes = 1024, .sync_state = "quorum", .why_not = ""};
    EXPECT_EQ(ask("/replica?lag=1023", standby, behind), 503);
    EXPECT_EQ(ask("/replica?lag=1024", standby, behind), 200);
    EXPECT_EQ(ask("/replica?x=y&lag=1kB", standby, behind), 200);
    EXPECT_EQ(ask("/read-only?lag=0", standby, behind), 503);
    EXPECT_EQ(ask("/read-only?lag=0", server(ServerState::running, false), {}), 200);
    EXPECT_EQ(ask("/replica?lag=1GB", standby, {}), 503) << "not known is not good enough";
    EXPECT_EQ(ask("/synchronous", standby, behind), 200);
    EXPECT_EQ(ask("/asynchronous", standby, behind), 503);
    EXPECT_EQ(ask("/sync?lag=0", standby, behind), 503);
    EXPECT_EQ(ask("/async", standby, {.lag_bytes = 0, .sync_state = "async", .why_not = ""}), 200);
    EXPECT_TRUE(needs_upstream(*find_health_target(get("/replica?lag=1"), {standby})));
    EXPECT_FALSE(needs_upstream(*find_health_target(get("/replica"), {standby})));
    EXPECT_FALSE(needs_upstream(*find_health_target(get("/primary?lag=1"), {standby})));
}

TEST(HealthAnswer, SeveralServersHaveTheirOwnPaths) {
    const std::vector<Status> two = {server(ServerState::running, false, 5432),
                                     server(ServerState::running, true, 5433)};
    EXPECT_EQ(find_health_target(get("/db1:5433/replica"), two)->instance, 1U);
    EXPECT_EQ(find_health_target(get("/db1:5432"), two)->question, HealthQuestion::primary);
    EXPECT_EQ(find_health_target(get("/liveness"), two)->question, HealthQuestion::liveness);
    const auto which = find_health_target(get("/primary"), two);
    ASSERT_FALSE(which);
    EXPECT_NE(which.error().message.find("/db1:5433/primary"), std::string::npos);
    EXPECT_FALSE(find_health_target(get("/db1:54330/replica"), two));
    EXPECT_FALSE(find_health_target(get("/primary"), {}));
}

TEST(HealthAnswer, Bytes) {
    EXPECT_EQ(parse_bytes("0"), 0);
    EXPECT_EQ(parse_bytes("10MB"), 10LL << 20);
    EXPECT_EQ(parse_bytes("3 kb"), 3072);
    EXPECT_EQ(parse_bytes("7b"), 7);
    EXPECT_EQ(parse_bytes("1TB"), 1LL << 40);
    for (const std::string bad : {"", "MB", "-1", "1.5MB", "99999999TB", "1 m"})
        EXPECT_EQ(parse_bytes(bad), std::nullopt) << bad;
}

TEST(HealthAnswer, Requests) {
    const auto r = parse_health_request("HEAD /replica?lag=3 HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n");
    ASSERT_TRUE(r);
    EXPECT_EQ(r->method, "HEAD");
    EXPECT_EQ(r->path, "/replica");
    EXPECT_EQ(r->query, "lag=3");
    EXPECT_TRUE(r->keep_alive);
    EXPECT_FALSE(parse_health_request("GET / HTTP/1.0\r\n\r\n")->keep_alive);
    EXPECT_FALSE(parse_health_request("GET / HTTP/1.1\r\nconnection: close\r\n\r\n")->keep_alive);
    for (const std::string bad :
         {"", "\r\n\r\n", "GET /\r\n\r\n", "GET x HTTP/1.1\r\n\r\n", "GET / HTTP/2\r\n\r\n",
          "GET / / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\n",
          "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"})
        EXPECT_FALSE(parse_health_request(bad)) << bad;
}

TEST(HealthAnswer, OverTheWire) {
    const HealthAnswer answer{503, "{}"};
    auto request = get("/");
    EXPECT_TRUE(health_response(answer, request).starts_with("HTTP/1.1 503 Service Unavailable\r\n"));
    EXPECT_TRUE(health_response(answer, request).ends_with("Content-Length: 2\r\n\r\n{}"));
    request.method = "HEAD";
    EXPECT_TRUE(health_response(answer, request).ends_with("Content-Length: 2\r\n\r\n"));
    request.method = "OPTIONS";
    request.keep_alive = false;
    EXPECT_TRUE(health_response(answer, request).ends_with("Content-Length: 0\r\nConnection: close\r\n\r\n"));
    const auto body = health_answer({}, server(ServerState::running, true), {}).body;
    EXPECT_EQ(body,
              R"({"state":"running","role":"replica","name":"db1:5432","server_version":150004,"timeline":3,)"
              R"("database_system_identifier":"73","reason":"it is a standby"})");
}

}  // namespace
}  // namespace baton::host
