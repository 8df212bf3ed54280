#include <gtest/gtest.h>

#include "base/text.h"
#include "fake_control.h"
#include "http/application.h"
#include "http/compress.h"
#include "http/router.h"
#include "http/session.h"
#include "http/target.h"

namespace baton::http {

namespace {

TEST(Target, SplitsThenDecodes) {
    const auto target =
        parse_target("/api/begin-downtime/db1/5432/ops/disk%2Fswap%20now/10m?comment=a+b%26c&x&x=2");
    ASSERT_TRUE(target);
    EXPECT_EQ(target->segments, (std::vector<std::string>{"api", "begin-downtime", "db1", "5432", "ops",
                                                          "disk/swap now", "10m"}));
    EXPECT_EQ(target->query.at("comment"), "a b&c");
    EXPECT_EQ(target->query.at("x"), "") << "the first value of a name counts";
    EXPECT_EQ(target->path, "/api/begin-downtime/db1/5432/ops/disk%2Fswap%20now/10m");
}

TEST(Target, ReadsOddButLegalForms) {
    struct Case {
        const char* text;
        std::vector<std::string> segments;
    };
    const Case cases[] = {
        {"/", {}},
        {"/api/clusters/", {"api", "clusters"}},
        {"/api/clusters?", {"api", "clusters"}},
        {"/a+b", {"a+b"}},
        {"/caf%C3%A9", {"café"}},
        {"http://host:3000/api/x", {"api", "x"}},
        {"http://host:3000", {}},
        {"/a//b", {"a", "", "b"}},
        {"/api/instance/%5B::1%5D/5432", {"api", "instance", "[::1]", "5432"}},
        {"/a#fragment", {"a"}},
    };
    for (const auto& c : cases) {
        const auto target = parse_target(c.text);
        ASSERT_TRUE(target) << c.text;
        EXPECT_EQ(target->segments, c.segments) << c.text;
    }
}

TEST(Target, RefusesWhatIsMalformed) {
    for (const auto* text : {"", "*", "api/clusters", "/%", "/%4", "/%zz", "/a%00b", "/%ff", "/%c0%af",
                             "/%ed%a0%80", "/%f5%80%80%80", "/x?a=%", "/x?%g0=1", "/x?a=%00"}) {
        EXPECT_FALSE(parse_target(text)) << text;
    }
    std::string many = "/x?";
    for (int n = 0; n < 200; ++n)
        many += "k" + std::to_string(n) + "=1&";
    EXPECT_FALSE(parse_target(many));
}

Route route(const std::string& pattern) {
    return {.method = "GET", .pattern = pattern, .needs_write = false, .handler = nullptr, .doc = ""};
}

std::string found(const Router& router, std::string_view target, std::string_view method = "GET") {
    const auto parsed = parse_target(target);
    if (!parsed) return "malformed";
    const auto match = router.find(method, parsed->segments);
    if (!match) return "none";
    auto text = match->route->pattern;
    for (const auto& [name, value] : match->params)
        text += " " + name + "=" + value;
    return text;
}

TEST(Router, FindsTheRoute) {
    const Router router(
        {route("/"), route("/api/clusters"), route("/api/cluster/:hint"), route("/api/cluster/alias/:alias"),
         route("/api/audit/:page"), route("/api/audit/instance/:host/:port"),
         route("/api/audit/instance/:host/:port/:page"), route("/api/:one/first"),
         route("/api/fixed/second")},
        "/baton", {route("/status")});
    struct Case {
        const char* target;
        const char* expected;
    };
    const Case cases[] = {
        {"/baton", "/"},
        {"/baton/", "/"},
        {"/baton/api/clusters", "/api/clusters"},
        {"/baton/api/clusters/", "/api/clusters"},
        {"/api/clusters", "none"},
        {"/baton/api/Clusters", "none"},
        {"/baton/api/cluster/shop", "/api/cluster/:hint hint=shop"},
        {"/baton/api/cluster/db1:5432", "/api/cluster/:hint hint=db1:5432"},
        {"/baton/api/cluster/alias", "/api/cluster/:hint hint=alias"},
        {"/baton/api/cluster/alias/shop", "/api/cluster/alias/:alias alias=shop"},
        {"/baton/api/cluster/", "none"},
        {"/baton/api/cluster//", "none"},
        {"/baton/api/cluster/a%2Fb", "/api/cluster/:hint hint=a/b"},
        {"/baton/api/audit/3", "/api/audit/:page page=3"},
        {"/baton/api/audit/instance/db1/5432", "/api/audit/instance/:host/:port host=db1 port=5432"},
        {"/baton/api/audit/instance/db1/5432/2",
         "/api/audit/instance/:host/:port/:page host=db1 page=2 port=5432"},
        {"/baton/api/audit/instance/db1", "none"},
        {"/baton/api/fixed/first", "/api/:one/first one=fixed"},
        {"/baton/api/fixed/second", "/api/fixed/second"},
        {"/status", "/status"},
        {"/baton/status", "none"},
    };
    for (const auto& c : cases)
        EXPECT_EQ(found(router, c.target), c.expected) << c.target;
}

TEST(Router, HeadIsGetAndOtherMethodsAreUnknown) {
    const Router router({route("/api/clusters")}, "");
    EXPECT_EQ(found(router, "/api/clusters", "HEAD"), "/api/clusters");
    for (const auto* method : {"POST", "PUT", "DELETE", "OPTIONS", "PATCH"}) {
        EXPECT_EQ(found(router, "/api/clusters", method), "none") << method;
    }
}

TEST(Router, TellsOfDuplicates) {
    const Router router({route("/a/:x"), route("/a/:y")}, "");
    EXPECT_EQ(router.duplicates(), std::vector<std::string>{"/a/:y"});
    EXPECT_EQ(found(router, "/a/1"), "/a/:x x=1");
}

TEST(Router, TheWholeTableHasEveryPatternOnce) {
    const auto routes = all_routes({});
    EXPECT_GT(routes.size(), 200U);
    EXPECT_EQ(Router(routes, "").duplicates(), std::vector<std::string>{});
    for (const auto& r : routes) {
        EXPECT_EQ(r.method, "GET") << r.pattern;
        EXPECT_TRUE(r.handler) << r.pattern;
        EXPECT_FALSE(r.doc.empty()) << r.pattern;
    }
    const auto is_metrics = [](const Route& r) { return r.pattern == "/metrics"; };
    EXPECT_EQ(std::ranges::count_if(routes, is_metrics), 1);
    EXPECT_EQ(std::ranges::count_if(all_routes({.metrics = false}), is_metrics), 0);
}

/// The server listens before the control thread has looked at anything.
TEST(Router, EveryReadingRouteAnswersBeforeThereIsAnythingToSee) {
    testing::FakeWorld world;
    world.control.change_view([](control::View& v) { v = {}; });
    const Application application(Context{world.control}, {}, all_routes({}));
    const net::Peer peer{.address = "10.0.0.9"};
    for (const auto& r : all_routes({})) {
        if (r.needs_write) continue;
        std::string target;
        for (const auto& segment : split(r.pattern, '/')) {
            if (!segment.empty()) target += segment.front() == ':' ? "/1" : "/" + segment;
        }
        if (target.empty()) target = "/";
        const auto response = testing::run_task(application.answer({"GET", target, {}, peer}));
        EXPECT_GE(response.status, 200) << target;
        EXPECT_EQ(response.body.find("internal error"), std::string::npos) << target;
        EXPECT_NE(response.body, "404 page not found\n") << target;
    }
}

TEST(Request, LooksThingsUp) {
    Request request;
    request.headers = {{"X-Forwarded-User", "alice"}};
    request.remote = "10.0.0.9";
    EXPECT_EQ(request.header("x-forwarded-user"), "alice");
    EXPECT_EQ(request.header("none"), "");
    EXPECT_EQ(request.param("none"), "");
    EXPECT_EQ(request.caller().name, "10.0.0.9");
    request.user = "alice";
    EXPECT_EQ(request.caller().name, "alice");
}

TEST(Compress, ReadsAcceptEncoding) {
    for (const auto* yes : {"gzip", "deflate, gzip;q=0.5", "GZIP", "*", "br, *;q=0.1", "x-gzip"}) {
        EXPECT_TRUE(accepts_gzip(yes)) << yes;
    }
    for (const auto* no : {"", "identity", "br", "gzip;q=0", "*;q=0", "gzip;q=0, *"})
        EXPECT_FALSE(accepts_gzip(no)) << no;
}

TEST(Session, WritesDates) {
    const WallTime t{std::chrono::sys_days{std::chrono::year{2026} / 11 / 20} + std::chrono::hours(10)};
    EXPECT_EQ(http_date(t), "Fri, 20 Nov 2026 10:00:00 GMT");
}

}  // namespace

}  // namespace baton::http
