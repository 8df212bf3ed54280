// What counts can differ from what the file says: older names of keys, defaults that depend on another key,
// values with several spellings. All of that happens here, once, so that the rest of the program reads plain
// members.
#include <fmt/core.h>

#include "base/text.h"
#include "config/overlay.h"

namespace baton::config {
namespace {

constexpr std::string_view default_data_file = "/var/lib/baton/baton.sqlite3";
constexpr int64_t postgresql_port = 5432;

void apply_older_names(const Effect& e) {
    Config& c = e.config;
    if (!e.is_set("ReplicationLagQuery") && e.is_set("SlaveLagQuery"))
        c.ReplicationLagQuery = c.SlaveLagQuery;
    if (!e.is_set("PostponeReplicaRecoveryOnLagMinutes") && e.is_set("PostponeSlaveRecoveryOnLagMinutes")) {
        c.PostponeReplicaRecoveryOnLagMinutes = c.PostponeSlaveRecoveryOnLagMinutes;
    }
    const auto either = [&](std::string_view key, bool& newer, bool older) {
        newer = older || (e.is_set(key) && newer);
    };
    either("DetachLostReplicasAfterMasterFailover", c.DetachLostReplicasAfterMasterFailover,
           c.DetachLostSlavesAfterMasterFailover);
    either("MasterFailoverDetachReplicaMasterHost", c.MasterFailoverDetachReplicaMasterHost,
           c.MasterFailoverDetachSlaveMasterHost);
    if (c.RecoveryPeriodBlockSeconds == 0) c.RecoveryPeriodBlockSeconds = c.RecoveryPeriodBlockMinutes * 60;
}

void apply_dependent_defaults(const Effect& e) {
    Config& c = e.config;
    if (!e.is_set("DefaultInstancePort") && e.is_set("ProviderType") && c.ProviderType == "postgresql") {
        c.DefaultInstancePort = postgresql_port;
    }
    if (!e.is_set("ReasonableLockedSemiSyncMasterSeconds") || c.ReasonableLockedSemiSyncMasterSeconds == 0) {
        c.ReasonableLockedSemiSyncMasterSeconds = c.ReasonableReplicationLagSeconds;
    }
    if (c.SQLite3DataFile.empty()) c.SQLite3DataFile = default_data_file;
}

/// "/a/b", however many slashes there are at the ends; "" stays.
std::string with_one_leading_slash(std::string_view path) {
    while (path.starts_with('/'))
        path.remove_prefix(1);
    while (path.ends_with('/'))
        path.remove_suffix(1);
    return path.empty() ? std::string() : fmt::format("/{}", path);
}

std::string with_one_trailing_slash(std::string_view path) {
    while (path.ends_with('/'))
        path.remove_suffix(1);
    return fmt::format("{}/", path);
}

void apply_spellings(const Effect& e) {
    Config& c = e.config;
    c.URLPrefix = with_one_leading_slash(c.URLPrefix);
    c.KVClusterMasterPrefix = with_one_trailing_slash(c.KVClusterMasterPrefix);
    c.ConsulMaxKVsPerTransaction = std::clamp<int64_t>(c.ConsulMaxKVsPerTransaction, 5, 64);
    if (c.AuthenticationMethod == "none") c.AuthenticationMethod.clear();
}

void choose_backend(const Effect& e) {
    const std::string wanted = lower(trim(e.config.BackendDB));
    if (wanted == "mysql") {
        e.warnings.push_back(
            {WarningKind::replaced_value,
             {"BackendDB"},
             fmt::format("BackendDB = \"mysql\": Baton keeps its state in SQLite, in the file {}",
                         printable(e.config.SQLite3DataFile))});
    } else if (!wanted.empty() && !wanted.contains("sqlite")) {
        e.errors.push_back(
            {.kind = ErrorKind::invalid_argument,
             .message = fmt::format("BackendDB = \"{}\": unknown store; allowed: \"sqlite\", \"mysql\"",
                                    printable(e.config.BackendDB)),
             .who = e.set_in.at("BackendDB")});
    }
    e.config.BackendDB = "sqlite";
}

void refuse(const Effect& e, std::string_view key, std::string message) {
    const auto set = e.set_in.find(key);
    e.errors.push_back({.kind = ErrorKind::invalid_argument,
                        .message = std::move(message),
                        .who = set == e.set_in.end() ? std::string() : set->second});
}

void check_promotion_keys(const Effect& e) {
    const Config& c = e.config;
    if (c.FailMasterPromotionIfSQLThreadNotUpToDate && c.DelayMasterPromotionIfSQLThreadNotUpToDate) {
        refuse(e, "FailMasterPromotionIfSQLThreadNotUpToDate",
               "FailMasterPromotionIfSQLThreadNotUpToDate and DelayMasterPromotionIfSQLThreadNotUpToDate are "
               "both true; "
               "keep one of them");
    }
    if (c.FailMasterPromotionOnLagMinutes > 0 && c.ReplicationLagQuery.empty()) {
        refuse(
            e, "FailMasterPromotionOnLagMinutes",
            fmt::format("FailMasterPromotionOnLagMinutes = {}: needs ReplicationLagQuery, which is not set",
                        c.FailMasterPromotionOnLagMinutes));
    }
    if (!c.SlaveLagQuery.empty() && c.SlaveLagQuery != c.ReplicationLagQuery) {
        refuse(e, "SlaveLagQuery",
               "SlaveLagQuery and ReplicationLagQuery differ; set only ReplicationLagQuery");
    }
    if (c.PostponeSlaveRecoveryOnLagMinutes > 0 &&
        c.PostponeReplicaRecoveryOnLagMinutes != c.PostponeSlaveRecoveryOnLagMinutes) {
        refuse(
            e, "PostponeSlaveRecoveryOnLagMinutes",
            fmt::format(
                "PostponeSlaveRecoveryOnLagMinutes = {} and PostponeReplicaRecoveryOnLagMinutes = {} differ; "
                "set only the latter",
                c.PostponeSlaveRecoveryOnLagMinutes, c.PostponeReplicaRecoveryOnLagMinutes));
    }
}

void check_raft(const Effect& e) {
    if (!e.config.RaftEnabled) return;
    if (e.config.RaftDataDir.empty())
        refuse(e, "RaftEnabled", "RaftEnabled = true: RaftDataDir must be set, too");
    if (e.config.RaftBind.empty()) refuse(e, "RaftEnabled", "RaftEnabled = true: RaftBind must not be empty");
}

void check_poll(const Effect& e) {
    const Config& c = e.config;
    if (c.DeadInstancePollSecondsMax >= c.InstancePollSeconds) return;
    if (!e.is_set("DeadInstancePollSecondsMax")) {
        e.config.DeadInstancePollSecondsMax = c.InstancePollSeconds;
        return;
    }
    refuse(
        e, "DeadInstancePollSecondsMax",
        fmt::format(
            "DeadInstancePollSecondsMax = {}: less than InstancePollSeconds = {}; allowed: that much or more",
            c.DeadInstancePollSecondsMax, c.InstancePollSeconds));
}

void check_agents(const Effect& e) {
    const Config& c = e.config;
    if (!c.ServeAgentsHttp) return;
    if (c.AgentsUseMutualTLS && !c.AgentsUseSSL)
        refuse(e, "AgentsUseMutualTLS", "AgentsUseMutualTLS = true: AgentsUseSSL must be true, too");
    if (c.PrimaryLeaseSeconds * 1000 < 3 * c.AgentHeartbeatMilliseconds) {
        refuse(
            e, "PrimaryLeaseSeconds",
            fmt::format("PrimaryLeaseSeconds = {}: less than three heartbeats (AgentHeartbeatMilliseconds = "
                        "{}); one late answer would stop a primary",
                        c.PrimaryLeaseSeconds, c.AgentHeartbeatMilliseconds));
    }
}

void warn(const Effect& e, std::string key, std::string text) {
    e.warnings.push_back({WarningKind::replaced_value, {std::move(key)}, std::move(text)});
}

void warn_without_effect(const Effect& e) {
    if (e.is_set("RecoveryPeriodBlockMinutes") && !e.is_set("RecoveryPeriodBlockSeconds")) {
        warn(e, "RecoveryPeriodBlockMinutes",
             fmt::format("RecoveryPeriodBlockMinutes has no effect unless RecoveryPeriodBlockSeconds is 0 "
                         "(it is {}); set "
                         "RecoveryPeriodBlockSeconds instead",
                         e.config.RecoveryPeriodBlockSeconds));
    }
    if (e.config.ServeAgentsHttp && e.config.AgentToken.empty() && !e.config.AgentsUseMutualTLS) {
        warn(e, "ServeAgentsHttp",
             "ServeAgentsHttp has no effect: anybody could say to be an agent; set AgentToken or "
             "AgentsUseMutualTLS");
    }
    const auto& method = e.config.AuthenticationMethod;
    if ((method == "basic" || method == "multi") && e.config.HTTPAuthUser.empty()) {
        warn(e, "AuthenticationMethod",
             fmt::format("AuthenticationMethod = \"{}\" protects nothing while HTTPAuthUser is empty",
                         method));
    }
}

}  // namespace

void make_effective(Effect effect) {
    apply_older_names(effect);
    apply_dependent_defaults(effect);
    apply_spellings(effect);
    choose_backend(effect);
}

void check_together(Effect effect) {
    check_promotion_keys(effect);
    check_raft(effect);
    check_poll(effect);
    check_agents(effect);
    warn_without_effect(effect);
}

int64_t Config::failure_detection_block_seconds() const {
    return FailureDetectionPeriodBlockSeconds > 0 ? FailureDetectionPeriodBlockSeconds
                                                  : FailureDetectionPeriodBlockMinutes * 60;
}

}  // namespace baton::config
