#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "agent/agents.h"
#include "discovery/discovery.h"

namespace baton::control {

/// Asks the agents on hosts of clients whether they reach the primaries, and tells discovery. A host counts
/// for a cluster once it has reached one of its servers; a server is lost to it after the second failure in a
/// row. While a host has lost a primary, it is asked about its standbys, too. Control thread only.
class ClientWatch {
  public:
    /// All must outlive it.
    ClientWatch(Clock& clock, agent::Agents& agents, discovery::Discovery& discovery);

    /// Begins a round at each of these hosts where none is under way; others are not counted on any more.
    /// To be called about once a second.
    void look(const std::set<std::string>& hosts);
    /// No round says anything afterwards.
    void stop();

  private:
    struct State;
    static Task<void> round(std::shared_ptr<State> state, std::string host);
    std::shared_ptr<State> state_;
};

}  // namespace baton::control
