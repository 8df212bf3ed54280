#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/protocol.h"
#include "base/clock.h"
#include "host/options.h"

namespace baton::host {

/// Clients that a manager holds at a pooler of this host go on in any case: when their time is up and nobody
/// has let them go, this does. Known over the agent's restart, by a file in its state directory. Agent's
/// thread.
class PoolerHolds {
  public:
    PoolerHolds(Clock& clock, std::vector<PoolerOptions> poolers, std::string state_directory);
    ~PoolerHolds();
    PoolerHolds(const PoolerHolds&) = delete;
    PoolerHolds& operator=(const PoolerHolds&) = delete;

    /// Takes up what an earlier life of the agent was told, as soon as it is read.
    void start();
    /// Order hold. Errors: not_found: no pooler has that name; invalid_argument; those of its console (then
    /// nothing was noted); io, timeout: it is not on disk.
    Task<Result<std::string>> obey(agent::Order order, MonoTime deadline);

  private:
    struct House;
    using HousePtr = std::shared_ptr<House>;
    HousePtr house_;
};

}  // namespace baton::host
