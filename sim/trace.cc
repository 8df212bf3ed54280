#include "sim/trace.h"

#include <fmt/format.h>

#include <algorithm>

namespace baton::sim {
namespace {

/// A recovery's uid is its nanoseconds, a colon and 64 random hexadecimal digits.
std::string without_uids(std::string text) {
    constexpr size_t digits = 64;
    const auto is_hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
    for (size_t colon = text.find(':'); colon != std::string::npos; colon = text.find(':', colon + 1)) {
        const auto tail = std::string_view(text).substr(colon + 1, digits);
        if (tail.size() < digits || !std::ranges::all_of(tail, is_hex)) continue;
        size_t begin = colon;
        while (begin > 0 && text[begin - 1] >= '0' && text[begin - 1] <= '9')
            --begin;
        text.replace(begin, colon + 1 + digits - begin, "UID");
        colon = begin;
    }
    return text;
}

}  // namespace

void Trace::mark() {
    lines_.clear();
    begin_ = scheduler_.now();
}

void Trace::note(const std::string& who, const std::string& what) {
    const auto ms = static_cast<double>(to_us(scheduler_.now() - begin_)) / 1000.0;
    lines_.push_back(fmt::format("{:9.1f}  {:<8} {}", ms, who, without_uids(what)));
}

std::string Trace::text() const {
    std::string all;
    for (const auto& line : lines_)
        all += line + "\n";
    return all;
}

uint64_t Trace::hash() const {
    uint64_t sum = 0xcbf29ce484222325ULL;
    for (const char c : text())
        sum = (sum ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
    return sum;
}

bool Trace::contains(std::string_view part) const {
    return count(part) > 0;
}

int Trace::count(std::string_view part) const {
    return static_cast<int>(std::ranges::count_if(lines_, [&](const auto& l) { return l.contains(part); }));
}

}  // namespace baton::sim
