#include "net/certificate_files.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "net/tls_words.h"

namespace baton::net {

Result<WallTime> certificate_file_ends(const std::string& file) {
    const std::unique_ptr<BIO, decltype(&BIO_free)> in(BIO_new_file(file.c_str(), "r"), &BIO_free);
    const int reason = errno;
    if (!in) {
        ERR_clear_error();
        return fail(ErrorKind::io, std::string("cannot be read: ") + std::strerror(reason), file);
    }
    const std::unique_ptr<X509, decltype(&X509_free)> found(
        PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr), &X509_free);
    ERR_clear_error();
    if (!found) return fail(ErrorKind::io, "holds no certificate", file);
    return certificate_end(found.get());
}

std::string state_of_files(std::span<const std::string> files) {
    std::string text;
    for (const auto& file : files) {
        struct stat found{};
        if (file.empty()) continue;
        if (::stat(file.c_str(), &found) != 0) {
            text += "-;";
            continue;
        }
        for (const auto number :
             {static_cast<int64_t>(found.st_dev), static_cast<int64_t>(found.st_ino),
              static_cast<int64_t>(found.st_size), static_cast<int64_t>(found.st_mtim.tv_sec),
              static_cast<int64_t>(found.st_mtim.tv_nsec)})
            text += std::to_string(number) + ",";
        text += ";";
    }
    return text;
}

}  // namespace baton::net
