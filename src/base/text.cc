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
        const size_t distance = edit_distance(name, candidate);
        if (distance < best) {
            best = distance;
            found = std::string(candidate);
        }
    }
    return found;
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
