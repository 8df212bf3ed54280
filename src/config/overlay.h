#pragma once

#include <boost/json/value.hpp>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "config/key.h"

namespace baton::config {

/// Files laid over a base configuration, one after another; collects every error and warning instead of
/// stopping at the first. Used once: add, add, finish.
class Overlay {
  public:
    Overlay(Config base, const Environment& environment);

    void add_file(const std::string& path);
    void add_text(std::string_view text, const std::string& name);
    /// Passwords from elsewhere, synonyms, checks of keys against each other.
    Report finish() &&;

  private:
    void take(const std::string& name, const boost::json::value& value, const std::string& file);
    void take_known(const Key& key, const boost::json::value& value, const std::string& file);
    void warn_unknown(const std::string& name, const std::string& file);
    void replace_variable(const Key& key, std::string& text, const std::string& file);
    void replace_variables();
    void read_credentials();
    void summarise_warnings();

    Environment environment_;
    Report report_;
    std::map<std::string_view, std::string> set_in_;  ///< key -> the file that set it last
    std::set<std::string> unused_;
    std::set<std::string> deprecated_;
};

/// Which keys the files set, and where errors and warnings go.
struct Effect {
    Config& config;
    const std::map<std::string_view, std::string>& set_in;
    std::vector<Error>& errors;
    std::vector<Warning>& warnings;

    bool is_set(std::string_view key) const { return set_in.contains(key); }
};

/// Turns what the files say into what counts: older names, defaults that depend on other keys, prefixes.
void make_effective(Effect effect);
/// Errors and warnings about keys that do not go together.
void check_together(Effect effect);

}  // namespace baton::config
