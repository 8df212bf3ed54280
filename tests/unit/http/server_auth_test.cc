#include <gtest/gtest.h>

#include "base/secret.h"
#include "fake_control.h"
#include "http/auth.h"
#include "server_client.h"

namespace baton::http {

namespace {

using namespace testing;

constexpr auto admin = "Authorization: Basic YWRtaW46czNjcmV0";     // admin:s3cret
constexpr auto wrong = "Authorization: Basic YWRtaW46d3Jvbmc=";     // admin:wrong
constexpr auto readonly = "Authorization: Basic cmVhZG9ubHk6eA==";  // readonly:x
constexpr auto nothing = "Authorization: Basic Og==";               // an empty user and an empty password

TEST(Auth, ComparesInFull) {
    EXPECT_TRUE(equal_in_constant_time("", ""));
    EXPECT_TRUE(equal_in_constant_time("abc", "abc"));
    for (const auto* other : {"", "ab", "abcd", "abd", "abcabc"})
        EXPECT_FALSE(equal_in_constant_time(other, "abc")) << other;
    EXPECT_FALSE(equal_in_constant_time("abc", ""));
}

TEST(Auth, ReadsBase64) {
    EXPECT_EQ(base64_decode("YWRtaW46czNjcmV0"), "admin:s3cret");
    EXPECT_EQ(base64_decode("Og=="), ":");
    EXPECT_EQ(base64_decode("YWI="), "ab");
    EXPECT_EQ(base64_decode(""), "");
    for (const auto* bad : {"A", "AA", "AAA", "!!!!", "YW =", "====", "Y==="}) {
        EXPECT_FALSE(base64_decode(bad)) << bad;
    }
}

TEST(Auth, GroupsOfTheMachine) {
    const std::vector<std::string> root{"root"}, none{"no-such-group-here"};
    EXPECT_TRUE(user_in_groups("root", root)) << "by the primary group";
    EXPECT_FALSE(user_in_groups("root", none));
    EXPECT_FALSE(user_in_groups("no-such-user-here", root));
}

/// What a reading and a writing request get: 200, 401, or 0 for the Unauthorized envelope.
struct Case {
    const char* what;
    std::function<void(config::Config&)> configure;
    const char* header;
    int read;
    int write;
    const char* user;
};

void with_password(config::Config& c, const char* method) {
    c.AuthenticationMethod = method;
    c.HTTPAuthUser = "admin";
    c.HTTPAuthPassword = "s3cret";
}

const std::vector<Case>& matrix() {
    static const std::vector<Case> cases{
        {"none", [](auto&) {}, "", 200, 200, ""},
        {"read-only", [](auto& c) { c.ReadOnly = true; }, "", 200, 0, ""},
        {"basic without a user is off", [](auto& c) { c.AuthenticationMethod = "basic"; }, "", 200, 200, ""},
        {"basic, nothing given", [](auto& c) { with_password(c, "basic"); }, "", 401, 401, ""},
        {"basic, wrong", [](auto& c) { with_password(c, "basic"); }, wrong, 401, 401, ""},
        {"basic, empty", [](auto& c) { with_password(c, "basic"); }, nothing, 401, 401, ""},
        {"basic, other scheme", [](auto& c) { with_password(c, "basic"); }, "Authorization: Bearer x", 401,
         401, ""},
        {"basic, garbage", [](auto& c) { with_password(c, "basic"); }, "Authorization: Basic ???", 401, 401,
         ""},
        {"basic, right", [](auto& c) { with_password(c, "basic"); }, admin, 200, 200, "admin"},
        {"basic knows no readonly", [](auto& c) { with_password(c, "basic"); }, readonly, 401, 401, ""},
        {"basic, read-only",
         [](auto& c) {
             with_password(c, "Basic");
             c.ReadOnly = true;
         },
         admin, 200, 0, "admin"},
        {"multi, nothing", [](auto& c) { with_password(c, "multi"); }, "", 401, 401, ""},
        {"multi, wrong", [](auto& c) { with_password(c, "multi"); }, wrong, 401, 401, ""},
        {"multi, admin", [](auto& c) { with_password(c, "multi"); }, admin, 200, 200, "admin"},
        {"multi, readonly", [](auto& c) { with_password(c, "multi"); }, readonly, 200, 0, "readonly"},
        {"multi without a user admits no empty one", [](auto& c) { c.AuthenticationMethod = "multi"; },
         nothing, 401, 401, ""},
        {"proxy, everybody", [](auto& c) { c.AuthenticationMethod = "proxy"; }, "", 200, 200, ""},
        {"proxy, power user",
         [](auto& c) {
             c.AuthenticationMethod = "proxy";
             c.PowerAuthUsers = {"alice"};
         },
         "X-Forwarded-User: alice", 200, 200, "alice"},
        {"proxy, other user",
         [](auto& c) {
             c.AuthenticationMethod = "proxy";
             c.PowerAuthUsers = {"alice"};
         },
         "X-Forwarded-User: bob", 200, 0, "bob"},
        {"proxy, no user",
         [](auto& c) {
             c.AuthenticationMethod = "proxy";
             c.PowerAuthUsers = {"alice"};
         },
         "", 200, 0, ""},
        {"proxy, other header",
         [](auto& c) {
             c.AuthenticationMethod = "proxy";
             c.PowerAuthUsers = {"alice"};
             c.AuthUserHeader = "X-User";
         },
         "X-User: alice", 200, 200, "alice"},
        {"proxy, group",
         [](auto& c) {
             c.AuthenticationMethod = "proxy";
             c.PowerAuthUsers = {};
             c.PowerAuthGroups = {"root"};
         },
         "X-Forwarded-User: root", 200, 200, "root"},
        {"proxy, not in the group",
         [](auto& c) {
             c.AuthenticationMethod = "proxy";
             c.PowerAuthUsers = {};
             c.PowerAuthGroups = {"root"};
         },
         "X-Forwarded-User: nobody", 200, 0, "nobody"},
        {"token", [](auto& c) { c.AuthenticationMethod = "token"; }, "Cookie: access-token=a:b", 200, 0, ""},
        {"oauth", [](auto& c) { c.AuthenticationMethod = "oauth"; }, "", 200, 0, ""},
    };
    return cases;
}

Handler says_user() {
    return [](const Context&, const Request& request) -> Task<Response> {
        co_return Response{.body = "user:" + request.user};
    };
}

TEST(Auth, Matrix) {
    FakeWorld world;
    auto server = make_server(
        world.control, loopback(),
        {{"GET", "/api/read", false, says_user(), ""}, {"GET", "/api/write", true, says_user(), ""}});
    ASSERT_TRUE(server->start());
    for (const auto& c : matrix()) {
        SCOPED_TRACE(c.what);
        world.control.change_view([&](control::View& v) {
            auto config = std::make_shared<config::Config>();
            c.configure(*config);
            v.config = config;
        });
        const std::string header = *c.header ? std::string(c.header) + "\r\n" : "";
        const auto read = fetch(server->port(), "/api/read", header);
        const auto write = fetch(server->port(), "/api/write", header);
        EXPECT_EQ(read.status, c.read);
        EXPECT_EQ(write.status, c.write == 0 ? 500 : c.write);
        if (c.read == 200) {
            EXPECT_EQ(read.body, std::string("user:") + c.user);
        } else {
            EXPECT_EQ(read.header("www-authenticate"), "Basic realm=\"Authorization Required\"");
        }
        if (c.write == 0) {
            EXPECT_EQ(write.body, R"({"Code":"ERROR","Message":"Unauthorized","Details":null})");
        }
    }
}

TEST(Auth, PathsNeedCredentialsBeforeTheyTellAnything) {
    FakeWorld world;
    world.control.change_config([](config::Config& c) { with_password(c, "basic"); });
    auto server = make_server(world.control, loopback(), {});
    ASSERT_TRUE(server->start());
    EXPECT_EQ(fetch(server->port(), "/nosuchroute").status, 401);
    EXPECT_EQ(fetch(server->port(), "/nosuchroute", std::string(admin) + "\r\n").status, 404);
}

}  // namespace

}  // namespace baton::http
