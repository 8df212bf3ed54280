#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "topology/instance.h"

namespace baton::discovery {

using topology::InstanceKey;
using topology::Observation;

/// What discovery knows of one server; the builder turns the members of a cluster into a snapshot.
struct Member {
    InstanceKey key;
    std::vector<InstanceKey> aliases;
    topology::Health health;
    std::shared_ptr<const Observation> seen;
    WallTime last_seen{};
    std::string cluster_id;
    topology::Engine engine = topology::Engine::unknown;
    topology::Role role = topology::Role::unknown;
    std::string version;
    std::optional<InstanceKey> edge;  ///< upstream as last known; may be an alias of a member
    std::optional<MonoTime> streamed_until;
    std::optional<MonoTime> last_message;
    std::optional<MonoTime> stopped_by;
    std::optional<MonoTime> caught_up_at;
    std::optional<MonoTime> testimony_held_until;
    std::shared_ptr<const topology::TimelineHistory> history;
    std::optional<MonoTime> new_sessions_hang_since;
    std::optional<topology::Host> host;
    std::optional<topology::Clients> clients;
};

/// One server, whatever name reached it: nothing else has the same start time in microseconds, port,
/// directory and system.
struct ServerId {
    std::string system_identifier;
    int64_t started_at_us = 0;
    std::string data_directory;
    uint16_t port = 0;
    auto operator<=>(const ServerId&) const = default;
};

/// server_id(a) == server_id(b), without making them.
inline bool same_server(const Observation& a, const Observation& b) {
    return a.started_at_us == b.started_at_us && a.port == b.port &&
           a.system_identifier == b.system_identifier && a.data_directory == b.data_directory;
}

inline ServerId server_id(const Observation& o) {
    return {o.system_identifier, o.started_at_us, o.data_directory, o.port};
}

}  // namespace baton::discovery
