#pragma once

#include <string>

#include "analysis/evidence.h"

/// The evidence for a problem in a sentence with names and numbers. Internal to this room.
namespace baton::analysis {

/// "pg1:5432 refuses connections for 12 ms"
std::string unreachable_phrase(const Situation& s);
/// The above and what each standby says: "; 2 of 2 standbys lost it: pg2:5432, pg3:5432".
std::string witnesses(const Situation& s);
/// "its agent says that it runs"; "" where no agent ever told of it.
std::string agent_phrase(const Situation& s);
/// "pg1:5432: a write to /data has hung for 4.0 s: …; 40.0 GiB of it are used (80 %)"
std::string disk_phrase(const Situation& s);
std::string disk_space_phrase(const Situation& s);
std::string not_receiving_phrase(const Situation& s);
std::string rivals_phrase(const Situation& s);
std::string stale_phrase(const Situation& s);
std::string diverged_phrase(const Situation& s);
std::string lost_slots_phrase(const Situation& s);
std::string idle_slots_phrase(const Situation& s);
std::string synchronous_phrase(const Situation& s);

}  // namespace baton::analysis
