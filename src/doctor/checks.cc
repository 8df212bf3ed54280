#include "doctor/checks.h"

#include <array>

#include "doctor/check_functions.h"
#include "doctor/words.h"

namespace baton::doctor {
namespace {

constexpr Check manager_check(std::string_view id, std::string_view title, std::string_view looks_at,
                              void (*run)(const Facts&, Notes&)) {
    return {id, title, looks_at, run, nullptr};
}
constexpr Check cluster_check(std::string_view id, std::string_view title, std::string_view looks_at,
                              void (*run)(const Facts&, const Cluster&, Notes&)) {
    return {id, title, looks_at, nullptr, run};
}

constexpr std::array table{
    manager_check("config", "The configuration loads", "the configuration files", check_config),
    manager_check("credentials", "The manager can log in", "the account, its password and TLS",
                  check_credentials),
    manager_check("files", "Files that the configuration names", "passfile, certificates, keys", check_files),
    manager_check("certificates", "Certificates are good for a while",
                  "the dates in the files that are named", check_certificates),
    manager_check("listen", "The API's address", "ListenAddress, ListenSocket", check_listen),
    manager_check("state-file", "The state file", "SQLite3DataFile and its directory", check_state_file),
    manager_check("hooks", "Hooks can run", "the shell, the programs, the placeholders", check_hooks),
    manager_check("manager", "A manager is running", "its API", check_manager),
    manager_check("recoveries-enabled", "Recovery is not switched off", "the running manager",
                  check_recoveries_enabled),
    manager_check("block-periods", "Pauses between two recoveries", "RecoveryPeriodBlockSeconds",
                  check_block_periods),
    manager_check("answers", "Named servers answer", "seeds, -i, servers that the manager knows",
                  check_answers),
    manager_check("agents-listener", "Host agents come in safely", "ServeAgentsHttp, AgentToken, TLS",
                  check_agents_listener),

    cluster_check("one-cluster", "One system identifier", "identities, other names of a server",
                  check_one_cluster),
    cluster_check("one-primary", "Exactly one primary", "who is out of recovery", check_one_primary),
    cluster_check("connection", "Each server answers", "the last probe of each", check_connection),
    cluster_check("privileges", "The role may do what a failover needs", "grants, by version",
                  check_privileges),
    cluster_check("superuser", "The role is no superuser", "the role", check_superuser),
    cluster_check("versions", "Versions fit", "server versions", check_versions),
    cluster_check("clock", "Clocks agree", "each server's clock against this machine's", check_clock),
    cluster_check("streaming", "Every standby streams", "WAL receivers and their upstreams", check_streaming),
    cluster_check("hidden-standbys", "No standby is hidden", "pg_stat_replication against known servers",
                  check_hidden_standbys),
    cluster_check("timeline", "Nobody has diverged", "timelines and the primary's history", check_timeline),
    cluster_check("lag", "Standbys keep up", "bytes and seconds behind the primary", check_lag),
    cluster_check("held-standbys", "Standbys replay at once", "paused replay, recovery_min_apply_delay",
                  check_held_standbys),
    cluster_check("conninfo", "primary_conninfo is sane", "what each standby connects to", check_conninfo),
    cluster_check("application-names", "Standbys have names of their own", "application_name, cluster_name",
                  check_application_names),
    cluster_check("slots", "Each standby has a slot in use", "primary_slot_name, pg_replication_slots",
                  check_slots),
    cluster_check("slot-wal", "No slot is lost or hoards WAL", "wal_status, inactive slots", check_slot_wal),
    cluster_check("slot-limit", "Slots cannot fill the disk", "max_slot_wal_keep_size", check_slot_limit),
    cluster_check("logical-slots", "Logical slots survive a failover",
                  "logical slots, dbname in primary_conninfo", check_logical_slots),
    cluster_check("capacity", "A new primary has room for all standbys",
                  "max_wal_senders, max_replication_slots", check_capacity),
    cluster_check("rewind", "A former primary can be rewound", "wal_log_hints, data checksums", check_rewind),
    cluster_check("retry-interval", "The 5-second trap", "wal_retrieve_retry_interval", check_retry_interval),
    cluster_check("receiver-timeout", "A hung upstream is noticed", "wal_receiver_timeout",
                  check_receiver_timeout),
    cluster_check("timeline-target", "Standbys follow a new timeline", "recovery_target_timeline",
                  check_timeline_target),
    cluster_check("hot-standby-settings", "Standbys are as large as the primary",
                  "max_connections and the like", check_hot_standby_settings),
    cluster_check("read-only", "The next primary takes writes", "default_transaction_read_only",
                  check_read_only),
    cluster_check("alter-system", "ALTER SYSTEM is allowed", "allow_alter_system", check_alter_system),
    cluster_check("prepared-transactions", "No prepared transaction is left over", "pg_prepared_xacts",
                  check_prepared),
    cluster_check("archive", "WAL archiving works", "pg_stat_archiver", check_archive),
    cluster_check("synchronous", "Commits do not hang", "synchronous_standby_names, now and after a failover",
                  check_synchronous),
    cluster_check("agents", "Every server has its host agent", "the agents that the running manager knows",
                  check_agents),
    cluster_check("lease", "The primary is fenced when it is cut off", "the lease of the primary",
                  check_lease),
    cluster_check("routers", "Clients are led to the primary", "the routers' own consoles", check_routers),
    cluster_check("problems", "Nothing is wrong now", "the analysis that the manager would make",
                  check_problems),
    cluster_check("known-to-manager", "The manager watches this cluster", "the running manager's servers",
                  check_known_to_manager),
    cluster_check("automatic-recovery", "The cluster is recovered automatically", "cluster filters",
                  check_automatic_recovery),
    cluster_check("stale-recoveries", "No earlier recovery is in the way",
                  "recoveries in the manager's record", check_stale_recoveries),
    cluster_check("downtimes", "No downtime is in the way", "downtimes in the manager's record",
                  check_downtimes),
    cluster_check("promotion", "Somebody could be promoted now", "the choice that a failover would make",
                  check_promotion),
};

}  // namespace

std::span<const Check> all_checks() {
    return table;
}

Report diagnose(const Facts& facts) {
    Report report{.sections = {{"", "Manager"}}, .findings = {}};
    for (const auto& cluster : facts.clusters)
        report.sections.push_back({cluster->id, heading_of(*cluster)});
    for (const auto& check : table) {
        const auto begin = report.findings.size();
        if (check.of_manager != nullptr) {
            Notes notes(report.findings, check.id, "", "manager");
            check.of_manager(facts, notes);
        }
        for (const auto& cluster : facts.clusters) {
            if (check.of_cluster == nullptr) break;
            Notes notes(report.findings, check.id, cluster->id, name_of(*cluster));
            check.of_cluster(facts, *cluster, notes);
        }
        for (auto at = begin; at < report.findings.size(); ++at)
            report.findings[at].title = check.title;
        if (!facts.config.ok()) break;
    }
    return report;
}

}  // namespace baton::doctor
