#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/protocol.h"
#include "base/time.h"

/// The law of the lease, as values: who may run, who may be promoted, and when. Both sides use it, in life
/// and in the simulated world. Pure: time is an argument. docs/fencing.md has the argument why it holds.
namespace baton::agent {

/// From the end of a lease to the moment at which nothing of the server runs any more, a late loop of its
/// agent included: SIGQUIT at once, SIGKILL kill_after later, counted from the end and not from the SIGQUIT.
/// A promise counts for so much longer on the side that gave it.
inline constexpr milliseconds stop_margin{250};
inline constexpr milliseconds kill_after{100};
/// How long a vouch is asked for. Nobody promises more.
inline constexpr milliseconds vouch_span{1000};
/// A server whose agent was away may stand still for so long (SIGSTOP) while the agent asks; then it is
/// ended.
inline constexpr milliseconds freeze_span{1000};
/// Who stands clear vouches again after this, even if its manager is never heard again. It must outlast
/// freeze_span, over a restart of the agent, too.
inline constexpr seconds clear_span{30};

/// What the agent of a primary does now.
enum class LeaseDeed : uint8_t {
    run,   ///< the lease is held
    ask,   ///< held, but it would end without vouches: ask every member of L (again)
    stop,  ///< it has ended: stop the server at once
};

struct LeaseVerdict {
    LeaseDeed deed = LeaseDeed::run;
    std::string held_by;  ///< as LeaseState::held_by
    MonoTime until{};     ///< of what holds it; MonoTime::max() where nothing can end it
    MonoTime look_again{};
};

/// The primary's side. `now` is CLOCK_BOOTTIME of its host.
class LeaseHolder {
  public:
    /// The agent has started: this grant was in force, and nothing is known to hold the lease.
    void restore(const Grant& grant, uint64_t highest_epoch);
    /// A manager said which epoch it is: what an older one says counts no more, and renews nothing.
    void heard_epoch(uint64_t epoch) { epoch_ = std::max(epoch_, epoch); }
    /// An answer to the heartbeat that left at `sent`; the grant is on disk. False: one of an older epoch
    /// than was heard of, or older than the one in force, is ignored.
    bool answered(MonoTime sent, const Grant& grant);
    /// `member` promised at our request that left at `asked`.
    void vouched(const InstanceKey& member, MonoTime asked, milliseconds span);
    LeaseVerdict verdict(MonoTime now) const;
    const Grant& grant() const { return grant_; }
    /// It is no primary any more, or was made anew: nothing binds it.
    void reset();

  private:
    Grant grant_;
    uint64_t epoch_ = 0;
    MonoTime answered_ = MonoTime::min();
    std::map<InstanceKey, MonoTime> vouched_until_;
};

/// The promotable standby's side. `now` is CLOCK_BOOTTIME of its host.
class Voucher {
  public:
    /// The agent has started: it may have promised a moment ago.
    void started(MonoTime now) { promised_until_ = now + vouch_span + stop_margin; }
    /// May it promise at `now`? The reason if not.
    std::optional<std::string> promise(MonoTime now, milliseconds span);
    /// From now on it promises nothing, until vouch_again() or for clear_span; promises that hold end at the
    /// time returned. The agent puts clear_until() on disk before it says so.
    MonoTime stand_clear(MonoTime now);
    void vouch_again() { clear_until_ = MonoTime::min(); }
    bool clear(MonoTime now) const { return now < clear_until_; }
    MonoTime clear_until() const { return clear_until_; }
    /// As it was on disk, if that was in the same boot of the host.
    void restore_clear(MonoTime until) { clear_until_ = until; }
    /// It may be promoted: it stands clear, and what it promised has run out.
    bool free(MonoTime now) const { return clear(now) && now >= promised_until_; }
    MonoTime promised_until() const { return promised_until_; }

  private:
    MonoTime clear_until_ = MonoTime::min();
    MonoTime promised_until_ = MonoTime::min();  ///< with stop_margin
};

/// Why the old primary may still take writes, as the managers see it; nothing = it may be replaced now.
struct Standoff {
    std::string reason;
    std::optional<MonoTime> until;  ///< when time alone ends it
};

/// Which grants may be in force at the agent of one primary: the one that it acknowledged last, and all that
/// were sent since. Who is missing in only one of them might be promoted while the agent lets its server run
/// without asking that one.
class GrantLog {
  public:
    void sent(const Grant& grant);
    void acknowledged(const Grant& grant);
    /// The agent has said in this life of the manager what is in force there.
    bool heard() const { return heard_; }
    /// A lease may bind the server: one of them says so.
    bool on() const;
    /// A lease surely binds the server: all of them say so.
    bool certain() const;
    /// The longest that may bind it.
    milliseconds lease() const;
    /// Were sent and not acknowledged yet.
    size_t pending() const { return grants_.size() - 1; }
    /// All say that `member` may be promoted (those that are off say nothing).
    bool promotable(const InstanceKey& member) const;
    const Grant& last_acknowledged() const { return grants_.front(); }
    const Grant& last_sent() const { return grants_.back(); }

  private:
    std::vector<Grant> grants_{Grant{}};  ///< acknowledged, then sent, oldest first; neighbours differ
    bool heard_ = false;
};

/// The manager's side of one primary.
struct LeaseView {
    bool on = false;              ///< a lease may bind it
    bool confirmed_dead = false;  ///< by its agent, which keeps it down
    milliseconds lease{2000};
    bool promotable = false;  ///< the candidate is in every grant that may be in force
    MonoTime answered{};      ///< last answer to its heartbeat; a manager that was restarted: its start
};

/// May `candidate` be promoted in its place at `now`?
std::optional<Standoff> standoff(const LeaseView& primary, const InstanceKey& candidate, MonoTime now);

/// How long after the last answer a server has surely been ended: the lease, stop_margin, and a twentieth of
/// the lease for the drift of both clocks (1 % each); at least a tenth in all.
Duration lease_and_margin(milliseconds lease);

}  // namespace baton::agent
