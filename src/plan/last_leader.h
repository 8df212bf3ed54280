#pragma once

#include <optional>
#include <string>
#include <vector>

#include "topology/host.h"
#include "topology/instance_key.h"
#include "topology/observation.h"

/// Who led a cluster last, where no manager that lives has seen it lead: from what its members are now. Pure.
/// docs/fencing.md ("The record is lost") has the argument.
namespace baton::plan {

/// One member of the cluster, as far as it is known in this life of the manager.
struct MemberWord {
    topology::InstanceKey key;
    bool agent = false;               ///< connected
    bool kept_down = false;           ///< its agent says that it is down, and keeps it so
    bool no_standby = false;          ///< its agent says that it would start, or runs, as a primary
    bool standby = false;             ///< its agent says that it is one, or it answered as one
    bool leads = false;               ///< it answers as a primary
    topology::Timeline timeline = 0;  ///< the newest that is known of it
    /// Who may be promoted in its place, by the lease that its agent has on disk; nothing: no lease binds it.
    std::optional<std::vector<topology::InstanceKey>> promotable;
    std::string obstacle;  ///< why it cannot be started; ""
};

struct LastLeader {
    topology::InstanceKey key;
    std::string missing;  ///< what must be known first; "" = it led last, and nobody was promoted since
};

/// `followed`: upstreams of standbys that are no members. Nothing: nobody is kept down as a primary, or
/// somebody else leads.
std::optional<LastLeader> last_leader(const std::vector<MemberWord>& members,
                                      const std::vector<topology::InstanceKey>& followed);

}  // namespace baton::plan
