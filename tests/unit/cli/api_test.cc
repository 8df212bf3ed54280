#include "cli/api.h"

#include <gmock/gmock.h>

#include "cli/profile.h"
#include "cli/route.h"
#include "fake_world.h"

namespace baton::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

const Error nobody{ErrorKind::refused, "connection refused"};

TEST(ApiAddress, ComesFromTheCommandThenTheEnvironmentThenTheConfiguration) {
    FakeWorld world;
    world.http.otherwise = {200, "[]"};
    world.configured[""] = {"http://localhost:3098", "boss:secret"};
    world.configured["/x.json"] = {"https://db9:3099/ha", ""};
    world.baton({"clusters"});
    EXPECT_EQ(world.http.requests.back().url, "http://localhost:3098/api/clusters-info");
    EXPECT_EQ(world.http.requests.back().user, "boss");
    EXPECT_EQ(world.http.requests.back().password, "secret");
    world.binary({"-c", "clusters"});
    EXPECT_EQ(world.http.requests.back().url, "http://localhost:3098/api/clusters-info");
    world.script({"-c", "clusters"});
    EXPECT_EQ(world.http.requests.back().url, "http://localhost:3000/api/clusters-info");

    world.environment["BATON_API"] = "http://m1:3000";
    world.baton({"clusters"});
    EXPECT_EQ(world.http.requests.back().url, "http://m1:3000/api/clusters-info");
    EXPECT_EQ(world.http.requests.back().user, "") << "the password belongs to another address";
    world.binary({"-config", "/x.json", "-c", "clusters"});
    EXPECT_EQ(world.http.requests.back().url, "https://db9:3099/ha/api/clusters-info");
    world.baton({"-config", "/x.json", "clusters", "--api", "http://m2:3000"});
    EXPECT_EQ(world.http.requests.back().url, "http://m2:3000/api/clusters-info");
}

TEST(Address, GetsASchemeAndTheApiPath) {
    const std::pair<const char*, const char*> cases[] = {
        {"http://a:3000", "http://a:3000/api"},           {"http://a:3000/", "http://a:3000/api"},
        {"http://a:3000/api", "http://a:3000/api"},       {"http://a:3000/api/", "http://a:3000/api"},
        {"https://a/prefix/api", "https://a/prefix/api"}, {" a:3000 ", "http://a:3000/api"},
    };
    for (const auto& [given, want] : cases)
        EXPECT_EQ(normal_address(given), want);
    EXPECT_EQ(shown_address("http://u:secret@a:1/api"), "http://a:1/api");
    EXPECT_EQ(shown_address("http://a:1/api/x@y"), "http://a:1/api/x@y");
}

TEST(Endpoint, SplitsHostAndPort) {
    const std::tuple<const char*, const char*, const char*> cases[] = {
        {"db1:5433", "db1", "5433"}, {"db1", "db1", "5432"},         {"[::1]:5433", "::1", "5433"},
        {"[::1]", "::1", "5432"},    {"fd00::1", "fd00::1", "5432"}, {" db1:1 ", "db1", "1"},
    };
    for (const auto& [text, host, port] : cases) {
        const auto got = parse_endpoint(text, "5432");
        EXPECT_EQ(got.host, host) << text;
        EXPECT_EQ(got.port, port) << text;
    }
}

TEST(Route, OptionalPartsGoWithTheirTokens) {
    Options options;
    options.default_port = "5432";
    EXPECT_EQ(fill_route("recover/{i}[/{d}]", options).error().message, "instance must be provided");
    options.instance = "db1";
    EXPECT_EQ(*fill_route("recover/{i}[/{d}]", options), "recover/db1/5432");
    options.destination = "db2:1";
    EXPECT_EQ(*fill_route("recover/{i}[/{d}]", options), "recover/db1/5432/db2/1");
    options.path = "/audit?x=a b";
    EXPECT_EQ(*fill_route("{path}", options), "audit?x=a%20b");
}

TEST(Reach, OneAddressIsUsedWithoutAsking) {
    FakeWorld world;
    EXPECT_EQ(world.script({"-c", "which-api"}).out, "http://localhost:3000/api\n");
    EXPECT_TRUE(world.http.requests.empty());
    world.environment["ORCHESTRATOR_API"] = "http://o:3000";
    EXPECT_EQ(world.script({"-c", "which-api"}).out, "http://o:3000/api\n");
    world.environment["BATON_API"] = "http://b:3000";
    EXPECT_EQ(world.script({"-c", "which-api"}).out, "http://b:3000/api\n");
    EXPECT_EQ(world.script({"-c", "which-api", "-U", "http://u:3000"}).out, "http://u:3000/api\n");
}

TEST(Reach, OfSeveralTheLeaderIsUsed) {
    FakeWorld world;
    world.environment["ORCHESTRATOR_API"] = "http://a:3000/api http://b:3000/api  http://c:3000";
    world.http.by_url["http://b:3000/api/leader-check"] = {200, "\"OK\""};
    world.http.by_url["http://b:3000/api/clusters-info"] = {200, "[]"};
    EXPECT_EQ(world.script({"-c", "which-api"}).out, "http://b:3000/api\n");
    EXPECT_EQ(world.http.requests.front().total_timeout, milliseconds(1000));
    world.http.requests.clear();
    EXPECT_EQ(world.script({"-c", "clusters"}).code, 0);
    EXPECT_THAT(world.http.paths(), ElementsAre("leader-check", "leader-check", "clusters-info"));
}

TEST(Reach, WithoutALeaderAnyThatReachesItWillDo) {
    FakeWorld world;
    world.environment["ORCHESTRATOR_API"] = "http://a:3000/api http://b:3000/api";
    auto got = world.script({"-c", "which-api"});
    EXPECT_EQ(got.code, 1);
    EXPECT_EQ(
        got.err,
        "orchestrator-client[25847]: Cannot determine leader from http://a:3000/api http://b:3000/api\n");
    world.http.by_url["http://b:3000/api/routed-leader-check"] = {200, "\"OK\""};
    EXPECT_EQ(world.script({"-c", "which-api"}).out, "http://b:3000/api\n");
}

TEST(Reach, TheShellClientIsPatientAndThenSaysWhere) {
    FakeWorld world;
    world.environment["ORCHESTRATOR_API"] = "http://u:pw@127.0.0.1:3999/api";
    world.http.unreachable = nobody;
    const auto got = world.script({"-c", "clusters"});
    EXPECT_EQ(got.code, 1);
    EXPECT_EQ(got.err,
              "orchestrator-client[25847]: Cannot access orchestrator at http://127.0.0.1:3999/api.  Check "
              "ORCHESTRATOR_API is configured correctly and orchestrator is running\n");
    EXPECT_EQ(world.http.requests.size(), 8U);
    milliseconds waited{0};
    for (const auto pause : world.sleeps)
        waited += pause;
    EXPECT_EQ(waited, milliseconds(11300));
}

TEST(Reach, ASlipOfTheNetworkIsTriedAgain) {
    FakeWorld world;
    world.http.errors["clusters-info"] = {nobody, nobody};
    world.http.replies["clusters-info"] = {200, "[]"};
    EXPECT_EQ(world.script({"-c", "clusters"}).code, 0);
    EXPECT_THAT(world.sleeps, ElementsAre(milliseconds(100), milliseconds(200)));
}

TEST(Reach, WhatMayHaveBeenDoneIsNotDoneTwice) {
    FakeWorld world;
    world.http.errors["force-master-failover/shop"] = {Error{ErrorKind::timeout, "no answer within 120 s"}};
    const auto got = world.script({"-c", "force-master-failover", "-alias", "shop"});
    EXPECT_EQ(got.code, 1);
    EXPECT_EQ(world.http.requests.size(), 1U);
    EXPECT_EQ(world.http.requests.front().total_timeout, milliseconds(120000));
    EXPECT_THAT(got.err, HasSubstr("it may have been carried out all the same"));
}

TEST(Reach, AfterALostLeaderTheNewOneIsFound) {
    FakeWorld world;
    world.environment["ORCHESTRATOR_API"] = "http://a:1 http://b:1";
    world.http.by_url["http://a:1/api/leader-check"] = {200, "\"OK\""};
    world.http.errors["clusters-info"] = {nobody};
    world.http.replies["clusters-info"] = {200, "[]"};
    EXPECT_EQ(world.script({"-c", "clusters"}).code, 0);
    EXPECT_THAT(world.http.paths(),
                ElementsAre("leader-check", "clusters-info", "leader-check", "clusters-info"));
}

TEST(Reach, AnswersThatAreNotJsonAreExplained) {
    FakeWorld world;
    auto got = world.script({"-c", "clusters"});
    EXPECT_THAT(got.err, HasSubstr("clusters-info is not a route of this API (HTTP 404)"));
    EXPECT_EQ(world.http.requests.size(), 1U);
    world.http.replies["clusters-info"] = {401, "Not Authorized"};
    got = world.script({"-c", "clusters"});
    EXPECT_THAT(got.err, HasSubstr("ORCHESTRATOR_AUTH_USER"));
    world.http.replies["clusters-info"] = {502, "<html>"};
    world.http.requests.clear();
    got = world.script({"-c", "clusters"});
    EXPECT_EQ(world.http.requests.size(), 8U);
    EXPECT_THAT(got.err, HasSubstr("Cannot access orchestrator"));
}

TEST(Credentials, GoWithEachRequestAndIntoNoText) {
    FakeWorld world;
    world.environment = {{"ORCHESTRATOR_AUTH_USER", "ops"},
                         {"ORCHESTRATOR_AUTH_PASSWORD", "pa:ss"},
                         {"ORCHESTRATOR_AUTH_USER_HEADER", "X-User: me"},
                         {"BATON_TLS_CA", "/ca.pem"}};
    const auto got = world.script({"-c", "clusters"});
    const auto& request = world.http.requests.front();
    EXPECT_EQ(request.user, "ops");
    EXPECT_EQ(request.password, "pa:ss");
    EXPECT_THAT(request.headers, ElementsAre("X-User: me"));
    EXPECT_EQ(request.tls.ca_file, "/ca.pem");
    EXPECT_TRUE(request.tls.verify);
    EXPECT_THAT(got.out + got.err + request.url, Not(HasSubstr("pa:ss")));
    world.script({"-c", "clusters", "-b", "root:a:b", "--insecure"});
    EXPECT_EQ(world.http.requests.back().user, "root");
    EXPECT_EQ(world.http.requests.back().password, "a:b");
    EXPECT_FALSE(world.http.requests.back().tls.verify);
}

TEST(Profile, GivesItsPlainAssignments) {
    const auto got = read_profile(
        "# comment\nexport ORCHESTRATOR_API=\"http://a:1 http://b:1\"\nORCHESTRATOR_AUTH_USER='me'\n"
        "PATH=/bin\nORCHESTRATOR_INSTANCE=$(hostname)\nBATON_API=http://b:1\n");
    EXPECT_EQ(got.size(), 3U);
    EXPECT_EQ(got.at("ORCHESTRATOR_API"), "http://a:1 http://b:1");
    EXPECT_EQ(got.at("ORCHESTRATOR_AUTH_USER"), "me");
}

TEST(ClientCall, IsRecognised) {
    EXPECT_TRUE(is_client_call(Personality::orchestrator_client, {}));
    EXPECT_TRUE(is_client_call(Personality::orchestrator, {"-config", "x", "-c", "clusters"}));
    EXPECT_FALSE(is_client_call(Personality::orchestrator, {"-config", "x", "http"}));
    EXPECT_TRUE(is_client_call(Personality::baton, {"topology"}));
    EXPECT_FALSE(is_client_call(Personality::baton, {"serve"}));
    EXPECT_FALSE(is_client_call(Personality::baton, {}));
    EXPECT_TRUE(knows("ack"));
    EXPECT_TRUE(knows("tree"));
    EXPECT_FALSE(knows("http"));
    EXPECT_FALSE(knows(""));
}

}  // namespace
}  // namespace baton::cli
