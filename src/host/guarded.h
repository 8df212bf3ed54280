#pragma once

#include <functional>
#include <memory>
#include <string>

#include "agent/protocol.h"
#include "base/clock.h"
#include "base/subprocess.h"
#include "host/disks.h"
#include "host/guard.h"
#include "host/jobs.h"
#include "host/postgres.h"
#include "host/watch.h"

namespace baton::host {

/// What one guarded server needs of the agent around it.
struct Surroundings {
    Clock& clock;
    ProcessRunner& processes;
    Jobs& jobs;
    std::function<void()> save;                   ///< Guard::kept() of somebody has changed
    std::function<void()> say;                    ///< a status has changed
    std::function<void(const InstanceKey&)> ask;  ///< the members of its grant, and the managers
    std::function<std::string()> trouble;         ///< why the state file cannot be written; ""
    std::function<void(std::optional<agent::Disk>& data, std::optional<agent::Disk>& wal)> disks;
    std::function<std::optional<Duration>()> certificate_left;  ///< Status::certificate_left
};

/// One guarded server in life: its guard, its processes and what it is ordered to do. Agent's thread; shared,
/// because what was begun for it may end after it.
class Guarded : public std::enable_shared_from_this<Guarded> {
  public:
    /// How an order reports while it runs.
    using Told = std::function<void(const agent::Job&)>;

    Guarded(Surroundings around, const InstanceOptions& options, Kept kept, uint64_t epoch,
            std::string log_file);

    /// The first look. Errors: the data directory is not this user's (refused_by_policy), belongs to another
    /// cluster than before (refused_by_policy, unless `adopt`), or cannot be read.
    Task<Result<void>> prepare(bool adopt);
    /// Watches from now on, until stop().
    void start();
    void stop();

    /// Does what is ordered, with an answer in every case. The epoch was looked at before.
    Task<agent::Done> obey(agent::Order order, Told told);
    /// Of the order with this number, if it is a job that runs.
    void cancel(uint64_t order);

    // ---- events from outside
    void answered(MonoTime sent, const agent::Grant& grant);
    void vouched(const InstanceKey& member, MonoTime asked, milliseconds span);
    void heard_epoch(uint64_t epoch);
    void saved(uint64_t version);
    agent::Vouched asked_to_vouch(const agent::Vouch& vouch) {
        return guard_.asked_to_vouch(vouch, around_.clock.now());
    }

    agent::Status status() const;
    const Guard& guard() const { return guard_; }
    const InstanceOptions& options() const { return options_; }

  private:
    using Self = std::shared_ptr<Guarded>;
    MonoTime now() const { return around_.clock.now(); }
    void apply(const Actions& actions);
    void look();
    void stir();
    static Task<void> watch(Self self);
    static Task<void> probe(Self self);
    static Task<void> read_control(Self self);
    static Task<void> look_around(Self self);
    Task<Result<void>> refresh_control();

    // ---- orders (guarded_orders.cc)
    Task<Result<std::string>> carry_out(const agent::Order& order, MonoTime deadline, const Told& told,
                                        agent::Done& done);
    Task<Result<std::string>> start_server(MonoTime deadline);
    Task<Result<std::string>> stop_server(std::string mode, MonoTime deadline);
    Task<Result<std::string>> restart_server(MonoTime deadline);
    Task<Result<std::string>> promote_server(MonoTime deadline);
    Task<Result<std::string>> make_standby(const agent::Order& order, MonoTime deadline);
    Task<Result<std::string>> follow_as_standby(const agent::Order& order, MonoTime deadline);
    Task<Result<std::string>> do_job(const agent::Order& order, MonoTime deadline, const Told& told);
    Task<Result<std::string>> fence_server(std::string why, MonoTime deadline);
    Task<Result<std::string>> stand_clear(bool on, MonoTime deadline);
    Task<Result<std::string>> look_past(const agent::Order& order, agent::Done& done);
    Task<Result<void>> leased(MonoTime deadline);
    Task<Result<void>> bring_up(MonoTime deadline);
    Task<Result<void>> bring_down(std::string mode, MonoTime deadline);
    Task<Result<void>> write_standby(InstanceKey upstream, std::string slot);
    /// Until `so`; error timeout, which says what it waited for.
    Task<Result<void>> until(std::function<bool()> so, MonoTime deadline, std::string what);
    Task<Result<void>> durable(MonoTime deadline);
    bool gone() const { return !guard_.sight().postmaster && !guard_.sight().others; }

    Surroundings around_;
    InstanceOptions options_;
    Guard guard_;
    Postgres postgres_;
    Watch watch_;
    Signal stirred_;
    Signal control_stale_;
    bool stopped_ = false;
    std::optional<MonoTime> look_soon_;  ///< something was killed: how far is it?
    ServerState control_at_ = ServerState::unknown;
    ServerState control_of_ = ServerState::unknown;  ///< in which control_ was read
    agent::ControlData control_;
    std::string version_;
    std::string in_the_way_;
    std::optional<agent::Job> job_;
    MonoTime job_began_{};
    MonoTime job_told_{};
    std::shared_ptr<JobControl> job_control_;
};

}  // namespace baton::host
