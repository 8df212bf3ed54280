#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sim/watcher.h"
#include "sim/world.h"

namespace baton::sim {

/// What is truly so in the world, and since when without a break: what a manager can at best find out, and
/// what checkers judge it by. Made when all servers are there.
class Truth final : public Watcher {
  public:
    /// `clients`: the party that applications' connections come from.
    Truth(World& world, std::string clients);

    using Since = std::optional<MonoTime>;
    /// It runs and answers those who come anew.
    Since serves(const Server& s) const { return servers_[index(s)].serves; }
    /// It serves, and takes writes.
    Since writable(const Server& s) const { return servers_[index(s)].writable; }
    /// Packets between the manager's host and this one pass, both ways.
    Since near_manager(const Server& s) const { return servers_[index(s)].near_manager; }
    /// The same of the host that clients come from.
    Since near_clients(const Server& s) const { return servers_[index(s)].near_clients; }
    /// A manager that runs can ask it.
    Since askable(const Server& s) const { return servers_[index(s)].askable; }
    /// Packets between two servers' hosts pass, both ways.
    Since linked(const Server& a, const Server& b) const { return pair(a, b).linked; }
    /// `standby` gets what `upstream` sends, directly.
    Since receives(const Server& standby, const Server& upstream) const {
        return pair(standby, upstream).receives;
    }
    /// Without a break for at least this long, up to now.
    bool held(Since since, Duration least) const { return since && world_.now() - *since >= least; }

    void changed() override;

  private:
    struct OfServer {
        Since serves, writable, near_manager, near_clients, askable;
    };
    struct OfPair {
        Since linked, receives;
    };
    size_t index(const Server& server) const;
    const OfPair& pair(const Server& a, const Server& b) const {
        return pairs_[index(a) * servers_.size() + index(b)];
    }
    void update(Since& since, bool holds) const;

    World& world_;
    const std::string clients_;
    std::vector<OfServer> servers_;
    std::vector<OfPair> pairs_;
};

}  // namespace baton::sim
