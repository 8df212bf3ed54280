// Finding more servers: upwards by what standbys say of their upstream, downwards by what upstreams say of
// their standbys. A place is only kept after it answered with the same system identifier.
#include <algorithm>

#include "base/defect.h"
#include "discovery/impl.h"
#include "discovery/matcher.h"

namespace baton::discovery {
namespace {

constexpr seconds first_guess_pause{1};
constexpr seconds last_guess_pause{60};
constexpr seconds alias_check_interval{60};
constexpr seconds alias_of_the_dead_check_interval{5};
constexpr seconds history_retry_interval{60};
constexpr size_t guesses_limit = 10000;
constexpr size_t guesses_at_once = 512;
constexpr size_t aliases_checked_at_once = 10;
constexpr milliseconds schedule_step{10};

size_t signature(const Observation& seen) {
    size_t sum = seen.senders.size();
    for (const auto& s : seen.senders) {
        sum = sum * 1000003 + static_cast<size_t>(s.pid) + std::hash<std::string>{}(s.application_name);
    }
    return sum;
}

}  // namespace

EndpointPtr Impl::find(const InstanceKey& key) const {
    if (const auto at = endpoints_.find(key); at != endpoints_.end()) return at->second;
    const auto alias = aliases_.find(key);
    if (alias == aliases_.end()) return nullptr;
    const auto at = endpoints_.find(alias->second);
    return at == endpoints_.end() ? nullptr : at->second;
}

/// Where the schedule of a server begins: spread over the interval, so that ten thousand are not asked in the
/// same millisecond; in steps, because those that are asked together share a turn of the loop, which costs a
/// third less.
MonoTime Impl::first_point(const InstanceKey& key, MonoTime now) const {
    const auto slots = std::max<int64_t>(options_.poll_interval / schedule_step, 1);
    const auto slot = static_cast<int64_t>(std::hash<InstanceKey>{}(key) % static_cast<size_t>(slots));
    const auto step_now = now - now.time_since_epoch() % schedule_step;
    return std::min(step_now - options_.poll_interval + slot * schedule_step, now);
}

EndpointPtr Impl::add_endpoint(const InstanceKey& key, std::unique_ptr<engine::Probe> probe) {
    auto e = std::make_shared<Endpoint>(clock_, key);
    e->probe = probe ? std::move(probe) : engine_.make_probe(key);
    e->added = clock_.now();
    e->planned = first_point(key, e->added);
    const std::weak_ptr<Endpoint> weak = e;
    e->probe->on_broken([this, weak] {
        const auto endpoint = weak.lock();
        if (!endpoint || endpoint->stopped || stopped_) return;
        if (!endpoint->broken_at) endpoint->broken_at = clock_.now();
        if (defect("old-session-is-enough"))
            note_failure(*endpoint, {.reach = topology::Reach::refused}, clock_.now(), true);
        kick(*endpoint);
    });
    endpoints_[key] = e;
    aliases_.erase(key);
    guesses_.erase(key);
    pending_seeds_.erase(key);
    if (!topology::is_address(key.host)) spawn(clock_.executor(), warm_resolver(key.host));
    spawn(clock_.executor(), watch(e));
    return e;
}

void Impl::remove_endpoint(const InstanceKey& key) {
    const auto at = endpoints_.find(key);
    if (at == endpoints_.end()) return;
    const auto e = at->second;
    e->stopped = true;
    e->signal.notify();
    std::erase_if(servers_, [&key](const auto& s) { return s.second == key; });
    const auto cluster = e->member.cluster_id;
    if (e->cluster != nullptr) std::exchange(e->cluster, nullptr)->members.erase(e.get());
    endpoints_.erase(at);
    mark(cluster, true);
}

/// True when `e` turned out to be another name of a server that is watched already; `e` is gone then.
bool Impl::merge_if_known(const EndpointPtr& e, const Observation& seen) {
    if (e->member.seen && same_server(*e->member.seen, seen)) return false;
    auto id = server_id(seen);
    if (defect("merge-by-port")) id = {.system_identifier = id.system_identifier, .port = id.port};
    const auto key = e->member.key;
    const auto known = servers_.find(id);
    if (known == servers_.end() || known->second == key) {
        if (e->member.seen && server_id(*e->member.seen) != id) servers_.erase(server_id(*e->member.seen));
        servers_[id] = key;
        return false;
    }
    const auto owner = endpoints_.find(known->second);
    if (owner == endpoints_.end()) {
        known->second = key;
        return false;
    }
    auto& names = owner->second->member.aliases;
    auto more = e->member.aliases;
    more.push_back(key);
    remove_endpoint(key);
    store_.apply(store::ForgetInstance{key});
    for (const auto& name : more) {
        if (std::ranges::find(names, name) == names.end()) names.push_back(name);
        aliases_[name] = owner->first;
        alias_checked_[name] = clock_.now();
    }
    remember(*owner->second);
    mark(owner->second->member.cluster_id, true);
    return true;
}

void Impl::explore(const EndpointPtr& e) {
    if (e->stopped) return;
    explore_upstream(e);
    explore_downstream(e);
    const auto& m = e->member;
    auto& cluster = *e->cluster;
    // Not the number alone: two servers promoted apart have branches of one number (scenario 75).
    const auto asked = std::pair(m.key, m.seen->timeline);
    const bool own_unknown = !m.history || m.history->timeline != m.seen->timeline;
    // PostgreSQL streams from another branch of one number as if it were its own. And what its agent has
    // copied may have brought another history.
    const bool guarded = m.host && m.host->connected;
    const bool anew = guarded && e->history_of_start != m.seen->started_at_us;
    if (m.role == topology::Role::standby && (guarded || !m.seen->receiving()) && m.seen->timeline > 1 &&
        (anew || (own_unknown && clock_.now() >= e->history_retry))) {
        if (anew) e->member.history.reset();
        e->history_of_start = m.seen->started_at_us;
        e->history_retry = clock_.now() + history_retry_interval;
        spawn(clock_.executor(), read_own_history(e));
    }
    // The history that counts is the leader's; a stale primary that answers, too, must not take its place.
    const auto* lead = cluster.snapshot ? cluster.snapshot->primary() : nullptr;
    const bool led_by_another =
        lead != nullptr && lead->key != m.key && lead->seen && lead->seen->timeline >= m.seen->timeline;
    if (m.role == topology::Role::primary && !led_by_another && m.seen->timeline > 1 &&
        cluster.history_asked != asked && clock_.now() >= cluster.history_retry) {
        cluster.history_asked = asked;
        cluster.history.reset();
        spawn(clock_.executor(), read_history(m.cluster_id, m.key, m.seen->timeline));
    }
}

/// Takes out the addresses of members that an earlier life knew by name and that have not answered in this
/// one: asked under both, one server would be two, and what an operator said of it (its promotion rule, a
/// downtime) would not hold for the other. It is asked by its name; until that is resolved nothing else is
/// tried on its port.
void Impl::leave_to_names(const ClusterState& cluster, std::vector<InstanceKey>& places) const {
    for (const auto* other : cluster.members) {
        const auto& m = other->member;
        if (m.seen || topology::is_address(m.key.host)) continue;
        const auto known = engine_.known_addresses(m.key.host);
        const bool asked = m.health.last_attempt != MonoTime{};
        std::erase_if(places, [&](const InstanceKey& place) {
            if (place.port != m.key.port || !topology::is_address(place.host)) return false;
            return known.empty() ? !asked : std::ranges::find(known, place.host) != known.end();
        });
    }
}

void Impl::explore_upstream(const EndpointPtr& e) {
    const auto& m = e->member;
    if (m.role != topology::Role::standby) return;
    if (m.edge && find(*m.edge)) return;
    std::vector<InstanceKey> places;
    if (m.edge) {
        places.push_back(*m.edge);
    } else {
        places = conninfo_hosts(m.key, *m.seen);
    }
    if (options_.ignore_primary) std::erase_if(places, options_.ignore_primary);
    leave_to_names(*e->cluster, places);
    try_guesses(places, m.seen->system_identifier);
}

void Impl::explore_downstream(const EndpointPtr& e) {
    const auto& m = e->member;
    const auto now_signature = signature(*m.seen);
    if (m.seen->senders.empty() || (now_signature == e->sender_signature && !e->senders_unexplained)) return;
    e->sender_signature = now_signature;
    std::vector<const Member*> members;
    for (const auto* other : e->cluster->members)
        members.push_back(&other->member);
    const auto addresses = [this](const std::string& host) { return engine_.known_addresses(host); };
    const auto rows = unexplained_senders(m, members, addresses);
    e->senders_unexplained = !rows.empty();
    std::set<InstanceKey> places;
    for (const auto* row : rows) {
        auto keys = guesses(*row, m.key, options_.default_port, options_.port_candidates);
        if (options_.ignore_replica) std::erase_if(keys, options_.ignore_replica);
        // A standby that says its name becomes known by it: its address is tried when the name has failed.
        if (!keys.empty() && keys[0].text() == row->application_name && !find(keys[0])) {
            const auto tried = guesses_.find(keys[0]);
            if (tried == guesses_.end() || tried->second.pause == Duration{}) keys.resize(1);
        }
        places.insert(keys.begin(), keys.end());
    }
    std::vector<InstanceKey> tried(places.begin(), places.end());
    leave_to_names(*e->cluster, tried);
    try_guesses(tried, m.seen->system_identifier);
}

/// Not filtered out, not being tried, and not tried in vain a moment ago.
bool Impl::may_guess(const InstanceKey& key) {
    if (stopped_ || (options_.ignore && options_.ignore(key))) return false;
    if (endpoints_.size() >= options_.max_instances) return false;
    const auto at = guesses_.find(key);
    return at == guesses_.end() || (!at->second.trying && clock_.now() >= at->second.next);
}

/// Tries the places side by side. Whichever answers as a server of this system is one, whoever's row led
/// there.
void Impl::try_guesses(const std::vector<InstanceKey>& keys, const std::string& system_identifier) {
    if (guesses_.size() > guesses_limit)
        std::erase_if(guesses_, [](const auto& g) { return !g.second.trying; });
    for (const auto& key : keys) {
        if (guesses_under_way_ >= guesses_at_once || !key.valid() || find(key) || !may_guess(key)) continue;
        ++guesses_under_way_;
        guesses_[key].trying = true;
        spawn(clock_.executor(), try_guess(key, system_identifier));
    }
}

Task<void> Impl::try_guess(InstanceKey key, std::string system_identifier) {
    const auto self = shared_from_this();
    const auto found =
        co_await try_one(key, std::move(system_identifier), clock_.now() + options_.probe_timeout);
    --guesses_under_way_;
    auto& guess = guesses_[key];
    guess.trying = false;
    guess.pause =
        found ? Duration{} : std::clamp<Duration>(guess.pause * 2, first_guess_pause, last_guess_pause);
    guess.next = clock_.now() + guess.pause;
}

/// `system_identifier` empty: any system will do.
Task<std::expected<EndpointPtr, engine::Unreached>> Impl::try_one(InstanceKey key,
                                                                  std::string system_identifier,
                                                                  MonoTime deadline) {
    auto probe = engine_.make_probe(key);
    auto looked = co_await probe->look(deadline);
    if (!looked) co_return std::unexpected(looked.error());
    if (!system_identifier.empty() && (*looked)->system_identifier != system_identifier) {
        co_return std::unexpected(engine::Unreached{
            .reach = topology::Reach::answering,
            .error = {ErrorKind::not_found, "answers, but belongs to another system", key.text(), {}}});
    }
    if (auto known = find(key)) co_return known;
    if (stopped_)
        co_return std::unexpected(
            engine::Unreached{.error = {ErrorKind::cancelled, "stopping", key.text(), {}}});
    auto e = add_endpoint(key, std::move(probe));
    note_answer(e, *looked);
    co_return find(key);
}

Task<void> Impl::try_seed(InstanceKey key) {
    const auto self = shared_from_this();
    while (!stopped_ && pending_seeds_.contains(key)) {
        if (find(key) || (co_await try_one(key, {}, clock_.now() + options_.probe_timeout))) {
            pending_seeds_.erase(key);
            co_return;
        }
        co_await clock_.sleep_for(options_.poll_interval);
    }
}

/// A name may come to reach another server (a virtual address moved, a container was replaced).
Task<void> Impl::verify_alias(InstanceKey alias, InstanceKey owner) {
    const auto self = shared_from_this();
    auto probe = engine_.make_probe(alias);
    const auto looked = co_await probe->look(clock_.now() + options_.probe_timeout);
    const auto e = find(owner);
    if (!looked || stopped_ || !e || !e->member.seen || same_server(**looked, *e->member.seen)) co_return;
    const auto known = servers_.find(server_id(**looked));
    const bool another = known != servers_.end() && known->second != e->member.key;
    // A server that is not known may be the owner itself, restarted in between. One that is known is not: an
    // address that moves in a failover must not stay with the dead, or its standbys would seem to follow it.
    const bool restarted = !e->member.health.ok() || (*looked)->answered_at < e->member.seen->asked_at;
    if (!another && restarted) co_return;
    std::erase(e->member.aliases, alias);
    aliases_.erase(alias);
    alias_checked_.erase(alias);
    remember(*e);
    mark(e->member.cluster_id, true);
    if (!find(alias)) note_answer(add_endpoint(alias, std::move(probe)), *looked);
}

Task<void> Impl::read_history(std::string cluster_id, InstanceKey primary, topology::Timeline timeline) {
    const auto self = shared_from_this();
    auto actor = engine_.make_actor(primary);
    auto history = co_await actor->timeline_history(timeline, clock_.now() + seconds(2));
    const auto at = clusters_.find(cluster_id);
    if (stopped_ || at == clusters_.end()) co_return;
    if (history) {
        at->second.history = std::make_shared<topology::TimelineHistory>(std::move(*history));
        mark(cluster_id, true);
    } else {
        at->second.history_asked = {};
        at->second.history_retry = clock_.now() + history_retry_interval;
    }
}

Task<void> Impl::read_own_history(EndpointPtr e) {
    const auto self = shared_from_this();
    const auto actor = engine_.make_actor(e->member.key);
    auto history = co_await actor->timeline_history(e->member.seen->timeline, clock_.now() + seconds(2));
    if (!history || stopped_ || e->stopped) co_return;
    e->member.history = std::make_shared<topology::TimelineHistory>(std::move(*history));
    mark(e->member.cluster_id, true);
}

Task<void> Impl::warm_resolver(std::string host) {
    const auto self = shared_from_this();
    co_await engine_.resolve(host, clock_.now() + seconds(5));
}

Task<void> Impl::housekeeping() {
    const auto self = shared_from_this();
    MonoTime chores{};
    while (!stopped_) {
        co_await clock_.sleep_for(flush_routine());
        if (stopped_) co_return;
        const auto now = clock_.now();
        if (now < chores) continue;
        chores = now + routine_pause();
        forget_unseen();
        std::vector<std::pair<InstanceKey, InstanceKey>> due;
        for (const auto& [alias, owner] : aliases_) {
            auto& checked = alias_checked_[alias];
            const auto e = find(owner);
            const auto pause =
                e && e->member.health.ok() ? alias_check_interval : alias_of_the_dead_check_interval;
            if (now - checked < pause || due.size() >= aliases_checked_at_once) continue;
            checked = now;
            due.emplace_back(alias, owner);
        }
        for (auto& [alias, owner] : due)
            spawn(clock_.executor(), verify_alias(std::move(alias), std::move(owner)));
    }
}

}  // namespace baton::discovery
