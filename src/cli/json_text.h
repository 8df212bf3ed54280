#pragma once

#include <boost/json.hpp>
#include <string>
#include <string_view>

namespace baton::cli {

namespace json = boost::json;

/// One line as `jq .` prints it with its line breaks made blanks: `{ "Hostname": "db1", "Port": 5432 }`.
std::string jq_line(const json::value& value);

/// The member `name`, or null. Never throws, whatever `value` is.
const json::value& member(const json::value& value, std::string_view name);
/// The first of `names` that is present and not null.
const json::value& member_of(const json::value& value, std::initializer_list<std::string_view> names);
/// A string with the characters that would control a terminal as \xNN, a number or bool as text, null as "",
/// the rest as JSON.
std::string text_of(const json::value& value);
std::string text_of(const json::value& value, std::string_view name);
/// 0 for what is no number, or too large.
int64_t number_of(const json::value& value);
bool is_true(const json::value& value, std::string_view name);

/// "host:port" of an InstanceKey, of something with a Key, or of a string; IPv6 in brackets; "" when there is
/// none.
std::string key_text(const json::value& value);
/// key_text, but ":0" for the empty key, as orchestrator-client prints it.
std::string raw_key_text(const json::value& key);

/// The elements of an array; nothing for null; the value itself for anything else.
std::span<const json::value> elements(const json::value& value);

}  // namespace baton::cli
