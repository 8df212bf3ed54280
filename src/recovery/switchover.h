#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "routing/router.h"
#include "topology/topology.h"

/// Planned switchovers, as they are asked for.
namespace baton::recovery {

struct RouterOf {
    routing::RouterPtr router;
    std::function<bool(const topology::Cluster&)> serves;  ///< none: every cluster
};

struct SwitchoverOptions {
    milliseconds pause{5000};  ///< clients are held, and the old primary has to shut down, within this
    int64_t lag_seconds = 20;
    uint64_t lag_bytes = 16UL << 20;       ///< 0 = no limit
    Duration agents_return = seconds(10);  ///< agents connect again within this when a manager is back
    std::vector<RouterOf> routers;
};

struct SwitchoverRequest {
    std::string cluster_id;
    std::optional<topology::InstanceKey> candidate;  ///< nothing: the best is chosen
    std::string command_hint = "graceful-master-takeover";
    bool skip_hooks = false;
    std::string by;
};

/// One that is to begin later, by the wall clock.
struct ScheduledSwitchover {
    std::string cluster_id;
    std::optional<topology::InstanceKey> candidate;
    WallTime at{};
    std::string by;
};

}  // namespace baton::recovery
