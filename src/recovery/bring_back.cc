// One attempt to bring a server back: a new look, the slot, the deed of its agent, and the proof that it
// streams.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>

#include "analysis/wording.h"
#include "base/async.h"
#include "recovery/executor.h"
#include "recovery/rejoin.h"

namespace baton::recovery {
namespace {

using plan::RejoinWay;
using topology::ServerState;

/// Of the deeds of an agent: each has its own, shorter ones for its programs.
constexpr milliseconds examine_deadline{60000};
constexpr milliseconds start_deadline{std::chrono::minutes(30)};
constexpr milliseconds rewind_deadline{std::chrono::hours(4)};
constexpr milliseconds clone_deadline{std::chrono::hours(96)};
constexpr milliseconds statement_deadline{10000};
constexpr milliseconds checkpoint_deadline{std::chrono::minutes(10)};
constexpr milliseconds job_interval{500};
constexpr seconds verify_slice{5};
constexpr milliseconds receives_interval{200};
constexpr seconds shortest_patience{15};
/// PostgreSQL 15 and older: pg_rewind takes a server that was just promoted for one on the old timeline
/// until its first checkpoint, and then does nothing without saying so.
constexpr int rewind_knows_promoted = 160'000;

agent::Verb verb_of(const plan::Rejoin& plan) {
    if (plan.way == RejoinWay::rewind) return agent::Verb::rewind;
    if (plan.way == RejoinWay::clone) return agent::Verb::clone;
    return plan.keep_upstream ? agent::Verb::start : agent::Verb::make_standby;
}

milliseconds deadline_of(agent::Verb verb) {
    if (verb == agent::Verb::clone) return clone_deadline;
    return verb == agent::Verb::rewind ? rewind_deadline : start_deadline;
}

/// What PostgreSQL says of a directory that no other start will help. A wrong setting or a full disk can be
/// mended, and is none of this.
bool says_damaged(std::string_view words) {
    static constexpr std::array<std::string_view, 7> of_damage{"could not locate a valid checkpoint record",
                                                               "could not locate required checkpoint record",
                                                               "could not find redo location referenced",
                                                               "could not find the database system",
                                                               "is not a valid data directory",
                                                               "incorrect checksum in control file",
                                                               "WAL ends before consistent recovery point"};
    return std::ranges::any_of(of_damage,
                               [&](auto phrase) { return words.find(phrase) != std::string_view::npos; });
}

std::string doing_text(const plan::Rejoin& plan) {
    const auto upstream = plan.upstream.text();
    if (plan.way == RejoinWay::rewind) return "rewinding from " + upstream;
    if (plan.way == RejoinWay::clone) return "copying from " + upstream;
    return "starting as a standby of " + upstream;
}

}  // namespace

bool acts(const plan::Rejoin& plan) {
    return plan.way == RejoinWay::start || plan.way == RejoinWay::rewind || plan.way == RejoinWay::clone ||
           plan.way == RejoinWay::renew_slot || plan.way == RejoinWay::examine;
}

Task<void> Rejoiner::run(EntryPtr e) {
    const auto self = shared_from_this();
    auto result = co_await attempt(e);
    if (!result && !stopped_ && e->ran && e->request.anew) co_await go_on_as_it_was(e);
    if (stopped_) co_return;
    if (e->cancelled && !result)
        result =
            fail(ErrorKind::cancelled, "cancelled; `baton rejoin` begins again", e->state.instance.text());
    finish(*e, result);
}

/// A copy that came to nothing has not touched the directory of a standby that ran until it was asked for.
/// The request is forgotten: each further try would stop it again.
Task<void> Rejoiner::go_on_as_it_was(EntryPtr e) {
    const auto until = means_.clock.now() + statement_deadline;
    const agent::Seen* seen = nullptr;
    for (;; co_await means_.clock.sleep_for(receives_interval)) {
        seen = agent::connected(means_.agents, e->state.instance);
        if (stopped_ || seen == nullptr || means_.clock.now() >= until) co_return;
        const auto state = seen->status.state;
        const bool settled = state == ServerState::down || state == ServerState::running;
        if (!seen->status.job && seen->status.quarantine.empty() && settled) break;
    }
    const bool copied_from_another = e->request.from.has_value();
    e->asked = false;
    e->request = {};
    if (seen->status.state != ServerState::down) co_return;
    agent::Order order{.instance = e->state.instance, .verb = agent::Verb::start, .deadline = start_deadline};
    // Whom it followed may have been replaced meanwhile: then it goes below the one that leads now.
    const auto c = means_.observer.cluster(e->state.cluster_id);
    const auto* leader = c ? c->primary() : nullptr;
    if (leader != nullptr && !copied_from_another && !leader->known_as(e->state.plan.upstream)) {
        e->state.plan.upstream = leader->key;
        const auto ready = co_await prepare_upstream(e);
        if (stopped_) co_return;
        order.verb = agent::Verb::make_standby;
        order.upstream = e->state.plan.upstream;
        order.slot = ready ? e->state.plan.slot : "";
    }
    step(*e, "starting it again as it was");
    const auto started = co_await means_.agents.order(std::move(order));
    if (stopped_) co_return;
    const auto failure = started ? started->error : std::optional(started.error());
    audit(*e, "start",
          failure ? "could not be started again as it was: " + failure->message
                  : "is started again as it was: no copy came of it");
}

Task<Result<std::string>> Rejoiner::attempt(EntryPtr e) {
    e->ran = false;
    const auto name = e->state.instance.text();
    const auto gone = fail(ErrorKind::cancelled, "the manager ends", name);
    const auto cluster = [&] { return means_.observer.cluster(e->state.cluster_id); };
    if (const auto c = cluster(); c && plan_now(*e, *c).way == RejoinWay::examine) {
        if (const auto done = co_await examine(e); !done)
            spdlog::info("{}: what it has past the fork could not be read: {}", name, done.error().text());
    }
    if (stopped_) co_return gone;
    const auto c = cluster();
    if (!c) co_return fail(ErrorKind::not_found, "its cluster is not known any more", name);
    e->state.plan = plan_now(*e, *c);
    const auto& plan = e->state.plan;
    if (plan.way == RejoinWay::by_hand)
        co_return fail(ErrorKind::refused_by_policy, plan.why + " (`" + plan.allow + "`)", name);
    if (!acts(plan) || plan.way == RejoinWay::examine) co_return fail(ErrorKind::conflict, plan.why, name);
    audit(*e, "rejoin-begin",
          fmt::format("{}: {}{}{}", to_string(plan.way), plan.why,
                      plan.bytes_past ? "; drops " + past_the_fork(plan) : "",
                      e->state.lost.empty() ? "" : ": " + e->state.lost));
    spdlog::info("{} (cluster {}): {}: {}", name, e->state.cluster_name, to_string(plan.way), plan.why);
    if (plan.way == RejoinWay::renew_slot) {
        if (auto renewed = co_await renew_slot(e); !renewed) co_return std::unexpected(renewed.error());
    } else {
        if (auto ready = co_await prepare_upstream(e); !ready) co_return std::unexpected(ready.error());
        if (stopped_ || e->cancelled || cluster_is_busy(*e))
            co_return fail(ErrorKind::cancelled, "a recovery of its cluster began", name);
        const auto verb = verb_of(plan);
        const auto* before = means_.agents.of(e->state.instance);
        e->ran = before != nullptr && before->status.state == ServerState::running;
        step(*e, doing_text(plan));
        auto done = co_await order(e, verb, deadline_of(verb));
        if (stopped_) co_return gone;
        if (!done) {
            learn_from(*e, done.error());
            co_return std::unexpected(done.error());
        }
        e->state.detail = done->detail;
    }
    step(*e, "waiting until it streams from " + plan.upstream.text());
    auto up = co_await streams(e);
    if (stopped_) co_return gone;
    if (!up) {
        learn_from(*e, up.error());
        co_return std::unexpected(up.error());
    }
    co_return fmt::format("streams from {} ({}{}{})", plan.upstream.text(), to_string(plan.way),
                          plan.bytes_past ? ", dropped " + past_the_fork(plan) : "",
                          e->state.detail.empty() ? "" : "; " + e->state.detail);
}

/// Its agent reads what is there; the answer stays good until the directory or the primary is another one.
Task<Result<void>> Rejoiner::examine(EntryPtr e) {
    const auto c = means_.observer.cluster(e->state.cluster_id);
    if (!c) co_return fail(ErrorKind::not_found, "its cluster is not known", e->state.instance.text());
    const auto plan = plan_now(*e, *c);
    step(*e, "reading its WAL past the fork at " + plan.fork.text());
    const auto before = e->fingerprint;
    auto done = co_await means_.agents.order({.instance = e->state.instance,
                                              .verb = agent::Verb::wal_past,
                                              .deadline = examine_deadline,
                                              .timeline = plan.timeline,
                                              .position = plan.fork});
    if (stopped_) co_return Result<void>{};
    auto result = !done         ? Result<void>(std::unexpected(done.error()))
                  : done->error ? Result<void>(std::unexpected(*done->error))
                                : Result<void>{};
    if (e->fingerprint != before) co_return result;
    // A connection that ended says nothing: it is asked again.
    if (!result && result.error().kind == ErrorKind::unreachable) co_return result;
    e->examined = true;
    if (!result) co_return result;
    e->past = done->past;
    if (done->past && done->past->commits > 0) {
        e->state.lost = e->listed = done->detail;
        audit(*e, "rejoin-examined",
              fmt::format("its WAL on timeline {} goes on to {}, {} past the fork at {}, with {} commits{}{}",
                          plan.timeline, done->past->end.text(),
                          analysis::bytes_text(topology::bytes_ahead(done->past->end, plan.fork)),
                          plan.fork.text(), done->past->commits, done->detail.empty() ? "" : ": ",
                          done->detail));
    }
    co_return result;
}

bool Rejoiner::slot_is_lost(const Entry& e) const {
    if (!options_.manage_slots || e.state.plan.slot.empty()) return false;
    const auto c = means_.observer.cluster(e.state.cluster_id);
    const auto* up = c ? c->find(e.state.plan.upstream) : nullptr;
    return up != nullptr && up->seen && std::ranges::any_of(up->seen->slots, [&](const auto& slot) {
               return slot.name == e.state.plan.slot && slot.wal_status == "lost";
           });
}

/// The slot first: from then on the upstream keeps the WAL that the server will ask for.
Task<Result<void>> Rejoiner::prepare_upstream(EntryPtr e) {
    const auto& plan = e->state.plan;
    e->slot_was_lost = false;
    if (slot_is_lost(*e)) {
        if (auto renewed = co_await renew_slot(e); !renewed) co_return renewed;
    } else if (!plan.slot.empty() && options_.manage_slots) {
        step(*e, fmt::format("making slot {} on {}", plan.slot, plan.upstream.text()));
        const auto actor = means_.engine.make_actor(plan.upstream);
        if (auto made = co_await actor->create_slot(plan.slot, means_.clock.now() + statement_deadline);
            !made)
            co_return made;
    }
    if (plan.way == RejoinWay::rewind) co_return co_await complete_checkpoint(e);
    co_return Result<void>{};
}

/// A promoted server's control file says on which timeline it is only after a checkpoint, and pg_rewind
/// reads the control file.
Task<Result<void>> Rejoiner::complete_checkpoint(EntryPtr e) {
    const auto upstream = e->state.plan.upstream;
    step(*e, "waiting for a checkpoint of " + upstream.text());
    const auto actor = means_.engine.make_actor(upstream);
    auto done = co_await actor->checkpoint(means_.clock.now() + checkpoint_deadline);
    if (done || stopped_) co_return done;
    if (done.error().kind != ErrorKind::privilege && done.error().kind != ErrorKind::unsupported)
        co_return done;
    const auto c = means_.observer.cluster(e->state.cluster_id);
    const auto* i = c ? c->find(upstream) : nullptr;
    const bool newer = i != nullptr && i->seen && i->seen->version_num >= rewind_knows_promoted;
    if (newer) co_return Result<void>{};
    const auto read = co_await means_.agents.order(
        {.instance = upstream, .verb = agent::Verb::control_data, .deadline = statement_deadline});
    const bool complete = read && !read->error && read->status && i != nullptr && i->seen &&
                          read->status->control.timeline == i->seen->timeline;
    if (complete) co_return Result<void>{};
    co_return done;
}

Task<Result<agent::Done>> Rejoiner::order(EntryPtr e, agent::Verb verb, milliseconds deadline) {
    const auto ended = std::make_shared<bool>(false);
    spawn(means_.clock.executor(), follow_job(e, ended));
    auto done = co_await means_.agents.order({.instance = e->state.instance,
                                              .verb = verb,
                                              .deadline = deadline,
                                              .upstream = e->state.plan.upstream,
                                              .slot = e->state.plan.slot,
                                              .maximum_rate_kbps = options_.maximum_rate_kbps});
    *ended = true;
    if (done && done->error) co_return std::unexpected(*done->error);
    co_return done;
}

/// What the agent tells of its progress.
Task<void> Rejoiner::follow_job(EntryPtr e, std::shared_ptr<bool> ended) {
    const auto self = shared_from_this();
    while (!*ended && !stopped_) {
        co_await means_.clock.sleep_for(job_interval);
        if (*ended || stopped_) co_return;
        const auto* seen = means_.agents.of(e->state.instance);
        if (seen == nullptr || !seen->status.job || e->state.job == seen->status.job) continue;
        e->state.job = seen->status.job;
        announce(*e);
    }
}

/// A receiver whose WAL is gone is told so at once, asks again, and streams for a moment each time.
Duration Rejoiner::patience(const Entry& e) const {
    if (!e.slot_was_lost) return options_.streams_within;
    const auto c = means_.observer.cluster(e.state.cluster_id);
    const auto* i = c ? c->find(e.state.instance) : nullptr;
    const milliseconds asks_every{i != nullptr && i->seen ? i->seen->settings.wal_retrieve_retry_interval_ms
                                                          : 0};
    return std::clamp<Duration>(4 * asks_every, shortest_patience, options_.streams_within);
}

/// It receives: it has what its upstream had when it was first seen to stream, or more than it had itself
/// then.
bool Rejoiner::receives(const Entry& e, std::optional<Reference>& first) const {
    const auto c = means_.observer.cluster(e.state.cluster_id);
    const auto* i = c ? c->find(e.state.instance) : nullptr;
    const auto* up = c ? c->find(e.state.plan.upstream) : nullptr;
    if (i == nullptr || up == nullptr || !i->seen || !up->seen) return true;
    if (!first) first = Reference{i->seen->received, up->seen->position()};
    return i->seen->received > first->own || i->seen->received >= first->upstreams;
}

/// Waits as long as it gets on: a server replays what WAL it has before it asks its upstream for more.
Task<Result<void>> Rejoiner::streams(EntryPtr e) {
    WarmActors none(means_.clock, means_.engine);
    Executor executor(means_.clock, means_.engine, means_.observer, none);
    auto until = means_.clock.now() + patience(*e);
    const auto last = means_.clock.now() + start_deadline;
    topology::Lsn replayed;
    std::optional<Reference> first;
    for (;;) {
        if (!e->slot_was_lost && slot_is_lost(*e)) {
            // One that is in use, or is not lost any more, stays; whether it gets on is seen all the same.
            (void)co_await renew_slot(e);
            if (stopped_) co_return Result<void>{};
            step(*e, "waiting until it streams from " + e->state.plan.upstream.text());
            until = means_.clock.now() + patience(*e);
        }
        std::vector<plan::Step> steps{{.kind = plan::StepKind::verify_streaming,
                                       .target = e->state.instance,
                                       .upstream = e->state.plan.upstream,
                                       .deadline = milliseconds(verify_slice)}};
        const auto outcomes = co_await executor.run_phase(e->state.cluster_id, std::move(steps), nullptr);
        auto result = outcomes.front().result;
        if (result && !stopped_ && !receives(*e, first)) {
            result = fail(ErrorKind::timeout,
                          "receives nothing from " + e->state.plan.upstream.text() +
                              ", which may not have the WAL any more that it lacks",
                          e->state.instance.text());
            co_await means_.clock.sleep_for(receives_interval);
        }
        if (result || result.error().kind != ErrorKind::timeout || stopped_ || e->cancelled) co_return result;
        const auto now = means_.clock.now();
        const auto c = means_.observer.cluster(e->state.cluster_id);
        const auto* i = c ? c->find(e->state.instance) : nullptr;
        const auto* seen = means_.agents.of(e->state.instance);
        const bool ended =
            seen != nullptr && seen->connected &&
            (seen->status.state == ServerState::down || seen->status.state == ServerState::no_data);
        if (ended)
            co_return fail(ErrorKind::refused, "does not run any more: " + seen->status.last_failure,
                           e->state.instance.text());
        const bool starts = seen != nullptr && seen->status.state == ServerState::starting;
        const bool replays = i != nullptr && i->health.ok() && i->seen && i->seen->replayed > replayed;
        if (replays) replayed = i->seen->replayed;
        if (starts || replays) until = std::min(last, now + patience(*e));
        if (now >= until) co_return result;
    }
}

/// A slot that lost WAL is of no use any more. With a new one the standby gets on if the WAL is there all the
/// same; else it must be made anew.
Task<Result<void>> Rejoiner::renew_slot(EntryPtr e) {
    const auto& plan = e->state.plan;
    e->slot_was_lost = true;
    step(*e, fmt::format("making slot {} on {} anew", plan.slot, plan.upstream.text()));
    const auto actor = means_.engine.make_actor(plan.upstream);
    const auto deadline = means_.clock.now() + statement_deadline;
    if (auto dropped = co_await actor->drop_slot(plan.slot, deadline); !dropped) co_return dropped;
    co_return co_await actor->create_slot(plan.slot, deadline);
}

void Rejoiner::learn_from(Entry& e, const Error& error) {
    const auto* seen = agent::connected(means_.agents, e.state.instance);
    // So its agent says that this directory cannot be rewound; whatever else it says may pass.
    if (e.state.plan.way == RejoinWay::rewind && error.kind == ErrorKind::unsupported) e.rewind_failed = true;
    if (e.state.plan.way != RejoinWay::clone && says_damaged(error.message)) e.damaged = true;
    // It runs, and does not get on: what it lacks is nowhere to be had.
    const auto c = means_.observer.cluster(e.state.cluster_id);
    const auto* i = c ? c->find(e.state.instance) : nullptr;
    const bool runs = seen != nullptr && seen->status.state == ServerState::running && i != nullptr &&
                      i->health.ok() && i->is_standby();
    if (runs && i->seen && error.kind == ErrorKind::timeout && e.state.plan.way != RejoinWay::clone) {
        e.cannot_catch_up = true;
        e.stuck_at = i->seen->received;
    }
}

}  // namespace baton::recovery
