// The way back of a switchover, and what a manager does about one that it was killed in: it looks again.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "base/async.h"
#include "recovery/switchover_impl.h"

namespace baton::recovery {
namespace {

constexpr milliseconds start_deadline{30000};
constexpr milliseconds stop_at_once{5000};
constexpr milliseconds clear_deadline{2000};
constexpr milliseconds route_deadline{1000};
constexpr milliseconds standbys_back{2000};
constexpr milliseconds back_pause{50};
/// A primary whose agent is away for longer, and that does not answer, is left to the failover.
constexpr seconds agent_returns{2};
constexpr seconds back_within{60};
constexpr milliseconds gather_pause{50};

std::optional<InstanceKey> key_after(std::string_view prefix, std::string_view deed) {
    if (!deed.starts_with(prefix)) return std::nullopt;
    const auto key = topology::parse_instance_key(deed.substr(prefix.size()), 0);
    return key ? std::optional(*key) : std::nullopt;
}

bool takes_writes(const topology::Cluster* cluster, const InstanceKey& key) {
    const auto* i = cluster != nullptr ? cluster->find(key) : nullptr;
    return i != nullptr && i->health.ok() && i->is_primary();
}

}  // namespace

/// One more try to start it. True: it takes writes.
Task<Result<void>> Impl::start_once(const InstanceKey key) {
    auto started =
        co_await agents_.order({.instance = key, .verb = agent::Verb::start, .deadline = start_deadline});
    if (!started) co_return std::unexpected(started.error());
    if (started->error) co_return std::unexpected(*started->error);
    co_return Result<void>{};
}

Task<bool> Impl::answers_as_primary(SwitchoverPtr s) {
    co_await observer_.look_again({s->primary}, clock_.now() + look_deadline);
    co_return takes_writes(observer_.cluster(s->request.cluster_id).get(), s->primary);
}

/// A shutdown that did not come to its end (an archive_command that hangs, for one) is made short: what it
/// was to write is in the log. False: it is left to the failover.
Task<bool> Impl::start_again(SwitchoverPtr s) {
    const auto began = clock_.now();
    bool cut_short = false;
    std::string last;
    for (auto away = began; clock_.now() - began < back_within && !stopped_;
         co_await clock_.sleep_for(back_pause)) {
        const auto started = co_await start_once(s->primary);
        if (co_await answers_as_primary(s)) {
            const auto since = s->stopped_at == MonoTime{} ? began : s->stopped_at;
            s->c->journal->note(fmt::format("{} takes writes again after {} ms", s->primary.text(),
                                            to_ms(clock_.now() - since)));
            co_return true;
        }
        if (started) {
            away = clock_.now();
            continue;
        }
        last = started.error().text();
        const auto kind = started.error().kind;
        const bool no_hands = kind == ErrorKind::unreachable || kind == ErrorKind::not_found;
        if (!no_hands) away = clock_.now();
        if (no_hands && clock_.now() - away > agent_returns) break;
        if (no_hands) continue;
        if (cut_short && kind != ErrorKind::conflict) break;
        cut_short = true;
        co_await agents_.order({.instance = s->primary,
                                .verb = agent::Verb::stop,
                                .deadline = stop_at_once,
                                .mode = "immediate"});
    }
    if (!stopped_)
        s->c->journal->note(fmt::format("{} could not be started again ({}): it is left to the failover",
                                        s->primary.text(), last));
    co_return false;
}

/// Standbys would wait for as long as wal_retrieve_retry_interval before they look for the primary again, and
/// until they stream their timelines are not known for sure.
Task<void> Impl::standbys_return(SwitchoverPtr s) {
    const auto cluster = observer_.cluster(s->request.cluster_id);
    if (!cluster) co_return;
    std::vector<Task<Result<void>>> nudges;
    std::vector<plan::Step> steps;
    std::vector<std::unique_ptr<engine::Actor>> actors;
    for (const auto* i : cluster->replicas_of(s->primary)) {
        if (!i->health.ok()) continue;
        steps.push_back({.kind = plan::StepKind::verify_streaming,
                         .target = i->key,
                         .upstream = s->primary,
                         .deadline = standbys_back,
                         .what = fmt::format("{} streams from {} again", i->key.text(), s->primary.text())});
        if (i->replicating()) continue;
        actors.push_back(engine_.make_actor(i->key));
        nudges.push_back(actors.back()->restart_receiver(clock_.now() + standbys_back));
    }
    co_await gather(clock_, std::move(nudges));
    if (!steps.empty()) co_await executor_.run_phase(s->request.cluster_id, std::move(steps), s->c->journal);
}

/// While no manager was there to let the clients go, somebody else may have, and have led them to the
/// candidate, since the old primary was down.
Task<void> Impl::lead_back(SwitchoverPtr s) {
    const routing::Target candidate{s->candidate.host, s->candidate.port};
    for (const auto& router : s->routers) {
        const auto standing = co_await router->check(clock_.now() + route_deadline);
        if (!standing || std::ranges::find(standing->routes, candidate, &routing::Standing::Route::to) ==
                             standing->routes.end())
            continue;
        const auto led = co_await routers_->lead_held(s->request.cluster_id, router, s->primary,
                                                      s->c->journal, clock_.now() + route_deadline);
        if (led)
            s->c->journal->note(
                fmt::format("router {} leads to {} again", router->name(), s->primary.text()));
    }
}

/// Back to where it began. The clients go on when the primary is back, or when their time is up.
Task<void> Impl::undo_switchover(SwitchoverPtr s, std::string why) {
    s->c->journal->note("going back, since nobody was asked to promote himself: " + why);
    const bool back = s->stop_ordered && co_await start_again(s);
    if (s->stop_ordered && !back) s->c->record.errors.push_back("the old primary is down");
    co_await release_clients(s);
    if (back && s->taken_up) co_await lead_back(s);
    if (back) co_await standbys_return(s);
    if (!s->clear) co_return;
    s->clear = false;
    // Nothing waits for it; a failure shows in its agent's state.
    if (const auto done = co_await order_clear(s->candidate, false, clear_deadline); !done)
        s->c->journal->note(fmt::format("the agent of {} could not be told to vouch again: {}",
                                        s->candidate.text(), done.error().text()));
}

SwitchoverPtr Impl::switchover_of(store::Recovery record) const {
    auto s = std::make_shared<Switchover>();
    s->request = {.cluster_id = record.cluster_id,
                  .command_hint = record.command_hint,
                  .skip_hooks = record.skip_hooks};
    s->primary = record.failed;
    s->started = s->taken_up = true;
    s->wish.pause = options_.switchover.pause;
    if (const auto steps = store_.state().steps.find(record.uid); steps != store_.state().steps.end()) {
        for (const auto& step : steps->second) {
            if (const auto key = key_after(switch_deed, step.deed)) s->candidate = *key;
            if (key_after(stop_deed, step.deed)) s->stop_ordered = s->clear = true;
        }
    }
    s->c = std::make_shared<Case>();
    s->c->candidate = s->candidate;
    s->c->replaced = s->primary;
    s->c->record = std::move(record);
    return s;
}

/// What was done before the restart is seen by looking; the journal only tells whether a promotion may have
/// been asked for.
Task<void> Impl::resume_switchover(store::Recovery record) {
    const auto self = shared_from_this();
    const auto id = record.cluster_id;
    auto s = switchover_of(std::move(record));
    auto& c = *s->c;
    c.journal = std::make_shared<Journal>(clock_, store_, announce_, c.record.uid, beginning_of(c.record));
    c.journal->note("the manager was restarted during this switchover: looking again");
    const bool known = co_await wait_settled(id);
    const auto cluster = observer_.cluster(id);
    if (cluster) s->routers = routers_->of(*cluster);
    for (const auto& router : s->routers)
        s->wish.routers.push_back(router->name());
    // Whoever held the clients is gone: they go on in any case, and soon.
    s->holding = s->stop_ordered && !s->routers.empty();
    s->held_at = clock_.now();
    s->held_until = s->held_at + s->wish.pause;
    if (s->holding) spawn(clock_.executor(), let_go_in_time(s));
    if (!known || !cluster || !s->candidate.valid()) {
        co_await release_clients(s);
        co_await finish_switchover(s, "nothing of the cluster is known any more");
    } else {
        co_await go_on_or_back(s);
    }
    end_switchover(id);
}

Task<void> Impl::go_on_or_back(SwitchoverPtr s) {
    const auto deadline = clock_.now() + options_.switchover.agents_return;
    const auto gathered = [&] {
        return agent::connected(agents_, s->primary) != nullptr &&
               agent::connected(agents_, s->candidate) != nullptr;
    };
    while (s->stop_ordered && !gathered() && clock_.now() < deadline && !stopped_)
        co_await clock_.sleep_for(gather_pause);
    co_await look_at_everyone(s->request.cluster_id);
    if (stopped_) co_return;
    const auto reached = co_await reached_before_restart(s);
    if (stopped_) co_return;
    if (reached.settled == Settled::in_doubt) {
        co_await end_in_doubt(s, reached.error);
    } else if (reached.settled == Settled::never_did) {
        co_await undo_switchover(s, reached.error);
        co_await finish_switchover(s, reached.error);
    } else {
        promoted_in_switchover(s);
        const auto cluster = observer_.cluster(s->request.cluster_id);
        auto plan =
            cluster ? plan::plan_after_promotion(*cluster, s->primary, s->candidate, s->wish, options_.plan)
                    : plan::Plan{};
        co_await after_promotion(s, phases(plan));
    }
}

Task<Reached> Impl::reached_before_restart(SwitchoverPtr s) {
    const auto cluster = observer_.cluster(s->request.cluster_id);
    if (!cluster) co_return Reached{Settled::never_did, "the cluster was forgotten meanwhile"};
    if (const auto* leader = promoted_instance(*cluster, *s->c)) {
        s->candidate = leader->key;
        co_return Reached{};
    }
    if (requested_promotions(*s->c).empty())
        co_return Reached{Settled::never_did, "the manager was restarted before anybody was asked to lead"};
    // It was asked, or was about to be. While the old primary is down it may be asked again.
    const auto* old = agent::connected(agents_, s->primary);
    const auto* candidate = cluster->find(s->candidate);
    const bool down =
        old != nullptr && old->status.state == topology::ServerState::down && old->status.control.shut_down();
    const bool whole =
        candidate != nullptr && candidate->health.ok() && candidate->seen && candidate->is_standby() &&
        down && plan::has_shutdown_checkpoint(candidate->seen->received, old->status.control.checkpoint);
    if (whole) {
        const plan::Step again{.kind = plan::StepKind::promote,
                               .target = s->candidate,
                               .deadline = options_.plan.promotion_timeout,
                               .irreversible = true,
                               .required = true,
                               .what = "promote " + s->candidate.text() + " (again)"};
        const auto outcome = co_await run_planned(s, again);
        if (outcome.result) co_return Reached{};
    }
    co_return co_await settle(s, "the manager was restarted when it was asked",
                              clock_.now() + options_.plan.promotion_timeout);
}

}  // namespace baton::recovery
