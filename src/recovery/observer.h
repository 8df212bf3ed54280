#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "engine/engine.h"
#include "topology/topology.h"

namespace baton::recovery {

using topology::ClusterPtr;
using topology::InstanceKey;

/// What recovery needs of discovery.
class Observer {
  public:
    virtual ~Observer() = default;
    virtual ClusterPtr cluster(const std::string& id) const = 0;
    virtual Task<void> look_again(std::vector<InstanceKey> keys, MonoTime deadline) = 0;
    /// Until then the missing receiver of this standby proves nothing: we made it reconnect ourselves.
    virtual void hold_testimony(const InstanceKey& key, MonoTime until) = 0;
    virtual bool settled() const = 0;
    virtual void refresh_annotations(const InstanceKey& key) = 0;
};

}  // namespace baton::recovery
