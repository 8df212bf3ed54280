#include "net/certificates.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include <fstream>

#include "support.h"

namespace baton::net {

namespace {

std::string text_of(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
}

/// What `openssl x509 -text` would print of it.
std::string printed(const std::string& path) {
    std::FILE* file = std::fopen(path.c_str(), "r");
    if (!file) return "";
    X509* certificate = PEM_read_X509(file, nullptr, nullptr, nullptr);
    std::fclose(file);
    BIO* out = BIO_new(BIO_s_mem());
    X509_print_ex(out, certificate, XN_FLAG_RFC2253, 0);
    char* data = nullptr;
    const auto size = BIO_get_mem_data(out, &data);
    std::string text(data, static_cast<size_t>(size));
    BIO_free(out);
    X509_free(certificate);
    return text;
}

mode_t mode_of(const std::string& path) {
    struct ::stat found{};
    return ::stat(path.c_str(), &found) == 0 ? found.st_mode & 0777 : 0;
}

TEST(MakeCertificates, AnAuthorityAndAPairForEachHost) {
    const TestDirectory directory;
    const auto inner = directory.file("new/certs");
    const auto made = make_certificates({.directory = inner,
                                         .hosts = {"db1,db1.example.com,10.0.0.1", "fd00::1"},
                                         .days = 30,
                                         .unit = "agents"});
    ASSERT_TRUE(made) << made.error().text();
    EXPECT_TRUE(made->made_authority);
    EXPECT_EQ(made->authority, inner + "/ca.crt");
    EXPECT_EQ(made->files, (std::vector{inner + "/db1.crt", inner + "/fd00--1.crt"}));
    for (const auto* name : {"/ca", "/db1", "/fd00--1"}) {
        EXPECT_EQ(mode_of(inner + name + ".key"), 0600U) << name;
        EXPECT_EQ(mode_of(inner + name + ".crt"), 0644U) << name;
    }
    const auto db1 = printed(inner + "/db1.crt");
    for (const auto* part :
         {"Subject: CN=db1,OU=agents", "DNS:db1, DNS:db1.example.com, IP Address:10.0.0.1",
          "TLS Web Server Authentication, TLS Web Client Authentication", "CA:FALSE", "NIST CURVE: P-256"})
        EXPECT_NE(db1.find(part), std::string::npos) << part << " in\n" << db1;
    EXPECT_NE(printed(inner + "/fd00--1.crt").find("IP Address:FD00:0:0:0:0:0:0:1"), std::string::npos);
    EXPECT_NE(printed(inner + "/ca.crt").find("CA:TRUE, pathlen:0"), std::string::npos);
}

TEST(MakeCertificates, AnAuthorityStays) {
    const TestDirectory directory;
    ASSERT_TRUE(make_certificates({.directory = directory.path()}));
    const auto before = text_of(directory.file("ca.key"));
    const auto made = make_certificates({.directory = directory.path(), .hosts = {"db1"}});
    ASSERT_TRUE(made) << made.error().text();
    EXPECT_FALSE(made->made_authority);
    EXPECT_EQ(text_of(directory.file("ca.key")), before);
}

TEST(MakeCertificates, NothingIsOverwrittenAndNothingHalfDone) {
    const TestDirectory directory;
    ASSERT_TRUE(make_certificates({.directory = directory.path(), .hosts = {"db1"}}));
    const auto before = text_of(directory.file("db1.key"));
    const auto again = make_certificates({.directory = directory.path(), .hosts = {"db2", "db1"}});
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().kind, ErrorKind::conflict);
    EXPECT_EQ(again.error().who, directory.file("db1.key"));
    EXPECT_EQ(text_of(directory.file("db1.key")), before);
    EXPECT_FALSE(std::filesystem::exists(directory.file("db2.key")));

    std::filesystem::remove(directory.file("db1.key"));
    EXPECT_EQ(make_certificates({.directory = directory.path(), .hosts = {"db1"}}).error().who,
              directory.file("db1.crt"));
}

TEST(MakeCertificates, RefusesHalfOrForeignAuthorities) {
    const TestDirectory directory, other;
    ASSERT_TRUE(make_certificates({.directory = directory.path(), .hosts = {"db1"}}));
    ASSERT_TRUE(make_certificates({.directory = other.path()}));
    namespace fs = std::filesystem;
    const auto error = [&] {
        const auto made = make_certificates({.directory = directory.path(), .hosts = {"db2"}});
        return made ? Error{} : made.error();
    };
    fs::copy_file(other.file("ca.key"), directory.file("ca.key"), fs::copy_options::overwrite_existing);
    EXPECT_NE(error().text().find("is not the key of ca.crt"), std::string::npos) << error().text();
    std::ofstream(directory.file("ca.key")) << "nonsense";
    EXPECT_NE(error().text().find("cannot read the authority's key"), std::string::npos) << error().text();
    fs::remove(directory.file("ca.key"));
    EXPECT_EQ(error().kind, ErrorKind::conflict);
    EXPECT_NE(error().text().find("half of an authority"), std::string::npos) << error().text();
    // A certificate of a host signs nobody.
    fs::remove(directory.file("ca.crt"));
    fs::copy_file(directory.file("db1.key"), directory.file("ca.key"));
    fs::copy_file(directory.file("db1.crt"), directory.file("ca.crt"));
    EXPECT_NE(error().text().find("no certificate of an authority"), std::string::npos) << error().text();
    EXPECT_FALSE(fs::exists(directory.file("db2.key")));
}

TEST(MakeCertificates, ChecksWhatIsAsked) {
    const TestDirectory directory;
    const CertificateOrder cases[] = {
        {.directory = ""},
        {.directory = directory.path(), .hosts = {""}},
        {.directory = directory.path(), .hosts = {"../db1"}},
        {.directory = directory.path(), .hosts = {"db1,"}},
        {.directory = directory.path(), .hosts = {"db 1"}},
        {.directory = directory.path(), .hosts = {"-db1"}},
        {.directory = directory.path(), .hosts = {"*.example.com"}},
        {.directory = directory.path(), .hosts = {"CA"}},
        {.directory = directory.path(), .hosts = {"db1", "DB1,db2"}},
        {.directory = directory.path(), .hosts = {std::string(65, 'x')}},
        {.directory = directory.path(), .hosts = {"db1"}, .days = 0},
        {.directory = directory.path(), .hosts = {"db1"}, .days = 3651},
        {.directory = directory.path(), .hosts = {"db1"}, .unit = "a\nb"},
        {.directory = directory.path(), .hosts = {"db1"}, .unit = std::string(65, 'x')},
    };
    for (const auto& order : cases) {
        const auto made = make_certificates(order);
        ASSERT_FALSE(made);
        EXPECT_EQ(made.error().kind, ErrorKind::invalid_argument) << made.error().text();
    }
    EXPECT_TRUE(std::filesystem::is_empty(directory.path()));
    std::ofstream(directory.file("file")) << "x";
    EXPECT_EQ(make_certificates({.directory = directory.file("file")}).error().kind, ErrorKind::io);
}

}  // namespace

}  // namespace baton::net
