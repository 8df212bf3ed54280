#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace baton::topology {

/// Where a server is reached: the name or address that users know it by, and its port. Two keys may name one
/// server (see Instance::aliases); equality of keys is equality of text.
struct InstanceKey {
    std::string host;  ///< without brackets, lower case
    uint16_t port = 0;

    bool valid() const { return !host.empty() && port != 0; }
    /// "host:port"; an IPv6 address in brackets.
    std::string text() const;
    auto operator<=>(const InstanceKey&) const = default;
};

/// Reads "host", "host:port", "[v6]:port" or a bare IPv6 address; `default_port` is for those without one.
/// Error invalid_argument names the text and what is wrong with it (empty, port not in 1–65535, blanks, …).
Result<InstanceKey> parse_instance_key(std::string_view text, uint16_t default_port);

/// localhost, 127.0.0.0/8, ::1: such a name means another machine on each machine that says it.
bool is_loopback(std::string_view host);
/// A numeric IPv4 or IPv6 address.
bool is_address(std::string_view host);

}  // namespace baton::topology

template <>
struct std::hash<baton::topology::InstanceKey> {
    size_t operator()(const baton::topology::InstanceKey& key) const noexcept {
        return std::hash<std::string>{}(key.host) * 31 + key.port;
    }
};
