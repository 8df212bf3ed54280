#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "plan/plan.h"

/// How a server that was left behind comes back below the primary: as it is, rewound, or made anew. Pure.
namespace baton::plan {

enum class RejoinWay : uint8_t {
    nothing,     ///< it is where it belongs, or the business of somebody else
    wait,        ///< something must be known or done first
    examine,     ///< its agent must say what its WAL has past the fork
    start,       ///< started as a standby: all that it has, the primary has
    rewind,      ///< pg_rewind first: it has WAL that the primary does not have
    renew_slot,  ///< its slot lost WAL: it may still get on with a new one; where not, clone
    clone,       ///< made anew from the primary
    by_hand      ///< nobody allowed what it needs: Rejoin::allow says how
};
std::string_view to_string(RejoinWay way);

enum class RejoinPolicy : uint8_t {
    automatic,
    rewind_only,  ///< nothing is made anew without being asked for
    manual        ///< only by command
};

/// What the agent beside a server says of it, as far as it matters here.
struct Directory {
    bool agent = false;  ///< connected: there are eyes and hands
    topology::ServerState state = topology::ServerState::unknown;
    topology::Hold hold = topology::Hold::none;
    bool standby_signal = false;
    std::string quarantine;           ///< why it must not be started; ""
    std::string disk_trouble;         ///< what its disk is: "full", "hung", …; ""
    std::string job;                  ///< a long deed that is under way; ""
    std::string system_identifier;    ///< "" = cannot be read
    std::string control_state;        ///< pg_controldata: "in production", "shut down", …
    topology::Timeline timeline = 0;  ///< the newest that its control file knows
    Lsn checkpoint;                   ///< where the record of its latest checkpoint begins
    Lsn minimum_recovery_end;         ///< a standby's: it has at least this
    bool rewindable = false;          ///< wal_log_hints or checksums
    bool operator==(const Directory&) const = default;
};

struct RejoinWish {
    RejoinPolicy policy = RejoinPolicy::automatic;
    bool may_drop_writes = false;  ///< commits past the fork need nobody's leave
    bool manage_slots = true;
    bool asked = false;                     ///< an operator asked for it
    bool force = false;                     ///< … and allows that commits past the fork are lost
    bool anew = false;                      ///< … and wants it made anew whatever state it is in
    std::optional<InstanceKey> from;        ///< clone from this one; nothing: from the primary
    bool lost_in_recovery = false;          ///< a recovery left it behind
    bool rewind_failed = false;             ///< and would fail again
    bool damaged = false;                   ///< it was started, and its own files do not let it
    bool cannot_catch_up = false;           ///< it was started, and the WAL that it lacks is nowhere
    Lsn stuck_at;                           ///< … and had so much: it streams for moments, and gets no more
    bool examined = false;                  ///< the agent was asked what is past the fork
    std::optional<topology::WalPast> past;  ///< what it said; nothing: it could not tell
};

struct Rejoin {
    RejoinWay way = RejoinWay::nothing;
    std::string why;  ///< a sentence for people
    InstanceKey upstream;
    std::string slot;                 ///< on `upstream`; "" = none
    bool keep_upstream = false;       ///< start: it knows its upstream, and that one is right
    topology::Timeline timeline = 0;  ///< its own
    Lsn fork;                         ///< where the primary's history left that timeline
    /// What it has past the fork. Nothing: not known.
    std::optional<uint64_t> bytes_past;
    std::optional<int64_t> commits_past;
    std::string allow;  ///< by_hand: the command that allows it
};

/// What `instance` needs, to be a standby in its cluster again.
Rejoin plan_rejoin(const Cluster& cluster, const Instance& instance, const Directory& directory,
                   const RejoinWish& wish, MonoTime now);

/// "128 kB and 3 commits past the fork", as far as it is known.
std::string past_the_fork(const Rejoin& rejoin);

}  // namespace baton::plan
