#pragma once

#include <functional>
#include <memory>
#include <string>

#include "host/guard.h"
#include "sim/clock.h"
#include "sim/server.h"
#include "sim/wire.h"

namespace baton::sim {

class HostAgents;

/// The state file of an agent, and the disk that it is on.
struct AgentDisk {
    host::Kept kept;
    uint64_t epoch = 0;
    int boot = 1;         ///< of the host, when it was written
    bool stalls = false;  ///< writes do not end
};

/// One life of the process `baton agent` on a host with one server: the real guard, with a modelled host
/// around it. To destroy it is kill -9.
class HostAgent {
  public:
    struct Host {
        Ground& ground;
        HostAgents& all;
        Server& server;
        AgentDisk& disk;
        int boot;
        uint64_t seed;  ///< of this life
    };
    HostAgent(Host host, ClockSetting clock);
    ~HostAgent();
    void begin();
    /// Something on the host has changed.
    void stir();
    /// SIGSTOP and SIGCONT to the agent itself.
    void freeze(bool on) { process_.freeze(on); }
    bool frozen() const { return process_.frozen(); }
    /// Before it is destroyed: the host's kernel ends its connection, or the host has no power.
    void leave(bool power);

    const host::Guard& guard() const { return guard_; }
    agent::LeaseState lease() const { return guard_.status(process_.now()).lease; }
    Server& server() const { return host_.server; }
    const std::string& name() const { return host_.server.key().host; }
    Process& process() { return process_; }
    /// A peer's question.
    agent::Vouched vouch(const agent::Vouch& question) {
        return guard_.asked_to_vouch(question, process_.now());
    }
    MonoTime began() const { return began_; }  ///< by the world's clock
    bool connected() const { return welcome_; }
    void disk_changed() { say(); }

  private:
    MonoTime now() const { return process_.now(); }
    Task<void> watch();
    Task<void> probe();
    Task<void> write();
    void look();
    host::Sight sight() const;
    void apply(const host::Actions& actions);
    void save();
    void ask();
    void say();
    void end_server(Duration after);

    // ---- the manager
    Task<void> link();
    Task<bool> connect();
    Task<void> beat();
    void take(agent::Frame frame);
    void hear_epoch(uint64_t epoch);
    agent::Status status() const;
    agent::ControlData control() const;

    // ---- orders (host_agent_orders.cc)
    using Ended = Result<std::string>;
    Task<void> obey(agent::Order order);
    Task<Ended> carry_out(const agent::Order& order, MonoTime deadline, agent::Done& done);
    Task<Result<void>> until(std::function<bool()> so, MonoTime deadline, std::string what);
    Task<Result<void>> durable(MonoTime deadline);
    Task<Result<void>> leased(MonoTime deadline);
    Task<Result<void>> bring_up(MonoTime deadline);
    Task<Ended> start_server(MonoTime deadline);
    Task<Ended> stop_server(std::string mode, MonoTime deadline);
    Task<Ended> fence(MonoTime deadline);
    Task<Ended> stand_clear(bool on, MonoTime deadline);
    Task<Ended> make_standby(const agent::Order& order, MonoTime deadline);
    Task<Ended> follow_as_standby(const agent::Order& order, MonoTime deadline);
    Task<Ended> job(const agent::Order& order, MonoTime deadline);
    Ended look_past(const agent::Order& order, agent::Done& done) const;
    bool gone() const { return !guard_.sight().postmaster; }

    Host host_;
    Process process_;
    Random random_;
    const MonoTime began_;
    uint64_t epoch_;
    host::Guard guard_;
    Signal stirred_;
    Signal to_tell_;
    Signal link_over_;
    bool look_soon_ = false;
    bool writing_ = false;
    uint64_t saves_ = 0;
    uint64_t written_ = 0;
    void watch_way();
    Task<void> look_for_a_way(WirePtr stuck);
    bool is_stuck(const WirePtr& wire) const { return wire_ && wire_ == wire && wire->held_up(); }
    WirePtr wire_;
    WirePtr next_;  ///< takes the place of one that is stuck
    MonoTime last_beat_{};
    bool looking_ = false;
    bool welcome_ = false;
    bool changed_ = false;
    Duration heartbeat_ = milliseconds(500);
    uint64_t seq_ = 0;
    std::map<uint64_t, MonoTime> sent_;
    std::optional<agent::Job> job_;
};

}  // namespace baton::sim
