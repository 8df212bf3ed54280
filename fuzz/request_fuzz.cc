// The target (first line) and headers (the others) of a request: what a path and query are taken apart into,
// which route they find, and who the caller is. Credentials that are not the configured ones never let
// anybody write.
#include "fuzz.h"
#include "http/application.h"
#include "http/compress.h"
#include "http/target.h"

namespace baton::http {
namespace {

std::string base64(std::string_view text) {
    static constexpr std::string_view digits =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    for (size_t at = 0; at < text.size(); at += 3) {
        uint32_t bits = 0;
        for (size_t n = 0; n < 3; ++n)
            bits = bits << 8 | (at + n < text.size() ? static_cast<unsigned char>(text[at + n]) : 0U);
        for (size_t n = 0; n < 4; ++n)
            out += at + n <= text.size() ? digits[bits >> (18 - 6 * n) & 63] : '=';
    }
    return out;
}

const Router& router() {
    static const Router all(all_routes({}), "/baton");
    return all;
}

void check_target(std::string_view text) {
    const auto target = parse_target(text);
    if (!target) return fuzz::require_plain(target.error());
    fuzz::require(target->query.size() <= max_query_values, "the query has a limit", text);
    fuzz::require(target->path.starts_with('/') && !target->path.contains('?'), "a path is a path",
                  target->path);
    for (const auto& segment : target->segments)
        fuzz::require(is_utf8(segment) && !segment.contains('\0'), "a segment is UTF-8", segment);
    const auto again = parse_target(target->path);
    fuzz::require(again && again->segments == target->segments && again->query.empty(), "a path reads back",
                  text);
    const auto match = router().find("GET", target->segments);
    if (!match) return;
    for (const auto& [name, value] : match->params)
        fuzz::require(!value.empty() && std::ranges::find(target->segments, value) != target->segments.end(),
                      "a parameter is a segment", value);
    fuzz::require(router().find("HEAD", target->segments)->route == match->route, "HEAD is as GET", text);
}

Headers headers_of(fuzz::Lines& lines) {
    Headers headers;
    while (!lines.empty()) {
        const auto line = lines.next();
        const auto colon = line.find(':');
        if (colon == std::string_view::npos) continue;
        headers.emplace_back(line.substr(0, colon), trim(line.substr(colon + 1)));
    }
    return headers;
}

void check_identity(const Headers& headers) {
    config::Config config;
    config.HTTPAuthUser = "admin";
    config.HTTPAuthPassword = "correct horse battery staple";
    config.PowerAuthUsers = {"alice"};
    for (const auto* method : {"", "basic", "multi", "proxy", "token", "oauth"}) {
        config.AuthenticationMethod = method;
        const auto identity = identify(config, headers);
        const bool writes = may_write(config, identity, [](const auto&, auto) { return false; });
        const bool password =
            config.AuthenticationMethod == "basic" || config.AuthenticationMethod == "multi";
        fuzz::require(!writes || identity.admitted, "only who is admitted writes", method);
        fuzz::require(!writes || !password, "nobody guesses the password", identity.user);
        fuzz::require(!writes || config.AuthenticationMethod != "proxy" || identity.user == "alice",
                      "only power users write", identity.user);
    }
}

void check_header(const std::string& value) {
    static_cast<void>(accepts_gzip(value));
    fuzz::require(base64_decode(base64(value)) == value, "base64 reads back", value);
    if (const auto decoded = base64_decode(value))
        fuzz::require(decoded->size() <= value.size() / 4 * 3, "base64 makes it shorter", value);
    const auto packed = gzip(value);
    fuzz::require(packed && packed->size() < value.size() + 64, "gzip has a limit", value);
}

}  // namespace
}  // namespace baton::http

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace baton;
    fuzz::Lines lines(fuzz::text_of(data, size));
    http::check_target(lines.next());
    const auto headers = http::headers_of(lines);
    http::check_identity(headers);
    for (const auto& [name, value] : headers)
        http::check_header(value);
    return 0;
}
