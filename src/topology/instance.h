#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "topology/clients.h"
#include "topology/host.h"
#include "topology/observation.h"

namespace baton::topology {

/// What the last attempt to reach a server showed (design: detection works by evidence, not by a counter).
enum class Reach : uint8_t {
    unknown,               ///< never tried
    answering,             ///< last probe answered
    refused,               ///< host answers, nothing listens
    silent,                ///< no answer at all within the deadline, on a new connection too
    unresponsive,          ///< connects, but the server does not answer (stopped or hung)
    unreachable,           ///< no route, name does not resolve
    starting,              ///< 57P03
    too_many_connections,  ///< 53300
    not_permitted,         ///< authentication or TLS refused us
    failing                ///< answers, but with an error
};
std::string_view to_string(Reach reach);

/// The server is known to live although we get no observation out of it.
inline bool known_alive(Reach r) {
    return r == Reach::answering || r == Reach::starting || r == Reach::too_many_connections ||
           r == Reach::not_permitted || r == Reach::failing;
}

struct Health {
    Reach reach = Reach::unknown;
    std::optional<Error> error;             ///< of the last attempt
    MonoTime attempt_began{};               ///< start of the last attempt
    MonoTime last_attempt{};                ///< end of the last attempt
    MonoTime last_answer{};                 ///< epoch = never answered in this process's life
    std::optional<MonoTime> suspect_since;  ///< when the first of the present row of failures began
    bool confirmed = false;                 ///< a new connection failed too, after the old one did
    int failures = 0;                       ///< in a row
    Duration latency{};                     ///< of the last answer
    bool ok() const { return reach == Reach::answering; }
    /// Its host says that nobody listens there any more, on a new connection too.
    bool proven_dead() const { return confirmed && reach == Reach::refused; }
};

enum class PromotionRule : uint8_t { must, prefer, neutral, prefer_not, must_not };
std::string_view to_string(PromotionRule rule);
std::optional<PromotionRule> parse_promotion_rule(std::string_view text);

struct Downtime {
    std::string owner;
    std::string reason;
    WallTime begins{};
    WallTime ends{};
    bool operator==(const Downtime&) const = default;
};

struct Tag {
    std::string name;
    std::string value;
    auto operator<=>(const Tag&) const = default;
};

/// How far a standby is behind its cluster's primary. Both are 0 on an idle cluster that is caught up.
struct Lag {
    std::optional<uint64_t> receive_bytes;  ///< not yet received
    std::optional<uint64_t> replay_bytes;   ///< not yet replayed
    std::optional<int64_t> seconds;         ///< nothing when it cannot be told
};

/// One server as the snapshot shows it. Immutable.
struct Instance {
    InstanceKey key;
    std::vector<InstanceKey> aliases;  ///< other names that were proven to reach this very server
    Health health;
    std::shared_ptr<const Observation>
        seen;              ///< last good answer; null only for a server known from before a restart
    WallTime last_seen{};  ///< wall time of that answer
    std::string cluster_id;
    Role role = Role::unknown;            ///< last known
    std::optional<InstanceKey> upstream;  ///< last known edge; kept when the receiver is down (canonical key)
    bool upstream_known = false;          ///< upstream is an instance of this snapshot
    std::vector<InstanceKey> downstream;  ///< instances whose upstream is this one
    int depth = 0;                        ///< 0 = root
    Lag lag;
    PromotionRule promotion_rule = PromotionRule::neutral;
    bool is_candidate = false;  ///< an operator registered a promotion rule
    std::optional<Downtime> downtime;
    std::optional<Downtime> maintenance;
    std::vector<Tag> tags;
    std::string data_center, region, environment;
    /// Its old session answers, but new ones get no answer since then (a hung postmaster).
    std::optional<MonoTime> new_sessions_hang_since;
    /// Of its own timeline; read only where its number proves nothing: a standby that does not receive.
    std::shared_ptr<const TimelineHistory> history;
    std::optional<MonoTime>
        caught_up_at;  ///< last time that it had received and replayed all that was announced
    /// We made its receiver reconnect: until then its absence proves nothing about the upstream.
    std::optional<MonoTime> testimony_held_until;
    std::optional<MonoTime> streamed_until;  ///< last time that it was seen streaming
    std::optional<MonoTime> last_message;    ///< when its receiver last heard of its upstream, as then seen
    std::optional<MonoTime> stopped_by;      ///< first look since then that saw it without a sender
    std::optional<Host> host;        ///< what the agent beside it says; nothing where there never was one
    std::optional<Clients> clients;  ///< nothing where no agent of theirs was asked

    bool is_primary() const { return role == Role::primary; }
    bool is_standby() const { return role == Role::standby; }
    /// Streams right now, by its last answer, and that answer is good.
    bool replicating() const { return health.ok() && seen && seen->receiving() && !seen->replay_paused; }
    bool known_as(const InstanceKey& other) const;
    /// By the word of its agent, which keeps it so. Where it answered us after that word the agent guards
    /// another server than we see, and its word proves nothing.
    bool kept_down() const {
        if (!host || !host->kept_down()) return false;
        return !(health.ok() && seen && seen->asked_at > host->state_since);
    }
    bool proven_dead() const { return health.proven_dead() || kept_down(); }
};

}  // namespace baton::topology
