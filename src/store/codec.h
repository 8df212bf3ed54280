#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "store/records.h"

/// How values stand in columns: texts that a person at a sqlite3 prompt can read, and that come back exactly
/// as they were.
namespace baton::store {

/// "2026-11-20 10:38:28.123456" (UTC), sorts by time; outside of the years 1-9999 the number of microseconds
/// since 1970.
std::string encode(WallTime t);
/// '["db1:5432","db2:5432"]'
std::string encode(const std::vector<InstanceKey>& keys);
std::string encode(const std::vector<std::string>& texts);
/// '{"primary":"db1:5432","on":true,…}'
std::string encode(const Guard& guard);
std::string_view encode(topology::Engine engine);
std::string_view encode(topology::Role role);
std::string_view encode(topology::PromotionRule rule);
std::string_view encode(RecoveryState state);

/// The inverse; false when the text is none of these.
bool decode(std::string_view text, WallTime& t);
bool decode(std::string_view text, InstanceKey& key);
bool decode(std::string_view text, std::vector<InstanceKey>& keys);
bool decode(std::string_view text, std::vector<std::string>& texts);
bool decode(std::string_view text, Guard& guard);
bool decode(std::string_view text, topology::Engine& engine);
bool decode(std::string_view text, topology::Role& role);
bool decode(std::string_view text, topology::PromotionRule& rule);
bool decode(std::string_view text, RecoveryState& state);

}  // namespace baton::store
