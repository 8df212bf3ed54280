#include "recovery/executor.h"

#include <fmt/format.h>

#include "base/async.h"
#include "base/defect.h"

namespace baton::recovery {
namespace {

constexpr milliseconds verify_interval{15};
constexpr milliseconds promotion_slice{1000};
/// A standby that was told to follow somebody else has no receiver for a while.
constexpr milliseconds follow_testimony_hold{1000};

Task<void> connect_actor(std::shared_ptr<std::unique_ptr<engine::Actor>> actor,
                         std::shared_ptr<bool> connecting, MonoTime deadline) {
    co_await (*actor)->connect(deadline);
    *connecting = false;
}

}  // namespace

bool proven_dead(const topology::Cluster* cluster, const topology::InstanceKey& key) {
    const auto* i = cluster != nullptr ? cluster->find(key) : nullptr;
    return i != nullptr && i->health.proven_dead();
}

void WarmActors::warm(const InstanceKey& key) {
    if (actors_.contains(key)) return;
    Warm w{std::make_shared<std::unique_ptr<engine::Actor>>(engine_.make_actor(key)),
           std::make_shared<bool>(true), clock_.now()};
    spawn(clock_.executor(), connect_actor(w.actor, w.connecting, clock_.now() + seconds(1)));
    actors_.emplace(key, std::move(w));
}

std::unique_ptr<engine::Actor> WarmActors::take(const InstanceKey& key) {
    const auto at = actors_.find(key);
    if (at == actors_.end() || *at->second.connecting) return engine_.make_actor(key);
    auto actor = std::move(*at->second.actor);
    actors_.erase(at);
    return actor;
}

void WarmActors::drop_older_than(Duration age) {
    const auto now = clock_.now();
    std::erase_if(actors_,
                  [&](const auto& a) { return !*a.second.connecting && now - a.second.since > age; });
}

std::vector<std::vector<plan::Step>> phases(const plan::Plan& plan) {
    std::map<int, std::vector<plan::Step>> by_phase;
    for (const auto& step : plan.steps)
        by_phase[step.phase].push_back(step);
    std::vector<std::vector<plan::Step>> out;
    for (auto& [phase, steps] : by_phase)
        out.push_back(std::move(steps));
    return out;
}

Task<std::vector<StepOutcome>> Executor::run_phase(std::string cluster_id, std::vector<plan::Step> steps,
                                                   JournalPtr journal, Over over) {
    std::vector<Task<StepOutcome>> tasks;
    for (auto& step : steps)
        tasks.push_back(run_step(cluster_id, std::move(step), journal, over));
    co_return co_await gather(clock_, std::move(tasks));
}

Task<StepOutcome> Executor::run_step(std::string cluster_id, plan::Step step, JournalPtr journal, Over over) {
    StepOutcome outcome{.step = step, .result = {}};
    if (journal && step.irreversible && !defect("skip-journal")) {
        auto written = co_await journal->before_deed(
            step.what, fmt::format("{} {}", to_string(step.kind), step.target.text()));
        if (!written) {
            outcome.result = std::unexpected(
                Error{ErrorKind::io,
                      "not done, because the journal could not be written: " + written.error().message,
                      step.target.text(),
                      {}});
            co_return outcome;
        }
    }
    const auto began = clock_.now();
    outcome.result = co_await act(cluster_id, outcome, over);
    outcome.took = clock_.now() - began;
    if (journal) {
        const auto ms = fmt::format("{:.1f} ms", static_cast<double>(to_us(outcome.took)) / 1000.0);
        journal->note(outcome.result ? fmt::format("done in {}: {}", ms, step.what)
                                     : fmt::format("failed after {}: {}: {}", ms, step.what,
                                                   outcome.result.error().text()));
    }
    co_return outcome;
}

Task<Result<void>> Executor::act(const std::string& cluster_id, StepOutcome& outcome, const Over& over) {
    const auto& step = outcome.step;
    const auto deadline = clock_.now() + step.deadline;
    switch (step.kind) {
        case plan::StepKind::catch_up:
            co_return co_await catch_up(cluster_id, step, deadline);
        case plan::StepKind::verify_streaming:
            co_return co_await verify_streaming(cluster_id, step, deadline);
        case plan::StepKind::follow:
            co_return co_await follow(step, deadline);
        case plan::StepKind::promote:
            co_return co_await promote(cluster_id, outcome, deadline, over);
        case plan::StepKind::create_slot: {
            auto actor = engine_.make_actor(step.target);
            co_return co_await actor->create_slot(step.argument, deadline);
        }
        case plan::StepKind::allow_writes: {
            auto actor = engine_.make_actor(step.target);
            co_return co_await actor->set_read_only(false, deadline);
        }
        case plan::StepKind::drop_slot: {
            auto actor = engine_.make_actor(step.target);
            co_return co_await actor->drop_slot(step.argument, deadline);
        }
        case plan::StepKind::set_synchronous_standby_names: {
            auto actor = engine_.make_actor(step.target);
            co_return co_await actor->set_synchronous_standby_names(step.argument, deadline);
        }
        case plan::StepKind::checkpoint: {
            auto actor = engine_.make_actor(step.target);
            co_return co_await actor->checkpoint(deadline);
        }
        default:
            break;  // those of a switchover need more than a session to the server
    }
    co_return fail(ErrorKind::internal, "unknown step", step.target.text());
}

/// In slices: a candidate that is seen to have died is not waited for to the end, and one that cannot be
/// reached is not promoted when it and the primary are back.
Task<Result<void>> Executor::promote(std::string cluster_id, StepOutcome& outcome, MonoTime deadline,
                                     const Over& over) {
    const auto target = outcome.step.target;
    auto actor = warm_.take(target);
    for (;;) {
        auto done = co_await actor->promote(std::min(deadline, clock_.now() + promotion_slice), over.by_now);
        outcome.promotion_requests = actor->promotion_requests();
        if (done) co_return Result<void>{};
        if (defect("promotion-on-faith")) co_return Result<void>{};
        if (done.error().kind != ErrorKind::timeout || clock_.now() >= deadline)
            co_return std::unexpected(done.error());
        co_await observer_.look_again({target}, std::min(deadline, clock_.now() + promotion_slice));
        const auto cluster = observer_.cluster(cluster_id);
        if (proven_dead(cluster.get(), target)) co_return std::unexpected(done.error());
        if (over.asking && co_await over.asking())
            co_return fail(ErrorKind::cancelled, "the failure is over: it is asked no more", target.text());
    }
}

Task<Result<void>> Executor::follow(plan::Step step, MonoTime deadline) {
    auto actor = warm_.take(step.target);
    observer_.hold_testimony(step.target, clock_.now() + follow_testimony_hold);
    auto how = co_await actor->follow({.upstream = step.upstream, .slot = step.argument, .first = step.first},
                                      deadline);
    if (!how) co_return std::unexpected(how.error());
    co_return Result<void>{};
}

Task<Result<void>> Executor::catch_up(std::string cluster_id, plan::Step step, MonoTime deadline) {
    if (auto moved = co_await follow(step, deadline); !moved) co_return moved;
    for (;;) {
        co_await observer_.look_again({step.target}, deadline);
        const auto cluster = observer_.cluster(cluster_id);
        const auto* target = cluster ? cluster->find(step.target) : nullptr;
        if (target != nullptr && target->health.ok() && target->seen &&
            target->seen->received >= step.position && !target->seen->half_copied) {
            co_return Result<void>{};
        }
        if (clock_.now() >= deadline) {
            co_return fail(ErrorKind::timeout,
                           fmt::format("has received {} of {} when its time was up",
                                       target && target->seen ? target->seen->received.text() : "nothing",
                                       step.position.text()),
                           step.target.text());
        }
        co_await clock_.sleep_for(verify_interval);
    }
}

Task<Result<void>> Executor::verify_streaming(std::string cluster_id, plan::Step step, MonoTime deadline) {
    for (;;) {
        co_await observer_.look_again({step.target}, deadline);
        const auto cluster = observer_.cluster(cluster_id);
        const auto* target = cluster ? cluster->find(step.target) : nullptr;
        const bool streams = target != nullptr && target->health.ok() && target->seen &&
                             target->seen->receiving() && target->upstream == step.upstream;
        const auto* up = cluster ? cluster->find(step.upstream) : nullptr;
        const bool right_branch =
            up == nullptr || !up->seen || !streams || target->seen->timeline >= up->seen->timeline;
        // Until it has copied what it replayed it cannot be promoted: it does not yet stand in for anybody.
        if (streams && right_branch && !target->seen->half_copied) co_return Result<void>{};
        if (proven_dead(cluster.get(), step.upstream)) {
            co_return fail(ErrorKind::refused,
                           fmt::format("{} died before this server followed it", step.upstream.text()),
                           step.target.text());
        }
        if (clock_.now() >= deadline) {
            const std::string state =
                target == nullptr || !target->seen ? "is not answering"
                : target->seen->half_copied ? "has copied WAL up to " + target->seen->half_copied->text()
                : target->seen->receiver    ? "has a receiver in state " + target->seen->receiver->status
                                            : "has no WAL receiver";
            co_return fail(ErrorKind::timeout,
                           fmt::format("does not stream from {}: it {}; see its server log for the reason",
                                       step.upstream.text(), state),
                           step.target.text());
        }
        co_await clock_.sleep_for(verify_interval);
    }
}

}  // namespace baton::recovery
