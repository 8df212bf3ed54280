#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "config/router_entry.h"

namespace baton::config {

using Texts = std::vector<std::string>;
using TextMap = std::map<std::string, std::string>;

/// The default of a key as a value of its type: in the table `""` and `{}` are written like any other.
template <class T>
T initial(T value) {
    return value;
}

/// Every setting, under the name it has in the file. Default-constructed it holds the defaults; out of load()
/// it holds effective values (see effective.cc: synonyms resolved, prefixes normalised, passwords filled in).
/// A plain value: share it between threads as `std::shared_ptr<const Config>`. keys.def is the only place
/// where a key is declared.
struct Config {  // NOLINT(clang-analyzer-optin.performance.Padding): there is one, in the order of the table
#define BATON_CHAPTER(title, intro)
#define BATON_KEY(type, name, default_value, rule, flags, text) type name = initial<type>(default_value);
#include "config/keys.def"
#undef BATON_KEY
#undef BATON_CHAPTER

    bool operator==(const Config&) const = default;

    /// How long a detection of the same failure stays active, in seconds: FailureDetectionPeriodBlockSeconds
    /// where set, else FailureDetectionPeriodBlockMinutes.
    int64_t failure_detection_block_seconds() const;
};

enum class WarningKind : uint8_t {
    unknown_key,     ///< no such key; the text names the nearest one
    unused_key,      ///< accepted, but this version does nothing with it
    deprecated_key,  ///< accepted for old files, never has an effect
    text_after_end,  ///< the file goes on after its first JSON value
    replaced_value   ///< accepted, but Baton does something else than the value says
};

struct Warning {
    WarningKind kind;
    std::vector<std::string> keys;  ///< the keys it is about, as spelt in the file; may be empty
    std::string text;               ///< one line, starts with the file's name where there is one
};

struct Loaded {
    Config values;
    std::vector<Warning> warnings;
    std::vector<std::string> files;     ///< in the order in which they were read
    std::vector<std::string> set_keys;  ///< proper names of the keys that the files set, sorted
};

/// All that reading found: when `errors` is empty, `loaded` is usable. `loaded.warnings` counts in both
/// cases.
struct Report {
    Loaded loaded;
    std::vector<Error> errors;  ///< kind invalid_argument or io; `who` = file, never holds a secret

    bool ok() const { return errors.empty(); }
    /// Every error on a line of its own, as one Error.
    Error as_error() const;
};

/// Looks up an environment variable; nothing when it is not set.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;
Environment process_environment();

/// The files that are read when none is named on the command line: those that exist, in reading order (later
/// wins).
std::vector<std::string> default_files();

/// Reads the files in order; a later one wins (maps merge, all else replaces). No files at all = the
/// defaults.
Report check(std::span<const std::string> files, const Environment& environment = process_environment());
/// check() as a Result: the error holds every problem found, one a line.
Result<Loaded> load(std::span<const std::string> files,
                    const Environment& environment = process_environment());
/// The same for text in memory; `name` stands for the file in messages.
Report check_text(std::string_view text, const std::string& name,
                  const Environment& environment = process_environment());

struct ReloadOutcome {
    Config values;                          ///< what is in effect from now on
    std::vector<std::string> changed;       ///< keys whose new value is in `values`
    std::vector<std::string> need_restart;  ///< keys that the files changed, but `values` keeps as they were
    std::vector<Warning> warnings;
};

/// Reads the files again on top of `old`: a key that is no longer in them keeps its value. On error nothing
/// changes.
Result<ReloadOutcome> reload(const Config& old, std::span<const std::string> files,
                             const Environment& environment = process_environment());

/// All values (or just those that differ from the default) as a JSON object, one key a line. Secrets are
/// masked.
std::string show(const Config& config, bool changed_only = false);

/// docs/configuration.md, from the table of keys.
std::string documentation();

}  // namespace baton::config
