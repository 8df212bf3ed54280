#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"

/// What the agent on a database host sees there, without asking the database.
namespace baton::topology {

enum class ServerState : uint8_t {
    unknown,   ///< not looked yet
    no_data,   ///< the data directory is missing or empty
    down,      ///< no process of it is left: a dead postmaster's whole process group was ended first
    starting,  ///< the postmaster runs and lets nobody in yet
    running,
    stopping,
    hung  ///< its processes are stopped, or the postmaster answers nobody within the deadline
};
std::string_view to_string(ServerState state);

enum class DiskHealth : uint8_t { unknown, good, full, failing, hung, read_only };
std::string_view to_string(DiskHealth health);

/// A write there fails or does not end.
inline bool in_trouble(DiskHealth health) {
    return health != DiskHealth::unknown && health != DiskHealth::good;
}

/// The receivers of a server whose processes are gone end within this. Until then one of them may still take
/// what was sent before.
inline constexpr milliseconds receivers_end_within{100};

struct Disk {
    std::string path;
    int64_t total_bytes = 0;
    int64_t free_bytes = 0;
    DiskHealth health = DiskHealth::unknown;  ///< of a small write that is tried there every second
    Duration since{};                         ///< for how long it has been so
    std::string detail;                       ///< what the system said
    /// 0 … 100; 0 while its size is not known.
    int used_percent() const {
        if (total_bytes <= 0) return 0;
        const auto free = static_cast<double>(free_bytes) / static_cast<double>(total_bytes);
        return static_cast<int>(100 * (1 - std::clamp(free, 0.0, 1.0)));
    }
    bool operator==(const Disk&) const = default;
};

/// Why a server is kept from running, as its agent remembers it on disk.
enum class Hold : uint8_t {
    none,
    down,   ///< it died or was stopped, and a manager knows: it starts when a manager gives it a role
    fenced  ///< stopped because it may have been replaced: it starts as a standby only
};
std::string_view to_string(Hold hold);

/// A long deed of the agent.
struct Job {
    uint64_t order = 0;
    std::string verb;   ///< "rewind", "clone", …
    std::string phase;  ///< for people: "copying", "waiting for the first checkpoint", …
    int64_t done_bytes = 0;
    int64_t total_bytes = 0;  ///< 0 = not known
    int64_t bytes_per_second = 0;
    Duration running{};
    bool operator==(const Job&) const = default;
};

/// The agent's word on one instance, as a snapshot carries it.
struct Host {
    bool connected = false;  ///< false: the agent is not heard any more, and the rest is what it said last
    MonoTime heard{};        ///< by the manager's clock
    ServerState state = ServerState::unknown;
    MonoTime state_since{};  ///< by the manager's clock
    bool standby_signal = false;
    int crashes = 0;  ///< starts that failed in a row, and deaths within ten seconds of a start
    std::string last_failure;
    Hold hold = Hold::none;
    std::string quarantine;  ///< why it must not be started at all; "" = nothing
    std::optional<Disk> data_disk;
    std::optional<Disk> wal_disk;
    std::optional<Job> job;
    bool lease_on = false;
    std::string system_identifier;  ///< of its data directory; "" while that cannot be read
    /// How long what the agent shows to others is still good; zero: no more. Nothing: it shows none.
    std::optional<Duration> certificate_left;

    /// Its server is gone, and the agent keeps it so: nothing of it commits any more.
    bool says_dead() const {
        return connected && (state == ServerState::down || state == ServerState::no_data);
    }
    /// … and cannot come back by itself: that is proof. One that nothing holds yet (its agent has not met a
    /// manager before) may be started by anybody.
    bool kept_down() const { return says_dead() && (hold != Hold::none || state == ServerState::no_data); }
    /// The disk that is in trouble, the one of the data first; null where both are well as far as is known.
    const Disk* bad_disk() const {
        if (data_disk && in_trouble(data_disk->health)) return &*data_disk;
        if (wal_disk && in_trouble(wal_disk->health)) return &*wal_disk;
        return nullptr;
    }
    /// The disk that is filled most; null where none is known.
    const Disk* fullest_disk() const {
        const Disk* data = data_disk ? &*data_disk : nullptr;
        const Disk* wal = wal_disk ? &*wal_disk : nullptr;
        if (data == nullptr || wal == nullptr) return data != nullptr ? data : wal;
        return wal->used_percent() > data->used_percent() ? wal : data;
    }
    /// How long the health of `disk`, which is one of its own, has been what it is.
    Duration unchanged_for(const Disk& disk, MonoTime now) const {
        return disk.since + (now > heard ? now - heard : Duration{});
    }
    bool operator==(const Host&) const = default;
};

}  // namespace baton::topology
