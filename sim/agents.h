#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fleet/registry.h"
#include "sim/host_agent.h"
#include "store/store.h"

namespace baton::sim {

/// Where agents connect to in one life of the manager: the real registry, and what a session does with what
/// arrives (fleet/session.cc).
class AgentHouse {
  public:
    AgentHouse(Ground& ground, Clock& clock, store::Store& store);
    ~AgentHouse();
    fleet::Registry& registry() { return registry_; }
    void begin();
    /// It has an epoch, and lets agents in.
    bool open() const { return open_; }
    void let_in(WirePtr wire);

  private:
    Task<bool> take_epoch(uint64_t seen);
    Task<void> run();
    Task<void> greet(WirePtr wire, agent::Hello hello);
    void take(const WirePtr& wire, agent::Frame frame);
    void over(const WirePtr& wire);

    Ground& ground_;
    Clock& clock_;
    store::Store& store_;
    fleet::Registry registry_;
    bool knows(const WirePtr& wire) const { return std::ranges::find(wires_, wire) != wires_.end(); }

    std::vector<WirePtr> wires_;
    bool open_ = false;
};

/// The agents of a world, one beside each server, with the hosts that they stand on. What lasts longer than
/// an agent's life is here: its disk, its host's clock, whether somebody has stopped it.
class HostAgents final : public Watcher {
  public:
    /// Servers must be there; clocks run wrong by up to `drift_ppm`.
    HostAgents(Ground& ground, const std::vector<std::unique_ptr<Server>>& servers, int drift_ppm);
    ~HostAgents() override;
    void begin();

    // ---- faults
    /// kill -9; with `again` its supervisor starts it anew a tenth of a second to a second later.
    void kill(const std::string& name, bool again);
    void start(const std::string& name);
    void freeze(const std::string& name, bool on);
    /// Its host reaches the manager, it does not.
    void cut(const std::string& name, bool on) { at(name).cut = on; }
    /// The server's disk; the state file is on it where `own`, too.
    void break_disk(const std::string& name, topology::DiskHealth health, bool own);
    void mend_disk(const std::string& name);
    /// The host has power again: the agent is there before anybody starts its server.
    void power_is_back(const std::string& name);

    // ---- the manager's side
    std::unique_ptr<AgentHouse> house(Clock& clock, store::Store& store);
    void house_is(AgentHouse* house) { house_ = house; }

    // ---- what an agent does to its surroundings
    Task<WirePtr> dial(HostAgent& from, Duration limit);
    void ask(HostAgent& from, const agent::Vouch& question, std::function<void()> promised);
    void hold_still(Server& server, bool on);
    void forget_still(Server& server);
    void tell_lease_ended(const Server& server);
    std::optional<topology::Disk> disk_of(const Server& server) const;

    // ---- for checkers and tests
    /// Null: it does not run.
    const HostAgent* agent_of(const Server& server) const;
    /// It runs, and has for this long, neither stopped nor with a disk in trouble.
    bool watches(const Server& server, Duration least) const;
    /// It runs, and is not stopped, for this long.
    bool present(const Server& server, Duration least) const;
    /// On disk.
    const host::Kept& kept(const Server& server) const;
    bool is_cut(const Server& server) const;
    bool holds_still(const Server& server) const;

    void changed() override;

  private:
    struct Beside {
        Server* server = nullptr;
        std::unique_ptr<HostAgent> agent;
        AgentDisk disk;
        ClockSetting clock;
        int boot = 1;
        uint64_t lives = 0;
        bool cut = false;
        bool stopped = false;  ///< by somebody: not started again until start()
        bool still = false;    ///< the agent has stopped its server (SIGSTOP)
        bool power = true;
        std::optional<topology::Disk> trouble;
        MonoTime trouble_since{};
        MonoTime watches_since{};
    };
    Beside& at(const std::string& name) { return beside_.at(name); }
    const Beside& at(const Server& server) const { return beside_.at(server.key().host); }
    void live(Beside& b);
    void look_around();
    void question_arrives(const std::string& from, uint64_t life, agent::Vouch question,
                          std::function<void()> promised, int tries);
    void answer_arrives(const std::string& from, uint64_t life, const std::string& peer,
                        std::function<void()> promised, int tries);

    Ground& ground_;
    Random random_;
    std::map<std::string, Beside> beside_;
    AgentHouse* house_ = nullptr;
    bool looking_ = false;
};

}  // namespace baton::sim
