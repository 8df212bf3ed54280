#include "control/options.h"

#include <algorithm>

#include "base/text.h"
#include "config/filters.h"

namespace baton::control {
namespace {

using topology::InstanceKey;

/// The lists were compiled once when the configuration was read; a failure here would be a bug there.
template <class Filter, class Source>
std::shared_ptr<const Filter> compiled(const Source& source) {
    auto filter = Filter::compile(source);
    return std::make_shared<const Filter>(filter ? std::move(*filter) : Filter{});
}

std::function<bool(const InstanceKey&)> host_predicate(const std::vector<std::string>& entries) {
    auto filter = compiled<config::HostFilter>(entries);
    if (filter->empty()) return {};
    return [filter](const InstanceKey& key) { return filter->matches(key.host, key.port); };
}

/// The first group of a pattern on the host name, or "".
std::function<std::string(const std::string&)> extractor(const std::string& text) {
    if (text.empty()) return [](const std::string&) { return std::string{}; };
    auto pattern = config::Pattern::compile(text);
    auto shared = pattern ? std::make_shared<config::Pattern>(std::move(*pattern)) : nullptr;
    return [shared](const std::string& host) {
        return shared ? shared->first_group(host).value_or(std::string{}) : std::string{};
    };
}

std::function<void(const InstanceKey&, topology::Instance&)> annotator(const config::Config& config) {
    if (config.DataCenterPattern.empty() && config.RegionPattern.empty() &&
        config.PhysicalEnvironmentPattern.empty()) {
        return {};
    }
    return [dc = extractor(config.DataCenterPattern), region = extractor(config.RegionPattern),
            environment = extractor(config.PhysicalEnvironmentPattern)](const InstanceKey& key,
                                                                        topology::Instance& i) {
        i.data_center = dc(key.host);
        i.region = region(key.host);
        i.environment = environment(key.host);
    };
}

}  // namespace

std::function<bool(const topology::Cluster&)> cluster_predicate(const std::vector<std::string>& entries) {
    return [filter = compiled<config::ClusterFilter>(entries)](const topology::Cluster& cluster) {
        std::vector<std::string> names{cluster.name, cluster.id};
        names.insert(names.end(), cluster.former_names.begin(), cluster.former_names.end());
        return filter->matches(names, cluster.alias);
    };
}

discovery::Options discovery_options(const config::Config& config) {
    discovery::Options options;
    options.poll_interval = seconds(config.InstancePollSeconds);
    options.probe_timeout = milliseconds(config.ProbeTimeoutMilliseconds);
    options.heartbeat = milliseconds(config.PrimaryHeartbeatMilliseconds);
    options.default_port = static_cast<uint16_t>(config.DefaultInstancePort);
    for (const auto& port : config.DiscoveryPortCandidates) {
        options.port_candidates.push_back(static_cast<uint16_t>(parse_uint(port).value_or(0)));
    }
    options.forget_unseen = std::chrono::hours(config.UnseenInstanceForgetHours);
    options.dead_poll_factor = config.DeadInstancePollSecondsMultiplyFactor;
    options.dead_poll_max = seconds(config.DeadInstancePollSecondsMax);
    options.ignore = host_predicate(config.DiscoveryIgnoreHostnameFilters);
    options.ignore_replica = host_predicate(config.DiscoveryIgnoreReplicaHostnameFilters);
    options.ignore_primary = host_predicate(config.DiscoveryIgnoreMasterHostnameFilters);
    options.annotate = annotator(config);
    if (!config.ClusterNameToAlias.empty()) {
        options.suggest_alias = [aliases = compiled<config::AliasMap>(config.ClusterNameToAlias)](
                                    const topology::Cluster& cluster) {
            return aliases->alias_of(cluster.name);
        };
    }
    return options;
}

namespace {

recovery::RejoinOptions rejoin_options(const config::Config& config,
                                       std::function<bool(const topology::Cluster&)> automatic) {
    using plan::RejoinPolicy;
    const auto& word = config.RejoinPolicy;
    return {.policy = word == "manual"        ? RejoinPolicy::manual
                      : word == "rewind-only" ? RejoinPolicy::rewind_only
                                              : RejoinPolicy::automatic,
            .may_drop_writes = config.RejoinDropsWrites,
            .manage_slots = config.PostgreSQLManageSlots,
            .maximum_rate_kbps = config.CloneMaximumRateKBps,
            .automatic = std::move(automatic)};
}

recovery::SlotOptions slot_options(const config::Config& config) {
    using recovery::SlotUpkeepWhere;
    const auto& word = config.SlotUpkeep;
    return {.where = word == "always"  ? SlotUpkeepWhere::everywhere
                     : word == "never" ? SlotUpkeepWhere::nowhere
                                       : SlotUpkeepWhere::with_agents,
            .manage = config.PostgreSQLManageSlots,
            .member_ttl = seconds(config.MemberSlotTTLSeconds)};
}

}  // namespace

recovery::Options recovery_options(const config::Config& config, const std::string& hostname,
                                   const std::string& token) {
    recovery::Options options;
    options.analysis.reasonable_lag_seconds = config.ReasonableReplicationLagSeconds;
    options.analysis.primary_start_timeout = seconds(config.PrimaryStartTimeoutSeconds);
    options.analysis.disk_notice_percent = static_cast<int>(config.DiskSpaceNoticePercent);
    options.analysis.disk_low_percent = static_cast<int>(config.DiskSpaceLowPercent);
    options.analysis.disk_critical_percent = static_cast<int>(config.DiskSpaceCriticalPercent);
    options.analysis.certificate_notice = std::chrono::hours(24 * config.CertificateNoticeDays);
    options.analysis.recover_lost_to_clients = config.RecoverPrimaryLostToClients;
    options.analysis.ignored = host_predicate(config.RecoveryIgnoreHostnameFilters);
    auto& plan = options.plan;
    plan.maximum_lag_bytes = static_cast<uint64_t>(config.MaximumLagOnFailoverBytes);
    plan.maximum_disconnected = seconds(config.MaximumStandbyDisconnectedSeconds);
    plan.prevent_cross_data_center = config.PreventCrossDataCenterMasterFailover;
    plan.prevent_cross_region = config.PreventCrossRegionMasterFailover;
    plan.manage_slots = config.PostgreSQLManageSlots;
    plan.synchronous = config.SynchronousFailoverPolicy == "keep" ? plan::SynchronousPolicy::keep
                                                                  : plan::SynchronousPolicy::relax;
    plan.promotion_timeout = seconds(config.PromotionTimeoutSeconds);
    plan.follow_timeout = seconds(config.FollowTimeoutSeconds);
    plan.ignored_for_promotion = host_predicate(config.PromotionIgnoreHostnameFilters);
    options.detection_block = seconds(config.failure_detection_block_seconds());
    options.recovery_block = seconds(config.RecoveryPeriodBlockSeconds);
    options.start_delay = 3 * seconds(config.InstancePollSeconds);
    // A lost SYN is sent again after a second: a shorter wait would take one lost packet for a dead primary.
    options.receiver_check_deadline =
        std::max<Duration>(milliseconds(config.ProbeTimeoutMilliseconds), milliseconds(1250));
    // One check must have ended before the next begins, or none would ever be conclusive.
    options.receiver_check_interval =
        std::max<Duration>(seconds(config.InstancePollSeconds),
                           options.receiver_check_deadline + options.receiver_check_deadline / 2);
    options.receiver_check = config.PostgreSQLReceiverCheck;
    options.fail_on_failed_post_hooks = config.FailRecoveryOnFailedPostFailoverProcesses;
    options.recovers_primary = cluster_predicate(config.RecoverMasterClusterFilters);
    options.recovers_intermediate = cluster_predicate(config.RecoverIntermediateMasterClusterFilters);
    options.hooks = {.on_failure_detection = config.OnFailureDetectionProcesses,
                     .pre_failover = config.PreFailoverProcesses,
                     .post_failover = config.PostFailoverProcesses,
                     .post_unsuccessful_failover = config.PostUnsuccessfulFailoverProcesses,
                     .post_primary_failover = config.PostMasterFailoverProcesses,
                     .post_intermediate_failover = config.PostIntermediateMasterFailoverProcesses,
                     .pre_graceful_takeover = config.PreGracefulTakeoverProcesses,
                     .post_graceful_takeover = config.PostGracefulTakeoverProcesses};
    options.switchover.pause = seconds(config.SwitchoverPauseSeconds);
    options.switchover.lag_seconds = config.ReasonableMaintenanceReplicationLagSeconds;
    options.switchover.lag_bytes = static_cast<uint64_t>(config.SwitchoverMaximumLagBytes);
    options.hook_options = {.shell = config.ProcessesShellCommand,
                            .timeout = seconds(config.ProcessesTimeoutSeconds)};
    options.node_hostname = hostname;
    options.node_token = token;
    options.kv_prefix = config.KVClusterMasterPrefix;
    options.lease = seconds(config.PrimaryLeaseSeconds);
    options.rejoin = rejoin_options(config, options.recovers_primary);
    options.slots = slot_options(config);
    return options;
}

engine::postgresql::Login login(const config::Config& config) {
    return {.user = config.PostgreSQLTopologyUser,
            .password = config.PostgreSQLTopologyPassword,
            .passfile = config.PostgreSQLTopologyPassFile,
            .database = config.PostgreSQLTopologyDatabase,
            .sslmode = config.PostgreSQLSSLMode,
            .sslrootcert = config.PostgreSQLSSLCAFile,
            .sslcert = config.PostgreSQLSSLCertFile,
            .sslkey = config.PostgreSQLSSLPrivateKeyFile,
            .connect_timeout = milliseconds(config.PostgreSQLConnectTimeoutMilliseconds)};
}

store::Limits store_limits(const config::Config& config) {
    store::Limits limits;
    limits.recoveries = static_cast<size_t>(config.RecoveryAuditLimit);
    limits.audit = static_cast<size_t>(config.AuditLimit);
    return limits;
}

std::vector<topology::InstanceKey> seeds(const config::Config& config) {
    std::vector<topology::InstanceKey> keys;
    for (const auto& text : config.DiscoverySeeds) {
        if (auto key =
                topology::parse_instance_key(text, static_cast<uint16_t>(config.DefaultInstancePort))) {
            keys.push_back(std::move(*key));
        }
    }
    return keys;
}

}  // namespace baton::control
