#include "http/target.h"

#include "base/text.h"

namespace baton::http {

namespace {

std::optional<unsigned> hex_digit(char c) {
    if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
    if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a' + 10);
    if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A' + 10);
    return {};
}

/// "http://host/path" (the form for proxies) to "/path".
std::string_view without_authority(std::string_view text) {
    const auto scheme = text.find("://");
    if (text.starts_with('/') || scheme == std::string_view::npos) return text;
    const auto slash = text.find('/', scheme + 3);
    return slash == std::string_view::npos ? std::string_view("/") : text.substr(slash);
}

std::unexpected<Error> malformed(std::string_view part) {
    return fail(ErrorKind::invalid_argument,
                "malformed escape, NUL byte or invalid UTF-8 in the " + std::string(part));
}

Result<void> read_segments(Target& target) {
    const auto parts = split(std::string_view(target.path).substr(1), '/');
    for (size_t n = 0; n < parts.size(); ++n) {
        if (n + 1 == parts.size() && parts[n].empty()) {
            target.trailing_slash = n > 0;
            break;
        }
        auto decoded = percent_decode(parts[n], false);
        if (!decoded) return malformed("path");
        target.segments.push_back(std::move(*decoded));
    }
    return {};
}

Result<void> read_query(Target& target, std::string_view query) {
    if (query.empty()) return {};
    for (const auto& part : split(query, '&')) {
        if (part.empty()) continue;
        const std::string_view text = part;
        const auto equals = text.find('=');
        auto name = percent_decode(text.substr(0, equals), true);
        auto value = percent_decode(equals == std::string_view::npos ? "" : text.substr(equals + 1), true);
        if (!name || !value) return malformed("query");
        if (target.query.size() >= max_query_values)
            return fail(ErrorKind::invalid_argument, "too many query parameters");
        target.query.emplace(std::move(*name), std::move(*value));
    }
    return {};
}

}  // namespace

std::optional<std::string> percent_decode(std::string_view text, bool plus_is_blank) {
    std::string out;
    out.reserve(text.size());
    for (size_t at = 0; at < text.size(); ++at) {
        if (text[at] == '%') {
            const auto high = at + 2 < text.size() ? hex_digit(text[at + 1]) : std::nullopt;
            const auto low = high ? hex_digit(text[at + 2]) : std::nullopt;
            if (!low) return {};
            out += static_cast<char>(*high << 4 | *low);
            at += 2;
        } else {
            out += text[at] == '+' && plus_is_blank ? ' ' : text[at];
        }
    }
    if (out.find('\0') != std::string::npos || !is_utf8(out)) return {};
    return out;
}

Result<Target> parse_target(std::string_view text) {
    text = without_authority(text);
    if (!text.starts_with('/'))
        return fail(ErrorKind::invalid_argument, "the request target must start with /");
    text = text.substr(0, text.find('#'));
    const auto question = text.find('?');
    Target target;
    target.path = text.substr(0, question);
    if (auto done = read_segments(target); !done) return std::unexpected(done.error());
    if (question != std::string_view::npos) {
        if (auto done = read_query(target, text.substr(question + 1)); !done)
            return std::unexpected(done.error());
    }
    return target;
}

}  // namespace baton::http
