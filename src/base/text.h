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
/// Bytes of the character that `text` (not empty) begins with; 0 if it is not UTF-8 (Unicode standard, table
/// 3-7: no overlong forms, no surrogates, nothing above U+10FFFF).
size_t utf8_length(std::string_view text);
bool is_utf8(std::string_view text);
/// For one line of a log, a message or a terminal: control characters and bytes that are not UTF-8 stand as
/// \xNN, and what is longer than `most_bytes` is cut between two characters and ends in "…".
std::string printable(std::string_view text, size_t most_bytes = 200);
/// Lower-case hexadecimal of `bytes` random bytes from the system.
std::string random_hex(size_t bytes);

}  // namespace baton
