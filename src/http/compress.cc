#include "http/compress.h"

#include <zlib.h>

#include <cstdlib>

#include "base/text.h"

namespace baton::http {

namespace {

/// "gzip;q=0.5" -> 0.5; 1 without a q.
double weight(const std::vector<std::string>& parts) {
    for (size_t n = 1; n < parts.size(); ++n) {
        const auto part = trim(parts[n]);
        if (part.starts_with("q=") || part.starts_with("Q="))
            return std::strtod(std::string(part.substr(2)).c_str(), nullptr);
    }
    return 1;
}

}  // namespace

bool accepts_gzip(std::string_view accept_encoding) {
    std::optional<bool> named, any;
    for (const auto& entry : split(accept_encoding, ',')) {
        const auto parts = split(entry, ';');
        const auto name = trim(parts.front());
        if (iequals(name, "gzip") || iequals(name, "x-gzip")) named = weight(parts) > 0;
        if (name == "*") any = weight(parts) > 0;
    }
    return named.value_or(any.value_or(false));
}

std::optional<std::string> gzip(std::string_view body) {
    constexpr int gzip_window_bits = 15 + 16;  // zlib.h: 16 more asks for the gzip format
    z_stream stream{};
    if (deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, gzip_window_bits, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return {};
    std::string out(deflateBound(&stream, static_cast<uLong>(body.size())), '\0');
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(body.data()));
    stream.avail_in = static_cast<uInt>(body.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    const int code = deflate(&stream, Z_FINISH);
    out.resize(stream.total_out);
    deflateEnd(&stream);
    if (code != Z_STREAM_END) return {};
    return out;
}

}  // namespace baton::http
