#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/async.h"
#include "control/manager.h"
#include "sim/agents.h"
#include "sim/client.h"
#include "sim/engine.h"
#include "sim/processes.h"
#include "sim/router.h"
#include "sim/server.h"
#include "sim/store.h"

/// A world in one thread and virtual time: modelled servers, network and clients, and the real manager over
/// them. The same seed and the same calls give the same trace, byte for byte.
namespace baton::sim {

/// The manager with its process, its disk aside: to destroy it is kill -9.
class ManagerProcess {
  public:
    ManagerProcess(Ground& ground, const config::Config& config, std::shared_ptr<store::State> disk, int life,
                   const SimProcesses& hooks, const ClockSetting& clock = {},
                   agent::Agents& agents = agent::no_agents(), HostAgents* hosts = nullptr);
    ~ManagerProcess();
    control::Manager& manager() { return *manager_; }
    Process& process() { return *process_; }
    const store::Store& store() const { return store_; }

  private:
    void tell(const control::Event& event);
    void observe(const store::Command& command);
    std::vector<InstanceKey> names_of(const InstanceKey& key) const;

    Ground& ground_;
    std::unique_ptr<Process> process_;
    SimEngine engine_;
    SimProcesses hooks_;
    SimStore store_;
    std::unique_ptr<AgentHouse> house_;
    std::unique_ptr<control::Manager> manager_;
};

class World {
  public:
    /// `config` is the text of a configuration file; all servers are seeds where it names none. Aborts
    /// when the configuration is refused.
    explicit World(uint64_t seed, std::string config = {});
    ~World();

    /// Begins another system where `system_identifier` says so.
    Server& primary(const std::string& name, const std::string& system_identifier = "7300000000000000001");
    /// Below the first server, where no upstream is named.
    Server& standby(const std::string& name, const std::string& upstream = {}, uint16_t port = 5432,
                    bool with_slot = true);
    Server& operator[](const std::string& name);
    /// By any name or address; null: nobody.
    const Server* find(const InstanceKey& key) const { return ground_.server(key); }
    const std::vector<std::unique_ptr<Server>>& servers() const { return servers_; }
    const std::vector<std::unique_ptr<Client>>& clients() const { return clients_; }
    /// Until the world ends, which nobody is told of.
    void watch(Watcher& watcher) { ground_.watchers.push_back(&watcher); }
    /// Another name or address that reaches the same server.
    void alias(const std::string& name, const std::string& other_host);
    /// One that tries all servers in the order of their making, and writes every `pause`.
    /// Behind the router, where there is one.
    Client& client(Duration pause = milliseconds(5)) { return client(Load{.pause = pause}); }
    Client& client(Load load);
    /// Clients that are made later come through it.
    Router& router(Router::Kind kind = Router::Kind::checks);
    /// Null: there is none.
    Router* the_router() const { return router_.get(); }

    /// The clocks of the manager's host, for this manager and later ones. Of a manager that runs, only the
    /// drifts change and the wall clock jumps: its host was not booted anew.
    void manager_clock(ClockSetting setting);
    /// Somebody sets the wall clock of the manager's host.
    void jump_wall(Duration by);
    /// Whether names resolve; what was known before stands in.
    void break_dns(bool on) { ground_.names.everybody.fails = on; }
    NameService& names() { return ground_.names; }

    /// An agent beside each server, over the network; before the manager starts. Their hosts' clocks run
    /// wrong by up to `drift_ppm`.
    HostAgents& guard_hosts(int drift_ppm = 0);
    /// Null: there are none.
    HostAgents* host_agents() const { return host_agents_.get(); }
    /// Of managers that start later.
    void use_agents(agent::Agents& agents) { agents_ = &agents; }
    void start_manager();
    void kill_manager();
    control::Manager& manager() { return manager_->manager(); }
    bool manager_runs() const { return manager_ != nullptr; }
    const store::State& disk() const { return *disk_; }
    /// Of the manager that runs.
    const store::Store& store() const { return manager_->store(); }
    /// What the manager that runs waits for.
    size_t timers() const { return ground_.scheduler.pending(manager_->process()); }
    /// The next manager begins with this record: an old one, or none.
    void replace_disk(store::State record) { disk_ = std::make_shared<store::State>(std::move(record)); }
    /// What the manager's hooks do from its next start on, and what was run.
    SimProcesses& hooks() { return hooks_; }
    const std::vector<SimProcesses::Ran>& hooks_run() const { return hooks_run_; }

    Network& network() { return ground_.network; }
    /// Ends every network fault.
    void heal();
    /// After faults were added to links or taken from them: what was waiting goes on.
    void links_changed();
    /// Everybody who can be cut off: servers, the manager, clients.
    std::vector<std::string> hosts() const;
    Trace& trace() { return ground_.trace; }
    MonoTime now() const { return ground_.scheduler.now(); }
    uint64_t steps() const { return ground_.scheduler.steps(); }

    template <class F>
    void after(Duration wait, F action) {
        ground_.scheduler.after(wait, std::move(action));
    }
    /// So many steps of the world later, which may be between any two of a manager's own.
    void after_steps(uint64_t count, std::function<void()> action) {
        ground_.scheduler.after_steps(count, std::move(action));
    }
    void run_for(Duration time) { ground_.scheduler.run_for(time); }
    bool run_until(const std::function<bool()>& done, Duration within);
    /// Runs until the manager knows every server, and for a while longer; the story begins here.
    bool settle();
    /// Runs a command of the manager to its end.
    template <class T>
    Result<T> command(Task<Result<T>> task, Duration within = seconds(60));

    /// Names of those that take writes now.
    std::vector<std::string> writable() const;
    /// Of those that are out of recovery, the one on the newest timeline; null: there is none.
    Server* leader() const;
    /// Acknowledged rows that `name` does not hold.
    std::vector<uint64_t> missing_on(const std::string& name);
    int promotions() const;
    bool recovery_open() const;

  private:
    Server& add(const std::string& name, uint16_t port, const std::string& system_identifier);
    const config::Config& config();

    Ground ground_;
    std::string config_text_;
    std::optional<config::Config> config_;
    std::vector<std::unique_ptr<Server>> servers_;
    std::vector<std::unique_ptr<Client>> clients_;
    std::unique_ptr<Router> router_;
    ClockSetting manager_clock_;
    Process hooks_clock_;
    SimProcesses hooks_;
    std::vector<SimProcesses::Ran> hooks_run_;
    std::shared_ptr<store::State> disk_ = std::make_shared<store::State>();
    std::unique_ptr<HostAgents> host_agents_;
    std::unique_ptr<ManagerProcess> manager_;
    agent::Agents* agents_ = &agent::no_agents();
    int lives_ = 0;
};

template <class T>
Result<T> World::command(Task<Result<T>> task, Duration within) {
    auto result = std::make_shared<std::optional<Result<T>>>();
    spawn(manager_->process().executor(),
          [](std::shared_ptr<std::optional<Result<T>>> out, Task<Result<T>> work) -> Task<void> {
              *out = co_await std::move(work);
          }(result, std::move(task)));
    if (!run_until([&] { return result->has_value(); }, within))
        return fail(ErrorKind::timeout, "the command did not end");
    return std::move(**result);
}

}  // namespace baton::sim
