#pragma once

#include <string>
#include <string_view>

#include "sim/wal.h"
#include "store/records.h"

namespace baton::sim {

class Server;

/// Hears of everything that happens in the world, at the moment at which it happens and before any
/// consequence of it. Must not change the world.
class Watcher {
  public:
    virtual ~Watcher() = default;
    /// A commit was confirmed to a client. `by_standbys`: a rule in synchronous_standby_names had to be met
    /// for it.
    virtual void acknowledged(const Server& /*server*/, const Row& /*row*/, bool /*by_standbys*/) {}
    /// A manager has the answer to its look at this server.
    virtual void look_arrived(const Server& /*server*/) {}
    /// A manager sends this server a request to promote itself, which may never arrive.
    virtual void promotion_sent(const Server& /*server*/) {}
    /// A slot of this server is lost, and with it its sender.
    virtual void slot_lost(const Server& /*server*/, const std::string& /*slot*/) {}
    /// A manager asks this standby to promote itself.
    virtual void promotion_asked(const Server& /*server*/) {}
    virtual void promoted(const Server& /*server*/) {}
    /// A manager changes something on a server: "follow", "create_slot", "drop_slot", "set_read_only",
    /// "set_synchronous_standby_names", "restart_receiver", "pause_replay".
    virtual void deed(const Server& /*server*/, std::string_view /*verb*/, const std::string& /*detail*/) {}
    /// A command took its place in the manager's record. Not on disk yet: see World::disk().
    virtual void journalled(const store::Command& /*command*/) {}
    /// The lease of this server has ended: its agent stops it.
    virtual void lease_ended(const Server& /*server*/) {}
    virtual void manager_started() {}
    virtual void manager_ended() {}
    /// Something on which reach, life or streaming depends may have changed.
    virtual void changed() {}
};

}  // namespace baton::sim
