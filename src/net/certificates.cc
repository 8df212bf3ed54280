#include "net/certificates.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <cstring>
#include <filesystem>
#include <memory>

#include "base/text.h"

namespace baton::net {

namespace {

namespace fs = std::filesystem;

template <class T, void (*release)(T*)>
struct Release {
    void operator()(T* object) const { release(object); }
};
using Key = std::unique_ptr<EVP_PKEY, Release<EVP_PKEY, EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Release<X509, X509_free>>;
using Extension = std::unique_ptr<X509_EXTENSION, Release<X509_EXTENSION, X509_EXTENSION_free>>;
struct BioRelease {
    void operator()(BIO* bio) const { BIO_free(bio); }
};
using Bio = std::unique_ptr<BIO, BioRelease>;

constexpr int authority_days = 10 * 365;
/// Clocks of hosts differ: a certificate is good a little before it was made.
constexpr long backdated_seconds = 3600;
constexpr size_t unit_max = 64;  // X.520, upper bound of an organisational unit's name
constexpr size_t name_max = 64;  // ... and of a common name
constexpr size_t hosts_max = 1000;
constexpr size_t names_of_a_host_max = 32;
constexpr mode_t key_mode = 0600;
constexpr mode_t certificate_mode = 0644;

/// What OpenSSL said last, and nothing is left for the next to find.
std::unexpected<Error> crypto_error(const std::string& what, const std::string& who) {
    char reason[256] = "no reason given";
    if (const auto code = ERR_peek_last_error()) ERR_error_string_n(code, reason, sizeof reason);
    ERR_clear_error();
    return fail(ErrorKind::io, what + ": " + reason, who);
}

struct Pair {
    Key key;
    Certificate certificate;
};

// ---- names

bool is_address(const std::string& name) {
    boost::system::error_code code;
    boost::asio::ip::make_address(name, code);
    return !code;
}

bool is_host_name(std::string_view name) {
    const auto good = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
               c == '_' || c == '.';
    };
    return !name.empty() && name.size() <= 253 && name.front() != '-' && name.front() != '.' &&
           std::ranges::all_of(name, good);
}

struct Host {
    std::vector<std::string> names;  ///< as given, the first is its own
    std::string stem;                ///< of its files, with the directory
};

Result<Host> read_host(const std::string& text, const std::string& directory) {
    Host host{.names = split(text, ','), .stem = {}};
    for (const auto& name : host.names) {
        if (!is_address(name) && !is_host_name(name))
            return fail(ErrorKind::invalid_argument, "\"" + printable(name) + "\" is no host name or address",
                        printable(text));
    }
    const auto& first = host.names.front();
    if (first.size() > name_max || host.names.size() > names_of_a_host_max) {
        return fail(ErrorKind::invalid_argument,
                    "its first name may have 64 characters, and it may have 32 names", printable(text));
    }
    if (lower(first) == "ca")
        return fail(ErrorKind::invalid_argument, "\"ca\" is the authority's name; give it another first",
                    text);
    host.stem = first;
    std::ranges::replace(host.stem, ':', '-');
    host.stem = (fs::path(directory) / host.stem).string();
    return host;
}

Result<std::vector<Host>> read_order(const CertificateOrder& order) {
    if (order.directory.empty()) return fail(ErrorKind::invalid_argument, "the directory has no name");
    if (order.days < 1 || order.days > certificate_days_max) {
        return fail(ErrorKind::invalid_argument,
                    "a certificate is good for 1 to " + std::to_string(certificate_days_max) + " days",
                    std::to_string(order.days));
    }
    if (order.unit.size() > unit_max || printable(order.unit) != order.unit)
        return fail(ErrorKind::invalid_argument, "a unit has at most 64 bytes of printable text",
                    printable(order.unit));
    if (order.hosts.size() > hosts_max) return fail(ErrorKind::invalid_argument, "too many hosts at once");
    std::vector<Host> hosts;
    for (const auto& text : order.hosts) {
        auto host = read_host(text, order.directory);
        if (!host) return std::unexpected(host.error());
        const auto same = [&](const Host& other) { return lower(other.stem) == lower(host->stem); };
        if (std::ranges::any_of(hosts, same))
            return fail(ErrorKind::invalid_argument, "the host is named twice", text);
        hosts.push_back(std::move(*host));
    }
    return hosts;
}

// ---- certificates

bool add_to_name(X509_NAME* name, const char* field, const std::string& value) {
    return X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8,
                                      reinterpret_cast<const unsigned char*>(value.data()),
                                      static_cast<int>(value.size()), -1, 0) == 1;
}

/// 159 random bits: serial numbers may not be guessed, and have at most twenty octets (RFC 5280, 4.1.2.2).
bool number(X509* certificate) {
    unsigned char bytes[20];
    if (RAND_bytes(bytes, sizeof bytes) != 1) return false;
    bytes[0] = static_cast<unsigned char>((bytes[0] & 0x7f) | 0x40);
    BIGNUM* value = BN_bin2bn(bytes, sizeof bytes, nullptr);
    const bool done = value && BN_to_ASN1_INTEGER(value, X509_get_serialNumber(certificate));
    BN_free(value);
    return done;
}

using Extensions = std::vector<std::pair<int, std::string>>;

bool add_extensions(X509* certificate, X509* issuer, const Extensions& extensions) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    return std::ranges::all_of(extensions, [&](const auto& e) {
        const Extension extension(X509V3_EXT_conf_nid(nullptr, &context, e.first, e.second.c_str()));
        return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
    });
}

struct Content {
    std::string common_name;
    std::string unit;
    int days = 0;
    Extensions extensions;
};

/// A new key and its certificate, signed by `authority`, or by itself without one.
Result<Pair> sign(const Content& content, const Pair* authority) {
    Pair made{Key(EVP_EC_gen("P-256")), Certificate(X509_new())};
    X509* certificate = made.certificate.get();
    const auto fill = [&] {
        if (!made.key || !certificate) return false;
        X509_NAME* subject = X509_get_subject_name(certificate);
        X509* issuer = authority ? authority->certificate.get() : certificate;
        return X509_set_version(certificate, X509_VERSION_3) == 1 && number(certificate) &&
               X509_gmtime_adj(X509_getm_notBefore(certificate), -backdated_seconds) &&
               X509_time_adj_ex(X509_getm_notAfter(certificate), content.days, 0, nullptr) &&
               (content.unit.empty() || add_to_name(subject, "OU", content.unit)) &&
               add_to_name(subject, "CN", content.common_name) &&
               X509_set_issuer_name(certificate, X509_get_subject_name(issuer)) == 1 &&
               X509_set_pubkey(certificate, made.key.get()) == 1 &&
               add_extensions(certificate, issuer, content.extensions) &&
               X509_sign(certificate, (authority ? authority->key : made.key).get(), EVP_sha256()) > 0;
    };
    if (!fill()) return crypto_error("cannot make a certificate", content.common_name);
    return made;
}

Result<Pair> new_authority() {
    // The number tells apart the authorities of two directories, which may both be trusted somewhere.
    return sign({.common_name = "Baton CA " + random_hex(4),
                 .unit = "",
                 .days = authority_days,
                 .extensions = {{NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
                                {NID_key_usage, "critical,keyCertSign,cRLSign"},
                                {NID_subject_key_identifier, "hash"}}},
                nullptr);
}

Result<Pair> new_host(const Host& host, const CertificateOrder& order, const Pair& authority) {
    std::vector<std::string> names;
    names.reserve(host.names.size());
    for (const auto& name : host.names)
        names.push_back((is_address(name) ? "IP:" : "DNS:") + name);
    return sign({.common_name = host.names.front(),
                 .unit = order.unit,
                 .days = order.days,
                 .extensions = {{NID_basic_constraints, "critical,CA:FALSE"},
                                {NID_key_usage, "critical,digitalSignature"},
                                {NID_ext_key_usage, "serverAuth,clientAuth"},
                                {NID_subject_key_identifier, "hash"},
                                {NID_authority_key_identifier, "keyid"},
                                {NID_subject_alt_name, join(names, ",")}}},
                &authority);
}

// ---- files

std::unexpected<Error> file_error(const std::string& what, const std::string& path) {
    return fail(ErrorKind::io, what + ": " + std::strerror(errno), path);
}

bool exists(const std::string& path) {
    struct ::stat found{};
    return ::lstat(path.c_str(), &found) == 0;
}

Result<void> must_be_new(const std::string& path) {
    if (!exists(path)) return {};
    return fail(ErrorKind::conflict,
                "it exists, and is not overwritten; to have a new one, take it away first", path);
}

/// Opens a file that was not there, writes, and sees to it that it is on disk.
Result<void> write_new(const std::string& path, mode_t mode, std::string_view text) {
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0) return file_error("cannot make the file", path);
    // The mode of open() loses what the umask forbids, and certificates are for everybody.
    bool good = ::fchmod(fd, mode) == 0;
    while (good && !text.empty()) {
        const auto written = ::write(fd, text.data(), text.size());
        good = written > 0;
        if (good) text.remove_prefix(static_cast<size_t>(written));
    }
    good = good && ::fsync(fd) == 0;
    const int reason = errno;
    ::close(fd);
    if (good) return {};
    ::unlink(path.c_str());
    errno = reason;
    return file_error("cannot write", path);
}

std::string text_of(BIO* bio) {
    char* data = nullptr;
    const auto size = BIO_get_mem_data(bio, &data);
    return {data, static_cast<size_t>(size)};
}

Result<void> write_pair(const Pair& pair, const std::string& stem) {
    const Bio key(BIO_new(BIO_s_secmem()));
    const Bio certificate(BIO_new(BIO_s_mem()));
    if (!key || !certificate ||
        PEM_write_bio_PKCS8PrivateKey(key.get(), pair.key.get(), nullptr, nullptr, 0, nullptr, nullptr) !=
            1 ||
        PEM_write_bio_X509(certificate.get(), pair.certificate.get()) != 1) {
        return crypto_error("cannot write the certificate down", stem);
    }
    if (auto written = write_new(stem + ".key", key_mode, text_of(key.get())); !written) return written;
    auto written = write_new(stem + ".crt", certificate_mode, text_of(certificate.get()));
    if (!written) ::unlink((stem + ".key").c_str());
    return written;
}

/// Keys with a passphrase are not ours, and nobody is asked for one.
int no_passphrase(char*, int, int, void*) {
    return -1;
}

Result<Pair> read_authority(const std::string& stem) {
    const auto open = [](const std::string& path) { return Bio(BIO_new_file(path.c_str(), "r")); };
    const auto key_file = open(stem + ".key");
    const auto certificate_file = open(stem + ".crt");
    if (!key_file || !certificate_file) return crypto_error("cannot read the authority", stem);
    Pair pair{Key(PEM_read_bio_PrivateKey(key_file.get(), nullptr, no_passphrase, nullptr)),
              Certificate(PEM_read_bio_X509(certificate_file.get(), nullptr, nullptr, nullptr))};
    if (!pair.key) return crypto_error("cannot read the authority's key", stem + ".key");
    if (!pair.certificate) return crypto_error("cannot read the authority's certificate", stem + ".crt");
    if (X509_check_private_key(pair.certificate.get(), pair.key.get()) != 1) {
        ERR_clear_error();
        return fail(ErrorKind::io, "is not the key of ca.crt beside it", stem + ".key");
    }
    return pair;
}

/// It must outlive what it signs, or that is not good to its end.
Result<void> check_authority(const Pair& authority, int days, const std::string& stem) {
    int left_days = 0, left_seconds = 0;
    ASN1_TIME_diff(&left_days, &left_seconds, nullptr, X509_get0_notAfter(authority.certificate.get()));
    if (X509_check_ca(authority.certificate.get()) != 1)
        return fail(ErrorKind::invalid_argument, "this is no certificate of an authority", stem + ".crt");
    if (left_days >= days) return {};
    if (left_days < 0 || left_seconds < 0)
        return fail(ErrorKind::conflict, "the authority has expired; begin with a new directory",
                    stem + ".crt");
    return fail(ErrorKind::conflict,
                "the authority itself is good for " + std::to_string(left_days) +
                    " more days only; ask for fewer (--days), or begin with a new directory",
                stem + ".crt");
}

Result<Pair> authority_of(const std::string& stem, bool& made) {
    const bool has_key = exists(stem + ".key"), has_certificate = exists(stem + ".crt");
    if (has_key && has_certificate) return read_authority(stem);
    if (has_key || has_certificate) {
        return fail(ErrorKind::conflict, "only half of an authority is here; bring the other file back",
                    stem + (has_key ? ".key" : ".crt"));
    }
    made = true;
    return new_authority();
}

}  // namespace

Result<Certificates> make_certificates(const CertificateOrder& order) {
    const auto hosts = read_order(order);
    if (!hosts) return std::unexpected(hosts.error());
    std::error_code code;
    fs::create_directories(order.directory, code);
    if (code) return fail(ErrorKind::io, "cannot make the directory: " + code.message(), order.directory);
    for (const auto& host : *hosts) {
        for (const auto* ending : {".key", ".crt"})
            if (auto is_new = must_be_new(host.stem + ending); !is_new)
                return std::unexpected(is_new.error());
    }
    const auto stem = (fs::path(order.directory) / "ca").string();
    Certificates made{.made_authority = false, .authority = stem + ".crt", .files = {}};
    const auto authority = authority_of(stem, made.made_authority);
    if (!authority) return std::unexpected(authority.error());
    if (auto good = check_authority(*authority, order.days, stem); !good)
        return std::unexpected(good.error());
    if (made.made_authority)
        if (auto written = write_pair(*authority, stem); !written) return std::unexpected(written.error());
    for (const auto& host : *hosts) {
        const auto pair = new_host(host, order, *authority);
        if (!pair) return std::unexpected(pair.error());
        if (auto written = write_pair(*pair, host.stem); !written) return std::unexpected(written.error());
        made.files.push_back(host.stem + ".crt");
    }
    return made;
}

}  // namespace baton::net
