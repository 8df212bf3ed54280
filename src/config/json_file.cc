#include "config/json_file.h"

#include <fmt/core.h>

#include <boost/json/stream_parser.hpp>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "base/text.h"
#include "config/key.h"

namespace baton::config {
namespace {

namespace json = boost::json;

constexpr size_t longest_excerpt = 120;
constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";

/// A line may be shown only when nothing in it hints at a secret: the value of one must not get into a log.
bool may_hold_secret(std::string_view line) {
    const std::string text = lower(line);
    for (const std::string_view hint : {"password", "secret", "token", "credential"}) {
        if (text.contains(hint)) return true;
    }
    return std::ranges::any_of(keys(),
                               [&](const Key& k) { return k.is(secret) && text.contains(lower(k.name)); });
}

/// The file may be none of ours (the API reads any file that it is told to): only what is clearly a line of a
/// configuration is repeated.
bool names_a_key(std::string_view line) {
    const std::string text = lower(line);
    return std::ranges::any_of(keys(),
                               [&](const Key& k) { return text.contains("\"" + lower(k.name) + "\""); });
}

/// What follows byte `from`, without the rest of a character that began before it.
std::string_view from_character(std::string_view line, size_t from) {
    line.remove_prefix(std::min(from, line.size()));
    while (!line.empty() && (static_cast<unsigned char>(line.front()) & 0xC0) == 0x80)
        line.remove_prefix(1);
    return line;
}

std::string excerpt(std::string_view line, size_t column) {
    if (may_hold_secret(line)) return " (the line is not shown, it may hold a secret)";
    if (!names_a_key(line)) return {};
    const size_t from = column > longest_excerpt ? column - longest_excerpt / 2 : 0;
    return fmt::format(" in: {}", printable(trim(from_character(line, from)), longest_excerpt));
}

std::unexpected<Error> syntax_error(std::string_view text, size_t offset, const std::string& what,
                                    const std::string& name) {
    offset = std::min(offset, text.size());
    // An unexpected end is shown at the last thing that the file says.
    if (offset == text.size()) {
        const size_t last = text.find_last_not_of(" \t\r\n");
        if (last != std::string_view::npos) offset = last + 1;
    }
    const auto before = text.substr(0, offset);
    const auto line_number = std::ranges::count(before, '\n') + 1;
    const size_t line_start = before.rfind('\n') + 1;
    const auto line = text.substr(line_start, text.find('\n', line_start) - line_start);
    const size_t column = offset - line_start;
    return fail(ErrorKind::invalid_argument,
                fmt::format("syntax error at line {}, column {}: {}{}", line_number, column + 1, what,
                            excerpt(line, column)),
                name);
}

/// What is left of `text` once white space and comments at its start are gone.
std::string_view skip_blank(std::string_view text) {
    for (;;) {
        const size_t first = text.find_first_not_of(" \t\r\n");
        if (first == std::string_view::npos) return {};
        text.remove_prefix(first);
        const bool line_comment = text.starts_with("//");
        if (!line_comment && !text.starts_with("/*")) return text;
        const size_t end = text.find(line_comment ? "\n" : "*/", 2);
        if (end == std::string_view::npos) return {};
        text.remove_prefix(end + (line_comment ? 1 : 2));
    }
}

json::parse_options relaxed() {
    json::parse_options options;
    options.allow_comments = true;
    options.allow_trailing_commas = true;
    return options;
}

}  // namespace

Result<std::string> read_file(const std::string& path) {
    errno = 0;
    std::ifstream file(path, std::ios::binary);
    std::string text(most_file_bytes + 1, '\0');
    if (file) file.read(text.data(), static_cast<std::streamsize>(text.size()));
    if (!file.is_open() || file.bad() || (file.gcount() == 0 && errno != 0)) {
        return fail(ErrorKind::io, fmt::format("cannot be read: {}", std::strerror(errno ? errno : EIO)),
                    printable(path));
    }
    text.resize(static_cast<size_t>(file.gcount()));
    if (text.size() > most_file_bytes) {
        return fail(ErrorKind::io, fmt::format("is longer than {} bytes", most_file_bytes), printable(path));
    }
    return text;
}

Result<ParsedFile> parse_object(std::string_view text, const std::string& name) {
    if (text.starts_with(byte_order_mark)) text.remove_prefix(byte_order_mark.size());
    if (skip_blank(text).empty()) {
        return fail(ErrorKind::invalid_argument, "is empty; the smallest configuration is {}", name);
    }
    json::stream_parser parser({}, relaxed());
    json::error_code ec;
    const size_t used_bytes = parser.write_some(text.data(), text.size(), ec);
    if (ec) {
        const bool vague = ec == json::error::syntax;
        return syntax_error(text, used_bytes, vague ? "unexpected text" : ec.message(), name);
    }
    if (!parser.done()) parser.finish(ec);
    if (ec) return syntax_error(text, text.size(), "the file ends too early", name);
    json::value value = parser.release();
    if (!value.is_object()) {
        return fail(ErrorKind::invalid_argument, "must hold one JSON object: { \"Key\": value, … }", name);
    }
    return ParsedFile{std::move(value.get_object()), !skip_blank(text.substr(used_bytes)).empty()};
}

}  // namespace baton::config
