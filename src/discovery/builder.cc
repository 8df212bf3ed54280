#include "discovery/builder.h"

#include <algorithm>
#include <unordered_map>

#include "discovery/matcher.h"

namespace baton::discovery {
namespace {

using topology::Cluster;
using topology::Instance;
using topology::Role;

constexpr uint64_t wal_segment_bytes = 16ULL << 20;

/// Every name of every member, and whose it is.
using Names = std::unordered_map<InstanceKey, const InstanceKey*>;

Names names_of(std::span<const Member* const> members) {
    Names names;
    names.reserve(members.size());
    for (const auto* m : members) {
        for (const auto& alias : m->aliases)
            names.emplace(alias, &m->key);
    }
    for (const auto* m : members)
        names[m->key] = &m->key;
    return names;
}

void add_record(const store::State& record, WallTime wall, Instance& instance) {
    if (const auto at = record.downtimes.find(instance.key);
        at != record.downtimes.end() && at->second.ends > wall) {
        instance.downtime = at->second;
    }
    for (const auto& [id, maintenance] : record.maintenance) {
        if (maintenance.key == instance.key && maintenance.span.ends > wall)
            instance.maintenance = maintenance.span;
    }
    if (const auto at = record.promotion_rules.find(instance.key);
        at != record.promotion_rules.end() && at->second.expires > wall) {
        instance.promotion_rule = at->second.rule;
        instance.is_candidate = true;
    }
    if (const auto at = record.tags.find(instance.key); at != record.tags.end()) {
        for (const auto& [name, value] : at->second)
            instance.tags.push_back({name, value});
    }
}

std::shared_ptr<Instance> make_instance(const ClusterInput& input, const Names& names, const Member& member) {
    auto instance = std::make_shared<Instance>();
    instance->key = member.key;
    instance->aliases = member.aliases;
    instance->health = member.health;
    instance->seen = member.seen;
    instance->last_seen = member.last_seen;
    instance->cluster_id = input.id;
    instance->role = member.role;
    instance->streamed_until = member.streamed_until;
    instance->last_message = member.last_message;
    instance->stopped_by = member.stopped_by;
    instance->caught_up_at = member.caught_up_at;
    instance->testimony_held_until = member.testimony_held_until;
    instance->history = member.history;
    instance->new_sessions_hang_since = member.new_sessions_hang_since;
    instance->host = member.host;
    instance->clients = member.clients;
    if (member.role != Role::primary && member.edge) {
        const auto known = names.find(*member.edge);
        instance->upstream_known = known != names.end();
        instance->upstream = instance->upstream_known ? *known->second : *member.edge;
    }
    add_record(*input.record, input.wall, *instance);
    if (input.annotate) input.annotate(instance->key, *instance);
    return instance;
}

using Instances = std::vector<std::shared_ptr<Instance>>;

/// A standby that looks for the primary itself and has not found it yet belongs below the one that it will
/// find, once whom it followed before leads no more. Only there can be seen what keeps it away (its slot is
/// missing, say).
void place_seekers(Instances& instances, const Names& names) {
    const auto leads = [](const Instance& i) { return i.is_primary() && i.health.ok() && i.seen; };
    const Instance* newest = nullptr;
    for (const auto& i : instances) {
        if (leads(*i) && (newest == nullptr || i->seen->timeline > newest->seen->timeline)) newest = i.get();
    }
    if (newest == nullptr) return;
    for (const auto& i : instances) {
        if (!i->is_standby() || !i->seen || i->seen->receiving()) continue;
        if (!i->seen->upstream.finds_primary_itself()) continue;
        // A dead primary keeps them until somebody has replaced it, whoever older may be writable.
        const bool settled =
            i->upstream && std::ranges::any_of(instances, [&](const auto& other) {
                return other->key == *i->upstream && other->is_primary() &&
                       (leads(*other) || (other->seen && other->seen->timeline >= newest->seen->timeline));
            });
        const bool finds_it = std::ranges::any_of(conninfo_hosts(i->key, *i->seen), [&](const auto& host) {
            const auto known = names.find(host);
            return known != names.end() && *known->second == newest->key;
        });
        if (settled || !finds_it) continue;
        i->upstream = newest->key;
        i->upstream_known = true;
    }
}

void link(Instances& instances) {
    std::unordered_map<InstanceKey, Instance*> by_key;
    by_key.reserve(instances.size());
    for (const auto& i : instances)
        by_key[i->key] = i.get();
    for (const auto& i : instances) {
        if (i->upstream_known && *i->upstream != i->key)
            by_key.at(*i->upstream)->downstream.push_back(i->key);
    }
    for (const auto& i : instances) {
        std::ranges::sort(i->downstream);
        const Instance* at = i.get();
        while (at->upstream_known && i->depth <= static_cast<int>(instances.size())) {
            at = by_key.at(*at->upstream);
            ++i->depth;
        }
    }
    std::ranges::sort(instances, [](const auto& a, const auto& b) {
        return std::tie(a->depth, a->key) < std::tie(b->depth, b->key);
    });
}

void name_cluster(const ClusterInput& input, Cluster& cluster) {
    const auto known = input.record->clusters.find(input.id);
    const bool recorded = known != input.record->clusters.end();
    if (recorded) {
        cluster.name = known->second.name;
        cluster.former_names = known->second.former_names;
        cluster.alias = known->second.alias;
        cluster.domain = known->second.domain;
    }
    const auto* primary = cluster.primary();
    const std::string current = primary != nullptr          ? primary->key.text()
                                : !cluster.name.empty()     ? cluster.name
                                : cluster.instances.empty() ? input.id
                                                            : cluster.instances.front()->key.text();
    if (!cluster.name.empty() && cluster.name != current) {
        std::erase(cluster.former_names, current);
        std::erase(cluster.former_names, cluster.name);
        cluster.former_names.push_back(cluster.name);
    }
    cluster.name = current;
    if (cluster.alias.empty() && input.suggest_alias) cluster.alias = input.suggest_alias(cluster);
    if (cluster.alias.empty()) cluster.alias = cluster.name;
}

}  // namespace

topology::Lag measure_lag(const Observation& standby, const Observation* primary,
                          std::optional<Duration> since_caught_up) {
    topology::Lag lag;
    const bool caught_up_with_sender =
        standby.receiver && standby.receiver->latest_end && standby.received >= standby.receiver->latest_end;
    // The sender's last announcement is as old as its last message; a primary asked after it may know more.
    topology::Lsn end = standby.receiver ? standby.receiver->latest_end : topology::Lsn{};
    if (primary != nullptr && primary->timeline >= standby.timeline &&
        primary->answered_at <= standby.asked_at) {
        end = std::max(end, primary->written);
    }
    if (end || caught_up_with_sender) {
        lag.receive_bytes = topology::bytes_ahead(end, standby.received);
        lag.replay_bytes = topology::bytes_ahead(std::max(end, standby.received), standby.replayed);
    } else if (primary != nullptr) {
        lag.receive_bytes = topology::bytes_ahead(primary->written, standby.received);
        lag.replay_bytes =
            topology::bytes_ahead(std::max(primary->written, standby.received), standby.replayed);
    }
    if (lag.replay_bytes == 0) {
        lag.seconds = 0;
    } else if (lag.replay_bytes) {
        // The last replayed commit may be hours old on an idle cluster: it lags no longer than it has been
        // seen behind.
        std::optional<Duration> behind = standby.last_replayed_age;
        if (since_caught_up && (!behind || *since_caught_up < *behind)) behind = since_caught_up;
        const bool in_flight = standby.receiving() && *lag.replay_bytes < wal_segment_bytes;
        if (behind) lag.seconds = std::chrono::duration_cast<seconds>(*behind).count();
        if (!behind && in_flight) lag.seconds = 0;
    }
    return lag;
}

namespace {

/// For how long it has been behind when it gave its last answer.
std::optional<Duration> behind_since(const Instance& standby) {
    if (!standby.caught_up_at) return std::nullopt;
    return standby.seen->answered_at - *standby.caught_up_at;
}

}  // namespace

std::shared_ptr<const Cluster> build_cluster(const ClusterInput& input) {
    Instances instances;
    instances.reserve(input.members.size());
    const auto names = names_of(input.members);
    for (const auto* m : input.members)
        instances.push_back(make_instance(input, names, *m));
    place_seekers(instances, names);
    link(instances);
    auto cluster = std::make_shared<Cluster>();
    cluster->id = input.id;
    cluster->history = input.history;
    cluster->instances.assign(instances.begin(), instances.end());
    const auto* primary = cluster->primary();
    for (const auto& i : instances) {
        if (i->is_standby() && i->seen)
            i->lag = measure_lag(*i->seen, primary ? primary->seen.get() : nullptr, behind_since(*i));
        if (i->is_primary()) i->lag = {.receive_bytes = 0, .replay_bytes = 0, .seconds = 0};
    }
    name_cluster(input, *cluster);
    return cluster;
}

}  // namespace baton::discovery
