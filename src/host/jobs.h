#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "agent/protocol.h"
#include "base/clock.h"
#include "base/subprocess.h"
#include "host/options.h"

namespace baton::host {

/// What a long deed and the agent say to each other while it runs. The agent owns it and keeps it until the
/// deed has ended. Agent's thread only.
class JobControl {
  public:
    JobControl(MonoTime until, std::function<void(const agent::Job&)> told)
        : deadline_(until), told_(std::move(told)) {}

    /// Phase and bytes; order, verb and running time are filled in by the agent, which passes it on to the
    /// managers at most twice a second.
    void report(const agent::Job& job) const { told_(job); }
    /// Somebody ordered an end: what runs is ended and undone where that is possible.
    bool cancelled() const { return cancelled_; }
    MonoTime deadline() const { return deadline_; }
    /// Called once, at once when cancel() comes; a later call replaces the callback. nullptr: nothing to end.
    void on_cancel(std::function<void()> callback) { on_cancel_ = std::move(callback); }
    void cancel() {
        cancelled_ = true;
        if (const auto callback = std::exchange(on_cancel_, nullptr)) callback();
    }

  private:
    MonoTime deadline_;
    std::function<void(const agent::Job&)> told_;
    std::function<void()> on_cancel_;
    bool cancelled_ = false;
};

/// How a long deed ended.
struct JobEnd {
    std::optional<Error> error;
    /// The data directory is as it was before (nothing was changed in it, or all was put back): it may be
    /// started as before. Without it a failed deed leaves the instance in quarantine.
    bool untouched = false;
    std::string detail;  ///< for people: "3.2 GB in 41 s, 128 kB past the fork were dropped"
};

/// The long deeds on a data directory. One at a time for each instance.
///
/// Before rewind() and clone() the agent has seen to it that no process of the data directory is left, that
/// none will be started, and that the state file says quarantine. On success the directory has its own
/// configuration files again (postgresql.conf, postgresql.auto.conf, pg_hba.conf, … as before the deed, where
/// they lay inside it), and no standby.signal is needed: the agent then writes primary_conninfo,
/// primary_slot_name and standby.signal, lifts the quarantine and starts the server.
class Jobs {
  public:
    virtual ~Jobs() = default;
    /// pg_rewind of `instance` from order.upstream (RewindConninfo).
    virtual Task<JobEnd> rewind(const InstanceOptions& instance, const agent::Order& order,
                                JobControl& control) = 0;
    /// pg_basebackup from order.upstream beside the old directory, which is then replaced by it.
    virtual Task<JobEnd> clone(const InstanceOptions& instance, const agent::Order& order,
                               JobControl& control) = 0;
    /// Order route: the pooler's targets become order.upstream, then it reloads. The answer is for people.
    virtual Task<Result<std::string>> route(const PoolerOptions& pooler, const agent::Order& order) = 0;
    /// What an interrupted deed left beside the data directory is removed. Called at the agent's start, when
    /// the instance is not in quarantine; never touches the data directory itself.
    virtual void tidy(const InstanceOptions& instance) = 0;
};

/// `state_directory` may hold what a deed must find again after the agent's restart.
std::unique_ptr<Jobs> make_jobs(Clock& clock, ProcessRunner& processes, std::string state_directory);

}  // namespace baton::host
