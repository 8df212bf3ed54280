#pragma once

#include <string>

#include "analysis/evidence.h"

/// The evidence for a problem in a sentence with names and numbers. Internal to this room.
namespace baton::analysis {

/// "pg1:5432 refuses connections for 12 ms"
std::string unreachable_phrase(const Situation& s);
/// The above and what each standby says: "; 2 of 2 standbys lost it: pg2:5432, pg3:5432".
std::string witnesses(const Situation& s);
std::string not_receiving_phrase(const Situation& s);
std::string rivals_phrase(const Situation& s);
std::string stale_phrase(const Situation& s);
std::string diverged_phrase(const Situation& s);
std::string lost_slots_phrase(const Situation& s);
std::string idle_slots_phrase(const Situation& s);
std::string synchronous_phrase(const Situation& s);

}  // namespace baton::analysis
