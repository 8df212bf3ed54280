#include "host/option_keys.h"

#include <fmt/format.h>

#include <array>

namespace baton::host {
namespace {

namespace json = boost::json;

constexpr std::array agent_table{
    OptionKey<Options>{"Managers", &Options::managers,
                       "host:port of every manager (their AgentsServerPort); the agent connects to each"},
    OptionKey<Options>{"Token", &Options::token, "shared secret, the managers' AgentToken"},
    OptionKey<Options>{"UseTLS", &Options::use_tls,
                       "speak TLS to managers and to other agents (default true)"},
    OptionKey<Options>{"SkipVerify", &Options::skip_verify,
                       "do not check the managers' certificates: for tests only"},
    OptionKey<Options>{"CAFile", &Options::ca_file, "who signed the certificates of managers and agents"},
    OptionKey<Options>{"CertFile", &Options::cert_file, "this agent's certificate"},
    OptionKey<Options>{"KeyFile", &Options::key_file, "its key"},
    OptionKey<Options>{"PeerListenAddress", &Options::peer_listen_address,
                       "where other agents ask this one, e.g. \":3002\"; without it there is no lease"},
    OptionKey<Options>{"PeerAddress", &Options::peer_address,
                       "host:port under which other agents reach that"},
    OptionKey<Options>{"HealthListenAddress", &Options::health_listen_address,
                       "HTTP endpoints for load balancers, e.g. \":8008\"; empty: none"},
    OptionKey<Options>{
        "StateDirectory", &Options::state_directory,
        "what the agent must remember lies here (default /var/lib/baton-agent); on a local disk"},
    OptionKey<Options>{"Debug", &Options::debug, "log more"},
};

constexpr std::array instance_table{
    OptionKey<InstanceOptions>{"DataDirectory", &InstanceOptions::data_directory, "of the server"},
    OptionKey<InstanceOptions>{"BinDirectory", &InstanceOptions::bin_directory,
                               "where pg_ctl and pg_controldata are"},
    OptionKey<InstanceOptions>{"SystemdUnit", &InstanceOptions::systemd_unit,
                               "Control \"systemd\": the unit that runs the server"},
    OptionKey<InstanceOptions>{"ClusterName", &InstanceOptions::cluster_name,
                               "Control \"pg_ctlcluster\": \"15/main\" (default: the end of DataDirectory)"},
    OptionKey<InstanceOptions>{"ConfigFile", &InstanceOptions::config_file,
                               "postgresql.conf, where it lies outside the data directory"},
    OptionKey<InstanceOptions>{"StartOptions", &InstanceOptions::start_options, "for pg_ctl -o"},
    OptionKey<InstanceOptions>{"LogFile", &InstanceOptions::log_file,
                               "what the server prints until it has a log of its own"},
    OptionKey<InstanceOptions>{"ReplicationConninfo", &InstanceOptions::replication_conninfo,
                               "user=… passfile=…: for a standby that has no primary_conninfo yet"},
    OptionKey<InstanceOptions>{"RewindConninfo", &InstanceOptions::rewind_conninfo,
                               "user=… dbname=postgres passfile=…: for pg_rewind"},
    OptionKey<InstanceOptions>{"StartTimeoutSeconds", &InstanceOptions::start_timeout,
                               "until it must be ready (default 60)", 1, 86400},
    OptionKey<InstanceOptions>{"StopTimeoutSeconds", &InstanceOptions::stop_timeout,
                               "until it must be down (default 60)", 1, 86400},
    OptionKey<InstanceOptions>{"HungAfterSeconds", &InstanceOptions::hung_after,
                               "without an answer of the postmaster it is hung (default 3)", 1, 600},
    OptionKey<InstanceOptions>{"CrashLoopLimit", &InstanceOptions::crash_loop_limit,
                               "after so many failed starts in a row it is not started any more (default 3)",
                               1, 1000},
    OptionKey<InstanceOptions>{"CloneInPlace", &InstanceOptions::clone_in_place,
                               "a clone may remove the old data directory first, where there is no room for "
                               "two (default false)"},
};

constexpr std::array pooler_table{
    OptionKey<PoolerOptions>{"Name", &PoolerOptions::name, "as in the managers' Routers"},
    OptionKey<PoolerOptions>{"DatabasesFile", &PoolerOptions::databases_file,
                             "included by pgbouncer.ini; the agent writes it"},
    OptionKey<PoolerOptions>{"PidFile", &PoolerOptions::pid_file, "of PgBouncer"},
    OptionKey<PoolerOptions>{"SocketDirectory", &PoolerOptions::socket_directory,
                             "its unix_socket_dir, for its admin console (default /var/run/postgresql)"},
    OptionKey<PoolerOptions>{"Port", &PoolerOptions::port, "its listen_port (default 6432)", 1, 65535},
};

/// A number of seconds or things within the limits of the key; complains and gives nothing otherwise.
template <class T>
std::optional<int> number(const OptionKey<T>& key, const json::value& value, const std::string& where,
                          Complaints& complaints) {
    json::error_code ec;
    const auto n = value.is_number() ? value.to_number<int>(ec) : 0;
    if (value.is_number() && !ec && n >= key.least && n <= key.most) return n;
    complaints.push_back(fmt::format("{} must be a whole number from {} to {}", where, key.least, key.most));
    return std::nullopt;
}

void put_list(std::vector<std::string>& into, const json::value& value, const std::string& where,
              Complaints& complaints) {
    constexpr size_t most = 64;
    const auto* list = value.if_array();
    const bool good = list != nullptr && list->size() <= most &&
                      std::ranges::all_of(*list, [](const json::value& v) { return v.is_string(); });
    if (!good) {
        complaints.push_back(fmt::format("{} must be a list of at most {} texts", where, most));
        return;
    }
    into.clear();
    for (const auto& v : *list)
        into.emplace_back(v.get_string());
}

}  // namespace

std::span<const OptionKey<Options>> agent_keys() {
    return agent_table;
}
std::span<const OptionKey<InstanceOptions>> instance_keys() {
    return instance_table;
}
std::span<const OptionKey<PoolerOptions>> pooler_keys() {
    return pooler_table;
}

template <class T>
void put_value(T& into, const OptionKey<T>& key, const json::value& value, const std::string& where,
               Complaints& complaints) {
    if (const auto* text = std::get_if<std::string T::*>(&key.place)) {
        if (const auto* s = value.if_string(); s != nullptr && s->find('\0') == json::string::npos) {
            into.** text = *s;
        } else {
            complaints.push_back(where + " must be a text in quotes");
        }
    } else if (const auto* flag = std::get_if<bool T::*>(&key.place)) {
        if (const auto* b = value.if_bool()) {
            into.** flag = *b;
        } else {
            complaints.push_back(where + " must be true or false");
        }
    } else if (const auto* list = std::get_if<std::vector<std::string> T::*>(&key.place)) {
        put_list(into.**list, value, where, complaints);
    } else if (const auto n = number(key, value, where, complaints)) {
        if (const auto* count = std::get_if<int T::*>(&key.place)) into.** count = *n;
        if (const auto* span = std::get_if<Duration T::*>(&key.place)) into.** span = seconds(*n);
    }
}

template void put_value(Options&, const OptionKey<Options>&, const json::value&, const std::string&,
                        Complaints&);
template void put_value(InstanceOptions&, const OptionKey<InstanceOptions>&, const json::value&,
                        const std::string&, Complaints&);
template void put_value(PoolerOptions&, const OptionKey<PoolerOptions>&, const json::value&,
                        const std::string&, Complaints&);

}  // namespace baton::host
