#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace baton {

std::string_view trim(std::string_view text);
std::string lower(std::string_view text);
bool iequals(std::string_view a, std::string_view b);
/// Splits at each `separator`; empty parts are kept.
std::vector<std::string> split(std::string_view text, char separator);
std::string join(std::span<const std::string> parts, std::string_view between);
/// The whole text as a decimal number, or nothing.
std::optional<int64_t> parse_int(std::string_view text);
std::optional<uint64_t> parse_uint(std::string_view text);
/// The entry of `known` nearest to `name` by edit distance (case-insensitive), if it is near enough to be a
/// slip.
std::optional<std::string> nearest_name(std::string_view name, std::span<const std::string_view> known);
/// Lower-case hexadecimal of `bytes` random bytes from the system.
std::string random_hex(size_t bytes);

}  // namespace baton
