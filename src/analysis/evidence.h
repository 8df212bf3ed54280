#pragma once

#include <string>
#include <vector>

#include "analysis/problem.h"

/// What the rules look at: one instance, what is known about it, and what its replicas say. Internal to this
/// room.
namespace baton::analysis {

using Replicas = std::vector<const Instance*>;

struct Situation {
    const Cluster& cluster;
    const Instance& self;
    const Instance* lead;  ///< Cluster::primary()
    const Replicas& replicas;
    Counts counts;
    const Policy& policy;
    MonoTime now;
};

Counts count(const Instance& self, const Replicas& replicas, const Policy& policy);

/// Not reachable by the evidence of the first attempt and of one over a new connection, and not known to
/// live.
bool not_reachable(const Instance& instance, const Policy& policy, MonoTime now);
/// Says "starting up" (57P03) and has not said so for too long.
bool still_starting(const Instance& instance, const Policy& policy, MonoTime now);
/// Its agent is connected and says that its processes are there and not hung: refused connections and silence
/// are of the way to it then. A start or a stop that takes too long proves nothing any more.
bool lives_by_agent(const Instance& instance, const Policy& policy, MonoTime now);
/// Its agent keeps it down, and its standbys have had the time to take what was sent before.
bool dead_by_agent(const Situation& s);
/// Why this standby could not take over, as far as the agents and a look at it tell; "" = it could.
std::string unfit(const Instance& standby, const Situation& s, topology::DiskHealth trouble_of_primary);
/// Receives WAL, or did until a moment ago.
bool receives(const Instance& standby, const Policy& policy, MonoTime now);
Replicas not_receiving(const Situation& s);
/// A primary on a higher timeline than `former`; null if there is none.
const Instance* successor_of(const Cluster& cluster, const Instance& former);
/// Another answering primary that neither descends from `self` nor is descended from; null if there is none.
const Instance* rival_of(const Cluster& cluster, const Instance& self);
/// How a standby stands to the cluster's primary; unknown where either has not been seen.
topology::Ancestry ancestry_of(const Situation& s);

/// "pg1:5432, pg2:5432"
std::string names_of(const Replicas& instances);

}  // namespace baton::analysis
