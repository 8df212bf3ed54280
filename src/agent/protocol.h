#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "topology/host.h"
#include "topology/instance_key.h"
#include "topology/observation.h"

/// What a host agent, its managers and its peers say to each other: values, and their one text form. A frame
/// is one JSON object on one line (codec.h). The agent connects out to every manager; agents connect to each
/// other only to vouch. Pure; any thread.
///
/// Times in frames are durations or the sender's own CLOCK_BOOTTIME, which only the sender itself reads
/// again: no two hosts' clocks are ever compared, and wall clocks take no part.
namespace baton::agent {

using topology::Disk;
using topology::DiskHealth;
using topology::Hold;
using topology::InstanceKey;
using topology::Job;
using topology::Lsn;
using topology::ServerState;
using topology::Timeline;

inline constexpr int protocol_version = 1;
/// A longer line ends the connection.
inline constexpr size_t frame_limit = 1024UL * 1024;

/// Parts of pg_controldata (PostgreSQL manual, pg_controldata).
struct ControlData {
    std::string state;  ///< "in production", "shut down", "shut down in recovery", …
    std::string system_identifier;
    Timeline timeline = 0;  ///< of the latest checkpoint
    Lsn checkpoint;         ///< where the record of the latest checkpoint begins
    Lsn redo;
    Lsn minimum_recovery_end;
    Timeline minimum_recovery_end_timeline = 0;
    bool wal_log_hints = false;
    bool data_checksums = false;
    /// It was stopped in order, and its last record is that checkpoint.
    bool shut_down() const { return state == "shut down"; }
    bool operator==(const ControlData&) const = default;
};

struct LeaseState {
    bool on = false;
    std::vector<InstanceKey> promotable;  ///< L: who the agent knows may be promoted in this one's place
    std::string held_by;                  ///< "heartbeat", "vouches", "nobody can take over", "" = not held
    Duration left{};
    bool operator==(const LeaseState&) const = default;
};

/// One server that an agent guards.
struct Status {
    InstanceKey key;  ///< host:port under which others reach it
    topology::Engine engine = topology::Engine::postgresql;
    std::string data_directory;
    std::string system_identifier;  ///< of the data directory; "" while it cannot be read
    std::string version;            ///< of the programs, "15.18"
    ServerState state = ServerState::unknown;
    bool standby_signal = false;  ///< started now, it would be a standby
    int postmaster_pid = 0;
    int64_t started_at_us = 0;  ///< by the host's wall clock, as the server itself says it
    Duration in_state{};
    int crashes = 0;  ///< starts that failed in a row, and deaths within ten seconds of a start
    std::string last_failure;
    ControlData control;  ///< as last read: at each change of state
    Hold hold = Hold::none;
    std::string
        quarantine;        ///< why it must not be started at all ("rewind from db2:5432 was interrupted"); ""
    bool vouches = false;  ///< it promises, at present, not to be promoted
    std::optional<Disk> data_disk;
    std::optional<Disk> wal_disk;  ///< where it is another one
    LeaseState lease;
    std::optional<Job> job;
    std::string in_the_way;  ///< what else starts and stops the server, a sentence; ""
    /// Of the agent's own certificate; zero: it is good no more. By the wall clock of its host, as of dates.
    std::optional<Duration> certificate_left;
    bool operator==(const Status&) const = default;
};

/// Whose server may be promoted, and where its agent answers peers.
struct Member {
    InstanceKey key;
    std::string agent_address;  ///< "host:port"; "" = it listens nowhere, and so cannot vouch
    bool operator==(const Member&) const = default;
};

/// What a manager tells the agent of a primary with each answer to a heartbeat (lease.h).
struct Grant {
    uint64_t epoch = 0;
    uint64_t number = 0;  ///< counts the grants of one epoch and server; an older one is ignored
    bool on = false;      ///< false: no lease binds this server
    milliseconds lease{2000};
    std::vector<Member> promotable;
    bool operator==(const Grant&) const = default;
};

// ---- agent → manager

struct Hello {
    int protocol = protocol_version;
    std::string version;  ///< of the program
    std::string agent;    ///< a random id that the agent keeps on disk
    std::string host;     ///< its own name for its host
    std::string boot;     ///< of its host
    std::string token;    ///< shared secret; "" where client certificates do
    std::string peer_address;
    uint64_t epoch = 0;  ///< the highest that it has seen
    std::vector<Status> instances;
    std::vector<std::string> poolers;  ///< their names, as orders name them
    bool operator==(const Hello&) const = default;
};

/// Sent every HeartbeatMilliseconds, and at once when something changed. At most one unanswered one is timed.
struct Beat {
    uint64_t seq = 0;
    int64_t sent_us = 0;  ///< the agent's CLOCK_BOOTTIME; comes back in the answer
    uint64_t epoch = 0;
    bool changed = false;  ///< out of turn: something happened
    std::vector<Status> instances;
    /// The grants that are in force here, by instance: what a manager may count on.
    std::vector<std::pair<InstanceKey, Grant>> acknowledged;
    bool operator==(const Beat&) const = default;
};

struct Progress {
    uint64_t order = 0;
    Job job;
    bool operator==(const Progress&) const = default;
};

struct Done {
    uint64_t order = 0;
    std::optional<Error> error;
    std::string detail;  ///< for people
    std::optional<Status> status;
    std::optional<topology::WalPast> past;  ///< wal_past: "3 commits" are listed in `detail`
    bool operator==(const Done&) const = default;
};

// ---- manager → agent

/// The answer to Hello; comes again when the manager's epoch has risen.
struct Welcome {
    int protocol = protocol_version;
    std::string version;
    std::string manager;  ///< its host name, for people
    uint64_t epoch = 0;
    milliseconds heartbeat{500};
    bool operator==(const Welcome&) const = default;
};

/// The last frame before the manager closes.
struct Refusal {
    std::string reason;
    bool operator==(const Refusal&) const = default;
};

struct BeatAnswer {
    uint64_t seq = 0;
    int64_t sent_us = 0;  ///< as it came
    std::vector<std::pair<InstanceKey, Grant>> grants;
    bool operator==(const BeatAnswer&) const = default;
};

/// The closed list of what an agent does when asked.
enum class Verb : uint8_t {
    start,         ///< as the data directory says; lifts Hold::down, never Hold::fenced
    stop,          ///< `mode`; the server stays down until a start or make_standby (Hold::down)
    restart,       ///< stop and start, role unchanged
    reload,        ///< pg_ctl reload
    promote,       ///< pg_ctl promote, without waiting; refused while it vouches
    make_standby,  ///< standby.signal, primary_conninfo to `upstream`, `slot`; starts it; lifts all holds
    /// pg_rewind from `upstream`, then as make_standby. Error unsupported: this directory cannot be rewound,
    /// a clone can replace it; conflict: the source is a standby, or has not ended its first checkpoint.
    rewind,
    clone,         ///< pg_basebackup from `upstream` beside the old directory, then as make_standby
    fence,         ///< stop at once (SIGQUIT, then SIGKILL) and Hold::fenced
    unfence,       ///< lifts the hold; starts nothing
    control_data,  ///< reads it afresh; the answer's status carries it
    stand_clear,   ///< `on`: vouches no more, and answers when its last promise has run out; off: may again
    /// Connects to `upstream` from here: done = it answers; for "does the standby's host see it". Of a host
    /// itself (`instance` without a port) it is done in any case, and Done::detail says why it does not
    /// answer; "" = it does.
    ask,
    route,  ///< PgBouncer on this host: `databases` to `upstream`, then reload
    /// PgBouncer on this host is about to hold the clients of `databases` (`on`): who holds them for longer
    /// than `span` is gone. They then go on by themselves: to `upstream`, where the server that they were led
    /// to does not answer. Done when that is on disk. Off: nothing will be done.
    hold,
    wal_past,  ///< reads what WAL of `timeline` there is past `position`: Done::past. Changes nothing
};
std::string_view to_string(Verb verb);

struct Order {
    uint64_t id = 0;
    uint64_t epoch = 0;  ///< one older than the agent has seen is refused (conflict)
    InstanceKey instance;
    Verb verb{};
    milliseconds deadline{
        30000};                 ///< from its arrival; then it is cancelled and undone where that is possible
    std::string mode = "fast";  ///< stop: "fast", "immediate", "smart"
    InstanceKey upstream;
    std::string slot;
    bool on = true;                      ///< stand_clear, hold
    int64_t maximum_rate_kbps = 0;       ///< clone: KiB/s, 0 = unlimited
    std::string router;                  ///< route, hold: name of the pooler in the agent's configuration
    std::vector<std::string> databases;  ///< route, hold: empty = all of them
    milliseconds span{1000};             ///< hold
    Timeline timeline = 0;               ///< wal_past
    Lsn position;                        ///< wal_past: a record's end, which the WAL is read from
    bool operator==(const Order&) const = default;
};

/// Meant for a host, and for no server there.
inline bool of_host(const Order& order) {
    return order.verb == Verb::route || order.verb == Verb::hold ||
           (order.verb == Verb::ask && order.instance.port == 0);
}

struct Cancel {
    uint64_t order = 0;
    bool operator==(const Cancel&) const = default;
};

// ---- agent → agent: the agent of a primary asks that of a promotable standby

/// "Will you see to it that `member` is not promoted in place of `primary` for this long from now?"
struct Vouch {
    uint64_t seq = 0;
    std::string token;
    InstanceKey primary;
    InstanceKey member;
    std::string system_identifier;
    milliseconds span{1000};
    bool operator==(const Vouch&) const = default;
};
struct Vouched {
    uint64_t seq = 0;
    bool promised = false;
    std::string reason;  ///< why not
    bool operator==(const Vouched&) const = default;
};

using Frame =
    std::variant<Hello, Beat, Progress, Done, Welcome, Refusal, BeatAnswer, Order, Cancel, Vouch, Vouched>;

}  // namespace baton::agent
