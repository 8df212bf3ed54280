#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "config/config.h"

namespace baton::config {

using Value = std::variant<bool, int64_t, double, std::string, Texts, TextMap, RouterList>;

/// What values of a key are allowed, beyond their type.
struct Rule {
    enum class Kind : uint8_t {
        any,
        range,          ///< low..high
        range_or_zero,  ///< 0 or low..high
        real_range,     ///< low..high, for a double
        choice,
        non_empty,
        listen_address,  ///< `:PORT`, `HOST:PORT`, `[IPv6]:PORT`
        advertise_uri,   ///< "" or `SCHEME://HOST:PORT`
        host_ports,      ///< list of `HOST` or `HOST:PORT`
        ports,           ///< list of 1..65535
        pattern,         ///< "" or a regular expression
        group_pattern,   ///< the same, with at least one group
        patterns,
        host_patterns,    ///< list of IP addresses and regular expressions
        cluster_filters,  ///< as ClusterFilter
        pattern_keys      ///< map whose keys are regular expressions
    };
    Kind kind = Kind::any;
    int64_t low = 0;
    int64_t high = 0;
    std::vector<std::string_view> choices;
};

/// The longest wait that fits a Duration with room to spare.
inline constexpr int64_t most_seconds = 1'000'000'000;

inline Rule simple(Rule::Kind kind) {
    return {.kind = kind};
}
inline Rule range(int64_t low, int64_t high) {
    return {.kind = Rule::Kind::range, .low = low, .high = high};
}
inline Rule range_or_zero(int64_t low, int64_t high) {
    return {.kind = Rule::Kind::range_or_zero, .low = low, .high = high};
}
inline Rule real_range(int64_t low, int64_t high) {
    return {.kind = Rule::Kind::real_range, .low = low, .high = high};
}
inline Rule one_of(auto... choices) {
    return {.kind = Rule::Kind::choice, .choices = {std::string_view(choices)...}};
}
inline Rule any() {
    return {};
}
inline Rule port() {
    return range(1, 65535);
}
inline Rule ms_from(int64_t low) {
    return range(low, most_seconds);
}
inline Rule seconds_from(int64_t low) {
    return range(low, most_seconds);
}
inline Rule minutes_from(int64_t low) {
    return range(low, most_seconds / 60);
}
inline Rule hours_from(int64_t low) {
    return range(low, most_seconds / 3600);
}
inline Rule count_from(int64_t low) {
    return range(low, 1'000'000'000);
}
inline Rule non_empty() {
    return simple(Rule::Kind::non_empty);
}
inline Rule listen_address() {
    return simple(Rule::Kind::listen_address);
}
inline Rule advertise_uri() {
    return simple(Rule::Kind::advertise_uri);
}
inline Rule host_ports() {
    return simple(Rule::Kind::host_ports);
}
inline Rule ports() {
    return simple(Rule::Kind::ports);
}
inline Rule pattern() {
    return simple(Rule::Kind::pattern);
}
inline Rule group_pattern() {
    return simple(Rule::Kind::group_pattern);
}
inline Rule patterns() {
    return simple(Rule::Kind::patterns);
}
inline Rule host_patterns() {
    return simple(Rule::Kind::host_patterns);
}
inline Rule cluster_filters() {
    return simple(Rule::Kind::cluster_filters);
}
inline Rule pattern_keys() {
    return simple(Rule::Kind::pattern_keys);
}

/// What is wrong with `value`, as the end of a sentence; nothing when all is well.
std::optional<std::string> violation(const Rule& rule, const Value& value);

/// What is allowed, type included: "an integer from 1 to 64".
std::string allowed(const Rule& rule, const Value& example);

/// A choice in the spelling of the table, whatever its case in the file; every other value as it is.
Value normalised(const Rule& rule, Value value);

}  // namespace baton::config
