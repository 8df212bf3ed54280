#pragma once

#include <map>
#include <string>
#include <vector>

#include "sim/clock.h"
#include "sim/network.h"
#include "sim/trace.h"
#include "sim/watcher.h"
#include "topology/instance_key.h"

namespace baton::sim {

using topology::InstanceKey;

class Server;

/// What becomes of those who look a name up. What they knew before stands in, as a resolver's cache does.
struct NameService {
    struct Trouble {
        bool fails = false;
        Duration takes{};  ///< beyond the millisecond that it takes anyway
    };
    Trouble everybody;
    std::map<std::string, Trouble> names;  ///< in place of `everybody`

    const Trouble& of(const std::string& name) const {
        const auto at = names.find(name);
        return at == names.end() ? everybody : at->second;
    }
};

/// What every part of the world stands on.
struct Ground {
    explicit Ground(uint64_t first_seed) : seed(first_seed), network(first_seed), trace(scheduler) {}

    uint64_t seed;
    Scheduler scheduler;
    Network network;
    Trace trace;
    std::map<InstanceKey, Server*> servers;        ///< by key and by every other name
    std::map<std::string, std::string> addresses;  ///< of host names
    NameService names;
    std::vector<Watcher*> watchers;

    /// `tell(&Watcher::promoted, server)`
    template <class... Parameters, class... Arguments>
    void tell(void (Watcher::*what)(Parameters...), const Arguments&... arguments) {
        for (auto* watcher : watchers)
            (watcher->*what)(arguments...);
    }

    Server* server(const InstanceKey& key) const {
        const auto at = servers.find(key);
        return at == servers.end() ? nullptr : at->second;
    }
};

}  // namespace baton::sim
