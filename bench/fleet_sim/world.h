#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <queue>
#include <random>
#include <string>
#include <vector>

#include "topology/wal.h"

/// Servers that exist only as numbers: who follows whom, how far the log has come, who was promoted when.
namespace baton::bench {

using Micros = int64_t;  ///< since the simulation began

struct FleetOptions {
    size_t instances = 10000;
    size_t clusters = 3000;
    uint32_t first = 0;   ///< number of the first server, so that several processes make one fleet
    size_t big = 0;       ///< one cluster more has this many instances (out of `instances`); 0 = none
    size_t fan_out = 32;  ///< replicas per server in that cluster
    uint16_t port = 17999;
    Micros promotion = 40'000;
    Micros receiver_notices = 15'000;  ///< a standby's receiver ends about this long after its upstream
    Micros reconnect = 30'000;         ///< from a reload to streaming again
    uint64_t bytes_per_second = 100'000;
};

struct Server {
    uint32_t id = 0;
    uint32_t cluster = 0;
    std::string host;
    bool up = true;
    bool primary = false;
    bool promoting = false;
    bool streaming = false;
    std::optional<uint32_t> upstream;
    uint32_t timeline = 1;
    uint64_t position = 0;  ///< of the log at `since`; a primary goes on from there, an idle standby does not
    Micros since = 0;
    std::string slot;  ///< primary_slot_name
    std::string conninfo;
    std::optional<std::string> next_slot, next_conninfo;  ///< by ALTER SYSTEM, in force after a reload
    std::vector<std::string> slots;
    std::vector<topology::TimelineSwitch> history;
};

struct Cluster {
    uint64_t system_identifier = 0;
    std::vector<uint32_t> members;
    std::optional<Micros> killed, promoted, rewired;  ///< the last failover
};

/// What became of the clusters whose primaries were killed.
struct Outcome {
    size_t killed = 0, promoted_twice = 0;
    std::vector<double> promoted_ms, rewired_ms;  ///< since the kill
};

class World {
  public:
    explicit World(const FleetOptions& options);

    const std::vector<Server>& servers() const { return servers_; }
    Server& server(uint32_t id) { return servers_[id]; }
    const Cluster& cluster_of(const Server& s) const { return clusters_[s.cluster]; }
    const FleetOptions& options() const { return options_; }

    topology::Lsn position(const Server& s) const;
    uint32_t timeline(const Server& s) const;
    std::vector<const Server*> followers(const Server& s) const;

    /// Kills up to `count` primaries that have replicas, chosen at random; returns them.
    std::vector<uint32_t> kill_primaries(size_t count);
    void promote(Server& s);
    void reload(Server& s);
    Outcome outcome() const;

    Micros now() const { return now_; }
    /// Moves time and does what has become due; returns the microseconds until the next thing is due, -1 for
    /// never.
    Micros advance(Micros now);

  private:
    struct Due {
        Micros at;
        std::function<void()> what;
        bool operator<(const Due& other) const { return at > other.at; }
    };

    void add_cluster(size_t size, size_t fan_out);
    uint32_t add_server(uint32_t cluster, std::optional<uint32_t> upstream);
    void after(Micros delay, std::function<void()> what) { due_.push({now_ + delay, std::move(what)}); }
    void stop_streaming(Server& s);
    void connect_receiver(uint32_t id);
    void note_rewired(const Server& s);
    std::optional<uint32_t> find(const std::string& conninfo) const;

    FleetOptions options_;
    std::vector<Server> servers_;
    std::vector<Cluster> clusters_;
    std::priority_queue<Due> due_;
    std::mt19937 random_{20};
    Micros now_ = 0;
    size_t promoted_twice_ = 0;
};

}  // namespace baton::bench
