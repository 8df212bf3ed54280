#include "net/connect.h"

#include "net/certificate_files.h"
#include "net/channel.h"
#include "support.h"

namespace baton::net {

namespace {

using ConnectTest = NetTest;

TEST_F(ConnectTest, ReachesNamesAndNumbers) {
    run([&]() -> Task<void> {
        for (const std::string host : {"127.0.0.1", "localhost"}) {
            const auto stream =
                co_await connect(io_.get_executor(), {.host = host, .port = port_}, seconds(5));
            EXPECT_TRUE(stream) << host << ": " << stream.error().text();
        }
        // What the caller knows wins over what the resolver would say; the second address is tried, too.
        const auto stream = co_await connect(
            io_.get_executor(),
            {.host = "no-such-name.invalid", .port = port_, .addresses = {"127.0.0.2", "127.0.0.1"}},
            seconds(5));
        EXPECT_TRUE(stream);
        if (stream) EXPECT_EQ((*stream)->peer().address, "127.0.0.1");
    }());
}

TEST_F(ConnectTest, SaysWhyNot) {
    run([&]() -> Task<void> {
        acceptor_.close();
        const auto refused =
            co_await connect(io_.get_executor(), {.host = "127.0.0.1", .port = port_}, seconds(5));
        EXPECT_EQ(refused.error().kind, ErrorKind::refused);
        EXPECT_EQ(refused.error().who, "127.0.0.1:" + std::to_string(port_));
        const auto nameless =
            co_await connect(io_.get_executor(), {.host = "no-such-name.invalid", .port = 1}, seconds(10));
        EXPECT_TRUE(nameless.error().kind == ErrorKind::unreachable ||
                    nameless.error().kind == ErrorKind::timeout);
        EXPECT_EQ(nameless.error().who, "no-such-name.invalid:1");
    }());
}

TEST_F(ConnectTest, EndsWithItsTime) {
    run([&]() -> Task<void> {
        auto tls = make_tls_client({.skip_verify = true});
        EXPECT_TRUE(tls);
        // Somebody takes the connection and never says a word.
        const auto silent = co_await connect(io_.get_executor(), {.host = "127.0.0.1", .port = port_},
                                             milliseconds(50), *tls);
        EXPECT_EQ(silent.error().kind, ErrorKind::timeout);
    }());
}

/// Certificates of a house, and of a stranger's.
class TlsTest : public NetTest {
  protected:
    TlsTest() {
        make(
            {.directory = home_.path(), .hosts = {"db1,localhost,127.0.0.1", "elsewhere"}, .unit = "agents"});
        make({.directory = stranger_.path(), .hosts = {"db1,127.0.0.1"}});
    }
    static void make(const CertificateOrder& order) {
        const auto made = make_certificates(order);
        EXPECT_TRUE(made) << made.error().text();
    }
    static TlsOptions server(const TestDirectory& from, const std::string& name, bool mutual = false) {
        return {.certificate_file = from.file(name + ".crt"),
                .key_file = from.file(name + ".key"),
                .ca_file = from.file("ca.crt"),
                .ask_for_client_certificate = mutual};
    }
    static TlsClientOptions client(const TestDirectory& trusted) {
        return {.ca_file = trusted.file("ca.crt")};
    }
    static TlsClientOptions client(const TestDirectory& trusted, const TestDirectory& from,
                                   const std::string& name) {
        return {.ca_file = trusted.file("ca.crt"),
                .certificate_file = from.file(name + ".crt"),
                .key_file = from.file(name + ".key")};
    }
    /// Both ends shake hands; then one line goes each way.
    Task<void> meet(const TlsOptions& server_options, const TlsClientOptions& client_options,
                    std::string host = "127.0.0.1") {
        const auto context = make_tls_context(server_options);
        const auto tls = make_tls_client(client_options);
        EXPECT_TRUE(context && tls);
        bool served = false;
        spawn(io_.get_executor(), serve(*context, served));
        auto made = co_await connect(io_.get_executor(),
                                     {.host = std::move(host), .port = port_, .addresses = {"127.0.0.1"}},
                                     seconds(5), *tls);
        client_error_ = made ? std::nullopt : std::optional(made.error());
        client_line_ = std::nullopt;
        if (made) {
            server_peer_ = (*made)->peer();
            Channel channel(std::move(*made), {});
            EXPECT_TRUE(channel.send("from the client"));
            if (auto line = co_await channel.read_line(seconds(5))) {
                client_line_ = *line;
            } else {
                client_error_ = line.error();
            }
            co_await channel.close(seconds(1));
        }
        while (!served)
            co_await asio::post(io_, asio::use_awaitable);
    }
    Task<void> serve(std::shared_ptr<TlsContext> context, bool& served) {
        Channel channel(context->make_stream(co_await accept_one()), {});
        const auto done = co_await channel.handshake(seconds(5));
        server_error_ = done ? std::nullopt : std::optional(done.error());
        client_peer_ = channel.peer();
        if (done) {
            EXPECT_TRUE(channel.send("from the server"));
            if (auto line = co_await channel.read_line(seconds(5))) EXPECT_EQ(line, "from the client");
        }
        co_await channel.close(seconds(1));
        served = true;
    }

    TestDirectory home_, stranger_;
    Peer server_peer_, client_peer_;  ///< as the other end sees them
    std::optional<Error> client_error_, server_error_;
    std::optional<std::string> client_line_;
};

TEST_F(TlsTest, BothSidesKnowWhoIsThere) {
    run([&]() -> Task<void> {
        co_await meet(server(home_, "db1", true), client(home_, home_, "elsewhere"));
        EXPECT_FALSE(client_error_ || server_error_);
        EXPECT_EQ(client_line_, "from the server");
        for (const auto& [peer, name] : {std::pair(server_peer_, "db1"), {client_peer_, "elsewhere"}}) {
            EXPECT_TRUE(peer.tls && peer.verified);
            EXPECT_EQ(peer.common_name, name);
            EXPECT_EQ(peer.units, std::vector<std::string>{"agents"});
        }
    }());
}

TEST_F(TlsTest, TheCertificateMustBeMadeOutToTheHost) {
    run([&]() -> Task<void> {
        struct Case {
            std::string certificate, host;
            bool good;
        };
        const Case cases[] = {{"db1", "db1", true},        {"db1", "localhost", true},
                              {"db1", "127.0.0.1", true},  {"db1", "db2", false},
                              {"db1", "127.0.0.2", false}, {"elsewhere", "127.0.0.1", false},
                              {"elsewhere", "DB1", false}, {"db1", "DB1", true}};
        for (const auto& c : cases) {
            co_await meet(server(home_, c.certificate), client(home_), c.host);
            EXPECT_EQ(!client_error_, c.good) << c.certificate << " as " << c.host;
            if (!client_error_) continue;
            EXPECT_EQ(client_error_->kind, ErrorKind::authentication);
            EXPECT_NE(client_error_->message.find("mismatch"), std::string::npos) << client_error_->message;
        }
    }());
}

TEST_F(TlsTest, StrangersAreNotTrustedUnlessAllAre) {
    run([&]() -> Task<void> {
        co_await meet(server(stranger_, "db1"), client(home_));
        EXPECT_EQ(client_error_->kind, ErrorKind::authentication);
        EXPECT_NE(client_error_->message.find("certificate is not accepted"), std::string::npos);
        EXPECT_TRUE(server_error_);
        auto options = client(home_);
        options.skip_verify = true;
        co_await meet(server(stranger_, "db1"), options, "any-name");
        EXPECT_FALSE(client_error_);
        EXPECT_EQ(client_line_, "from the server");
        EXPECT_FALSE(server_peer_.verified);
        EXPECT_EQ(server_peer_.common_name, "");
    }());
}

TEST_F(TlsTest, TheServerJudgesTheClient) {
    run([&]() -> Task<void> {
        co_await meet(server(home_, "db1", true), client(home_, stranger_, "db1"));
        EXPECT_EQ(server_error_->kind, ErrorKind::authentication);
        EXPECT_FALSE(client_line_);
        // None at all is left to whoever reads what it says.
        co_await meet(server(home_, "db1", true), client(home_));
        EXPECT_FALSE(server_error_);
        EXPECT_FALSE(client_peer_.verified);
        EXPECT_EQ(client_line_, "from the server");
        // A server that does not ask is not told.
        co_await meet(server(home_, "db1"), client(home_, home_, "elsewhere"));
        EXPECT_FALSE(client_peer_.verified);
    }());
}

TEST_F(TlsTest, SaysWhatIsWrongAndWhatToDo) {
    run([&]() -> Task<void> {
        co_await meet(server(stranger_, "db1"), client(home_));
        EXPECT_NE(client_error_->message.find("CN=db1, signed by CN="), std::string::npos)
            << client_error_->message;
        EXPECT_NE(
            client_error_->message.find("must be signed by an authority in CAFile " + home_.file("ca.crt")),
            std::string::npos)
            << client_error_->message;
        EXPECT_EQ(server_error_->kind, ErrorKind::authentication);
        EXPECT_NE(server_error_->message.find("does not accept our certificate (SSLCertFile"),
                  std::string::npos)
            << server_error_->message;
        // The client whose certificate is not accepted learns it with its first read.
        co_await meet(server(home_, "db1", true), client(home_, stranger_, "db1"));
        EXPECT_NE(client_error_->message.find("does not accept our certificate (CertFile"), std::string::npos)
            << client_error_->message;
        EXPECT_NE(client_error_->message.find("does not know the authority"), std::string::npos)
            << client_error_->message;
    }());
}

TEST_F(TlsTest, ANewSetOfFilesHoldsForNewConnections) {
    run([&]() -> Task<void> {
        auto context = make_tls_context(server(stranger_, "db1"));
        const auto renewed = make_tls_context(server(home_, "db1"));
        (*context)->become(**renewed);
        EXPECT_EQ((*context)->certificate_ends(), (*renewed)->certificate_ends());
        const Duration left = (*context)->certificate_ends() - std::chrono::system_clock::now();
        EXPECT_GT(left, std::chrono::hours(24));
        EXPECT_EQ(*certificate_file_ends(home_.file("db1.crt")), (*context)->certificate_ends());
        co_return;
    }());
    const auto bad = certificate_file_ends(home_.file("db1.key"));
    ASSERT_FALSE(bad);
    EXPECT_EQ(bad.error().message, "holds no certificate");
    const std::vector<std::string> files{home_.file("db1.crt"), "", home_.file("none")};
    const auto before = state_of_files(files);
    EXPECT_EQ(before, state_of_files(files));
    std::filesystem::resize_file(home_.file("db1.crt"), 3);
    EXPECT_NE(before, state_of_files(files));
}

TEST_F(TlsTest, NamesTheSettingOfABadFile) {
    struct Case {
        TlsClientOptions options;
        std::string named;
    };
    const Case cases[] = {
        {{.ca_file = home_.file("none.crt")}, "CAFile"},
        {{.certificate_file = home_.file("db1.crt")}, "CertFile and KeyFile go together"},
        {{.certificate_file = home_.file("none"), .key_file = home_.file("db1.key")}, "CertFile"},
        {{.certificate_file = home_.file("db1.crt"), .key_file = home_.file("none")}, "KeyFile"},
        {{.certificate_file = home_.file("db1.crt"), .key_file = home_.file("ca.key")}, "KeyFile"},
    };
    for (const auto& c : cases) {
        const auto made = make_tls_client(c.options);
        ASSERT_FALSE(made);
        EXPECT_NE(made.error().message.find(c.named), std::string::npos) << made.error().text();
    }
}

}  // namespace

}  // namespace baton::net
