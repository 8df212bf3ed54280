#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "agent/lease.h"
#include "agent/protocol.h"
#include "base/clock.h"

namespace baton::agent {

/// How a long deed ended, as far as it was heard.
enum class JobOutcome : uint8_t {
    done,
    failed,
    cancelled,
    unknown  ///< agent or manager were away when it ended, and what the agent says now does not tell
};
std::string_view to_string(JobOutcome outcome);

struct EndedJob {
    uint64_t order = 0;
    std::string verb;
    JobOutcome outcome = JobOutcome::unknown;
    std::string error;   ///< why not
    std::string detail;  ///< for people, of one that is done
    MonoTime at{};       ///< when it was heard
};

/// What the manager knows of one guarded server.
struct Seen {
    Status status;
    std::string agent;         ///< id
    std::string host;          ///< the agent's name for its host
    std::string version;       ///< of the agent
    std::string address;       ///< where it connected from
    std::string peer_address;  ///< where it vouches; "" = nowhere
    bool connected = false;    ///< there is a session, and its last heartbeat is younger than three intervals
    MonoTime heard{};          ///< last frame (control clock)
    MonoTime answered{};  ///< when we last let an answer to its heartbeat go out; epoch = never in this life
    GrantLog grants;      ///< which may be in force there
    uint64_t sessions = 0;  ///< how often it has connected
    std::optional<EndedJob> last_job;
};

/// Since the manager began; `connected` is of this moment.
struct Counters {
    size_t connected = 0;  ///< agents
    uint64_t beats = 0;
    uint64_t orders = 0;
    uint64_t orders_failed = 0;
    uint64_t refused = 0;  ///< connections that were not let in
};

/// The agents of the fleet, as the manager uses them: evidence, and hands. Control thread only. The real one
/// is in fleet/, the simulated one in sim/; `no_agents()` is the one of a manager that serves none.
class Agents {
  public:
    virtual ~Agents() = default;
    /// By key or alias of the guarded server; nullptr: no agent ever told of it. Valid until the next await.
    virtual const Seen* of(const InstanceKey& key) const = 0;
    virtual std::vector<Seen> all() const = 0;
    /// Sends an order and waits for its end. `id` and `epoch` are filled in here. Errors: not_found (no
    /// agent), unreachable (not connected, or the connection ended before the answer: the deed may have been
    /// done), timeout, and what the agent itself says.
    virtual Task<Result<Done>> order(Order order) = 0;
    /// Ends a job early; what can be undone is undone.
    virtual Result<void> cancel(const InstanceKey& key) = 0;
    /// From now on the answers to heartbeats of `primary` carry this (its epoch and number are filled in, and
    /// a grant that changes nothing is none). It counts when Seen::grants.last_acknowledged() has it.
    virtual void grant(const InstanceKey& primary, Grant grant) = 0;
    /// While on, heartbeats of that server's agent get no answer: its lease runs out.
    virtual void withhold(const InstanceKey& primary, bool on) = 0;
    /// A guarded server's state, hold, job or connection changed.
    virtual void on_change(std::function<void(const InstanceKey&)> callback) = 0;
    virtual uint64_t epoch() const = 0;
    virtual Counters counters() const { return {}; }
};

/// Connected, and the status is young enough to be believed.
inline const Seen* connected(const Agents& agents, const InstanceKey& key) {
    const auto* seen = agents.of(key);
    return seen != nullptr && seen->connected ? seen : nullptr;
}

Agents& no_agents();

}  // namespace baton::agent
