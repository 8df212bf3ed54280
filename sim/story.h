#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/fault.h"

namespace baton::sim {

/// What a run is made of: a cluster, a configuration, and the faults that happen to it. Drawn from a seed;
/// the same seed gives the same story on every machine.
struct Layout {
    struct Member {
        std::string name;
        std::string upstream;  ///< "" = the primary
        bool slot = true;
        Duration replay_takes{};
        int apply_delay_ms = 0;
        std::string rule = "neutral";  ///< promotion rule
        bool diverged =
            false;  ///< was promoted by mistake once, wrote, and follows the primary again without a rewind
    };
    std::vector<Member> standbys;  ///< of primary "p"
    std::string synchronous;       ///< synchronous_standby_names everywhere; "" = asynchronous
    int retry_interval_ms = 5000;  ///< wal_retrieve_retry_interval
    int receiver_timeout_ms = 60000;
    Duration segment_copy{};  ///< a receiver on a new timeline has copied the segment of the fork after up to
                              ///< so long
    bool several_hosts = false;  ///< standbys look for the primary themselves, among all servers
    bool router = false;         ///< clients come through a router that asks the servers, else multi-host
    Duration write_pause{};      ///< between a client's rows; 0 = an idle cluster
    std::string configuration;   ///< text of the manager's configuration file
    int manager_drift_ppm = 0;
    bool agents = false;          ///< a host agent beside each server
    int agent_drift_ppm = 0;      ///< the clocks of their hosts run wrong by up to this much
    int recovery_block_s = 3600;  ///< RecoveryPeriodBlockSeconds, also in `configuration`

    std::string text() const;
};

struct Story {
    uint64_t seed = 0;
    Layout layout;
    std::vector<Fault> faults;
    bool former_returns = true;    ///< a dead former primary is started again at the end of the faults
    bool operator_rejoins = true;  ///< an operator re-clones former primaries that came back
    Duration faults_end{};         ///< from then on everything is mended, in an order of the seed's

    std::string text() const;
};

Story draw_story(uint64_t seed);
/// The same with an agent beside each server, and with what happens to agents.
Story draw_story_with_agents(uint64_t seed);

}  // namespace baton::sim
