#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace baton::http {

/// Longest request target (path and query) that is read.
inline constexpr size_t max_target_bytes = 8192;
/// Most query parameters that are kept.
inline constexpr size_t max_query_values = 100;

/// The second word of a request line, taken apart.
struct Target {
    std::string path;                          ///< as sent, without query
    std::vector<std::string> segments;         ///< decoded one by one, so that %2F is not a separator
    bool trailing_slash = false;               ///< the path ended in "/" (and was not just "/")
    std::map<std::string, std::string> query;  ///< decoded; the first value of a name wins
};

/// Error invalid_argument says what is wrong: not starting with "/", a malformed escape, a NUL byte, not
/// UTF-8.
Result<Target> parse_target(std::string_view text);

/// Percent-decoding; '+' is a blank only in a query. Nothing if an escape is malformed, or the outcome holds
/// a NUL byte or is not UTF-8.
std::optional<std::string> percent_decode(std::string_view text, bool plus_is_blank);

}  // namespace baton::http
