#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agent/protocol.h"
#include "base/clock.h"
#include "host/options.h"

namespace baton::host {

/// The HTTP endpoints for load balancers (`/primary`, `/replica?lag=`, `/health`, …). Agent's thread.
class Health {
  public:
    virtual ~Health() = default;
    /// Listens and answers until stop(). The error names the address.
    virtual Result<void> start() = 0;
    virtual void stop() = 0;
};

/// All instances as they are now, in the order of the configuration. A primary is one that runs, and whose
/// directory has no standby.signal (PostgreSQL removes it at a promotion).
using Statuses = std::function<std::vector<agent::Status>()>;

std::unique_ptr<Health> make_health(Clock& clock, const Options& options, Statuses statuses);

}  // namespace baton::host
