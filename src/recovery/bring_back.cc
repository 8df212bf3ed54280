// One attempt to bring a server back: a new look, the slot, the deed of its agent, and the proof that it
// streams.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

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
    if (stopped_) co_return;
    if (e->cancelled && !result)
        result =
            fail(ErrorKind::cancelled, "cancelled; `baton rejoin` begins again", e->state.instance.text());
    finish(*e, result);
}

Task<Result<std::string>> Rejoiner::attempt(EntryPtr e) {
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

/// The slot first: from then on the upstream keeps the WAL that the server will ask for.
Task<Result<void>> Rejoiner::prepare_upstream(EntryPtr e) {
    const auto& plan = e->state.plan;
    if (!plan.slot.empty() && options_.manage_slots) {
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

/// Waits as long as it gets on: a server replays what WAL it has before it asks its upstream for more.
Task<Result<void>> Rejoiner::streams(EntryPtr e) {
    WarmActors none(means_.clock, means_.engine);
    Executor executor(means_.clock, means_.engine, means_.observer, none);
    auto until = means_.clock.now() + options_.streams_within;
    const auto last = means_.clock.now() + start_deadline;
    topology::Lsn replayed;
    for (;;) {
        std::vector<plan::Step> steps{{.kind = plan::StepKind::verify_streaming,
                                       .target = e->state.instance,
                                       .upstream = e->state.plan.upstream,
                                       .deadline = milliseconds(verify_slice)}};
        const auto outcomes = co_await executor.run_phase(e->state.cluster_id, std::move(steps), nullptr);
        const auto& result = outcomes.front().result;
        if (result || result.error().kind != ErrorKind::timeout || stopped_ || e->cancelled) co_return result;
        const auto now = means_.clock.now();
        const auto c = means_.observer.cluster(e->state.cluster_id);
        const auto* i = c ? c->find(e->state.instance) : nullptr;
        const auto* seen = means_.agents.of(e->state.instance);
        const bool starts = seen != nullptr && seen->status.state == ServerState::starting;
        const bool replays = i != nullptr && i->health.ok() && i->seen && i->seen->replayed > replayed;
        if (replays) replayed = i->seen->replayed;
        if (starts || replays) until = std::min(last, now + options_.streams_within);
        if (now >= until) co_return result;
    }
}

/// A slot that lost WAL is of no use any more. With a new one the standby gets on if the WAL is there all the
/// same; else it must be made anew.
Task<Result<void>> Rejoiner::renew_slot(EntryPtr e) {
    const auto& plan = e->state.plan;
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
    // It runs, and does not get on: what it lacks is nowhere to be had.
    const auto c = means_.observer.cluster(e.state.cluster_id);
    const auto* i = c ? c->find(e.state.instance) : nullptr;
    const bool runs = seen != nullptr && seen->status.state == ServerState::running && i != nullptr &&
                      i->health.ok() && i->is_standby();
    if (runs && error.kind == ErrorKind::timeout && e.state.plan.way != RejoinWay::clone)
        e.cannot_catch_up = true;
}

}  // namespace baton::recovery
