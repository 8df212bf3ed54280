#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <map>
#include <optional>
#include <string>

#include "base/text.h"
#include "http/server.h"

/// A client of few words, for the tests of the server: what it sends is exactly what the test says.
namespace baton::http::testing {

struct Answer {
    int status = 0;
    std::map<std::string, std::string> headers;  ///< names in lower case
    std::string body;
    std::string header(const std::string& name) const {
        const auto it = headers.find(name);
        return it == headers.end() ? "" : it->second;
    }
};

class Client {
  public:
    explicit Client(uint16_t port) : descriptor_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        connect_to(reinterpret_cast<sockaddr*>(&address), sizeof address);
    }
    explicit Client(const std::string& path) : descriptor_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
        connect_to(reinterpret_cast<sockaddr*>(&address), sizeof address);
    }
    ~Client() { close(); }
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    bool connected() const { return connected_; }
    int descriptor() const { return descriptor_; }
    void close() {
        if (descriptor_ >= 0) ::close(descriptor_);
        descriptor_ = -1;
    }
    bool send(std::string_view text) {
        while (!text.empty()) {
            const auto n = ::send(descriptor_, text.data(), text.size(), MSG_NOSIGNAL);
            if (n <= 0) return false;
            text.remove_prefix(static_cast<size_t>(n));
        }
        return true;
    }
    /// False at the end of the connection, or after 10 s without a byte.
    bool receive_more() {
        char chunk[65536];
        const auto n = ::recv(descriptor_, chunk, sizeof chunk, 0);
        if (n <= 0) return false;
        received_.append(chunk, static_cast<size_t>(n));
        return true;
    }
    /// The text up to and with `mark`; "" when the connection ends before it came.
    std::string read_through(std::string_view mark) {
        size_t at = 0;
        while ((at = received_.find(mark)) == std::string::npos) {
            if (!receive_more()) return "";
        }
        auto text = received_.substr(0, at + mark.size());
        received_.erase(0, text.size());
        return text;
    }
    bool at_end() { return received_.empty() && !receive_more(); }

    std::optional<Answer> read_answer(bool with_body = true) {
        const auto head = read_through("\r\n\r\n");
        if (!head.starts_with("HTTP/1.1 ")) return {};
        auto answer = parse_head(head);
        if (!with_body) return answer;
        const auto length = parse_uint(answer.header("content-length")).value_or(0);
        while (received_.size() < length) {
            if (!receive_more()) return {};
        }
        answer.body = received_.substr(0, length);
        received_.erase(0, length);
        return answer;
    }
    std::optional<Answer> get(const std::string& target, const std::string& headers = "",
                              const std::string& method = "GET") {
        if (!send(method + " " + target + " HTTP/1.1\r\nHost: test\r\n" + headers + "\r\n")) return {};
        return read_answer(method != "HEAD");
    }

    static Answer parse_head(const std::string& head) {
        Answer answer;
        answer.status = std::stoi(head.substr(9, 3));
        for (const auto& line : split(head, '\n')) {
            const auto colon = line.find(':');
            if (colon == std::string::npos) continue;
            answer.headers[lower(line.substr(0, colon))] = trim(std::string_view(line).substr(colon + 1));
        }
        return answer;
    }

  private:
    void connect_to(const sockaddr* address, socklen_t size) {
        const timeval patience{.tv_sec = 10, .tv_usec = 0};
        ::setsockopt(descriptor_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        ::setsockopt(descriptor_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
        connected_ = ::connect(descriptor_, address, size) == 0;
    }
    int descriptor_;
    bool connected_ = false;
    std::string received_;
};

inline ServerOptions loopback() {
    ServerOptions options;
    options.listen_address = "127.0.0.1:0";
    return options;
}

/// One request on a connection of its own; status 0 when there was no answer.
inline Answer fetch(uint16_t port, const std::string& target, const std::string& headers = "",
                    const std::string& method = "GET") {
    Client client(port);
    return client.get(target, headers + "Connection: close\r\n", method).value_or(Answer{});
}

}  // namespace baton::http::testing
