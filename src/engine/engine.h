#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "topology/activity.h"
#include "topology/instance.h"

/// One interface to every kind of database (PostgreSQL here, MySQL beside it, a model of either in the
/// simulated world). Everything runs on the control thread; every call has a deadline and returns failures as
/// values.
namespace baton::engine {

using topology::InstanceKey;
using topology::Lsn;
using topology::Observation;
using topology::Reach;
using topology::Timeline;

using ObservationPtr = std::shared_ptr<const Observation>;

/// Why an attempt to look at a server gave nothing.
struct Unreached {
    Reach reach = Reach::unknown;
    Error error;
    bool on_new_connection =
        true;  ///< false: an established session failed, which alone proves nothing about new ones
};

using Looked = std::expected<ObservationPtr, Unreached>;

/// One persistent session to one server, for watching it. One call at a time.
class Probe {
  public:
    virtual ~Probe() = default;
    /// One round trip on the session; connects first where there is none. After a failure there is no session
    /// left.
    virtual Task<Looked> look(MonoTime deadline) = 0;
    /// The cheapest proof of life on the same session; connects first where there is none.
    virtual Task<std::expected<void, Unreached>> touch(MonoTime deadline) = 0;
    virtual bool connected() const = 0;
    /// Called once when an idle session ends (RST, FIN, FATAL): the kernel's word, milliseconds after the
    /// server's death.
    virtual void on_broken(std::function<void()> callback) = 0;
    virtual void disconnect() = 0;
};

struct Promotion {
    Duration took{};       ///< from the first request to leaving recovery
    bool already = false;  ///< it was out of recovery before the first request
};

/// After an error of a server that is to promote itself, and was asked so often by now: is it worth going on?
/// A connection that fails does not end a promotion that was asked for: the server may be about to do it, and
/// only its own refusal of the request tells that it will not.
inline bool may_yet_promote(const Error& e, int requests) {
    if (requests > 0)
        return e.kind != ErrorKind::privilege && e.kind != ErrorKind::sql && e.kind != ErrorKind::unsupported;
    return e.kind == ErrorKind::broken || e.kind == ErrorKind::timeout || e.kind == ErrorKind::starting_up ||
           e.kind == ErrorKind::too_many_connections;
}

struct FollowOrder {
    InstanceKey upstream;
    std::string slot;  ///< "" = the standby keeps what it has
    /// Where several hosts are listed, `upstream` goes to the front if that is permitted: libpq tries them in
    /// order, and on one that gives no answer at all it waits for minutes (PostgreSQL manual 34.1.1.3).
    bool first = false;
};

enum class FollowHow : uint8_t {
    rewritten,  ///< host and port of primary_conninfo were changed; all else was kept
    nudged      ///< it finds its primary itself (multi-host conninfo); it was only told to look now
};

/// What the manager's role may do on this server; each false comes with the SQL that mends it.
struct Privilege {
    std::string what;  ///< "promote", "rewire", …
    bool granted = false;
    bool required = true;
    std::string remedy;  ///< SQL to run, or what to do
};

/// How WAL archiving fares on this server.
struct Archiving {
    std::string mode;                         ///< "off", "on", "always"
    bool failing = false;                     ///< the last attempt failed
    int64_t failed_count = 0;                 ///< since the statistics began
    std::string last_failed_wal;              ///< name of the segment; "" = none failed yet
    std::optional<seconds> last_failure_age;  ///< by the server's own clock
};

/// Facts that only the doctor asks for.
struct Examination {
    std::vector<Privilege> privileges;
    bool superuser = false;
    std::optional<milliseconds> clock_offset;  ///< server's wall clock minus ours, less half the round trip
    std::vector<std::string> prepared_transactions;
    std::string primary_conninfo_masked;  ///< for people; "" on a primary
    std::optional<Archiving> archiving;
};

/// A session for deeds, beside the watching one: connects when first used, one call at a time.
class Actor {
  public:
    virtual ~Actor() = default;
    virtual Task<Result<void>> connect(MonoTime deadline) = 0;
    virtual Task<Result<bool>> in_recovery(MonoTime deadline) = 0;
    /// Asks for promotion, again every 50 ms, until the server has left recovery. Asking twice is harmless.
    /// `over` is consulted right before the first request, however long it took to be let in: true, and
    /// nothing is asked (cancelled).
    virtual Task<Result<Promotion>> promote(MonoTime deadline, std::function<bool()> over) = 0;
    Task<Result<Promotion>> promote(MonoTime deadline) { return promote(deadline, {}); }
    /// Requests for promotion that promote() has sent so far, answered or not: 0 proves that it was not
    /// asked.
    virtual int promotion_requests() const = 0;
    /// Makes a standby stream from another server, without a restart.
    virtual Task<Result<FollowHow>> follow(FollowOrder order, MonoTime deadline) = 0;
    /// Creates a physical slot that holds WAL from now on; success if it is there already.
    virtual Task<Result<void>> create_slot(std::string name, MonoTime deadline) = 0;
    /// Drops an inactive physical slot; success if there is none.
    virtual Task<Result<void>> drop_slot(std::string name, MonoTime deadline) = 0;
    /// Lets go of the WAL that an inactive physical slot holds back before `to`. Error conflict: it is in
    /// use.
    virtual Task<Result<void>> advance_slot(std::string name, topology::Lsn, MonoTime) {
        co_return fail(ErrorKind::unsupported, "this engine moves no slots", std::move(name));
    }
    /// Drops those of these logical slots that a standby has from its time as a primary, and that no copy of
    /// the primary's slot can take the place of while they are there. Nobody reads them. Their names.
    virtual Task<Result<std::vector<std::string>>> drop_left_over_slots(std::vector<std::string>, MonoTime) {
        co_return fail(ErrorKind::unsupported, "this engine has no copies of logical slots");
    }
    /// Makes the WAL receiver reconnect to the same upstream: back to streaming proves that the upstream
    /// lives.
    virtual Task<Result<void>> restart_receiver(MonoTime deadline) = 0;
    virtual Task<Result<void>> pause_replay(bool paused, MonoTime deadline) = 0;
    virtual Task<Result<void>> set_read_only(bool read_only, MonoTime deadline) = 0;
    virtual Task<Result<void>> set_synchronous_standby_names(std::string value, MonoTime deadline) = 0;
    virtual Task<Result<void>> end_session(int pid, MonoTime deadline) = 0;
    virtual Task<Result<topology::TimelineHistory>> timeline_history(Timeline timeline,
                                                                     MonoTime deadline) = 0;
    virtual Task<Result<Examination>> examine(MonoTime deadline) = 0;
    /// So that a shutdown soon after has little to write. Error unsupported: this engine has none.
    virtual Task<Result<void>> checkpoint(MonoTime) {
        co_return fail(ErrorKind::unsupported, "this engine has no checkpoint that could be asked for");
    }
    /// Before a planned stop. Error unsupported: this engine cannot tell.
    virtual Task<Result<topology::Activity>> activity(MonoTime) {
        co_return fail(ErrorKind::unsupported, "this engine cannot tell what is going on there");
    }
};

class Engine {
  public:
    virtual ~Engine() = default;
    virtual std::unique_ptr<Probe> make_probe(const InstanceKey& key) = 0;
    virtual std::unique_ptr<Actor> make_actor(const InstanceKey& key) = 0;
    /// Addresses of a name, from the cache where there is a fresh one; a failed lookup falls back on what was
    /// last known.
    virtual Task<Result<std::vector<std::string>>> resolve(std::string host, MonoTime deadline) = 0;
    /// Addresses that are known without asking; empty if never resolved.
    virtual std::vector<std::string> known_addresses(const std::string& host) const = 0;
    /// Names are looked up afresh when they are next needed; until that succeeds the old addresses stand in.
    virtual void forget_addresses() {}
};

}  // namespace baton::engine
