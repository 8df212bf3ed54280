// The steps of a switchover that take more than a session to a server: agents and routers.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <set>

#include "base/async.h"
#include "recovery/switchover_impl.h"

namespace baton::recovery {
namespace {

using plan::StepKind;

/// PostgreSQL has waited for its standbys; this is for a look.
constexpr milliseconds received_pause{2};
constexpr milliseconds route_deadline{1000};
constexpr milliseconds settle_pause{100};
/// While this manager lives it is the one that lets clients go on.
constexpr milliseconds leash_margin{500};

bool by_executor(StepKind kind) {
    switch (kind) {
        case StepKind::stand_clear:
        case StepKind::pause_clients:
        case StepKind::stop_primary:
        case StepKind::has_received:
        case StepKind::route_clients:
        case StepKind::make_standby:
            return false;
        default:
            return true;
    }
}

bool is_promotion(const plan::Step& s) {
    return s.kind == StepKind::promote;
}
bool touches_clients(const plan::Step& s) {
    return s.kind == StepKind::pause_clients || s.kind == StepKind::stop_primary;
}

std::string in_ms(Duration d) {
    return fmt::format("{:.1f} ms", static_cast<double>(to_us(d)) / 1000.0);
}

milliseconds left_until(MonoTime deadline, MonoTime now) {
    return std::chrono::duration_cast<milliseconds>(std::max<Duration>(deadline - now, {}));
}

}  // namespace

/// Why it cannot go on: a server that died or fell silent meanwhile, or clients whose patience is over.
std::optional<std::string> Impl::interrupted(const Switchover& s) const {
    if (stopped_) return "the manager is stopping";
    if (s.late) return "it took longer than clients may be held (SwitchoverPauseSeconds)";
    const auto cluster = observer_.cluster(s.request.cluster_id);
    if (!cluster) return "the cluster was forgotten meanwhile";
    for (const auto& key : {s.primary, s.candidate}) {
        const auto* i = cluster->find(key);
        if (i == nullptr) return key.text() + " was forgotten meanwhile";
        const bool ours = s.stop_ordered && key == s.primary;
        if (ours) continue;
        if (i->host && i->host->says_dead()) return key.text() + " died meanwhile";
        if (!i->health.ok() && i->health.confirmed) return key.text() + " does not answer any more";
        if (agent::connected(agents_, key) == nullptr)
            return fmt::format("the agent of {} is not connected any more", key.text());
    }
    return std::nullopt;
}

/// When the time of the clients is up they go on, wherever everything else stands.
Task<void> Impl::let_go_in_time(SwitchoverPtr s) {
    const auto self = shared_from_this();
    co_await clock_.sleep_until(*s->held_until);
    if (!s->holding || stopped_) co_return;
    s->late = true;
    s->c->journal->note("the clients were held for as long as they may be: they go on");
    co_await release_clients(s);
}

Task<void> Impl::release_clients(SwitchoverPtr s) {
    if (!std::exchange(s->holding, false)) co_return;
    co_await routers_->resume(s->routers, s->c->journal);
    s->c->journal->note("clients go on after " + in_ms(clock_.now() - s->held_at));
}

Task<Result<void>> Impl::hold_clients(SwitchoverPtr s, plan::Step step) {
    const auto router = routers_->find(step.argument);
    if (!router) co_return fail(ErrorKind::not_found, "it is not configured any more", step.argument);
    if (!std::exchange(s->holding, true)) {
        s->held_at = clock_.now();
        s->held_until = s->held_at + s->wish.pause;
        spawn(clock_.executor(), let_go_in_time(s));
    }
    const routing::Leash leash{.span = s->wish.pause + leash_margin,
                               .then = {s->candidate.host, s->candidate.port}};
    // The other half is for the shutdown.
    co_return co_await router->pause(leash, s->held_at + s->wish.pause / 2);
}

Task<Result<void>> Impl::order_clear(InstanceKey key, bool on, milliseconds deadline) {
    auto done = co_await agents_.order(
        {.instance = key, .verb = agent::Verb::stand_clear, .deadline = deadline, .on = on});
    if (!done) co_return std::unexpected(done.error());
    if (done->error) co_return std::unexpected(*done->error);
    co_return Result<void>{};
}

Task<Result<void>> Impl::stop_in_order(SwitchoverPtr s, plan::Step step) {
    const auto now = clock_.now();
    if (!s->held_until) s->held_until = now + s->wish.pause;
    const auto left = std::min(step.deadline, left_until(*s->held_until, now));
    if (left < milliseconds(1))
        co_return fail(ErrorKind::timeout, "no time is left for its shutdown", step.target.text());
    s->stop_ordered = true;
    s->stopped_at = now;
    auto done = co_await agents_.order(
        {.instance = step.target, .verb = agent::Verb::stop, .deadline = left, .mode = "fast"});
    if (!done) co_return std::unexpected(done.error());
    if (done->error) co_return std::unexpected(*done->error);
    if (done->status) s->control = done->status->control;
    co_return Result<void>{};
}

/// Of the server that was stopped: as its agent said with the answer, or says now.
Task<Result<agent::ControlData>> Impl::control_of(InstanceKey key, milliseconds deadline) {
    auto done =
        co_await agents_.order({.instance = key, .verb = agent::Verb::control_data, .deadline = deadline});
    if (!done) co_return std::unexpected(done.error());
    if (done->error) co_return std::unexpected(*done->error);
    if (!done->status) co_return fail(ErrorKind::internal, "its agent gave no control data", key.text());
    co_return done->status->control;
}

Task<Result<void>> Impl::has_received(SwitchoverPtr s, plan::Step step) {
    const auto deadline = clock_.now() + step.deadline;
    if (!s->control || s->control->state.empty() || !s->control->checkpoint) {
        const auto control = co_await control_of(step.upstream, step.deadline);
        if (!control) co_return std::unexpected(control.error());
        s->control = *control;
    }
    if (!s->control->shut_down())
        co_return fail(
            ErrorKind::conflict,
            fmt::format("it did not end in order: its control file says \"{}\"", s->control->state),
            step.upstream.text());
    topology::Lsn received;
    for (;;) {
        co_await observer_.look_again({step.target}, deadline);
        const auto cluster = observer_.cluster(s->request.cluster_id);
        const auto* i = cluster ? cluster->find(step.target) : nullptr;
        if (i != nullptr && i->health.ok() && i->seen && i->is_standby()) {
            received = i->seen->received;
            const bool same = i->seen->timeline == s->control->timeline;
            if (same && plan::has_shutdown_checkpoint(received, s->control->checkpoint))
                co_return Result<void>{};
        }
        if (clock_.now() >= deadline || stopped_) break;
        co_await clock_.sleep_for(received_pause);
    }
    co_return fail(ErrorKind::timeout,
                   fmt::format("it has received {}, and the shutdown checkpoint of {} is at {}",
                               received.text(), step.upstream.text(), s->control->checkpoint.text()),
                   step.target.text());
}

Task<Result<void>> Impl::make_standby_of(plan::Step step) {
    auto done = co_await agents_.order({.instance = step.target,
                                        .verb = agent::Verb::make_standby,
                                        .deadline = step.deadline,
                                        .upstream = step.upstream,
                                        .slot = step.argument});
    if (!done) co_return std::unexpected(done.error());
    if (done->error) co_return std::unexpected(*done->error);
    co_return Result<void>{};
}

Task<Result<void>> Impl::act_planned(SwitchoverPtr s, plan::Step step) {
    switch (step.kind) {
        case StepKind::stand_clear:
            s->clear = true;
            co_return co_await order_clear(step.target, true, step.deadline);
        case StepKind::pause_clients:
            co_return co_await hold_clients(s, step);
        case StepKind::stop_primary:
            co_return co_await stop_in_order(s, step);
        case StepKind::has_received:
            co_return co_await has_received(s, step);
        case StepKind::make_standby:
            co_return co_await make_standby_of(step);
        case StepKind::route_clients: {
            const auto router = routers_->find(step.argument);
            if (!router) co_return fail(ErrorKind::not_found, "it is not configured any more", step.argument);
            co_return co_await routers_->lead_held(s->request.cluster_id, router, step.target, s->c->journal,
                                                   clock_.now() + route_deadline);
        }
        default:
            co_return fail(ErrorKind::internal, "unknown step", step.target.text());
    }
}

Task<StepOutcome> Impl::run_planned(SwitchoverPtr s, plan::Step step) {
    if (by_executor(step.kind)) {
        const Executor::Over over{.by_now = [s] { return s->late; }, .asking = {}};
        std::vector<plan::Step> one{step};
        auto outcomes =
            co_await executor_.run_phase(s->request.cluster_id, std::move(one), s->c->journal, over);
        co_return std::move(outcomes.front());
    }
    const auto began = clock_.now();
    StepOutcome outcome{.step = step, .result = co_await act_planned(s, step)};
    outcome.took = clock_.now() - began;
    s->c->journal->note(outcome.result ? fmt::format("done in {}: {}", in_ms(outcome.took), step.what)
                                       : fmt::format("failed after {}: {}: {}", in_ms(outcome.took),
                                                     step.what, outcome.result.error().text()));
    co_return outcome;
}

Task<std::vector<StepOutcome>> Impl::run_planned_phase(SwitchoverPtr s, std::vector<plan::Step> steps) {
    std::vector<Task<StepOutcome>> tasks;
    for (auto& step : steps)
        tasks.push_back(run_planned(s, std::move(step)));
    co_return co_await gather(clock_, std::move(tasks));
}

/// Everything up to and with the promotion; `rest` is what comes after it.
Task<Reached> Impl::up_to_promotion(SwitchoverPtr s, std::vector<std::vector<plan::Step>>& rest) {
    bool announced = false;
    auto all = phases(s->plan);
    for (size_t i = 0; i < all.size(); ++i) {
        if (const auto why = interrupted(*s)) co_return Reached{Settled::never_did, *why};
        const bool promotes = std::ranges::any_of(all[i], is_promotion);
        // On disk before clients are held: they need not wait for the disk.
        if (!announced && std::ranges::any_of(all[i], touches_clients)) {
            announced = true;
            const auto written = co_await s->c->journal->before_deed(
                fmt::format("{} is about to be stopped", s->primary.text()),
                fmt::format("{}{}", stop_deed, s->primary.text()));
            if (!written)
                co_return Reached{Settled::never_did,
                                  "the journal could not be written: " + written.error().message};
        }
        for (auto& outcome : co_await run_planned_phase(s, all[i])) {
            if (outcome.result) continue;
            if (promotes) {
                auto reached = co_await promotion_settled(s, outcome);
                if (reached.settled != Settled::leads) co_return reached;
                continue;
            }
            const auto kind = outcome.result.error().kind;
            const bool only_slower = outcome.step.kind == StepKind::checkpoint &&
                                     (kind == ErrorKind::privilege || kind == ErrorKind::unsupported);
            if (only_slower || !outcome.step.required) continue;
            co_return Reached{Settled::never_did, outcome.result.error().text()};
        }
        if (!promotes) continue;
        rest.assign(std::make_move_iterator(all.begin() + static_cast<std::ptrdiff_t>(i) + 1),
                    std::make_move_iterator(all.end()));
        promoted_in_switchover(s);
        co_return Reached{};
    }
    co_return Reached{Settled::never_did, "the plan has no promotion"};
}

void Impl::promoted_in_switchover(SwitchoverPtr s) {
    auto& record = s->c->record;
    record.successor = s->candidate;
    const auto cluster = observer_.cluster(record.cluster_id);
    const auto* successor = cluster ? cluster->find(s->candidate) : nullptr;
    if (successor != nullptr && successor->seen) record.successor_position = successor->seen->received.text();
    s->c->journal->note(fmt::format("{} leads{}", s->candidate.text(),
                                    s->stopped_at == MonoTime{}
                                        ? std::string()
                                        : ", " + in_ms(clock_.now() - s->stopped_at) + " after " +
                                              s->primary.text() + " was told to stop"));
    save(*s->c);
    announce_recovery(*s->c);
    spawn(clock_.executor(), [](std::shared_ptr<Impl> self, InstanceKey key) -> Task<void> {
        co_await self->observer_.look_again({key}, self->clock_.now() + look_deadline);
    }(shared_from_this(), s->candidate));
}

/// A request that was refused, or never sent, leaves everything as it was. After any other failure it is
/// looked whether it led to something.
Task<Reached> Impl::promotion_settled(SwitchoverPtr s, StepOutcome outcome) {
    const auto& error = outcome.result.error();
    // One that is asked again and again may refuse to hear what it has begun to do.
    const bool refused = error.kind == ErrorKind::privilege || error.kind == ErrorKind::io ||
                         (error.kind == ErrorKind::sql && outcome.promotion_requests == 1);
    if (refused || outcome.promotion_requests == 0) co_return Reached{Settled::never_did, error.text()};
    co_return co_await settle(s, error.text(), clock_.now() + look_deadline);
}

/// It was asked to promote itself: does it lead, is it out of the question, or can nobody tell?
Task<Reached> Impl::settle(SwitchoverPtr s, std::string error, MonoTime deadline) {
    for (bool started = false;; co_await clock_.sleep_for(settle_pause)) {
        co_await observer_.look_again({s->candidate}, clock_.now() + look_deadline);
        const auto cluster = observer_.cluster(s->request.cluster_id);
        const auto* i = cluster ? cluster->find(s->candidate) : nullptr;
        if (i != nullptr && i->health.ok() && i->is_primary()) co_return Reached{};
        const auto* seen = agent::connected(agents_, s->candidate);
        const bool down = seen != nullptr && seen->status.state == topology::ServerState::down;
        // A server that is promoted removes the file before it takes its first write (xlog.c, StartupXLOG).
        if (down && seen->status.standby_signal)
            co_return Reached{Settled::never_did,
                              s->candidate.text() + " died before it was promoted: " + error};
        if (down && !std::exchange(started, true)) {
            s->c->journal->note(s->candidate.text() + " died, and may have led before: it is started again");
            co_await start_once(s->candidate);
            continue;
        }
        if (clock_.now() >= deadline || stopped_)
            co_return Reached{
                Settled::in_doubt,
                fmt::format("{} was asked to promote itself and has not done so in time ({}). It may "
                            "still do so: look at its log, then use recover",
                            s->candidate.text(), error)};
    }
}

/// After the promotion. A failure costs a replica, or the old primary, not the switchover.
Task<int> Impl::bring_back(SwitchoverPtr s, std::vector<std::vector<plan::Step>> rest) {
    auto& record = s->c->record;
    std::set<InstanceKey> failed;
    for (auto& phase : rest) {
        std::erase_if(phase, [&](const plan::Step& step) { return failed.contains(plan::about(step)); });
        if (phase.empty()) continue;
        const bool routes = phase.front().kind == StepKind::route_clients;
        for (const auto& outcome : co_await run_planned_phase(s, phase)) {
            const auto& step = outcome.step;
            if (outcome.result) {
                if (step.kind == StepKind::verify_streaming) record.participating.push_back(step.target);
                continue;
            }
            record.errors.push_back(outcome.result.error().text());
            const bool about_replica = step.kind == StepKind::follow || step.kind == StepKind::make_standby ||
                                       step.kind == StepKind::verify_streaming;
            const auto cluster = observer_.cluster(record.cluster_id);
            if (about_replica && failed.insert(step.target).second &&
                !proven_dead(cluster.get(), s->candidate))
                record.lost.push_back(step.target);
        }
        if (routes && s->holding) {
            s->holding = false;
            s->c->journal->note("clients go on after " + in_ms(clock_.now() - s->held_at));
        }
    }
    save(*s->c);
    co_return static_cast<int>(record.participating.size());
}

}  // namespace baton::recovery
