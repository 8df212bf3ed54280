#include "topology/instance_key.h"

#include <arpa/inet.h>

#include "base/text.h"

namespace baton::topology {
namespace {

bool is_v6(std::string_view host) {
    in6_addr address{};
    return inet_pton(AF_INET6, std::string(host.substr(0, host.find('%'))).c_str(), &address) == 1;
}

bool is_v4(std::string_view host) {
    in_addr address{};
    return inet_pton(AF_INET, std::string(host).c_str(), &address) == 1;
}

Result<InstanceKey> bad(std::string_view text, std::string_view why) {
    return fail(ErrorKind::invalid_argument, "not a host:port: " + std::string(why), printable(text));
}

}  // namespace

std::string InstanceKey::text() const {
    const bool brackets = host.find(':') != std::string::npos;
    return (brackets ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Result<InstanceKey> parse_instance_key(std::string_view given, uint16_t default_port) {
    const auto text = trim(given);
    std::string_view host = text;
    std::string_view port;
    bool has_port = false;
    if (text.starts_with('[')) {
        const auto end = text.find(']');
        if (end == std::string_view::npos) return bad(given, "'[' without ']'");
        host = text.substr(1, end - 1);
        const auto rest = text.substr(end + 1);
        if (!rest.empty() && rest[0] != ':') return bad(given, "text after ']'");
        has_port = !rest.empty();
        if (has_port) port = rest.substr(1);
        if (!is_v6(host)) return bad(given, "no IPv6 address between the brackets");
    } else if (!is_v6(text)) {
        const auto colon = text.rfind(':');
        has_port = colon != std::string_view::npos;
        if (has_port) {
            host = text.substr(0, colon);
            port = text.substr(colon + 1);
        }
        if (host.find(':') != std::string_view::npos) return bad(given, "more than one ':'");
    }
    if (host.empty()) return bad(given, "the host is empty");
    if (host.find_first_of(" \t\r\n'\"/\\?#@,;<>[]") != std::string_view::npos) {
        return bad(given, "a host name has no blanks, quotes, slashes, brackets or commas");
    }
    if (printable(host, host.size()) != host)
        return bad(given, "a host name has no control characters, and is UTF-8");
    InstanceKey key{lower(host), default_port};
    if (has_port) {
        const auto number = parse_uint(port);
        if (!number || *number < 1 || *number > 65535)
            return bad(given, "the port must be a number in 1-65535");
        key.port = static_cast<uint16_t>(*number);
    }
    if (key.port == 0) return bad(given, "the port is missing");
    return key;
}

bool is_loopback(std::string_view host) {
    return iequals(host, "localhost") || host == "::1" || (is_v4(host) && host.starts_with("127."));
}

bool is_address(std::string_view host) {
    return is_v4(host) || is_v6(host);
}

}  // namespace baton::topology
