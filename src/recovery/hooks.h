#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/subprocess.h"
#include "store/records.h"

/// The users' own programs around a recovery (reference: orchestrator's hook lists, placeholders and
/// variables).
namespace baton::recovery {

/// Facts that placeholders and ORC_* variables are made of.
struct HookFacts {
    const store::Recovery* recovery = nullptr;  ///< never null
    bool is_primary = true;                     ///< else an intermediate
    bool is_downtimed = false;
    bool successful = false;         ///< as {isSuccessful} means it: a successor is present
    bool automated_primary = false;  ///< cluster filters match
    bool automated_intermediate = false;
};

using Pairs = std::vector<std::pair<std::string, std::string>>;

/// "{failedHost}" -> "db1", …; those of a successor are absent while there is none and stay in the text
/// unreplaced.
Pairs placeholders(const HookFacts& facts);
/// "ORC_FAILED_HOST" -> "db1", …
Pairs environment(const HookFacts& facts);
std::string replace_placeholders(std::string command, const Pairs& values);

struct HookOptions {
    std::string shell = "bash";
    Duration timeout = seconds(60);
};

/// Where hooks report: start, duration, exit status and output of each.
using HookNote = std::function<void(std::string)>;

/// Runs a list in order. An entry that ends in '&' runs beside everything else; its result is noted, not
/// waited for. `stop_at_failure`: the first failing entry ends the list. Returns the first failure.
Task<Result<void>> run_hooks(Clock& clock, ProcessRunner& runner, const HookOptions& options,
                             std::string list_name, std::vector<std::string> commands, Pairs values,
                             Pairs variables, bool stop_at_failure, HookNote note);

}  // namespace baton::recovery
