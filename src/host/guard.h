#pragma once

#include <optional>
#include <string>

#include "agent/lease.h"
#include "agent/protocol.h"
#include "host/files.h"

namespace baton::host {

using agent::Hold;
using agent::ServerState;
using agent::Verb;
using topology::InstanceKey;

/// What is seen of one server on its host, at one moment.
struct Sight {
    bool data = false;        ///< there is a data directory with something in it
    bool postmaster = false;  ///< it is alive
    bool others = false;      ///< it is not, but processes of its directory are (orphaned backends)
    bool stuck = false;       ///< killed ones are left that a disk keeps in the kernel: they run no more
    bool stopped = false;     ///< it has been stopped by a signal (SIGSTOP)
    Phase phase = Phase::starting;
    bool standby_signal = false;  ///< there is one: it is a standby, or would be if it were started
    int pid = 0;
    int64_t started_at_us = 0;  ///< wall clock, as the server says
    bool operator==(const Sight&) const = default;
};

/// What must survive the agent, of one server. On disk before anybody may count on it.
struct Kept {
    std::string system_identifier;
    Hold hold = Hold::none;
    std::string hold_reason;  ///< for people
    std::string quarantine;
    agent::Grant grant;
    MonoTime
        clear_until{};  ///< Voucher::clear_until(), of this boot of the host; epoch = it does not stand clear
    bool operator==(const Kept&) const = default;
};

struct GuardOptions {
    InstanceKey key;
    Duration hung_after = seconds(3);
    int crash_loop_limit = 3;
};

/// What the shell does next, in this order.
struct Actions {
    bool freeze = false;  ///< SIGSTOP to every process of the data directory
    bool thaw = false;    ///< SIGCONT to them
    bool quit = false;    ///< SIGQUIT to the postmaster: no checkpoint, no waiting
    bool kill = false;    ///< SIGKILL to every process of the data directory; then look again
    bool save = false;    ///< kept() has changed: write it, and tell saved()
    bool ask = false;     ///< every member of the grant for a vouch, and send a heartbeat
    bool say = false;     ///< the status has changed: tell the managers at once
    std::string why;      ///< for the log, where there is something to tell
    void operator+=(Actions more);
};

/// What the agent itself is about to do with the server: what would else be an offence is meant then.
enum class Deed : uint8_t { none, start, stop, restart, job };

/// One guarded server: when it may run, and what is said of it. Events go in, actions come out; every event
/// carries the time (CLOCK_BOOTTIME). Pure: no I/O, no clock, no log.
///
/// Its duties (docs/fencing.md):
/// - "down" is said only when no process is left, and of a server that would start as a primary only when
///   the promise to keep it down is on disk; from then on whoever starts it sees it killed.
/// - A primary whose lease has ended is stopped, and kept down (fenced).
/// - A promise to a peer is kept: no promotion is obeyed while it lasts.
class Guard {
  public:
    /// The agent has just started. `epoch`: the highest that a manager said in an earlier life, 0 = none did.
    Guard(GuardOptions options, Kept kept, uint64_t epoch, MonoTime now);

    // ---- events
    Actions saw(const Sight& sight, MonoTime now);
    /// Somebody started it while a rewind or a clone has its directory, which it would write to.
    Actions intruded() const;
    /// The postmaster was asked at `asked`, and did (not) answer a new connection.
    Actions probed(bool answered, MonoTime asked, MonoTime now);
    /// A manager's answer to the heartbeat that left at `sent`.
    Actions answered(MonoTime sent, const agent::Grant& grant, MonoTime now);
    /// `member` promised, at our request that left at `asked`.
    Actions vouched(const InstanceKey& member, MonoTime asked, milliseconds span, MonoTime now);
    /// wake_at() has come, or anything else makes it worth while to look at the time.
    Actions tick(MonoTime now);
    /// kept() as it was at `version` is on disk.
    Actions saved(uint64_t version, MonoTime now);
    /// A manager of this epoch was heard: from now on the server is kept down when it is down, and what an
    /// older one says counts no more.
    Actions heard_epoch(uint64_t epoch, MonoTime now);
    /// The data directory was read. With `adopt` the one that was guarded before may have been another one;
    /// without, that is error refused_by_policy.
    Result<Actions> identified(const std::string& system_identifier, bool adopt, MonoTime now);
    /// A start failed; `why` is for people.
    Actions start_failed(std::string why, MonoTime now);

    // ---- peers
    agent::Vouched asked_to_vouch(const agent::Vouch& vouch, MonoTime now);

    // ---- orders
    /// May this be done now? Error conflict or refused_by_policy, which says what must be done first.
    Result<void> accepts(const agent::Order& order, MonoTime now) const;
    /// The deed begins, and what is needed for it is lifted: start and restart lift Hold::down, and ask who
    /// could be promoted, so that lease_holds() before the server runs. Precondition: none is under way, or a
    /// job that goes over to a start.
    Actions begin(Deed deed, MonoTime now);
    /// Started now as what it is, it would not have to be stopped at once.
    bool lease_holds(MonoTime now) const {
        return sight_.standby_signal || holder_.verdict(now).deed != agent::LeaseDeed::stop;
    }
    /// While that is waited for: asks again, now and then.
    Actions ask_for_lease(MonoTime now);
    /// An order lifted the hold: whoever likes may start it. Until it runs again it is not held for being
    /// found down.
    Actions let_go(MonoTime now);
    /// It is over, well or not.
    Actions end(MonoTime now);
    Deed deed() const { return deed_; }
    /// Stops it now and keeps it so.
    Actions fence(const std::string& why, MonoTime now) { return fence_since(why, now, now); }
    Actions hold(Hold hold, const std::string& why, MonoTime now);
    /// Must not be started at all; "" lifts it.
    Actions quarantine(const std::string& why, MonoTime now);
    /// It has got a role: nothing holds it, nothing binds it, and it may promise again.
    Actions given_role(MonoTime now);
    /// Promises no more. That may be said when cleared().
    Actions stand_clear(MonoTime now);
    /// It stands clear, that is on disk, and the last promise has run out.
    bool cleared(MonoTime now) const { return durable() && voucher_.free(now); }
    MonoTime promised_until() const { return voucher_.promised_until(); }
    Actions vouch_again(MonoTime now);

    // ---- what is so
    /// Look at the time then at the latest (tick); MonoTime::max(): nothing is waited for.
    MonoTime wake_at() const { return wake_at_; }
    const Kept& kept() const { return kept_; }
    uint64_t version() const { return version_; }
    bool durable() const { return saved_ >= version_; }
    const agent::Grant& grant() const { return holder_.grant(); }  ///< in force
    /// The grant that is on disk and so may be acknowledged; epoch 0: there is none.
    const agent::Grant& acknowledged() const { return acknowledged_; }
    /// The fields that the guard knows; disks, control data, job and version of the programs are others'.
    agent::Status status(MonoTime now) const;
    ServerState state() const { return state_; }
    /// Alive, and no standby: it may take writes.
    bool is_primary() const { return sight_.postmaster && !sight_.standby_signal; }
    const Sight& sight() const { return sight_; }
    bool frozen() const { return frozen_since_.has_value(); }

  private:
    bool gone() const { return looked_ && !sight_.postmaster && !sight_.others; }
    bool lease_binds() const;
    void note_lateness(MonoTime now);
    Actions settle(MonoTime now);
    Actions keep_down(MonoTime now);
    Actions enforce_lease(MonoTime now);
    Actions lease_ended(MonoTime now);
    Actions hold_changed();
    Actions grant_changed(const agent::Grant& grant);
    Actions fence_since(const std::string& why, MonoTime ended, MonoTime now);
    void remember_clear();
    void note_birth_and_death(const Sight& before, MonoTime now);
    ServerState present_state(MonoTime now) const;
    ServerState state_when_gone() const;
    bool unresponsive(MonoTime now) const;
    void wake_by(MonoTime t);
    void forget_old_crashes(MonoTime now);
    Result<void> accepts_start(const agent::Order& order) const;
    Result<void> accepts_promote(MonoTime now) const;
    Result<void> accepts_role(const agent::Order& order) const;

    GuardOptions options_;
    Kept kept_;
    bool had_manager_;
    uint64_t version_ = 0;
    uint64_t saved_ = 0;
    uint64_t hold_version_ = 0;   ///< at which hold or quarantine changed last
    uint64_t grant_version_ = 0;  ///< at which the grant did
    Hold said_hold_;              ///< as it is on disk
    agent::Grant acknowledged_;   ///< likewise
    agent::LeaseHolder holder_;
    std::optional<MonoTime> pending_sent_;  ///< kept_.grant is not in force yet; its heartbeat left then
    agent::Voucher voucher_;

    bool looked_ = false;
    Sight sight_;
    ServerState state_ = ServerState::unknown;
    MonoTime state_since_;
    Deed deed_ = Deed::none;

    MonoTime wake_at_ = MonoTime::max();
    bool late_ = false;         ///< the agent was asleep, or has just started: nobody watched the lease
    bool just_started_ = true;  ///< no verdict on the lease yet
    std::optional<MonoTime> frozen_since_;
    std::optional<MonoTime> quit_at_;  ///< from when SIGQUIT had to be sent
    std::optional<MonoTime> asked_at_;

    std::optional<MonoTime> stopped_since_;
    std::optional<MonoTime> silent_since_;  ///< asked then, and never answered since
    std::optional<MonoTime> born_;          ///< first seen alive
    bool let_go_ = false;                   ///< it is down and may be started by anybody
    int crashes_ = 0;
    std::string last_failure_;
};

}  // namespace baton::host
