#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "topology/topology.h"

/// What synchronous_standby_names asks for, and who is who in it (PostgreSQL manual, 20.6.1). Pure.
namespace baton::analysis {

/// The parsed setting: `needed` of the standbys that `names` match must confirm a commit.
struct SynchronousRule {
    bool any = false;                ///< quorum (ANY); otherwise the first `needed` by priority
    int needed = 1;                  ///< ≥ 1
    std::vector<std::string> names;  ///< in order; "*" matches everybody

    bool matches(std::string_view standby_name) const;
    bool satisfied_by(const std::vector<std::string>& standby_names) const;
};

/// Nothing when the text is empty (replication is asynchronous) or does not parse (the server would refuse it
/// too).
std::optional<SynchronousRule> parse_synchronous_standby_names(std::string_view value);

/// True for an empty or unreadable value too: nobody waits for anybody then.
bool synchronous_satisfiable(std::string_view value, const std::vector<std::string>& standby_names);

/// Commits wait for standbys: names are set and synchronous_commit is not off or local.
bool waits_for_standbys(const topology::Settings& settings);

/// The name under which a standby attaches: its application_name, else its cluster_name, else "walreceiver".
std::string standby_name(const topology::Instance& standby);

/// Did the primary, when last seen, list this standby as synchronous ("sync" or "quorum")? Rows are matched
/// by slot, else by name; where several rows have the name and no address tells them apart, all of them must
/// be synchronous.
bool listed_as_synchronous(const topology::Instance& primary, const topology::Instance& standby);

/// Did the primary, when last seen, have a sender for this standby, in whichever state?
bool listed(const topology::Instance& primary, const topology::Instance& standby);

}  // namespace baton::analysis
