// From members to snapshots: what changed is rebuilt and announced; routine progress is gathered and rebuilt
// now and then.
#include <algorithm>

#include "discovery/impl.h"

namespace baton::discovery {
namespace {

constexpr std::chrono::minutes last_seen_store_interval{10};

}  // namespace

void Impl::load_record() {
    for (const auto& [key, known] : store_.state().instances) {
        if (options_.ignore && options_.ignore(key)) continue;
        auto e = add_endpoint(key, nullptr);
        e->member.aliases = known.aliases;
        for (const auto& alias : known.aliases) {
            aliases_[alias] = key;
            alias_checked_[alias] = clock_.now();
        }
        e->member.engine = known.engine;
        e->member.role = known.role;
        e->member.version = known.version;
        e->member.edge = known.upstream;
        e->member.last_seen = known.last_seen;
        e->stored_last_seen = known.last_seen;
        e->began = clock_.now() - options_.poll_interval;
        move_to_cluster(*e, known.cluster_id);
    }
}

void Impl::move_to_cluster(Endpoint& e, const std::string& cluster_id) {
    const auto old = e.member.cluster_id;
    if (const auto at = clusters_.find(old); at != clusters_.end() && at->second.members.erase(&e) > 0)
        mark(old, true);
    e.member.cluster_id = cluster_id;
    clusters_[cluster_id].members.insert(&e);
}

void Impl::mark(const std::string& cluster_id, bool at_once) {
    const auto at = clusters_.find(cluster_id);
    if (at == clusters_.end()) return;
    at->second.dirty = true;
    if (!at_once || flush_posted_) return;
    flush_posted_ = true;
    asio::post(clock_.executor(), [self = shared_from_this()] {
        self->flush_posted_ = false;
        if (!self->stopped_) self->flush_dirty(false);
    });
}

/// Rebuilds what is marked. (`all` and the rest differ only in who calls: urgent changes come here within one
/// turn of the loop, routine ones by the housekeeping's clock.)
void Impl::flush_dirty(bool) {
    std::vector<std::string> dirty;
    for (auto& [id, state] : clusters_) {
        if (state.dirty) dirty.push_back(id);
    }
    for (const auto& id : dirty) {
        const auto at = clusters_.find(id);
        if (at != clusters_.end() && at->second.dirty) rebuild(id, at->second);
    }
}

void Impl::rebuild(const std::string& cluster_id, ClusterState& state) {
    state.dirty = false;
    ++counters_.snapshots;
    topology_stale_ = true;
    if (state.members.empty()) {
        const std::string id = cluster_id;
        if (state.urgent_since) --urgent_clusters_;
        clusters_.erase(id);
        if (callback_) callback_(id, nullptr);
        return;
    }
    std::vector<const Member*> members;
    members.reserve(state.members.size());
    for (const auto* e : state.members)
        members.push_back(&e->member);
    state.snapshot = build_cluster({.id = cluster_id,
                                    .members = members,
                                    .record = &store_.state(),
                                    .history = state.history,
                                    .annotate = options_.annotate,
                                    .suggest_alias = options_.suggest_alias,
                                    .now = clock_.now(),
                                    .wall = clock_.wall()});
    remember_cluster(*state.snapshot);
    judge_urgency(state);
    // The callback may look again, forget, and so on: hold what it is given.
    const auto snapshot = state.snapshot;
    const std::string id = cluster_id;
    if (callback_) callback_(id, snapshot);
}

/// A server with replicas that does not answer, while a replica has not yet been heard on it or still claims
/// to stream.
void Impl::judge_urgency(ClusterState& state) {
    std::optional<MonoTime> since;
    for (const auto& i : state.snapshot->instances) {
        if (i->health.ok() || !i->health.suspect_since || i->downstream.empty()) continue;
        for (const auto* replica : state.snapshot->replicas_of(i->key)) {
            if (!replica->health.ok() || !replica->seen) continue;
            const bool heard = replica->seen->asked_at >= *i->health.suspect_since;
            if (!heard || replica->seen->receiving() || i->health.reach == topology::Reach::starting) {
                since = std::max(since.value_or(MonoTime{}), *i->health.suspect_since);
            }
        }
    }
    if (since && !state.urgent_since) {
        ++urgent_clusters_;
        for (auto* e : state.members)
            e->signal.notify();
    }
    if (!since && state.urgent_since) --urgent_clusters_;
    state.urgent_since = since;
}

void Impl::remember(Endpoint& e) {
    const auto& m = e.member;
    if (e.stopped) return;
    store::KnownInstance known{.key = m.key,
                               .aliases = m.aliases,
                               .cluster_id = m.cluster_id,
                               .engine = m.engine,
                               .role = m.role,
                               .upstream = m.edge,
                               .version = m.version,
                               .last_seen = e.stored_last_seen};
    const auto at = store_.state().instances.find(m.key);
    const bool old = m.last_seen - e.stored_last_seen > last_seen_store_interval;
    if (!old && at != store_.state().instances.end() && at->second == known) return;
    known.last_seen = e.stored_last_seen = m.last_seen;
    store_.apply(store::PutInstance{std::move(known)});
}

void Impl::remember_cluster(const topology::Cluster& cluster) {
    store::KnownCluster known{.id = cluster.id,
                              .name = cluster.name,
                              .former_names = cluster.former_names,
                              .alias = {},
                              .domain = cluster.domain};
    const auto at = store_.state().clusters.find(cluster.id);
    if (at != store_.state().clusters.end()) {
        known.alias = at->second.alias;
        if (at->second == known) return;
    }
    store_.apply(store::PutCluster{std::move(known)});
}

void Impl::forget_unseen() {
    const auto wall = clock_.wall();
    std::vector<InstanceKey> gone;
    for (const auto& [key, e] : endpoints_) {
        const auto& m = e->member;
        if (!m.health.ok() && m.last_seen != WallTime{} && wall - m.last_seen > options_.forget_unseen)
            gone.push_back(key);
    }
    for (const auto& key : gone) {
        store_.apply(store::AddAudit{{.id = store_.new_id(),
                                      .at = wall,
                                      .type = "forget-unseen",
                                      .instance = key,
                                      .message = "not seen for longer than UnseenInstanceForgetHours"}});
        (void)forget(key);
    }
}

}  // namespace baton::discovery
