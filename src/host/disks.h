#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "agent/protocol.h"
#include "base/clock.h"
#include "host/options.h"

namespace baton::host {

/// Free space, and whether a small write still works, of the data and WAL directories of every instance:
/// tried every second by a thread of its own for each file system, which may hang without the agent hanging.
/// Used on the agent's thread, which it never blocks.
class Disks {
  public:
    virtual ~Disks() = default;
    /// Begins. `changed` is called on the agent's thread when the health of a disk became another one (free
    /// space alone is no change). Once.
    virtual void start(std::function<void()> changed) = 0;
    /// Of the instance at this place of Options::instances; nothing while not looked at yet. A write that has
    /// no answer for longer than InstanceOptions::hung_after is `hung`, from then on at each call.
    virtual std::optional<agent::Disk> data(size_t instance) const = 0;
    /// Nothing where pg_wal lies on the same file system.
    virtual std::optional<agent::Disk> wal(size_t instance) const = 0;
};

/// Threads that hang in a write are left behind when it is destroyed: the destructor waits for nobody.
std::unique_ptr<Disks> make_disks(Clock& clock, std::vector<InstanceOptions> instances);

}  // namespace baton::host
