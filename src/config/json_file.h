#pragma once

#include <boost/json/object.hpp>
#include <string>
#include <string_view>

#include "base/error.h"

namespace baton::config {

/// Longest configuration file that is read.
inline constexpr size_t most_file_bytes = size_t{4} * 1024 * 1024;

struct ParsedFile {
    boost::json::object object;   ///< keys in the order of the file
    bool text_after_end = false;  ///< something other than white space and comments follows
};

/// The whole file; kind io when it cannot be read or is too long.
Result<std::string> read_file(const std::string& path);

/// One JSON object; comments and trailing commas are allowed. A syntax error names line, column and, unless
/// it may hold a secret, the line. `name` is the file's name for messages.
Result<ParsedFile> parse_object(std::string_view text, const std::string& name);

}  // namespace baton::config
