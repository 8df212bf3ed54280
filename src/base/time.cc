#include "base/time.h"

#include <fmt/format.h>

#include <ctime>

namespace baton {
namespace {

std::tm utc(WallTime t) {
    const std::time_t s = std::chrono::floor<std::chrono::seconds>(t).time_since_epoch().count();
    std::tm tm{};
    gmtime_r(&s, &tm);
    return tm;
}

std::string date_and_time(WallTime t, char between, std::string_view after) {
    if (t == WallTime{}) return {};
    const std::tm tm = utc(t);
    return fmt::format("{:04}-{:02}-{:02}{}{:02}:{:02}:{:02}{}", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
                       between, tm.tm_hour, tm.tm_min, tm.tm_sec, after);
}

/// Takes digits off the front of `text`; nothing when there are not that many, or the number is above `most`.
std::optional<int> take_digits(std::string_view& text, size_t digits, int most) {
    if (text.size() < digits) return std::nullopt;
    int value = 0;
    for (const char c : text.substr(0, digits)) {
        if (c < '0' || c > '9') return std::nullopt;
        value = value * 10 + (c - '0');
    }
    text.remove_prefix(digits);
    return value <= most ? std::optional(value) : std::nullopt;
}

bool take_one_of(std::string_view& text, std::string_view characters) {
    if (text.empty() || characters.find(text.front()) == std::string_view::npos) return false;
    text.remove_prefix(1);
    return true;
}

std::optional<std::chrono::sys_days> take_date(std::string_view& text) {
    const auto year = take_digits(text, 4, 9999);
    if (!year || !take_one_of(text, "-")) return std::nullopt;
    const auto month = take_digits(text, 2, 12);
    if (!month || !take_one_of(text, "-")) return std::nullopt;
    const auto day = take_digits(text, 2, 31);
    if (!day) return std::nullopt;
    const std::chrono::year_month_day date{std::chrono::year(*year),
                                           std::chrono::month(static_cast<unsigned>(*month)),
                                           std::chrono::day(static_cast<unsigned>(*day))};
    return date.ok() ? std::optional(std::chrono::sys_days(date)) : std::nullopt;
}

/// "10:38", and the seconds with their fraction where they are.
std::optional<std::chrono::microseconds> take_time_of_day(std::string_view& text) {
    const auto hour = take_digits(text, 2, 23);
    if (!hour || !take_one_of(text, ":")) return std::nullopt;
    const auto minute = take_digits(text, 2, 59);
    if (!minute) return std::nullopt;
    std::chrono::microseconds time = std::chrono::hours(*hour) + std::chrono::minutes(*minute);
    if (!take_one_of(text, ":")) return time;
    const auto second = take_digits(text, 2, 59);
    if (!second) return std::nullopt;
    time += seconds(*second);
    if (!take_one_of(text, ".")) return time;
    std::chrono::microseconds unit(100'000);
    if (text.empty() || text.front() < '0' || text.front() > '9') return std::nullopt;
    for (; !text.empty() && text.front() >= '0' && text.front() <= '9'; text.remove_prefix(1), unit /= 10)
        time += unit * (text.front() - '0');
    return time;
}

std::optional<std::chrono::minutes> take_offset(std::string_view& text) {
    if (take_one_of(text, "Zz")) return std::chrono::minutes(0);
    const bool west = text.starts_with('-');
    if (!take_one_of(text, "+-")) return std::nullopt;
    const auto hours = take_digits(text, 2, 23);
    take_one_of(text, ":");
    const auto minutes = take_digits(text, 2, 59);
    if (!hours || !minutes) return std::nullopt;
    const std::chrono::minutes offset(*hours * 60 + *minutes);
    return west ? -offset : offset;
}

}  // namespace

std::optional<WallTime> parse_time(std::string_view text) {
    const auto date = take_date(text);
    if (!date || !take_one_of(text, "Tt ")) return std::nullopt;
    const auto time = take_time_of_day(text);
    if (!time) return std::nullopt;
    const auto offset = take_offset(text);
    if (!offset || !text.empty()) return std::nullopt;
    return WallTime(*date) + *time - *offset;
}

std::string iso_time(WallTime t) {
    return date_and_time(t, 'T', "Z");
}
std::string plain_time(WallTime t) {
    return date_and_time(t, ' ', "");
}

std::string clock_time(WallTime t) {
    const std::tm tm = utc(t);
    const auto us = (t - std::chrono::floor<std::chrono::seconds>(t)).count();
    return fmt::format("{:02}:{:02}:{:02}.{:03}", tm.tm_hour, tm.tm_min, tm.tm_sec, us / 1000);
}

}  // namespace baton
