#include "base/text.h"

#include <algorithm>
#include <charconv>
#include <random>

namespace baton {
namespace {

constexpr std::string_view white = " \t\r\n\v\f";

char lower_char(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool continues(std::string_view text, size_t at, unsigned char least = 0x80, unsigned char most = 0xBF) {
    if (at >= text.size()) return false;
    const auto byte = static_cast<unsigned char>(text[at]);
    return byte >= least && byte <= most;
}

/// The C0 and C1 sets, and DEL. `character` is one character of UTF-8.
bool is_control(std::string_view character) {
    const auto first = static_cast<unsigned char>(character[0]);
    if (character.size() == 1) return first < 0x20 || first == 0x7F;
    return first == 0xC2 && static_cast<unsigned char>(character[1]) < 0xA0;
}

template <class T>
std::optional<T> parse_number(std::string_view text) {
    T value{};
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (ec != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
    return value;
}

size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<size_t> row(b.size() + 1);
    for (size_t j = 0; j <= b.size(); ++j)
        row[j] = j;
    for (size_t i = 1; i <= a.size(); ++i) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.size(); ++j) {
            const size_t replaced = diagonal + (lower_char(a[i - 1]) == lower_char(b[j - 1]) ? 0 : 1);
            diagonal = row[j];
            row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
        }
    }
    return row[b.size()];
}

}  // namespace

std::string_view trim(std::string_view text) {
    const auto first = text.find_first_not_of(white);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(white) - first + 1);
}

std::string lower(std::string_view text) {
    std::string out(text);
    std::ranges::transform(out, out.begin(), lower_char);
    return out;
}

bool iequals(std::string_view a, std::string_view b) {
    return std::ranges::equal(a, b, {}, lower_char, lower_char);
}

std::vector<std::string> split(std::string_view text, char separator) {
    std::vector<std::string> parts;
    for (size_t from = 0;;) {
        const auto at = text.find(separator, from);
        parts.emplace_back(text.substr(from, at == std::string_view::npos ? at : at - from));
        if (at == std::string_view::npos) return parts;
        from = at + 1;
    }
}

std::string join(std::span<const std::string> parts, std::string_view between) {
    std::string out;
    for (size_t i = 0; i < parts.size(); ++i) {
        if (i > 0) out += between;
        out += parts[i];
    }
    return out;
}

std::optional<int64_t> parse_int(std::string_view text) {
    return parse_number<int64_t>(text);
}
std::optional<uint64_t> parse_uint(std::string_view text) {
    return parse_number<uint64_t>(text);
}

std::optional<std::string> nearest_name(std::string_view name, std::span<const std::string_view> known) {
    const size_t limit = std::max<size_t>(2, name.size() / 4);
    size_t best = limit + 1;
    std::optional<std::string> found;
    for (const auto candidate : known) {
        // A name of another length is at least as far away, and a very long one would take long to compare.
        if (std::max(name.size(), candidate.size()) - std::min(name.size(), candidate.size()) >= best)
            continue;
        const size_t distance = edit_distance(name, candidate);
        if (distance < best) {
            best = distance;
            found = std::string(candidate);
        }
    }
    return found;
}

size_t utf8_length(std::string_view text) {
    const auto first = static_cast<unsigned char>(text[0]);
    if (first < 0x80) return 1;
    if (first >= 0xC2 && first <= 0xDF) return continues(text, 1) ? 2 : 0;
    if (first >= 0xE0 && first <= 0xEF) {
        const unsigned char least = first == 0xE0 ? 0xA0 : 0x80;
        const unsigned char most = first == 0xED ? 0x9F : 0xBF;
        return continues(text, 1, least, most) && continues(text, 2) ? 3 : 0;
    }
    if (first >= 0xF0 && first <= 0xF4) {
        const unsigned char least = first == 0xF0 ? 0x90 : 0x80;
        const unsigned char most = first == 0xF4 ? 0x8F : 0xBF;
        return continues(text, 1, least, most) && continues(text, 2) && continues(text, 3) ? 4 : 0;
    }
    return 0;
}

bool is_utf8(std::string_view text) {
    for (size_t length = 0; !text.empty(); text.remove_prefix(length)) {
        length = utf8_length(text);
        if (length == 0) return false;
    }
    return true;
}

std::string printable(std::string_view text, size_t most_bytes) {
    static constexpr std::string_view digits = "0123456789abcdef";
    std::string out;
    while (!text.empty()) {
        const size_t length = utf8_length(text);
        const auto character = text.substr(0, std::max<size_t>(length, 1));
        std::string shown(character);
        if (length == 0 || is_control(character)) {
            shown.clear();
            for (const char c : character) {
                const auto byte = static_cast<unsigned char>(c);
                shown.append({'\\', 'x', digits[byte >> 4], digits[byte & 15]});
            }
        }
        if (out.size() + shown.size() > most_bytes) return out + "…";
        out += shown;
        text.remove_prefix(character.size());
    }
    return out;
}

std::string random_hex(size_t bytes) {
    static constexpr std::string_view digits = "0123456789abcdef";
    std::random_device device;
    std::string out;
    out.reserve(bytes * 2);
    for (size_t i = 0; i < bytes; ++i) {
        const unsigned value = device() & 0xFF;
        out += digits[value >> 4];
        out += digits[value & 15];
    }
    return out;
}

}  // namespace baton
