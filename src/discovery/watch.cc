// One coroutine watches one server: it probes at the poll interval, at once when the session breaks or
// somebody asks, and often while the server above it is in doubt.
#include <algorithm>

#include "base/defect.h"
#include "discovery/impl.h"
#include "discovery/matcher.h"

namespace baton::discovery {
namespace {

constexpr size_t samples_limit = 20000;
constexpr int polls_per_greeting = 5;
/// A large fleet is greeted less often: a connection costs both sides much more than a probe.
constexpr milliseconds greeting_share{3};
constexpr int broken_greeting_retries = 3;
constexpr milliseconds broken_greeting_pause{3};
constexpr milliseconds urgent_interval{10};
constexpr milliseconds urgent_interval_later{50};
constexpr milliseconds urgent_first{500};
constexpr milliseconds urgent_last{5000};
/// With more clusters in doubt at once than this, each is asked less often, so that the sum stays the same.
constexpr size_t urgent_clusters_at_full_rate = 10;

bool changed_much(const Observation& a, const Observation& b) {
    return a.role != b.role || a.timeline != b.timeline || a.receiving() != b.receiving() ||
           a.system_identifier != b.system_identifier || a.replay_paused != b.replay_paused ||
           a.half_copied.has_value() != b.half_copied.has_value() || a.started_at_us != b.started_at_us ||
           a.senders.size() != b.senders.size() || a.slots.size() != b.slots.size() ||
           a.upstream != b.upstream || a.settings != b.settings ||
           (a.receiver && b.receiver &&
            (a.receiver->sender_port != b.receiver->sender_port ||
             a.receiver->sender_host != b.receiver->sender_host));
}

/// What a failed attempt shows of the server.
topology::Reach shown_by(const engine::Unreached& why) {
    using topology::Reach;
    if (why.reach == Reach::not_permitted && defect("login-refused-is-dead")) return Reach::refused;
    if (why.reach == Reach::too_many_connections && defect("too-many-clients-is-dead")) return Reach::refused;
    return why.reach;
}

bool says_hung(const Member& m) {
    return m.host && m.host->connected && m.host->state == topology::ServerState::hung;
}

}  // namespace

Task<void> Impl::watch(EndpointPtr e) {
    const auto self = shared_from_this();
    while (!e->stopped && !stopped_) {
        if (const auto wake = next_wake(*e); !e->kicked && wake > clock_.now())
            co_await e->signal.wait_until(wake);
        if (e->stopped || stopped_) break;
        const auto now = clock_.now();
        greet_now_and_then(e);
        if (e->kicked || now >= due(*e)) {
            if (!std::exchange(e->kicked, false)) add_sample(*e, now, now - due(*e));
            keep_schedule(*e);
            co_await attempt(e);
        } else if (wants_touch(*e) && now >= e->heard + options_.heartbeat) {
            co_await touch(e);
        }
    }
    for (const auto& w : std::exchange(e->waiters, {}))
        w.done();
    if (e->probe) e->probe->disconnect();
}

Task<void> Impl::attempt(EndpointPtr e) {
    const auto first_began = clock_.now();
    auto began = first_began;
    auto looked = co_await e->probe->look(began + options_.probe_timeout);
    if (!looked && !looked.error().on_new_connection && !e->stopped) {
        // An old session proves little either way: ask over a new one at once, and everyone below at the same
        // time.
        note_failure(*e, looked.error(), began, false);
        began = clock_.now();
        looked = co_await e->probe->look(began + options_.probe_timeout);
    }
    // A server that dies while it greets us ends the session instead of refusing it: the next try gets the
    // plain answer.
    for (int again = 0; again < broken_greeting_retries && !looked && !e->stopped &&
                        looked.error().error.kind == ErrorKind::broken;
         ++again) {
        co_await clock_.sleep_for(broken_greeting_pause);
        began = clock_.now();
        looked = co_await e->probe->look(began + options_.probe_timeout);
    }
    ++counters_.probes;
    if (!e->stopped && !stopped_) {
        if (looked) {
            note_answer(e, *looked);
        } else {
            ++counters_.failures;
            note_failure(*e, looked.error(), began, true);
        }
    }
    wake_waiters(*e, first_began);
}

Task<void> Impl::touch(EndpointPtr e) {
    const auto began = clock_.now();
    const auto touched = co_await e->probe->touch(began + options_.probe_timeout);
    if (e->stopped || stopped_) co_return;
    if (touched) {
        e->heard = clock_.now();
        co_return;
    }
    note_failure(*e, touched.error(), began, touched.error().on_new_connection);
    e->kicked = true;
}

/// A primary whose old session answers may still be hung for everyone who connects now (a stopped postmaster,
/// a full process table): a new connection is tried every few polls, and at every poll while that fails.
void Impl::greet_now_and_then(const EndpointPtr& e) {
    const auto& m = e->member;
    const bool matters = m.role == topology::Role::primary && m.seen && !m.seen->senders.empty();
    const bool doubted = m.new_sessions_hang_since || says_hung(m);
    if (!m.health.ok() || !(matters || doubted)) return;
    const auto fair_share = greeting_share * static_cast<int64_t>(endpoints_.size());
    const auto pause = doubted ? Duration(options_.poll_interval)
                               : std::max<Duration>(polls_per_greeting * options_.poll_interval, fair_share);
    const auto now = clock_.now();
    if (now - e->greeted < pause) return;
    e->greeted = now;
    spawn(clock_.executor(), greet(e));
}

Task<void> Impl::greet(EndpointPtr e) {
    const auto self = shared_from_this();
    const auto began = clock_.now();
    auto probe = engine_.make_probe(e->member.key);
    const auto greeted = co_await probe->touch(began + options_.probe_timeout);
    if (defect("leak-sessions")) keep_for_ever(std::move(probe));
    if (e->stopped || stopped_) co_return;
    auto& since = e->member.new_sessions_hang_since;
    const auto before = since;
    const bool hangs = !greeted && (greeted.error().reach == topology::Reach::unresponsive ||
                                    greeted.error().reach == topology::Reach::silent);
    if (!hangs || !e->member.health.ok()) since.reset();
    if (hangs && !since) since = began;
    if (before.has_value() != since.has_value()) mark(e->member.cluster_id, true);
}

Duration Impl::interval(const Endpoint& e) const {
    const auto& health = e.member.health;
    Duration normal = options_.poll_interval;
    if (!health.ok() && health.failures > 1 && options_.dead_poll_factor > 1) {
        double stretched = static_cast<double>(normal.count());
        for (int i = 1; i < health.failures && i < 64; ++i)
            stretched *= options_.dead_poll_factor;
        normal = std::min<Duration>(Duration(static_cast<int64_t>(std::min(stretched, 1e18))),
                                    std::max<Duration>(options_.dead_poll_max, normal));
    }
    if (e.cluster == nullptr || !e.cluster->urgent_since) return normal;
    const auto since = clock_.now() - *e.cluster->urgent_since;
    if (since > urgent_last) return normal;
    const auto crowd = 1 + urgent_clusters_ / urgent_clusters_at_full_rate;
    const Duration often = (since < urgent_first ? urgent_interval : urgent_interval_later) * crowd;
    // A server that is itself in doubt is asked less often: each try may cost it a connection.
    return std::min(normal, health.ok() ? often : std::max<Duration>(often, milliseconds(100)));
}

MonoTime Impl::due(const Endpoint& e) const {
    return e.planned + interval(e);
}

/// To the last point of the schedule that is not in the future. Were the schedule to begin anew with each
/// late attempt, servers that once were late together would stay together, and be asked all at once forever
/// after.
void Impl::keep_schedule(Endpoint& e) const {
    const auto every = interval(e);
    const auto passed = clock_.now() - e.planned;
    if (every > Duration{} && passed >= every) e.planned += passed / every * every;
}

bool Impl::wants_touch(const Endpoint& e) const {
    return options_.heartbeat > Duration{} && e.member.health.ok() &&
           e.member.role == topology::Role::primary && e.member.seen && !e.member.seen->senders.empty();
}

MonoTime Impl::next_wake(const Endpoint& e) const {
    auto wake = due(e);
    if (wants_touch(e)) wake = std::min(wake, e.heard + options_.heartbeat);
    return wake;
}

void Impl::kick(Endpoint& e) {
    e.kicked = true;
    e.signal.notify();
}

void Impl::note_failure(Endpoint& e, const engine::Unreached& why, MonoTime began, bool confirmed) {
    auto& health = e.member.health;
    const bool first = health.ok() || health.reach == topology::Reach::unknown;
    const auto reach = shown_by(why);
    const bool changed = first || health.reach != reach || health.confirmed != confirmed;
    if (!health.suspect_since) health.suspect_since = e.broken_at ? std::min(*e.broken_at, began) : began;
    e.broken_at.reset();
    health.reach = reach;
    health.error = why.error;
    health.attempt_began = began;
    health.last_attempt = clock_.now();
    health.confirmed = confirmed;
    if (confirmed) ++health.failures;
    mark(e.member.cluster_id, changed);
    if (!changed) return;
    ask_those_below(e);
}

void Impl::note_answer(const EndpointPtr& e, const engine::ObservationPtr& seen) {
    auto& m = e->member;
    const auto before = m.seen;
    const bool recovered = !m.health.ok();
    e->broken_at.reset();
    e->heard = seen->answered_at;
    m.health = {.reach = topology::Reach::answering,
                .attempt_began = seen->asked_at,
                .last_attempt = seen->answered_at,
                .last_answer = seen->answered_at,
                .latency = seen->answered_at - seen->asked_at};
    if (merge_if_known(e, *seen)) return;
    if (recovered) m.new_sessions_hang_since.reset();  // it answered on a new session just now
    m.seen = seen;
    m.last_seen = clock_.wall();
    m.engine = seen->engine;
    m.role = seen->role;
    m.version = seen->version;
    if (seen->receiving()) {
        m.streamed_until = seen->answered_at;
        if (const auto age = seen->receiver->last_message_age) m.last_message = seen->asked_at - *age;
        m.stopped_by.reset();
    } else if (!m.stopped_by) {
        m.stopped_by = seen->answered_at;
    }
    const bool caught_up =
        seen->receiving() && seen->received >= seen->receiver->latest_end && seen->replayed >= seen->received;
    if (caught_up) m.caught_up_at = seen->answered_at;
    const auto old_edge = m.edge;
    if (seen->role == topology::Role::primary) {
        m.edge.reset();
    } else if (auto edge = upstream_of(m.key, *seen); edge || defect("drop-edge-with-receiver")) {
        m.edge = std::move(edge);
    }
    if (m.cluster_id != seen->system_identifier || e->cluster == nullptr)
        move_to_cluster(*e, seen->system_identifier);
    explore(e);
    remember(*e);
    mark(m.cluster_id, *e->cluster,
         recovered || !before || old_edge != m.edge || changed_much(*before, *seen));
}

void Impl::wake_waiters(Endpoint& e, MonoTime began) {
    if (e.waiters.empty()) return;
    flush(e.member.cluster_id);
    std::vector<Waiter> later;
    for (auto& w : std::exchange(e.waiters, {})) {
        if (began >= w.not_before || e.stopped) {
            w.done();
        } else {
            later.push_back(std::move(w));
        }
    }
    e.waiters.insert(e.waiters.end(), std::make_move_iterator(later.begin()),
                     std::make_move_iterator(later.end()));
    if (!e.waiters.empty()) e.kicked = true;
}

void Impl::add_sample(const Endpoint& e, MonoTime, Duration delay) {
    const auto& health = e.member.health;
    samples_.push_back({.at = clock_.wall(),
                        .key = e.member.key,
                        .latency = health.latency,
                        .delay = delay,
                        .error = health.error ? health.error->text() : std::string{}});
    if (samples_.size() > samples_limit) samples_.pop_front();
}

}  // namespace baton::discovery
