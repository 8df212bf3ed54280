#include "base/text.h"
#include "cli/modern.h"
#include "cli/modern_special.h"
#include "cli/modern_view.h"

namespace baton::cli {
namespace {

using enum Deed;

constexpr ModernCommand table[] = {
    {"status", "", "", "health", read, nullptr, "the manager's health, and whether recovery is automatic",
     "status", "", special::status},
    {"clusters", "", "", "clusters-info", read, view::clusters, "all clusters", "clusters\nclusters --json"},
    {"topology", "tree", "[CLUSTER]", "topology/{hint}", read, view::tree, "one cluster or all, as trees",
     "topology\ntopology shop\ntopology db1:5432 --watch 1", "", special::topology},
    {"instances", "", "[CLUSTER]", "cluster/{hint}", read, view::instances, "instances of one cluster or all",
     "instances\ninstances shop", "", special::instances},
    {"instance", "", "HOST:PORT", "instance/{i}", read, view::instance, "one instance in detail",
     "instance db2:5432"},
    {"primaries", "", "", "masters", read, view::instances, "the primary of each cluster", "primaries"},
    {"search", "", "TEXT", "search?s={text}", read, view::instances,
     "instances by a part of a name or version", "search db1"},
    {"problems", "", "[CLUSTER]", "v2/problems", read, nullptr, "what is wrong now, with the evidence",
     "problems\nproblems shop --watch", "", special::problems},
    {"plan", "", "CLUSTER [CANDIDATE]", "v2/clusters/{hint}/plan[?candidate={candidate}]", read, view::plan,
     "who would be promoted now, and why not the others", "plan shop\nplan shop db3:5432"},
    {"recoveries", "", "[CLUSTER]", "audit-recovery[/cluster/{hint}]", read, view::recoveries,
     "the last recoveries", "recoveries\nrecoveries shop"},
    {"timeline", "", "[UID|CLUSTER]", "v2/recoveries/{uid}", read, nullptr,
     "a recovery step by step, in milliseconds (default: the last)", "timeline\ntimeline shop", "",
     special::timeline},
    {"blocked", "", "[CLUSTER]", "blocked-recoveries[/cluster/{hint}]", read, view::blocked,
     "recoveries that do not start because of an earlier one", "blocked"},
    {"agents", "", "[HOST:PORT]", "v2/agents[/{i}]", read, view::agents,
     "the host agents: what each guards, its state, lease and job",
     "agents\nagents db1:5432\nagents --watch 1"},
    {"events", "", "", "v2/events", read, nullptr, "what happens, as it happens", "events\nevents --json", "",
     special::events},
    {"audit", "", "[HOST:PORT]", "audit[/instance/{i}]", read, view::audit, "what was done",
     "audit\naudit db1:5432"},
    {"downtimed", "", "[CLUSTER]", "downtimed[/{hint}]", read, view::downtimed, "instances in downtime",
     "downtimed"},
    {"tags", "", "HOST:PORT", "tags/{i}", read, view::lines, "tags of an instance", "tags db2:5432"},
    {"tagged", "", "EXPRESSION", "tagged?tag={tag}", read, view::keys, "instances by tags: a,b=c,~d",
     "tagged role=reporting"},
    {"discover", "", "HOST:PORT", "discover/{i}", act, view::message,
     "look at an instance, and watch its cluster", "discover db1:5432"},
    {"forget", "", "HOST:PORT", "forget/{i}", act, view::message, "forget an instance", "forget db4:5432"},
    {"forget-cluster", "", "CLUSTER", "forget-cluster/{hint}", act, view::message, "forget a cluster",
     "forget-cluster old"},
    {"set-alias", "", "CLUSTER ALIAS", "set-cluster-alias/{hint}?alias={alias}", act, view::message,
     "name a cluster", "set-alias db1:5432 shop"},
    {"recover", "", "HOST:PORT [CANDIDATE]", "recover/{i}[/{d}]", recover, view::promoted,
     "recover a failed instance now", "recover db1:5432\nrecover db1:5432 db3:5432"},
    {"failover", "", "CLUSTER [CANDIDATE]", "force-master-failover/{hint}", recover, nullptr,
     "promote another primary now, even if this one works", "failover shop\nfailover shop db3:5432", "",
     special::failover},
    {"switchover", "", "CLUSTER", "v2/clusters/{hint}/switchover", recover, nullptr,
     "make another server the primary, without loss: the old one is stopped first, and becomes a standby",
     "switchover shop --dry-run\nswitchover shop --to db2:5432\nswitchover shop --at 2026-11-22T03:00:00Z\n"
     "switchover shop --cancel",
     "to dry-run at cancel", special::switchover},
    {"rejoin", "", "HOST:PORT", "v2/instances/{i}/rejoin", recover, nullptr,
     "bring a server back below the primary: started, rewound or made anew",
     "rejoin db1:5432 --dry-run\nrejoin db1:5432 --force", "force dry-run no-wait cancel", special::rejoin},
    {"reinit", "", "HOST:PORT", "v2/instances/{i}/reinit", recover, nullptr,
     "make a server anew, from the primary or another", "reinit db1:5432\nreinit db1:5432 --from db3:5432",
     "from no-wait cancel", special::reinit},
    {"clone", "", "HOST:PORT", "v2/instances/{i}/clone", recover, nullptr,
     "make a new server whose agent is connected", "clone db4:5432 --from db2:5432", "from no-wait cancel",
     special::clone},
    {"relocate", "", "HOST:PORT UPSTREAM", "relocate/{i}/{d}", recover, view::moved,
     "make a standby follow another", "relocate db3:5432 db2:5432"},
    {"relocate-replicas", "", "HOST:PORT UPSTREAM", "relocate-replicas/{i}/{d}", recover, view::moved_many,
     "move all standbys of one below another", "relocate-replicas db1:5432 db2:5432"},
    {"move-up", "", "HOST:PORT", "move-up/{i}", recover, view::moved, "move a standby one level up",
     "move-up db3:5432"},
    {"move-below", "", "HOST:PORT SIBLING", "move-below/{i}/{d}", recover, view::moved,
     "move a standby below its sibling", "move-below db3:5432 db2:5432"},
    {"repoint", "", "HOST:PORT UPSTREAM", "repoint/{i}/{d}", recover, view::moved,
     "make a standby follow another, as it is", "repoint db3:5432 db2:5432"},
    {"take-siblings", "", "HOST:PORT", "take-siblings/{i}", recover, view::moved_many,
     "put its siblings below a standby", "take-siblings db2:5432"},
    {"regroup-replicas", "", "HOST:PORT", "regroup-replicas/{i}", recover, view::moved_many,
     "put the standbys of one below the best of them", "regroup-replicas db1:5432"},
    {"ack", "acknowledge", "[CLUSTER|UID]", "", act, nullptr,
     "tick off recoveries, so that the next may start",
     "ack shop --comment 'disk replaced'\nack --all --comment drill", "comment all",
     special::acknowledge_modern},
    {"downtime", "", "HOST:PORT", "begin-downtime/{i}/{owner}/{reason}/{duration}", act, view::message,
     "leave an instance alone for a while", "downtime db3:5432 --duration 2h --reason 'new disk'",
     "duration reason owner"},
    {"end-downtime", "", "HOST:PORT", "end-downtime/{i}", act, view::message, "end its downtime",
     "end-downtime db3:5432"},
    {"maintenance", "", "[HOST:PORT]", "maintenance", act, nullptr,
     "lock an instance against operations, or list such",
     "maintenance\nmaintenance db3:5432 --reason 'new disk'", "reason owner", special::maintenance},
    {"end-maintenance", "", "HOST:PORT", "end-maintenance/{i}", act, view::message, "unlock it",
     "end-maintenance db3:5432"},
    {"tag", "", "HOST:PORT NAME[=VALUE]", "tag/{i}?tag={tag}", act, view::message, "tag an instance",
     "tag db3:5432 role=reporting"},
    {"untag", "", "HOST:PORT NAME", "untag/{i}?tag={tag}", act, view::message, "remove a tag",
     "untag db3:5432 role"},
    {"promotion-rule", "", "HOST:PORT RULE", "register-candidate/{i}/{rule}", act, view::message,
     "prefer, neutral, prefer_not or must_not", "promotion-rule db3:5432 must_not"},
    {"disable-recoveries", "", "", "disable-global-recoveries", act, view::message,
     "switch automatic recovery off", "disable-recoveries"},
    {"enable-recoveries", "", "", "enable-global-recoveries", act, view::message,
     "switch automatic recovery on", "enable-recoveries"},
    {"api", "", "PATH", "{path}", act, nullptr, "ask any route of the API",
     "api clusters-info\napi v2/status", "", special::api_modern},
};

constexpr std::string_view server_words[] = {"serve", "http",    "config",     "doctor",
                                             "certs", "version", "completion", "help"};

bool names(std::string_view list, const Flag& flag) {
    const auto wanted = split(list, ' ');
    return std::ranges::any_of(split(flag.names, ' '), [&](const std::string& name) {
        return std::ranges::find(wanted, name) != wanted.end();
    });
}

}  // namespace

std::span<const ModernCommand> modern_commands() {
    return table;
}

const ModernCommand* find_modern(std::string_view name) {
    for (const auto& command : table) {
        if (command.name == name) return &command;
        const auto aliases = split(command.aliases, ' ');
        if (!name.empty() && std::ranges::find(aliases, name) != aliases.end()) return &command;
    }
    return nullptr;
}

std::vector<std::string_view> all_words() {
    std::vector<std::string_view> words(std::begin(server_words), std::end(server_words));
    for (const auto& command : table)
        words.push_back(command.name);
    return words;
}

bool is_common(const Flag& flag) {
    return std::ranges::none_of(table, [&](const auto& command) { return names(command.flags, flag); });
}

bool takes(const ModernCommand& command, const Flag& flag) {
    if (flag.value == &Options::watch_seconds) return command.deed == Deed::read && command.name != "events";
    return is_common(flag) || names(command.flags, flag);
}

bool knows(std::string_view word) {
    return find_modern(word) != nullptr;
}

}  // namespace baton::cli
