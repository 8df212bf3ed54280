#pragma once

#include <optional>
#include <string>

#include "plan/standing.h"

/// What makers of a choice ask about each candidate. Internal to this room.
namespace baton::plan {

/// What is asked, with what follows from the failed primary's last observation.
struct Question {
    const Cluster& cluster;
    const InstanceKey& failed_key;
    const Instance* failed;  ///< null when it is not in the snapshot
    const Policy& policy;
    const std::optional<InstanceKey>& requested;
    bool forced;
    MonoTime now;
    topology::Timeline timeline = 0;  ///< on which the WAL counts; 0 = unknown
    Lsn last_known;                   ///< of the failed primary
    /// Nobody who can be asked followed the failed primary to its timeline: those whom it left there may
    /// lead.
    bool nobody_followed = false;

    bool is_requested(const Instance& i) const { return requested && i.known_as(*requested); }
    std::optional<MonoTime> suspected() const { return failed ? failed->health.suspect_since : std::nullopt; }
};

using Objection = std::optional<std::string>;

// unseen.cc: what is not sure where this manager never saw the failed primary.
Objection another_may_lead(const Question& q, const Instance& i);
Objection standbys_disagree(const Question& q, const Instance& i);
Objection lost_out_of_sight(const Question& q, const Instance& i);
Objection unseen_synchronous(const Question& q, const Instance& i);
Objection nobody_met_it(const Question& q, const Instance& i);
Objection missing_had_more(const Question& q, Lsn kept);

// by_agent.cc: what the agent beside a standby says.
Objection quarantined(const Question& q, const Instance& i);
Objection being_rebuilt(const Question& q, const Instance& i);
Objection held(const Question& q, const Instance& i);
Objection disk_trouble(const Question& q, const Instance& i);

}  // namespace baton::plan
