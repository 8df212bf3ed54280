#pragma once

#include <map>
#include <memory>
#include <vector>

#include "base/subprocess.h"
#include "host/health_answer.h"
#include "host/options.h"

namespace baton::host {

/// Asks the upstream of a standby how far it is, and whether it waits for this standby: for health checks
/// that want to know. With RewindConninfo both (the role needs pg_monitor for the second), else only the
/// first, as the standby's own login. What was asked within the last second is not asked again. Agent's
/// thread.
class UpstreamLooks {
  public:
    UpstreamLooks(Clock& clock, const std::vector<InstanceOptions>& instances, std::string pass_directory);
    ~UpstreamLooks();
    Task<UpstreamLook> look(size_t instance);

  private:
    struct Cached {
        UpstreamLook look;
        MonoTime at{};
        bool known = false;
        bool asking = false;
    };
    Task<UpstreamLook> ask(const InstanceOptions& instance);

    Clock& clock_;
    std::vector<InstanceOptions> instances_;
    std::string pass_directory_;
    std::unique_ptr<ProcessRunner> processes_;
    std::map<size_t, Cached> cached_;
};

}  // namespace baton::host
