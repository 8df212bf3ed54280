// From members to snapshots: what changed is rebuilt and announced; routine progress is gathered and rebuilt
// now and then.
#include <algorithm>

#include "base/defect.h"
#include "discovery/impl.h"

namespace baton::discovery {
namespace {

constexpr std::chrono::minutes last_seen_store_interval{10};
constexpr std::chrono::minutes tried_before_forgetting{30};
/// A rebuild takes some 10 us a server: more of them in a row would keep probes waiting.
constexpr milliseconds flush_turn{3};
constexpr milliseconds pause_between_turns{10};

bool same_names(const topology::Cluster& a, const topology::Cluster& b) {
    const auto same_instance = [](const auto& x, const auto& y) {
        return x->key == y->key && x->aliases == y->aliases;
    };
    return a.name == b.name && a.alias == b.alias && a.domain == b.domain &&
           a.former_names == b.former_names && std::ranges::equal(a.instances, b.instances, same_instance);
}

/// Since when it has given no answer, or its agent says that it is dead.
std::optional<MonoTime> doubted_since(const topology::Instance& i) {
    if (!i.health.ok() && i.health.suspect_since) return i.health.suspect_since;
    return i.kept_down() ? std::optional(i.host->state_since) : std::nullopt;
}

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
        e->unseen_before = std::max<Duration>(clock_.wall() - known.last_seen, {});
        move_to_cluster(*e, known.cluster_id);
        kick(*e);
    }
}

void Impl::move_to_cluster(Endpoint& e, const std::string& cluster_id) {
    const auto old = e.member.cluster_id;
    if (const auto at = clusters_.find(old); at != clusters_.end() && at->second.members.erase(&e) > 0)
        mark(old, true);
    e.member.cluster_id = cluster_id;
    e.cluster = &clusters_[cluster_id];
    e.cluster->members.insert(&e);
}

void Impl::mark(const std::string& cluster_id, bool at_once) {
    if (const auto at = clusters_.find(cluster_id); at != clusters_.end())
        mark(at->first, at->second, at_once);
}

void Impl::mark(const std::string& cluster_id, ClusterState& state, bool at_once) {
    if (!std::exchange(state.dirty, true)) {
        state.dirty_since = clock_.now();
        if (!at_once) routine_.push_back({cluster_id, state.dirty_since});
    }
    if (!at_once) return;
    urgent_.push_back(cluster_id);
    if (std::exchange(flush_posted_, true)) return;
    asio::post(clock_.executor(), [self = shared_from_this()] {
        self->flush_posted_ = false;
        if (!self->stopped_) self->flush_urgent();
    });
}

void Impl::flush(const std::string& cluster_id) {
    const auto at = clusters_.find(cluster_id);
    if (at != clusters_.end() && at->second.dirty) rebuild(at->first, at->second);
}

void Impl::flush_all() {
    std::vector<std::string> dirty;
    for (const auto& [id, state] : clusters_) {
        if (state.dirty) dirty.push_back(id);
    }
    for (const auto& id : dirty)
        flush(id);
}

/// What changed is seen within one turn of the loop.
void Impl::flush_urgent() {
    for (const auto& id : std::exchange(urgent_, {}))
        flush(id);
}

Duration Impl::routine_pause() const {
    return std::clamp<Duration>(Duration(endpoints_.size() * 100'000), milliseconds(100), seconds(1));
}

/// Routine progress is gathered for a while, and rebuilt in small portions. Returns when to come again.
Duration Impl::flush_routine() {
    const auto began = clock_.now();
    const auto ripe = began - routine_pause();
    while (!routine_.empty() && routine_.front().since <= ripe) {
        if (clock_.now() - began > flush_turn) return pause_between_turns;
        const auto next = std::move(routine_.front());
        routine_.pop_front();
        const auto at = clusters_.find(next.cluster_id);
        if (at != clusters_.end() && at->second.dirty && at->second.dirty_since == next.since)
            rebuild(at->first, at->second);
    }
    const auto wait = routine_.empty() ? routine_pause() : routine_.front().since - ripe;
    return std::max<Duration>(wait, pause_between_turns);
}

void Impl::rebuild(const std::string& cluster_id, ClusterState& state) {
    state.dirty = false;
    ++counters_.snapshots;
    topology_stale_ = true;
    if (state.members.empty()) {
        const std::string id = cluster_id;
        if (state.urgent_since) --urgent_clusters_;
        names_stale_ = true;
        clusters_.erase(id);
        if (callback_) callback_(id, nullptr);
        return;
    }
    std::vector<const Member*> members;
    members.reserve(state.members.size());
    for (const auto* e : state.members)
        members.push_back(&e->member);
    const auto before = state.snapshot;
    state.snapshot = build_cluster({.id = cluster_id,
                                    .members = members,
                                    .record = &store_.state(),
                                    .history = state.history,
                                    .annotate = options_.annotate,
                                    .suggest_alias = options_.suggest_alias,
                                    .now = clock_.now(),
                                    .wall = clock_.wall()});
    if (!before || !same_names(*before, *state.snapshot)) {
        names_stale_ = true;
        remember_cluster(*state.snapshot);
    }
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
        const auto doubted = doubted_since(*i);
        if (!doubted || i->downstream.empty()) continue;
        for (const auto* replica : state.snapshot->replicas_of(i->key)) {
            if (!replica->health.ok() || !replica->seen) continue;
            const bool heard = replica->seen->asked_at >= *doubted;
            if (!heard || replica->seen->receiving() || i->health.reach == topology::Reach::starting)
                since = std::max(since.value_or(MonoTime{}), *doubted);
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

/// Runs with every answer: nearly always nothing has changed.
void Impl::remember(Endpoint& e) {
    const auto& m = e.member;
    if (e.stopped) return;
    const bool old = m.last_seen - e.stored_last_seen > last_seen_store_interval;
    if (!old && e.stored && e.stored->role == m.role && e.stored->cluster_id == m.cluster_id &&
        e.stored->upstream == m.edge && e.stored->version == m.version && e.stored->engine == m.engine &&
        e.stored->aliases == m.aliases) {
        return;
    }
    store::KnownInstance known{.key = m.key,
                               .aliases = m.aliases,
                               .cluster_id = m.cluster_id,
                               .engine = m.engine,
                               .role = m.role,
                               .upstream = m.edge,
                               .version = m.version,
                               .last_seen = e.stored_last_seen};
    const auto at = store_.state().instances.find(m.key);
    if (old || at == store_.state().instances.end() || at->second != known) {
        known.last_seen = e.stored_last_seen = m.last_seen;
        store_.apply(store::PutInstance{known});
    }
    e.stored = std::move(known);
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

/// Within this life by the monotonic clock alone (scenario 93): a wall clock that jumps makes nobody unseen.
Duration Impl::unseen_for(const Endpoint& e) const {
    if (e.heard != MonoTime{}) return clock_.now() - e.heard;
    const auto tried = clock_.now() - e.added;
    // What an earlier life saw is dated by the wall clock, which may be wrong: ask for a while before
    // believing it.
    return tried < tried_before_forgetting ? tried : e.unseen_before + tried;
}

void Impl::forget_unseen() {
    const auto wall = clock_.wall();
    std::vector<InstanceKey> gone;
    for (const auto& [key, e] : endpoints_) {
        const auto& m = e->member;
        const bool unseen = unseen_for(*e) > options_.forget_unseen || defect("forget-unreachable");
        if (!m.health.ok() && m.last_seen != WallTime{} && unseen) gone.push_back(key);
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
