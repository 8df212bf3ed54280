#include "store/codec.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <chrono>

#include "base/text.h"

namespace baton::store {
namespace {

namespace json = boost::json;
using std::chrono::microseconds;
using std::chrono::sys_days;
using namespace std::chrono_literals;

template <class E, size_t n>
using Names = std::array<std::pair<E, std::string_view>, n>;

// The file's own words: they must not change when a word on a screen does.
constexpr Names<topology::Engine, 4> engines = {{{topology::Engine::unknown, "unknown"},
                                                 {topology::Engine::postgresql, "postgresql"},
                                                 {topology::Engine::mysql, "mysql"},
                                                 {topology::Engine::mariadb, "mariadb"}}};
constexpr Names<topology::Role, 3> roles = {{{topology::Role::unknown, "unknown"},
                                             {topology::Role::primary, "primary"},
                                             {topology::Role::standby, "standby"}}};
constexpr Names<topology::PromotionRule, 5> rules = {{{topology::PromotionRule::must, "must"},
                                                      {topology::PromotionRule::prefer, "prefer"},
                                                      {topology::PromotionRule::neutral, "neutral"},
                                                      {topology::PromotionRule::prefer_not, "prefer_not"},
                                                      {topology::PromotionRule::must_not, "must_not"}}};
constexpr Names<RecoveryState, 3> states = {{{RecoveryState::running, "running"},
                                             {RecoveryState::succeeded, "succeeded"},
                                             {RecoveryState::failed, "failed"}}};

template <class E>
std::string_view name_of(const auto& names, E value) {
    for (const auto& [v, name] : names) {
        if (v == value) return name;
    }
    return "unknown";
}

template <class E>
bool find_name(const auto& names, std::string_view text, E& value) {
    for (const auto& [v, name] : names) {
        if (name != text) continue;
        value = v;
        return true;
    }
    return false;
}

constexpr WallTime first_dated = sys_days(std::chrono::year(1) / 1 / 1);
constexpr WallTime after_dated = sys_days(std::chrono::year(10000) / 1 / 1);
constexpr std::string_view date_pattern = "dddd-dd-dd dd:dd:dd.dddddd";

bool looks_dated(std::string_view text) {
    return text.size() == date_pattern.size() && std::ranges::equal(text, date_pattern, [](char c, char p) {
               return p == 'd' ? c >= '0' && c <= '9' : c == p;
           });
}

int digits(std::string_view text, size_t from, size_t count) {
    int value = 0;
    for (const char c : text.substr(from, count))
        value = value * 10 + (c - '0');
    return value;
}

bool decode_texts(std::string_view text, auto&& each) {
    // Messages of servers are kept as they came, in whatever encoding.
    json::parse_options lenient;
    lenient.allow_invalid_utf8 = true;
    boost::system::error_code ec;
    const json::value parsed = json::parse(json::string_view(text.data(), text.size()), ec, {}, lenient);
    if (ec || !parsed.is_array()) return false;
    for (const auto& item : parsed.get_array()) {
        if (!item.is_string()) return false;
        const auto& s = item.get_string();
        if (!each(std::string_view(s.data(), s.size()))) return false;
    }
    return true;
}

}  // namespace

std::string encode(WallTime t) {
    if (t < first_dated || t >= after_dated) return std::to_string(t.time_since_epoch().count());
    const auto day = std::chrono::floor<std::chrono::days>(t);
    const std::chrono::year_month_day date(day);
    const std::chrono::hh_mm_ss time(t - day);
    return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}.{:06}", static_cast<int>(date.year()),
                       static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                       time.hours().count(), time.minutes().count(), time.seconds().count(),
                       time.subseconds().count());
}

bool decode(std::string_view text, WallTime& t) {
    if (!looks_dated(text)) {
        const auto count = parse_int(text);
        if (count) t = WallTime(microseconds(*count));
        return count.has_value();
    }
    const std::chrono::year_month_day date(std::chrono::year(digits(text, 0, 4)),
                                           std::chrono::month(static_cast<unsigned>(digits(text, 5, 2))),
                                           std::chrono::day(static_cast<unsigned>(digits(text, 8, 2))));
    if (!date.ok()) return false;
    t = WallTime(sys_days(date)) + digits(text, 11, 2) * 1h + digits(text, 14, 2) * 1min +
        digits(text, 17, 2) * 1s + microseconds(digits(text, 20, 6));
    return true;
}

std::string encode(const std::vector<InstanceKey>& keys) {
    json::array list;
    for (const auto& key : keys)
        list.emplace_back(key.text());
    return json::serialize(list);
}

std::string encode(const std::vector<std::string>& texts) {
    json::array list;
    for (const auto& text : texts)
        list.emplace_back(text);
    return json::serialize(list);
}

bool decode(std::string_view text, InstanceKey& key) {
    // Not parse_instance_key: what is on record comes back as it was, whatever names are thought good today.
    const auto colon = text.rfind(':');
    if (colon == std::string_view::npos) return false;
    const auto port = parse_uint(text.substr(colon + 1));
    if (!port || *port > 65535) return false;
    auto host = text.substr(0, colon);
    const bool bracketed = host.size() > 2 && host.starts_with('[') && host.ends_with(']');
    if (bracketed && host.contains(':')) host = host.substr(1, host.size() - 2);
    key = {std::string(host), static_cast<uint16_t>(*port)};
    return true;
}

bool decode(std::string_view text, std::vector<InstanceKey>& keys) {
    keys.clear();
    return decode_texts(text, [&](std::string_view item) { return decode(item, keys.emplace_back()); });
}

bool decode(std::string_view text, std::vector<std::string>& texts) {
    texts.clear();
    return decode_texts(text, [&](std::string_view item) {
        texts.emplace_back(item);
        return true;
    });
}

std::string encode(const Guard& guard) {
    json::object members;
    for (const auto& m : guard.members)
        members[m.key.text()] = m.agent_address;
    return json::serialize(json::object{{"primary", guard.primary.text()},
                                        {"on", guard.on},
                                        {"certain", guard.certain},
                                        {"lease_ms", guard.lease_ms},
                                        {"members", std::move(members)}});
}

bool decode(std::string_view text, Guard& guard) {
    boost::system::error_code ec;
    const json::value parsed = json::parse(json::string_view(text.data(), text.size()), ec);
    const auto* object = ec ? nullptr : parsed.if_object();
    const auto field = [&](const char* name) { return object ? object->if_contains(name) : nullptr; };
    const auto* primary = field("primary");
    const auto* on = field("on");
    const auto* certain = field("certain");
    const auto* lease = field("lease_ms");
    const auto* members = field("members");
    if (!primary || !on || !certain || !lease || !members) return false;
    if (!primary->is_string() || !on->is_bool() || !certain->is_bool() || !lease->is_int64() ||
        !members->is_object())
        return false;
    guard = {.primary = {},
             .on = on->get_bool(),
             .certain = certain->get_bool(),
             .lease_ms = lease->get_int64(),
             .members = {}};
    if (!decode(std::string_view(primary->get_string()), guard.primary)) return false;
    return std::ranges::all_of(members->get_object(), [&](const auto& m) {
        auto& member = guard.members.emplace_back();
        if (!m.value().is_string() || !decode(std::string_view(m.key()), member.key)) return false;
        member.agent_address = std::string(std::string_view(m.value().get_string()));
        return true;
    });
}

std::string_view encode(topology::Engine engine) {
    return name_of(engines, engine);
}
std::string_view encode(topology::Role role) {
    return name_of(roles, role);
}
std::string_view encode(topology::PromotionRule rule) {
    return name_of(rules, rule);
}
std::string_view encode(RecoveryState state) {
    return name_of(states, state);
}
bool decode(std::string_view text, topology::Engine& engine) {
    return find_name(engines, text, engine);
}
bool decode(std::string_view text, topology::Role& role) {
    return find_name(roles, text, role);
}
bool decode(std::string_view text, topology::PromotionRule& rule) {
    return find_name(rules, text, rule);
}
bool decode(std::string_view text, RecoveryState& state) {
    return find_name(states, text, state);
}

}  // namespace baton::store
