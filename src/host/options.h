#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "topology/instance_key.h"

/// What the host agent is told to guard and how: its configuration file.
namespace baton::host {

using topology::InstanceKey;

/// By which program a server is started and stopped.
enum class Control : uint8_t {
    pg_ctl,         ///< the programs of BinDirectory
    pg_ctlcluster,  ///< Debian's; version and cluster come from ClusterName ("15/main")
    systemd         ///< `systemctl start|stop UNIT`: the unit runs the server, the agent may order it about
};
std::string_view to_string(Control control);

/// One server of this host.
struct InstanceOptions {
    InstanceKey key;             ///< as other hosts reach it: Host, Port
    std::string data_directory;  ///< absolute, without a slash at its end
    std::string bin_directory;   ///< of pg_ctl, pg_controldata, pg_rewind, pg_basebackup
    Control control = Control::pg_ctl;
    std::string systemd_unit;   ///< systemd: "postgresql@15-main"
    std::string cluster_name;   ///< pg_ctlcluster: "15/main"
    std::string config_file;    ///< "" = postgresql.conf in the data directory
    std::string start_options;  ///< pg_ctl -o
    std::string log_file;       ///< pg_ctl -l; "" = `baton-agent.log` beside the state file
    /// user, passfile, sslmode …; host and port are added. Used where the directory has no primary_conninfo.
    std::string replication_conninfo;
    std::string rewind_conninfo;  ///< for pg_rewind; host and port are added
    Duration start_timeout = seconds(60);
    Duration stop_timeout = seconds(60);
    Duration hung_after = seconds(3);
    int crash_loop_limit = 3;
    /// A clone may empty the data directory before it copies, where there is no room for two or it is a mount
    /// point: there is no way back then.
    bool clone_in_place = false;
    bool operator==(const InstanceOptions&) const = default;
};

/// A PgBouncer of this host, whose targets the agent may change.
struct PoolerOptions {
    std::string name;
    std::string databases_file;
    std::string pid_file;
    std::string socket_directory = "/var/run/postgresql";
    int port = 6432;
    bool operator==(const PoolerOptions&) const = default;
};

struct Options {
    std::vector<std::string> managers;  ///< "host:port"
    std::string token;                  ///< of Token or TokenFile
    bool use_tls = true;
    bool skip_verify = false;
    std::string ca_file, cert_file, key_file;
    std::string peer_listen_address;    ///< "" = answers no peers, and so cannot vouch
    std::string peer_address;           ///< as other agents reach that
    std::string health_listen_address;  ///< "" = no health endpoints
    std::string state_directory = "/var/lib/baton-agent";
    bool debug = false;
    std::vector<InstanceOptions> instances;
    std::vector<PoolerOptions> poolers;
};

/// Keys that differ, by whether a running agent takes the new value.
struct OptionChanges {
    std::vector<std::string> at_once, after_restart;
};
OptionChanges changes_of(const Options& old, const Options& fresh);
/// `old` with those of `fresh` that a running agent takes.
Options with_changes(const Options& old, const Options& fresh);

struct LoadedOptions {
    Options options;
    std::vector<std::string> warnings;
};

inline constexpr std::string_view default_file = "/etc/baton/agent.conf.json";

/// Reads and checks the file; TokenFile is read too. The error has one line for each thing that is wrong.
Result<LoadedOptions> load_options(const std::string& file);
/// The same for a text; `name` is the file's for messages. Reads no other file and asks the system nothing.
Result<LoadedOptions> parse_options(std::string_view text, const std::string& name);

/// Every key with its default and meaning, for `--help`.
std::string options_help();

}  // namespace baton::host
