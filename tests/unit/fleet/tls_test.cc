// Who may come in by what certificate.
#include <gmock/gmock.h>

#include <filesystem>

#include "agent/codec.h"
#include "base/run.h"
#include "base/text.h"
#include "fleet/fleet.h"
#include "net/certificates.h"
#include "net/channel.h"
#include "net/connect.h"

namespace baton::fleet::testing {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

constexpr seconds patience{20};

class Tls : public ::testing::Test {
  protected:
    Tls() {
        make("ours", {"127.0.0.1", "db1"}, "agents");
        make("ours", {"desk"}, "sales");
        make("theirs", {"db1"}, "agents");
    }
    ~Tls() override { fs::remove_all(directory_); }

    void make(const std::string& authority, std::vector<std::string> hosts, const std::string& unit) {
        const auto made =
            net::make_certificates({.directory = path(authority), .hosts = std::move(hosts), .unit = unit});
        ASSERT_TRUE(made) << made.error().text();
    }
    std::string path(const std::string& name) const { return (directory_ / name).string(); }

    /// What an agent with that certificate ("" = none) is answered; nothing when there is no connection.
    std::optional<agent::Frame> answer(const std::string& certificate, const std::string& token = "secret") {
        return run_task<std::optional<agent::Frame>>([&](Clock& clock) -> Task<std::optional<agent::Frame>> {
            const auto fleet =
                make_fleet(clock, options_, [](uint64_t) -> Task<Result<uint64_t>> { co_return 1; });
            const auto started = fleet->start();
            EXPECT_TRUE(started) << started.error().text();
            auto heard = co_await say_hello(clock, fleet->port(), certificate, token);
            refused_ = fleet->registry().counters().refused;
            co_return heard;
        });
    }
    Task<std::optional<agent::Frame>> say_hello(Clock& clock, uint16_t port, std::string certificate,
                                                std::string token) {
        const auto tls =
            net::make_tls_client({.ca_file = path("ours/ca.crt"),
                                  .certificate_file = certificate.empty() ? "" : path(certificate + ".crt"),
                                  .key_file = certificate.empty() ? "" : path(certificate + ".key")});
        EXPECT_TRUE(tls) << tls.error().text();
        auto stream = co_await net::connect(
            clock.executor(), {.host = "127.0.0.1", .port = port, .addresses = {}}, patience, *tls);
        if (!stream) co_return std::nullopt;
        const auto channel = net::make_channel(std::move(*stream), agent::frame_limit);
        agent::Hello hello;
        hello.agent = hello.host = "db1";
        hello.token = std::move(token);
        (void)co_await channel->write_line(agent::to_text(hello), patience);
        const auto line = co_await channel->read_line(patience);
        if (!line) co_return std::nullopt;
        const auto frame = agent::parse_frame(*line);
        co_return frame ? std::optional(*frame) : std::nullopt;
    }
    void expect_refused(const std::string& certificate, const std::string& because,
                        const std::string& token = "secret") {
        const auto frame = answer(certificate, token);
        ASSERT_TRUE(frame) << certificate;
        const auto* refusal = std::get_if<agent::Refusal>(&*frame);
        ASSERT_TRUE(refusal) << agent::to_text(*frame);
        EXPECT_THAT(refusal->reason, HasSubstr(because));
        EXPECT_EQ(refused_, 1u);
    }
    bool welcome(const std::string& certificate) {
        const auto frame = answer(certificate);
        return frame && std::holds_alternative<agent::Welcome>(*frame);
    }

    fs::path directory_ = fs::temp_directory_path() / ("baton-fleet-" + random_hex(8));
    Options options_{.listen_address = "127.0.0.1:0",
                     .use_tls = true,
                     .verify_clients = true,
                     .certificate_file = path("ours/127.0.0.1.crt"),
                     .key_file = path("ours/127.0.0.1.key"),
                     .ca_file = path("ours/ca.crt"),
                     .valid_ous = {"ops", "agents"}};
    uint64_t refused_ = 0;
};

TEST_F(Tls, AGoodCertificateIsEnough) {
    EXPECT_TRUE(welcome("ours/db1"));
    options_.valid_ous.clear();
    EXPECT_TRUE(welcome("ours/desk")) << "any unit will do";
}

TEST_F(Tls, OthersAreRefused) {
    expect_refused("", "AgentsUseMutualTLS");
    expect_refused("ours/desk", "(sales, of desk) is none of AgentSSLValidOUs: ops, agents");
}

TEST_F(Tls, ACertificateOfAnotherAuthorityEndsTheHandshake) {
    EXPECT_FALSE(answer("theirs/db1"));
    EXPECT_EQ(refused_, 1u) << "it is told in the log";
}

TEST_F(Tls, WhereBothAreAskedForBothAreNeeded) {
    options_.token = "secret";
    EXPECT_TRUE(welcome("ours/db1"));
    expect_refused("ours/db1", "AgentToken", "guess");
    expect_refused("", "AgentsUseMutualTLS");
}

TEST_F(Tls, ATokenAloneOverTls) {
    options_.token = "secret";
    options_.verify_clients = false;
    EXPECT_TRUE(welcome(""));
    expect_refused("", "AgentToken", "guess");
    expect_refused("", "it shows no token", "");
}

TEST_F(Tls, WhatIsAskedForCanChangeWhileItRuns) {
    (void)run_task<bool>([&](Clock& clock) -> Task<bool> {
        const auto fleet =
            make_fleet(clock, options_, [](uint64_t) -> Task<Result<uint64_t>> { co_return 1; });
        EXPECT_TRUE(fleet->start());
        const auto welcome = [&](std::string certificate, std::string token) -> Task<bool> {
            const auto frame =
                co_await say_hello(clock, fleet->port(), std::move(certificate), std::move(token));
            co_return frame&& std::holds_alternative<agent::Welcome>(*frame);
        };
        EXPECT_TRUE(co_await welcome("ours/db1", ""));
        auto fresh = options_;
        fresh.token = "new";
        EXPECT_TRUE(fleet->reload(fresh));
        EXPECT_FALSE(co_await welcome("ours/db1", "secret"));
        EXPECT_TRUE(co_await welcome("ours/db1", "new"));
        fresh.certificate_file = path("ours/none.crt");
        fresh.token = "newest";
        const auto bad = fleet->reload(fresh);
        EXPECT_THAT(bad.error().text(), HasSubstr("AgentSSLCertFile"));
        EXPECT_TRUE(co_await welcome("ours/db1", "new")) << "all stays as it was";
        fresh = options_;
        fresh.token.clear();
        fresh.verify_clients = false;
        EXPECT_TRUE(fleet->reload(fresh));
        EXPECT_FALSE(co_await welcome("ours/db1", "new")) << "the door does not stand open";
        co_return true;
    });
}

TEST_F(Tls, ARenewedCertificateIsFound) {
    (void)run_task<bool>([&](Clock& clock) -> Task<bool> {
        options_.certificate_file = path("theirs/db1.crt");
        options_.key_file = path("theirs/db1.key");
        const auto fleet =
            make_fleet(clock, options_, [](uint64_t) -> Task<Result<uint64_t>> { co_return 1; });
        EXPECT_TRUE(fleet->start());
        EXPECT_FALSE(co_await say_hello(clock, fleet->port(), "ours/db1", "")) << "not of our authority";
        for (const auto* kind : {".crt", ".key"})
            fs::copy_file(path("ours/127.0.0.1") + kind, path("theirs/db1") + kind,
                          fs::copy_options::overwrite_existing);
        const auto until = clock.now() + patience;
        auto heard = co_await say_hello(clock, fleet->port(), "ours/db1", "");
        while (!heard && clock.now() < until) {
            co_await clock.sleep_for(milliseconds(50));
            heard = co_await say_hello(clock, fleet->port(), "ours/db1", "");
        }
        EXPECT_TRUE(heard && std::holds_alternative<agent::Welcome>(*heard));
        co_return true;
    });
}

}  // namespace
}  // namespace baton::fleet::testing
