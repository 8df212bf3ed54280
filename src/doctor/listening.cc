#include "doctor/listening.h"

#include <netdb.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

namespace baton::doctor {
namespace {

class Socket {
  public:
    explicit Socket(int family) : fd_(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {}
    Socket(const Socket&) = delete;
    Socket& operator=(const Socket&) = delete;
    ~Socket() {
        if (fd_ >= 0) ::close(fd_);
    }
    int get() const { return fd_; }

  private:
    int fd_;
};

Listening judge(int error) {
    return {.taken = error == EADDRINUSE, .problem = std::strerror(error)};
}

Listening try_socket_file(const std::string& path) {
    const auto directory = std::filesystem::path(path).parent_path().string();
    if (::access(directory.empty() ? "." : directory.c_str(), W_OK | X_OK) != 0) return judge(errno);
    sockaddr_un address{};
    if (path.size() >= sizeof address.sun_path) return judge(ENAMETOOLONG);
    address.sun_family = AF_UNIX;
    path.copy(static_cast<char*>(address.sun_path), path.size());
    const Socket probe(AF_UNIX);
    if (probe.get() < 0) return judge(errno);
    const bool answered =
        ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    return answered ? judge(EADDRINUSE) : Listening{};
}

Listening try_address(const addrinfo& address) {
    const Socket probe(address.ai_family);
    if (probe.get() < 0) return judge(errno);
    // As a server does: an address whose last connections are only timing out is free.
    const int yes = 1;
    ::setsockopt(probe.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (::bind(probe.get(), address.ai_addr, address.ai_addrlen) != 0) return judge(errno);
    if (::listen(probe.get(), 1) != 0) return judge(errno);
    return {};
}

}  // namespace

Listening try_listening(const config::Config& config) {
    if (!config.ListenSocket.empty()) return try_socket_file(config.ListenSocket);
    const auto& text = config.ListenAddress;
    const auto colon = text.rfind(':');
    auto host = text.substr(0, colon);
    if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
    const auto port = text.substr(colon + 1);
    addrinfo hints{};
    hints.ai_family = host.empty() ? AF_INET : AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_PASSIVE;
    addrinfo* found = nullptr;
    if (const int rc = ::getaddrinfo(host.empty() ? nullptr : host.c_str(), port.c_str(), &hints, &found);
        rc != 0)
        return {.taken = false, .problem = gai_strerror(rc)};
    const auto result = try_address(*found);
    ::freeaddrinfo(found);
    return result;
}

}  // namespace baton::doctor
