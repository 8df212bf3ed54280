#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/config.h"
#include "engine/engine.h"
#include "routing/router.h"
#include "topology/topology.h"

/// All that the checks look at, gathered beforehand. Plain values, so that every check is a pure function.
namespace baton::doctor {

using topology::Cluster;
using topology::ClusterPtr;
using topology::Instance;
using topology::InstanceKey;
using topology::TopologyPtr;

/// A server that was named or known and gave no answer.
struct Unanswered {
    InstanceKey key;
    Error error;
};

struct Examined {
    InstanceKey key;
    Result<engine::Examination> outcome;
};

/// One entry of a hook list.
struct Hook {
    std::string list;     ///< the key
    size_t number = 0;    ///< from 1
    std::string program;  ///< its first word, where that is a path; "" otherwise
    bool exists = false, executable = false;
    std::vector<std::pair<std::string, std::string>>
        slips;  ///< a word in braces, the placeholder that was meant
};

/// A file that the configuration names.
struct NamedFile {
    std::string key;   ///< of the configuration
    std::string path;  ///< as written there
    bool readable = false;
    bool open_to_others = false;  ///< group or others may read it
    bool secret = false;          ///< holds a key or a password
    std::string problem;          ///< why it cannot be read
};

/// A certificate that the configuration names.
struct NamedCertificate {
    std::string key;   ///< of the configuration
    std::string path;  ///< as written there
    std::optional<WallTime> ends;
    std::string problem;  ///< why that is not known
};

enum class StateFile : uint8_t {
    usable,
    absent,         ///< not there yet, can be made
    no_directory,   ///< not there, and neither it nor its directory can be made
    not_permitted,  ///< no right to read or write
    foreign,        ///< SQLite, but another program's
    not_a_database,
    newer  ///< made by a newer Baton
};

struct Machine {
    std::string user;  ///< who runs the doctor
    std::string shell;
    bool shell_found = false;
    std::vector<Hook> hooks;
    std::vector<NamedFile> files;
    std::vector<NamedCertificate> certificates;
    StateFile state_file = StateFile::usable;
    std::string state_problem;
    std::optional<uint64_t> state_free_bytes;  ///< on the file system of the state file
    std::string listen_problem;                ///< why the address cannot be listened on; "" = it is free
    bool listen_taken = false;                 ///< somebody listens there
};

struct ManagerRecovery {
    int64_t id = 0;
    std::string uid, code, cluster_name, started, ended;
    InstanceKey failed;
    std::optional<InstanceKey> successor;
    bool active = false, acknowledged = false, successful = false;
    /// Keeps the next recovery of its cluster from happening.
    bool blocks() const { return active && !acknowledged; }
};

struct ManagerInstance {
    InstanceKey key;
    std::string cluster_name;
    bool downtimed = false;
    std::string downtime_owner, downtime_reason, downtime_ends;
};

struct ManagerCluster {
    std::string name, alias;
    bool recovers_primary = false, recovers_intermediate = false;
};

/// A server that a host agent guards.
struct ManagerAgent {
    InstanceKey key;
    std::string host, version, peer_address, hold, quarantine;
    std::string in_the_way;  ///< what else starts and stops the server
    bool connected = false;
    bool lease_on = false;
    std::optional<int64_t> certificate_seconds;  ///< how long its certificate is still good
};

/// What the running manager says of itself, by its API.
struct Manager {
    std::string address;
    bool reachable = false;
    std::string problem;  ///< why it is not reachable, or an answer that makes no sense
    bool healthy = false;
    std::string health;
    std::optional<bool> recoveries_enabled;
    std::vector<ManagerRecovery> recoveries;  ///< newest first, at most a page
    std::vector<ManagerInstance> instances;
    std::vector<ManagerCluster> clusters;
    std::vector<ManagerAgent> agents;
};

/// A router of the configuration, as it says itself.
struct RouterLook {
    std::string name;
    std::vector<std::string> clusters;  ///< whose clients it leads, as ClusterFilter
    bool has_agent = false;
    Result<routing::Standing> standing;
};

struct Facts {
    config::Report config;
    Machine machine;
    Manager manager;
    std::vector<InstanceKey> asked;  ///< the servers that were looked at first
    std::vector<Unanswered> unanswered;
    TopologyPtr topology;              ///< everything that was found; may be null
    std::vector<ClusterPtr> clusters;  ///< those that are reported on
    std::vector<Examined> examined;
    std::vector<RouterLook> routers;
    bool stable = true;  ///< the picture had stopped changing
    MonoTime now;
    WallTime wall;

    const config::Config& settings() const { return config.loaded.values; }
    const engine::Examination* examination(const InstanceKey& key) const;
    const ManagerInstance* manager_instance(const Instance& instance) const;
    const ManagerCluster* manager_cluster(const Cluster& cluster) const;
    const ManagerAgent* manager_agent(const Instance& instance) const;
};

}  // namespace baton::doctor
