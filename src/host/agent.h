#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/quiet_log.h"
#include "base/subprocess.h"
#include "host/disks.h"
#include "host/guarded.h"
#include "host/health.h"
#include "host/jobs.h"
#include "host/manager_link.h"
#include "host/options.h"
#include "host/peers.h"
#include "host/pooler_holds.h"
#include "host/state.h"
#include "host/trust.h"

namespace baton::host {

/// What the agent is made of; all of it outlives the agent.
struct AgentParts {
    Clock& clock;  ///< make_boot_clock()
    ProcessRunner& processes;
    StateFile& state;
    std::string hostname;
};

/// The host agent: guards the servers of its configuration, obeys its managers, vouches for its standbys.
/// One thread, the clock's.
class Agent final : public ManagerCalls {
  public:
    Agent(AgentParts parts, Options options);
    ~Agent() override;

    /// Looks at everything once, before anything is watched or told. The error says what is wrong and what to
    /// do. `adopt`: a data directory may be one of another cluster than before.
    Task<Result<void>> prepare(bool adopt);
    /// What must survive this agent, as it is now.
    Memory memory() const;
    /// From now on it guards, listens and connects. Errors: an address is taken, a certificate cannot be
    /// read.
    Result<void> start();
    /// Ends every connection and watch. The servers run on.
    void stop();
    /// The configuration was read again: takes what a running agent can (option_changes.cc), and says what it
    /// took. Connections and leases stay. Error io: a certificate cannot be read; all stays as it was.
    Task<Result<std::string>> reload(Options fresh);

    agent::Hello hello() override;
    agent::Beat beat() override;
    void welcomed(const agent::Welcome& welcome) override;
    void answered(MonoTime sent, const agent::BeatAnswer& answer) override;
    void ordered(agent::Order order, std::function<void(agent::Frame)> reply) override;
    void cancelled(const agent::Cancel& cancel) override;

  private:
    using GuardedPtr = std::shared_ptr<Guarded>;
    void make_guarded(size_t at);
    GuardedPtr find(const InstanceKey& key) const;
    void save();
    void say();
    void ask(const InstanceKey& key);
    void hear_epoch(uint64_t epoch);
    agent::Vouched vouch(const agent::Vouch& vouch);
    std::vector<agent::Status> statuses() const;
    Result<void> may_order(const agent::Order& order) const;
    void complain_of_old(uint64_t epoch, const std::string& what);
    Task<agent::Done> carry_out(agent::Order order, std::function<void(agent::Frame)> reply);
    Task<agent::Done> route(agent::Order order);
    Task<agent::Done> hold(agent::Order order);
    Task<agent::Done> look_from_here(agent::Order order);

    AgentParts parts_;
    Options options_;
    const std::shared_ptr<Trust> trust_;
    uint64_t epoch_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
    std::unique_ptr<Jobs> jobs_;
    PoolerHolds holds_;
    std::unique_ptr<Disks> disks_;
    std::unique_ptr<Health> health_;
    std::unique_ptr<PeerAsker> asker_;
    std::unique_ptr<PeerListener> listener_;
    std::vector<GuardedPtr> guarded_;
    std::vector<std::shared_ptr<ManagerLink>> links_;
    std::set<uint64_t> orders_;  ///< under way
    uint64_t last_order_ = 0;    ///< of the present epoch; within one their numbers rise
    QuietLog complaints_{std::chrono::minutes(1)};
    bool stopped_ = false;
};

}  // namespace baton::host
