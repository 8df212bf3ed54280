#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "plan/standing.h"

/// The one primitive of every change to the tree: a standby follows another upstream. Internal to this room.
namespace baton::plan {

/// Why `replica` cannot follow `upstream`; nothing when it can. Messages begin "A cannot replicate from B.
/// Reason: …".
std::optional<Error> objection_to_follow(const Cluster& cluster, const InstanceKey& replica,
                                         const InstanceKey& upstream, const Policy& policy);

struct Rewire {
    const Cluster& cluster;
    const Instance& upstream;
    const Policy& policy;
    bool required =
        false;         ///< a failure ends the plan (one standby is moved), or only loses that replica (many)
    bool tidy = true;  ///< drop the slot on an old upstream that answers
};

/// The slot that `replica` should use on `upstream`: "" when it uses none; its present name unless that is
/// taken there.
std::string slot_on(const Instance& replica, const Instance& upstream, const std::set<std::string>& taken);

/// Appends the steps for all `replicas`: slots in `phase`, then follow, then verification, then the tidying,
/// each in a phase of its own and side by side. `busy` says that `phase` is in use already. Returns the next
/// free phase.
int add_rewire_steps(Plan& plan, const Rewire& how, const std::vector<const Instance*>& replicas, int phase,
                     bool busy = false);

/// Sorts `replicas` into those that can follow and those that are lost, with a remark for each of the latter.
std::vector<const Instance*> able_to_follow(Plan& plan, const Cluster& cluster, const Instance& upstream,
                                            const std::vector<const Instance*>& replicas,
                                            const Policy& policy);

}  // namespace baton::plan
