#pragma once

#include <arpa/inet.h>
#include <pwd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

/// What tests with real PostgreSQL servers on this machine have in common.
namespace baton::live {

/// Who runs the servers, when that is not who runs the tests; null otherwise, or when there is no such user.
inline const passwd* server_user() {
    return geteuid() == 0 ? getpwnam("postgres") : nullptr;
}

/// Directory of the servers' programs: BATON_TEST_PG_BIN, else Debian's PostgreSQL 15; "" when there is none.
inline std::string programs() {
    const char* given = getenv("BATON_TEST_PG_BIN");
    const std::string directory = given != nullptr ? given : "/usr/lib/postgresql/15/bin";
    const bool usable =
        std::filesystem::exists(directory + "/postgres") && (geteuid() != 0 || server_user() != nullptr);
    return usable ? directory : "";
}

/// Of 127.0.0.1; nobody holds it until it is used.
inline uint16_t free_port() {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    bind(fd, reinterpret_cast<sockaddr*>(&address), size);
    getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
    close(fd);
    return ntohs(address.sin_port);
}

}  // namespace baton::live
