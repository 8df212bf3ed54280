#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "sim/action.h"
#include "sim/connection.h"
#include "sim/ground.h"
#include "sim/random.h"
#include "sim/synchronous.h"
#include "sim/wal.h"
#include "topology/observation.h"

namespace baton::sim {

/// How long things take on a server; the ranges were measured on PostgreSQL 15. A test may change them.
struct Pace {
    using Range = std::pair<Duration, Duration>;
    Range session_ends{milliseconds(9), milliseconds(15)};  ///< backends notice that the postmaster is gone
    Range receiver_notices{milliseconds(11), milliseconds(84)};  ///< that its upstream is gone
    Range receiver_connects{milliseconds(12), milliseconds(45)};
    Range promotion{milliseconds(25), milliseconds(101)};
    Range crash_recovery{milliseconds(300), milliseconds(1000)};
    Range start{milliseconds(200), milliseconds(600)};
    Range flush{std::chrono::microseconds(200), std::chrono::microseconds(800)};
    Range replay{std::chrono::microseconds(100), std::chrono::microseconds(600)};
    Range statement{milliseconds(2), milliseconds(6)};    ///< ALTER SYSTEM, reload, making a slot
    Range shutdown{milliseconds(20), milliseconds(200)};  ///< the last checkpoint
    /// A standby that goes over to another timeline copies the segment of the fork anew. 0 = that takes no
    /// time.
    Range segment_copy{};
    int trap_percent = 33;  ///< promotions asked for within trap_window that sleep out the retry interval
    Duration trap_window = milliseconds(10);
};

/// A model of one PostgreSQL server: what it holds, whom it streams from and to, what state its processes are
/// in, and how all this looks to a session. Driven by the scheduler; every delay comes from the seed.
class Server {
  public:
    Server(Ground& ground, InstanceKey key, std::string system_identifier);
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    const InstanceKey& key() const { return key_; }
    const std::string& system_identifier() const { return system_identifier_; }
    Pace pace;
    topology::Settings settings;
    topology::Upstream conninfo;      ///< of a standby
    std::set<std::string> forbidden;  ///< verbs that the manager's role may not use: "promote", "follow", …
    bool can_see_all = true;          ///< false: pg_monitor is missing
    Duration replay_takes{};          ///< of every record, on top of the pace
    int version_num = 150018;
    int drift_ppm = 0;                    ///< its clock gains this much: its time-outs come so much earlier
    int64_t wal_keep_bytes = 0;           ///< what is older goes unless a slot holds it; 0 = everything stays
    int64_t max_slot_wal_keep_bytes = 0;  ///< a slot that would hold more is lost; 0 = no limit

    // Setting up, before time begins to run.
    void become_primary(BranchPtr branch);
    /// Has all that `upstream` has; streams as soon as time runs.
    void become_standby(Server& upstream, bool with_slot);
    /// It was promoted by mistake once and wrote `bytes`, and is a standby again without a rewind.
    void become_diverged(uint64_t bytes);

    // Faults and their ends.
    void kill();           ///< kill -9 of every process; the host answers with RST
    void crash_backend();  ///< one backend dies; the postmaster recovers by itself
    /// As pg_ctl stop does. "fast" ends sessions; "smart" lets clients finish, for half a minute, and lets no
    /// others in. A primary ends when the standbys that it can reach have all it wrote, a standby at once.
    void shutdown(bool fast = true);
    /// Before a kill: whole pages were flushed and sent, and the last of them ends within a record.
    void leave_partial_record();
    void start();  ///< with whatever role its directory says
    /// An operator wipes it, dead or alive, and makes it a standby of `from`, which takes so long.
    void reclone(Server& from, bool with_slot, Duration takes = seconds(2));
    void restart();
    /// Its agent makes its directory that of a standby; dead.
    void become_standby_of(const InstanceKey& upstream, const std::string& slot);
    /// Dead: its contents become those of `from`, which must run and be in reach. False: nothing was done.
    bool take_copy_of(const Server& from);
    /// Its disk takes no writes: what is to be written waits.
    void stall_writes(bool on);
    void power_off();  ///< the host vanishes
    void power_on();
    void hang();             ///< SIGSTOP to every process
    void hang_postmaster();  ///< SIGSTOP to the postmaster alone: what was connected goes on
    void resume();
    void exhaust_connections(bool on) {
        connections_exhausted_ = on;
        changed();
    }
    void refuse_logins(bool on) {
        logins_refused_ = on;
        changed();
    }
    /// A firewall or an operator ends the sessions of one party; the server is well.
    void break_sessions(const std::string& party);
    /// A lock on the catalog: statements that look wait, a mere proof of life does not.
    void block_looks(bool on);
    void lose_slot(const std::string& name);
    /// An operator makes it anew.
    void mend_slot(const std::string& name);
    /// The startup process gets stuck: a promotion that was asked for never ends.
    void stall_promotions(bool on);
    /// Cable or firewall changed: what was waiting for a link goes on.
    void network_changed();

    // What a session meets.
    bool listens() const { return state_ != State::dead; }
    bool running() const { return state_ == State::running; }
    bool shuts_down() const { return running() && stopping_ != Stopping::no; }
    bool hung() const { return hung_; }
    bool hung_for_new_sessions() const { return hung_ || postmaster_hung_; }
    std::optional<Failure> refuses_login(const std::string& party) const;
    void add_session(const ConnectionPtr& session);

    // Statements.
    void look(std::function<void(topology::Observation)> answer);
    bool in_recovery() const { return in_recovery_; }
    /// A commit: replies when it is durable here, and on the synchronous standbys.
    void write(uint64_t row, Reply reply);
    Result<void> request_promotion();
    void follow(engine::FollowOrder order, std::function<void(Result<engine::FollowHow>)> answer);
    void restart_receiver(Reply reply);
    void create_slot(const std::string& name, Reply reply);
    void drop_slot(const std::string& name, Reply reply);
    void pause_replay(bool paused);
    void change_setting(const std::string& verb, std::function<void(topology::Settings&)> change,
                        Reply reply);

    // For checkers and tests.
    /// Another one with each start and each end of its processes.
    uint64_t life() const { return life_; }
    /// Answers those who come anew: not dead, starting, stopped or full.
    bool serves() const {
        return running() && stopping_ == Stopping::no && !hung_for_new_sessions() && !connections_exhausted_;
    }
    /// The server it streams from, and truly so: both run, and WAL gets through. Null otherwise.
    const Server* receives_from() const;
    bool accepts_writes() const;
    bool looks_blocked() const { return looks_blocked_; }
    /// Open ones of a party.
    size_t sessions_of(const std::string& party) const;
    size_t sessions() const;
    /// All that was received or written; the last bytes may be part of a record.
    Lsn received() const { return std::max(position_, partial_end_); }
    /// It copies the segment of the fork, so far up to here.
    const std::optional<Lsn>& half_copied() const { return half_copied_; }
    /// The oldest WAL that a standby can still ask for.
    Lsn oldest_wal() const;
    bool replay_paused() const { return replay_paused_; }
    bool streaming() const { return receiver_ && receiver_->streaming; }
    std::optional<InstanceKey> streams_from() const;
    Timeline timeline() const { return branch_ ? branch_->timeline : 0; }
    Lsn position() const { return position_; }
    const BranchPtr& branch() const { return branch_; }
    std::vector<uint64_t> rows() const { return rows_of(branch_, position_); }
    int promotions() const { return promotions_; }
    const std::map<std::string, topology::Slot>& slots() const { return slots_; }
    /// It holds for `standby` nothing of what that lacks: the slot was lost, or was made anew and not used
    /// since.
    bool has_given_up(const Server& standby) const;

  private:
    enum class State : uint8_t { dead, starting, running };
    enum class Stopping : uint8_t { no, smart, fast };
    struct Receiver {
        InstanceKey upstream;
        Server* from = nullptr;
        int pid = 0;  ///< of the walsender
        bool streaming = false;
        MonoTime last_message{};
        Lsn latest_end;
    };
    /// A walsender.
    struct Downlink {
        Server* standby = nullptr;
        uint64_t generation = 0;
        std::string name;
        std::string slot;
        Lsn sent, flushed, replayed;
        MonoTime last_arrival{};  ///< of what was sent: nothing overtakes
    };
    struct Commit {
        Row row;
        Reply reply;
    };

    // server.cc
    void note(const std::string& what) { ground_.trace.note(key_.host, what); }
    void changed() const { ground_.tell(&Watcher::changed); }
    void deed(std::string_view verb, const std::string& detail) const {
        ground_.tell(&Watcher::deed, *this, verb, detail);
    }
    /// What `wait` by its own clock is by the world's.
    Duration own(Duration wait) const {
        return drift_ppm == 0 ? wait : wait - wait / (1'000'000 + drift_ppm) * drift_ppm;
    }
    /// What `time` by the world's clock is by its own.
    Duration measured(Duration time) const { return time + time / 1'000'000 * drift_ppm; }
    Duration draw(const Pace::Range& range) { return random_.between(range.first, range.second); }
    /// Runs `action` unless the server's processes have died in between.
    template <class F>
    void later(Duration wait, F action) {
        ground_.scheduler.after(own(wait), [this, life = life_, action = std::move(action)]() mutable {
            if (life != life_ || state_ == State::dead) return;
            if (hung_) {
                held_.emplace_back(std::move(action));
            } else {
                action();
            }
        });
    }
    void end_sessions(Duration wait, const std::string& message, const std::string& sqlstate);
    void drop_processes(State next = State::dead);
    void come_up(const std::string& what);
    std::optional<Error> may(const std::string& verb) const;
    void finish_promotion();
    void promote_later(Duration wait);

    void change_upstream();

    // outage.cc
    void stop_when_empty(MonoTime at_latest);
    void stop_fast();
    void stop_when_sent(MonoTime at_latest);
    void stopped();
    void finish_reclone(Server& from, bool with_slot);
    void die_of_half_a_copy();
    void skip_partial_record();
    void replay_what_is_there();
    void adopt(const BranchPtr& branch);
    void give_up_slots();
    void end_sender_of(const std::string& slot);

    // replication.cc
    void start_receiver();
    void fork_receiver(uint64_t generation);
    void say_goodbye(Server& from, int pid, Duration again);
    /// `again`: after how long a SYN without an answer is sent again.
    void attempt(uint64_t generation, size_t host, Duration again = milliseconds(1000));
    void attempt_failed(uint64_t generation, size_t host, const std::string& reason);
    std::optional<std::string> refuses_standby(const Server& standby, bool needs_primary) const;
    void begin_streaming(uint64_t generation, const InstanceKey& host, Server& upstream);
    void stop_receiver();
    void upstream_gone(uint64_t generation, Duration wait);
    void watch_timeout(uint64_t generation);
    void keep_alive(uint64_t generation);
    void push();
    void push_to(int pid);
    void deliver(uint64_t generation, BranchPtr branch, Lsn end, Lsn partial);
    void confirm(int pid, Lsn flushed, Lsn replayed);
    void schedule_replay(Lsn end);
    void drop_downlink(int pid);
    void drop_downlinks(Duration least_wait);
    void release_commits();
    std::vector<StandbyPosition> standby_positions() const;
    void note_receiver(const std::string& what);

    // observe.cc
    topology::Observation observe() const;
    std::optional<topology::Receiver> observe_receiver() const;
    std::vector<topology::Sender> observe_senders() const;

    Ground& ground_;
    const InstanceKey key_;
    const Network::HostId host_;
    const std::string system_identifier_;
    Random random_;

    State state_ = State::running;
    uint64_t life_ = 0;  ///< of the present processes
    MonoTime started_at_{};
    bool hung_ = false;
    bool postmaster_hung_ = false;
    bool connections_exhausted_ = false;
    bool logins_refused_ = false;
    bool looks_blocked_ = false;
    Stopping stopping_ = Stopping::no;
    bool promotions_stall_ = false;
    bool writes_stall_ = false;
    std::vector<std::function<void()>> stalled_writes_;
    std::vector<std::weak_ptr<Connection>> sessions_;
    std::vector<std::function<void()>> blocked_looks_;
    std::vector<Action> held_;  ///< what the stopped processes would have done meanwhile

    bool in_recovery_ = false;
    BranchPtr branch_;
    Lsn position_;  ///< primary: flushed; standby: received
    Lsn replayed_;
    Lsn partial_end_;                 ///< of bytes after the last complete record; before it: there are none
    std::optional<Lsn> half_copied_;  ///< of the timeline it went over to
    mutable Lsn oldest_wal_;          ///< what is before it was removed
    bool replay_paused_ = false;
    MonoTime newest_{};       ///< when the last of its WAL reached it
    MonoTime last_commit_{};  ///< replayed or written
    std::map<std::string, topology::Slot> slots_;
    std::optional<Receiver> receiver_;
    uint64_t generation_ = 0;       ///< of the receiver
    bool receiver_wanted_ = false;  ///< as soon as the replay goes on
    std::string receiver_trouble_;
    std::map<int, Downlink> downlinks_;
    int next_pid_ = 100;
    std::deque<Commit> commits_;

    std::optional<MonoTime> upstream_lost_at_;
    int promotion_requests_ = 0;
    bool promotion_asleep_ = false;
    uint64_t promotion_ = 0;  ///< the one that is under way
    int promotions_ = 0;
};

}  // namespace baton::sim
