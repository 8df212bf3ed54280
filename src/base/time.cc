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

}  // namespace

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
