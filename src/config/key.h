#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "config/config.h"
#include "config/rule.h"

namespace baton::config {

enum KeyFlag : uint8_t { unused = 0, used = 1, live = 2, secret = 4, env = 8, own = 16 };

using Member = std::variant<bool Config::*, int64_t Config::*, double Config::*, std::string Config::*,
                            Texts Config::*, TextMap Config::*, RouterList Config::*>;

/// One key of the table (keys.def).
struct Key {
    std::string_view name;
    Member member;
    Rule rule;
    uint8_t flags;
    std::string_view text;
    size_t chapter;  ///< place in chapters()

    bool is(KeyFlag flag) const { return (flags & flag) != 0; }
    /// A reload applies it. Nothing depends on an unused key, so that it never needs a restart.
    bool reloadable() const { return is(live) || !is(used); }
    bool from_environment() const { return is(secret) || is(env); }
    Value value(const Config& config) const;
    void set(Config& config, Value value) const;
    Value default_value() const { return value(Config{}); }
    std::string allowed() const { return config::allowed(rule, default_value()); }
};

struct Chapter {
    std::string_view title;
    std::string_view intro;
};

/// All keys, in the order of the documentation.
std::span<const Key> keys();
std::span<const Chapter> chapters();
/// The key of that name, whatever the case; nullptr when there is none.
const Key* find_key(std::string_view name);
/// All names, for nearest_name().
std::span<const std::string_view> key_names();
/// A name of long ago that orchestrator still swallows without effect.
bool is_deprecated(std::string_view name);
std::span<const std::string_view> deprecated_names();

/// `value` as JSON; a secret that is set as "********".
std::string to_json(const Key& key, const Value& value);

}  // namespace baton::config
