#pragma once

#include <string>

#include "analysis/evidence.h"

/// Predicates and sentences of the rules that rest on the word of a host agent. Internal to this room.
namespace baton::analysis {

/// It leads, nobody disputes that, and its agent is there to speak of it and to end it.
bool leads_with_agent(const Situation& s);
/// Of one that leads with its agent: that says that it hangs, and so does what the manager sees; or it
/// answers nobody at all, its standbys have lost it, and the agent has not noticed yet.
bool hung(const Situation& s, bool out_of_reach, bool standbys_agree);
/// Its agent says so, and yet it answers us anew.
bool hung_by_agent_only(const Situation& s);
bool crash_loop(const Situation& s);
bool bad_disk(const Situation& s, topology::DiskHealth health);
/// Why a primary with such a disk is left alone for now; "" = it is not.
std::string disk_held_back(const Situation& s);
/// Why nobody could take over; "" = somebody could.
std::string nobody_fit(const Situation& s);
bool blind(const Situation& s);
enum class DiskSpace : uint8_t { enough, notice, low, critical };
DiskSpace disk_space(const Situation& s);
/// What its agent shows to others is not good for long, or not any more.
bool certificate_expires(const Situation& s);
std::string certificate_phrase(const Situation& s);
/// It answers us, and not all hosts of clients reach it.
bool lost_to_clients(const Situation& s);
std::string lost_to_clients_phrase(const Situation& s);
/// Why that is only told; "" = it is replaced.
std::string lost_to_clients_held_back(const Situation& s);

std::string crash_loop_phrase(const Situation& s);
std::string hung_phrase(const Situation& s);

}  // namespace baton::analysis
