#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <filesystem>

#include "fake_control.h"
#include "server_client.h"

namespace baton::http {

namespace {

using namespace testing;

/// A certificate with its key, signed by itself or by another.
class Certificate {
  public:
    Certificate(const char* name, const char* unit, const Certificate* issuer = nullptr)
        : key_(EVP_EC_gen("P-256")), certificate_(X509_new()) {
        X509_set_version(certificate_, X509_VERSION_3);
        ASN1_INTEGER_set(X509_get_serialNumber(certificate_), ++last_serial);
        X509_gmtime_adj(X509_getm_notBefore(certificate_), -60);
        X509_gmtime_adj(X509_getm_notAfter(certificate_), 3600);
        X509_set_pubkey(certificate_, key_);
        auto* subject = X509_get_subject_name(certificate_);
        add(subject, "CN", name);
        if (unit) add(subject, "OU", unit);
        X509_set_issuer_name(certificate_, issuer ? X509_get_subject_name(issuer->certificate_) : subject);
        if (!issuer) add_authority();
        X509_sign(certificate_, issuer ? issuer->key_ : key_, EVP_sha256());
    }
    ~Certificate() {
        X509_free(certificate_);
        EVP_PKEY_free(key_);
    }
    Certificate(const Certificate&) = delete;
    Certificate& operator=(const Certificate&) = delete;

    void write(const std::string& certificate_file, const std::string& key_file) const {
        if (auto* file = std::fopen(certificate_file.c_str(), "w")) {
            PEM_write_X509(file, certificate_);
            std::fclose(file);
        }
        if (auto* file = std::fopen(key_file.c_str(), "w")) {
            PEM_write_PrivateKey(file, key_, nullptr, nullptr, 0, nullptr, nullptr);
            std::fclose(file);
        }
    }
    void use_in(SSL_CTX* context) const {
        SSL_CTX_use_certificate(context, certificate_);
        SSL_CTX_use_PrivateKey(context, key_);
    }

  private:
    static void add(X509_NAME* name, const char* field, const char* value) {
        X509_NAME_add_entry_by_txt(name, field, MBSTRING_ASC, reinterpret_cast<const unsigned char*>(value),
                                   -1, -1, 0);
    }
    void add_authority() {
        auto* extension = X509V3_EXT_conf_nid(nullptr, nullptr, NID_basic_constraints, "critical,CA:TRUE");
        X509_add_ext(certificate_, extension, -1);
        X509_EXTENSION_free(extension);
    }
    static inline long last_serial = 0;
    EVP_PKEY* key_;
    X509* certificate_;
};

class Tls : public ::testing::Test {
  protected:
    Tls() : directory_(std::filesystem::temp_directory_path() / ("baton-tls-" + std::to_string(::getpid()))) {
        std::filesystem::create_directories(directory_);
        authority_.write(path("ca.pem"), path("ca.key"));
        server_certificate_.write(path("server.pem"), path("server.key"));
    }
    ~Tls() override { std::filesystem::remove_all(directory_); }

    std::string path(const std::string& name) const { return (directory_ / name).string(); }
    ServerOptions options(bool mutual) const {
        auto o = loopback();
        o.use_tls = true;
        o.verify_clients = mutual;
        o.certificate_file = path("server.pem");
        o.key_file = path("server.key");
        o.ca_file = path("ca.pem");
        return o;
    }
    void begin(ServerOptions o) {
        const Handler hello = [](const Context&, const Request&) -> Task<Response> {
            co_return Response{.body = "hello"};
        };
        server_ =
            make_server(world_.control, std::move(o),
                        {{"GET", "/api/status", false, hello, ""}, {"GET", "/api/hello", false, hello, ""}});
        const auto started = server_->start();
        ASSERT_TRUE(started) << started.error().text();
    }
    /// Status of GET `target`, 0 when TLS or the connection failed.
    int get(const std::string& target, const Certificate* certificate = nullptr) {
        SSL_CTX* context = SSL_CTX_new(TLS_client_method());
        if (certificate) certificate->use_in(context);
        SSL* ssl = SSL_new(context);
        Client client(server_->port());
        SSL_set_fd(ssl, client.descriptor());
        int status = 0;
        if (SSL_connect(ssl) == 1) {
            const std::string request = "GET " + target + " HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n";
            SSL_write(ssl, request.data(), static_cast<int>(request.size()));
            char answer[4096];
            const int n = SSL_read(ssl, answer, sizeof answer);
            if (n > 12) status = std::stoi(std::string(answer + 9, 3));
            SSL_shutdown(ssl);
        }
        SSL_free(ssl);
        SSL_CTX_free(context);
        return status;
    }

    FakeWorld world_;
    std::filesystem::path directory_;
    Certificate authority_{"authority", nullptr};
    Certificate server_certificate_{"localhost", nullptr, &authority_};
    std::unique_ptr<Server> server_;
};

TEST_F(Tls, Serves) {
    begin(options(false));
    EXPECT_EQ(get("/api/hello"), 200);
    EXPECT_EQ(get("/api/nosuchroute"), 404);
    EXPECT_EQ(fetch(server_->port(), "/api/hello").status, 0) << "no plain HTTP on this port";
    EXPECT_EQ(get("/api/hello"), 200);
}

TEST_F(Tls, ClientCertificatesWithTheRightUnit) {
    const Certificate dba("alice", "dba", &authority_), other("bob", "sales", &authority_),
        nobody("carol", nullptr, &authority_);
    const Certificate stranger_authority("elsewhere", nullptr),
        stranger("mallory", "dba", &stranger_authority);
    auto mutual = options(true);
    mutual.valid_ous = {"ops", "dba"};
    begin(mutual);
    EXPECT_EQ(get("/api/hello", &dba), 200);
    EXPECT_EQ(get("/api/hello", &other), 401);
    EXPECT_EQ(get("/api/hello", &nobody), 401);
    EXPECT_EQ(get("/api/hello"), 401);
    EXPECT_EQ(get("/api/hello", &stranger), 0) << "the handshake fails";
    EXPECT_EQ(get("/api/hello?x=/api/status"), 401) << "only the status route itself is open";
    EXPECT_EQ(get("/api/status"), 200);
    world_.control.change_config([](config::Config& c) { c.StatusOUVerify = true; });
    EXPECT_EQ(get("/api/status"), 401);
    EXPECT_EQ(get("/api/status", &dba), 200);
}

TEST_F(Tls, WithoutAListOfUnitsAnyGoodCertificateWillDo) {
    const Certificate bob("bob", "sales", &authority_);
    begin(options(true));
    EXPECT_EQ(get("/api/hello", &bob), 200);
    EXPECT_EQ(get("/api/hello"), 401);
}

TEST_F(Tls, SaysWhichFileIsNotUsable) {
    struct Case {
        std::function<void(ServerOptions&)> spoil;
        std::string key;
    };
    const Case cases[] = {
        {[&](ServerOptions& o) { o.certificate_file = path("none.pem"); }, "SSLCertFile"},
        {[&](ServerOptions& o) { o.certificate_file = ""; }, "SSLCertFile"},
        {[&](ServerOptions& o) { o.key_file = path("none.key"); }, "SSLPrivateKeyFile"},
        {[&](ServerOptions& o) { o.key_file = path("ca.key"); }, "SSLPrivateKeyFile"},
        {[&](ServerOptions& o) { o.ca_file = path("none.pem"); }, "SSLCAFile"},
    };
    for (const auto& c : cases) {
        auto o = options(true);
        c.spoil(o);
        const auto started = make_server(world_.control, o, {})->start();
        ASSERT_FALSE(started) << c.key;
        EXPECT_NE(started.error().message.find(c.key), std::string::npos) << started.error().text();
    }
}

}  // namespace

}  // namespace baton::http
