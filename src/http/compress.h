#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace baton::http {

/// Bodies up to this size are sent as they are: compressing them saves no packet.
inline constexpr size_t compress_above_bytes = 1024;

/// Does an Accept-Encoding header allow gzip?
bool accepts_gzip(std::string_view accept_encoding);
/// At the fastest level: answers are made anew for each request. Nothing when zlib is out of memory.
std::optional<std::string> gzip(std::string_view body);

}  // namespace baton::http
