#include "base/text.h"
#include "cli/classic.h"
#include "cli/classic_print.h"
#include "cli/classic_special.h"

namespace baton::cli {
namespace {

using namespace print;
using enum Deed;

constexpr std::string_view mysql_only =
    "it works on a MySQL server's binary logs directly, which the API does not offer";
constexpr std::string_view server_side = "the manager does this by itself";

constexpr ClassicCommand reading_commands[] = {
    {"which-api", "", "", read, nullptr, nullptr, "the address of the API that is used", special::which_api},
    {"api", "", "{path}", read, raw_json, nullptr, "ask any route (-path) and print its answer",
     special::api},
    {"clusters", "", "clusters-info", read, cluster_names, nullptr, "names of all clusters"},
    {"clusters-alias", "", "clusters-info", read, cluster_alias_comma, cluster_alias_tab,
     "names and aliases of all clusters"},
    {"topology", "", "topology/{hint}", read, text, nullptr, "a cluster as a tree"},
    {"topology-tabulated", "", "topology-tabulated/{hint}", read, text, nullptr,
     "a cluster as a tree, in columns"},
    {"topology-tags", "", "topology-tags/{hint}", read, text, nullptr, "a cluster as a tree, with tags"},
    {"search", "", "search?s={text}", read, keys, nullptr,
     "instances whose name, version or cluster contains -i"},
    {"find", "", "all-instances?pattern={pattern}", read, matching, nullptr,
     "instances whose host:port matches -pattern", special::find},
    {"instance", "which-instance", "instance/{i}", read, key, nullptr, "an instance's full name, if known"},
    {"instance-status", "", "topology/{i}", read, instance_status, nullptr,
     "an instance's state, in brackets"},
    {"all-instances", "", "all-instances", read, keys, nullptr, "every known instance"},
    {"which-master", "which-primary", "instance/{i}", read, master_key, master_key_or_nothing,
     "what an instance replicates from"},
    {"which-replicas", "", "instance-replicas/{i}", read, keys, nullptr, "what replicates from an instance"},
    {"which-broken-replicas", "", "instance-replicas/{i}", read, broken_replicas, nullptr,
     "those of them that are broken"},
    {"which-cluster", "", "cluster-info/{hint}", read, cluster_name, nullptr,
     "the cluster of an instance or alias"},
    {"which-cluster-alias", "", "cluster-info/{hint}", read, cluster_alias, nullptr,
     "the alias of a cluster"},
    {"which-cluster-domain", "", "cluster-info/{hint}", read, cluster_domain, nullptr,
     "the domain of a cluster"},
    {"which-cluster-master", "", "master/{hint}", read, key, nullptr, "the primary of a cluster"},
    {"which-heuristic-domain-instance", "", "master/{hint}", read, key, nullptr,
     "the instance that a cluster's domain should name"},
    {"which-cluster-instances", "", "cluster/{hint}", read, keys, nullptr, "the instances of a cluster"},
    {"all-clusters-masters", "", "masters", read, keys, nullptr, "the primary of each cluster"},
    {"which-cluster-osc-replicas", "", "cluster-osc-replicas/{hint}", read, keys, nullptr,
     "control replicas for an online schema change"},
    {"which-cluster-osc-running-replicas", "", "cluster-osc-replicas/{hint}", read, running_replicas, nullptr,
     "those of them that replicate"},
    {"which-cluster-gh-ost-replicas", "", "cluster-osc-replicas/{hint}", read, running_replicas, nullptr,
     "replicas that a schema change can run on"},
    {"get-cluster-heuristic-lag", "", "cluster-info/{hint}", read, cluster_lag, nullptr,
     "lag of a cluster, seconds"},
    {"downtimed", "which-downtimed-instances", "downtimed[/{hint}]", read, keys, nullptr,
     "instances in downtime"},
    {"which-lost-in-recovery", "", "all-instances", read, lost_in_recovery, nullptr,
     "instances that a recovery had to leave behind"},
    {"in-maintenance", "", "in-maintenance/{i}", read, in_maintenance, nullptr,
     "the instance, if in maintenance"},
    {"dominant-dc", "", "masters", read, dominant_data_center, nullptr,
     "the data centre with most primaries"},
    {"is-replicating", "", "instance/{i}", read, is_replicating, nullptr, "the instance, if it replicates"},
    {"is-replication-stopped", "", "instance/{i}", read, is_stopped, nullptr,
     "the instance, if its replication is stopped"},
    {"can-replicate-from", "", "can-replicate-from/{i}/{d}", read, can_replicate, nullptr,
     "the destination, if the instance may replicate from it", special::can_replicate},
    {"can-replicate-from-gtid", "", "can-replicate-from-gtid/{i}/{d}", read, can_replicate, nullptr,
     "the same, by GTID", special::can_replicate},
    {"replication-analysis", "", "replication-analysis", read, analysis_script, analysis_binary,
     "what is wrong now, and where"},
    {"recovery-info", "", "audit-recovery[/cluster/{hint}]", read, recoveries, nullptr,
     "the last recoveries"},
    {"check-global-recoveries", "", "check-global-recoveries", read, text, recoveries_state,
     "whether automatic recovery is on"},
    {"tags", "", "tags/{i}", read, lines, nullptr, "tags of an instance"},
    {"tag-value", "", "tag-value/{i}?tag={tag}", read, text, nullptr, "value of a tag", special::tag_value},
    {"tagged", "", "tagged?tag={tag}", read, keys, nullptr, "instances with these tags: a,b=c,~d"},
    {"which-heuristic-cluster-pool-instances", "", "heuristic-cluster-pool-instances/{hint}[/{pool}]", read,
     keys, nullptr, "instances of a cluster's pools"},
    {"cluster-pool-instances", "", "", read, nullptr, nullptr, "all pools of all clusters",
     special::pool_instances},
    {"bulk-instances", "", "bulk-instances", read, sorted_keys, nullptr, "every known instance, sorted"},
    {"bulk-promotion-rules", "", "bulk-promotion-rules", read, promotion_rules, nullptr,
     "every promotion rule"},
    {"active-nodes", "", "health", read, nodes, nullptr, "manager nodes that are alive"},
    {"resolve", "", "resolve/{i}", read, key, nullptr, "resolve and reach an instance's address"},
    {"show-resolve-hosts", "", "hostname-resolve-cache", read, resolve_cache, nullptr,
     "the cache of resolved names"},
    {"raft-leader", "", "raft-leader", read, text, nullptr, "the leader's Raft address",
     special::raft_leader},
    {"raft-health", "", "raft-health", read, text, nullptr, "whether the Raft group is healthy"},
    {"raft-leader-hostname", "", "health", read, nullptr, nullptr, "the leader's host",
     special::raft_leader_hostname},
    {"which-gtid-errant", "", "instance/{i}", read, errant, nullptr, "errant transactions of an instance"},
    {"locate-gtid-errant", "", "locate-gtid-errant/{i}", read, lines, nullptr,
     "binary logs with errant transactions"},
    {"last-pseudo-gtid", "", "last-pseudo-gtid/{i}", read, text, pseudo_gtid, "the last Pseudo-GTID entry"},
    {"restart-replica-statements", "", "restart-replica-statements/{i}[?q={query}]", read, content_json,
     lines, "statements that stop and start replication"},
    {"proxysql-servers", "", "proxysql/servers", read, proxysql_servers, nullptr,
     "ProxySQL's runtime servers"},
};

constexpr ClassicCommand changing_commands[] = {
    {"discover", "", "discover/{i}", act, key, nullptr, "look at an instance now, and watch its cluster"},
    {"async-discover", "", "async-discover/{i}", act, asked_instance, nullptr, "the same, without waiting"},
    {"forget", "", "forget/{i}", act, nothing, asked_instance, "forget an instance"},
    {"forget-cluster", "", "forget-cluster/{hint}", act, nothing, nullptr, "forget a cluster"},
    {"snapshot-topologies", "", "snapshot-topologies", act, text, nothing, "record who replicates from whom"},
    {"submit-masters-to-kv-stores", "", "submit-masters-to-kv-stores[/{explicit_hint}]", act, key_values,
     nullptr, "write the primaries to the key-value stores"},
    {"tag", "", "tag/{i}?tag={tag}", act, key, nullptr, "tag an instance"},
    {"untag", "", "untag/{i}?tag={tag}", act, keys, nullptr, "remove an instance's tag"},
    {"untag-all", "", "untag-all?tag={tag}", act, keys, nullptr, "remove a tag and value everywhere"},
    {"submit-pool-instances", "", "submit-pool-instances/{pool}?instances={instances}", act, text, nothing,
     "set the instances of a pool"},
    {"begin-downtime", "", "begin-downtime/{i}/{owner}/{reason}/{duration}", act, key, nullptr,
     "leave an instance alone for a while"},
    {"end-downtime", "", "end-downtime/{i}", act, key, nullptr, "end its downtime"},
    {"begin-maintenance", "", "begin-maintenance/{i}/{owner}/{reason}", act, key, nullptr,
     "lock an instance against operations"},
    {"end-maintenance", "", "end-maintenance/{i}", act, key, nullptr, "unlock it"},
    {"register-candidate", "set-candidate-promotion-rule", "register-candidate/{i}/{rule}", act, key, nullptr,
     "set an instance's promotion rule"},
    {"register-hostname-unresolve", "", "register-hostname-unresolve/{i}/{hostname}", act, key, nullptr,
     "set the name to use for an instance"},
    {"deregister-hostname-unresolve", "", "deregister-hostname-unresolve/{i}", act, key, nullptr,
     "and remove it"},
    {"reset-hostname-resolve-cache", "", "reset-hostname-resolve-cache", act, resolve_cache_cleared, nullptr,
     "forget resolved names"},
    {"set-read-only", "", "set-read-only/{i}", act, key, nullptr, "make an instance read-only"},
    {"set-writeable", "", "set-writeable/{i}", act, key, nullptr, "make an instance writable"},
    {"ack-cluster-recoveries", "", "ack-recovery/cluster/{hint}?comment={reason}", act, text, nullptr,
     "acknowledge a cluster's recoveries", special::acknowledge},
    {"ack-instance-recoveries", "ack-recovery", "ack-recovery/instance/{i}?comment={reason}", act, key,
     nullptr, "acknowledge an instance's recoveries", special::acknowledge},
    {"ack-all-recoveries", "", "ack-all-recoveries?comment={reason}", act, text, nullptr,
     "acknowledge all recoveries", special::acknowledge},
    {"disable-global-recoveries", "", "disable-global-recoveries", act, text, recoveries_disabled,
     "switch automatic recovery off"},
    {"enable-global-recoveries", "", "enable-global-recoveries", act, text, recoveries_enabled,
     "switch automatic recovery on"},
    {"raft-elect-leader", "", "raft-yield-hint/{hostname}", act, text, nullptr, "make another node lead",
     special::raft_elect_leader},
    {"custom-command", "", "agent-custom-command/{hostname}/{pattern}", act, content_json, nullptr,
     "run a command of an agent"},
};

constexpr ClassicCommand moving_commands[] = {
    {"relocate", "relocate-below", "relocate/{i}/{d}", recover, moved, nullptr,
     "move a replica below another"},
    {"relocate-replicas", "", "relocate-replicas/{i}/{d}[?pattern={pattern}]", recover, keys, nullptr,
     "move all replicas of -i below -d"},
    {"take-siblings", "enslave-siblings", "take-siblings/{i}", recover, moved, asked_instance,
     "move its siblings below an instance"},
    {"take-master", "enslave-master", "take-master/{i}", recover, moved, asked_instance,
     "swap an instance and what it replicates from"},
    {"regroup-replicas", "", "regroup-replicas/{i}", recover, regrouped, nullptr,
     "put the replicas of -i below the best of them"},
    {"move-up", "", "move-up/{i}", recover, moved, nullptr, "move a replica one level up"},
    {"move-up-replicas", "", "move-up-replicas/{i}[?pattern={pattern}]", recover, keys, nullptr,
     "move the replicas of -i one level up"},
    {"move-below", "", "move-below/{i}/{d}", recover, moved, nullptr, "move a replica below its sibling"},
    {"move-equivalent", "", "move-equivalent/{i}/{d}", recover, moved, nullptr, "move by known coordinates"},
    {"repoint", "", "repoint/{i}/{d}", recover, moved, nullptr, "make a replica follow -d as it is"},
    {"repoint-replicas", "", "repoint-replicas/{i}[?pattern={pattern}]", recover, keys, moved_each,
     "make the replicas of -i follow it again"},
    {"make-co-master", "", "make-co-master/{i}", recover, moved, asked_instance,
     "two that follow each other"},
    {"move-gtid", "move-below-gtid", "move-below-gtid/{i}/{d}", recover, moved, nullptr, "move by GTID"},
    {"move-replicas-gtid", "", "move-replicas-gtid/{i}/{d}[?pattern={pattern}]", recover, keys, nullptr,
     "move all replicas by GTID"},
    {"regroup-replicas-gtid", "", "regroup-replicas-gtid/{i}", recover, regrouped, nullptr,
     "regroup by GTID"},
    {"regroup-replicas-pgtid", "", "regroup-replicas-pgtid/{i}", recover, regrouped, nullptr,
     "regroup by Pseudo-GTID"},
    {"regroup-replicas-bls", "", "regroup-replicas-bls/{i}", recover, key, nullptr, "regroup binlog servers"},
    {"match", "match-below", "match/{i}/{d}", recover, moved, nullptr, "move by Pseudo-GTID"},
    {"match-up", "rematch", "match-up/{i}", recover, moved, nullptr, "move one level up by Pseudo-GTID"},
    {"match-replicas", "", "match-replicas/{i}/{d}[?pattern={pattern}]", recover, keys, nullptr,
     "move all replicas by Pseudo-GTID"},
    {"match-up-replicas", "", "match-up-replicas/{i}[?pattern={pattern}]", recover, keys, nullptr,
     "move all replicas one level up by Pseudo-GTID"},
    {"enable-gtid", "", "enable-gtid/{i}", act, key, nullptr, "replicate by GTID"},
    {"disable-gtid", "", "disable-gtid/{i}", act, key, nullptr, "replicate by file and position"},
    {"gtid-errant-reset-master", "", "gtid-errant-reset-master/{i}", act, key, nullptr,
     "drop errant transactions by a reset"},
    {"gtid-errant-inject-empty", "", "gtid-errant-inject-empty/{i}", act, key, nullptr,
     "make errant transactions empty ones of the cluster"},
    {"skip-query", "", "skip-query/{i}", act, key, nullptr, "skip one statement of a broken replica"},
    {"stop-replica", "", "stop-replica/{i}", act, key, nullptr, "stop replication"},
    {"stop-replica-nice", "", "stop-replica-nice/{i}", act, key, nullptr,
     "stop replication at a clean point"},
    {"start-replica", "", "start-replica/{i}", act, key, nullptr, "start replication"},
    {"restart-replica", "", "restart-replica/{i}", act, key, nullptr, "stop and start replication"},
    {"reset-replica", "", "reset-replica/{i}", act, key, nullptr, "forget what to replicate from"},
    {"detach-replica", "", "detach-replica/{i}", act, key, nullptr,
     "stop replication so that it stays stopped"},
    {"reattach-replica", "", "reattach-replica/{i}", act, key, nullptr, "undo detach-replica"},
    {"detach-replica-master-host", "", "detach-replica-master-host/{i}", act, key, nullptr,
     "as detach-replica"},
    {"reattach-replica-master-host", "", "reattach-replica-master-host/{i}", act, key, nullptr,
     "as reattach-replica"},
    {"enable-semi-sync-master", "", "enable-semi-sync-master/{i}", act, key, nullptr,
     "semi-sync on a primary"},
    {"disable-semi-sync-master", "", "disable-semi-sync-master/{i}", act, key, nullptr, "and off"},
    {"enable-semi-sync-replica", "", "enable-semi-sync-replica/{i}", act, key, nullptr,
     "semi-sync on a replica"},
    {"disable-semi-sync-replica", "", "disable-semi-sync-replica/{i}", act, key, nullptr, "and off"},
    {"delay-replication", "", "delay-replication/{i}/{seconds}", act, text, nullptr, "delay a replica"},
    {"flush-binary-logs", "", "flush-binary-logs/{i}", act, key, nullptr, "begin a new binary log"},
    {"purge-binary-logs", "", "purge-binary-logs/{i}/{binlog}", act, key, nullptr, "remove old binary logs"},
};

constexpr ClassicCommand recovering_commands[] = {
    {"recover", "", "recover/{i}[/{d}]", recover, key, nullptr, "recover a failed instance",
     special::recover},
    {"recover-lite", "", "recover-lite/{i}[/{d}]", recover, key, nullptr, "the same without hooks",
     special::recover},
    {"force-master-failover", "", "force-master-failover/{hint}", recover, successor, nullptr,
     "fail a cluster over, whatever its state"},
    {"force-master-takeover", "", "force-master-takeover/{hint}/{d}", recover, successor, nullptr,
     "fail over to -d, whatever the state"},
    {"graceful-master-takeover", "", "graceful-master-takeover/{hint}[/{d}]", recover, successor,
     successor_and_coordinates, "planned change of the primary"},
    {"graceful-master-takeover-auto", "", "graceful-master-takeover-auto/{hint}[/{d}]", recover, successor,
     successor_and_coordinates, "the same; the old primary follows the new one"},
};

constexpr ClassicCommand unavailable(std::string_view name, std::string_view why) {
    return {name, "", "", Deed::read, nullptr, nullptr, "", nullptr, why};
}

constexpr ClassicCommand unavailable_commands[] = {
    unavailable("master-pos-wait", mysql_only),
    unavailable("last-executed-relay-entry", mysql_only),
    unavailable("correlate-relaylog-pos", mysql_only),
    unavailable("correlate-binlog-pos", mysql_only),
    unavailable("find-binlog-entry", mysql_only),
    unavailable("get-candidate-replica", "use `baton plan CLUSTER`, which also says why not the others"),
    unavailable("internal-suggest-promoted-replacement",
                "use `baton plan CLUSTER`, which also says why not the others"),
    unavailable("set-heuristic-domain-instance", server_side),
    unavailable("redeploy-internal-db", server_side),
    unavailable("show-unresolve-hosts", server_side),
    unavailable("continuous", "use `baton serve`"),
    unavailable("access-token", "use basic authentication"),
    unavailable("dump-config", "use `baton config show`"),
    unavailable("proxysql-test", "use `proxysql-servers`"),
};

template <class... Tables>
std::vector<ClassicCommand> joined(const Tables&... tables) {
    std::vector<ClassicCommand> all;
    (all.insert(all.end(), std::begin(tables), std::end(tables)), ...);
    return all;
}

const ClassicCommand* find_exactly(std::string_view name) {
    for (const auto& command : classic_commands()) {
        if (command.name == name) return &command;
        const auto aliases = split(command.aliases, ' ');
        if (std::ranges::find(aliases, name) != aliases.end() && !name.empty()) return &command;
    }
    return nullptr;
}

}  // namespace

std::span<const ClassicCommand> classic_commands() {
    static const std::vector<ClassicCommand> all = joined(
        reading_commands, changing_commands, moving_commands, recovering_commands, unavailable_commands);
    return all;
}

const ClassicCommand* find_classic(std::string_view name) {
    if (const auto* command = find_exactly(name)) return command;
    const auto at = name.find("slave");
    if (at == std::string_view::npos) return nullptr;
    return find_exactly(std::string(name.substr(0, at)) + "replica" + std::string(name.substr(at + 5)));
}

}  // namespace baton::cli
