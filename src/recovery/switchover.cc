// A planned switchover from the request to its end. Until the promotion is asked for, every failure leads
// back to where it began; after it, there is only forward.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "base/async.h"
#include "base/text.h"
#include "recovery/switchover_impl.h"

namespace baton::recovery {
namespace {

constexpr milliseconds activity_deadline{3000};
constexpr milliseconds router_deadline{2000};
/// Hooks may have taken minutes: what was found before is looked at again.
constexpr milliseconds survey_fresh{1000};

struct Asked {
    InstanceKey key;
    Result<topology::Activity> activity;
};

Task<Asked> ask_activity(engine::Engine& engine, InstanceKey key, MonoTime deadline) {
    const auto actor = engine.make_actor(key);
    auto activity = co_await actor->activity(deadline);
    // An engine that has no such thing hides nothing.
    if (!activity && activity.error().kind == ErrorKind::unsupported) activity = topology::Activity{};
    co_return Asked{std::move(key), std::move(activity)};
}

struct Checked {
    std::string router;
    Result<routing::Standing> standing;
};

Task<Checked> check_router(routing::RouterPtr router, MonoTime deadline) {
    co_return Checked{router->name(), co_await router->check(deadline)};
}

}  // namespace

/// Asks everything that the checks before a switchover need, and makes the plan.
Task<Result<SwitchoverPtr>> Impl::survey(SwitchoverRequest request) {
    const auto cluster = co_await look_at_everyone(request.cluster_id);
    if (!cluster) co_return fail(ErrorKind::not_found, "the cluster is not known", request.cluster_id);
    auto s = std::make_shared<Switchover>();
    s->request = std::move(request);
    s->routers = routers_->of(*cluster);
    auto& wish = s->wish;
    wish.candidate = s->request.candidate;
    wish.pause = options_.switchover.pause;
    wish.lag_seconds = options_.switchover.lag_seconds;
    wish.lag_bytes = options_.switchover.lag_bytes;
    std::vector<Task<Asked>> asked;
    if (const auto* primary = cluster->primary(); primary != nullptr && primary->health.ok()) {
        asked.push_back(ask_activity(engine_, primary->key, clock_.now() + activity_deadline));
        for (const auto* replica : cluster->replicas_of(primary->key)) {
            if (replica->health.ok())
                asked.push_back(ask_activity(engine_, replica->key, clock_.now() + activity_deadline));
        }
    }
    for (auto& a : co_await gather(clock_, std::move(asked))) {
        if (a.activity)
            wish.activity[a.key] = std::move(*a.activity);
        else if (wish.activity_unknown.empty())
            wish.activity_unknown = a.activity.error().text();
    }
    std::vector<Task<Checked>> checks;
    for (const auto& router : s->routers) {
        wish.routers.push_back(router->name());
        checks.push_back(check_router(router, clock_.now() + router_deadline));
    }
    const auto found = plan::preflight_switchover(*cluster, wish, options_.plan);
    s->plan = plan::plan_switchover(*cluster, found, wish, options_.plan);
    for (const auto& check : co_await gather(clock_, std::move(checks))) {
        if (!check.standing) {
            s->plan.obstacles.push_back(
                fmt::format("router {} does not answer: {}", check.router, check.standing.error().text()));
            continue;
        }
        if (!check.standing->forbidden.empty())
            s->plan.obstacles.push_back(
                fmt::format("router {}: {}", check.router, check.standing->forbidden));
        for (const auto& remark : check.standing->remarks)
            s->plan.remarks.push_back(fmt::format("router {}: {}", check.router, remark));
    }
    if (found.primary) s->primary = *found.primary;
    if (found.candidate) s->candidate = *found.candidate;
    co_return s;
}

Task<Result<plan::Plan>> Impl::plan_switchover(SwitchoverRequest request) {
    const auto self = shared_from_this();
    const auto s = co_await survey(std::move(request));
    if (!s) co_return std::unexpected(s.error());
    co_return (*s)->plan;
}

Task<Result<Outcome>> Impl::switchover(SwitchoverRequest request) {
    const auto self = shared_from_this();
    const auto id = request.cluster_id;
    if (!observer_.cluster(id)) co_return fail(ErrorKind::not_found, "the cluster is not known", id);
    const auto begun_before = watched_[id].switchovers;
    const auto came_first = [&]() -> Result<Outcome> {
        return fail(ErrorKind::conflict,
                    "a recovery or switchover of this cluster is under way: one at a time",
                    observer_.cluster(id) ? observer_.cluster(id)->name : id);
    };
    if (watched_[id].recovering || watched_[id].switching) co_return came_first();
    // Several may check at once, which changes nothing: one that is refused must not keep another one out.
    const auto s = co_await survey(std::move(request));
    if (auto& w = watched_[id]; w.recovering || w.switching || w.switchovers != begun_before)
        co_return came_first();
    if (!s) co_return std::unexpected(s.error());
    if (!(*s)->plan.obstacles.empty()) {
        co_return Outcome{.not_attempted_because = join((*s)->plan.obstacles, "; "),
                          .obstacles = (*s)->plan.obstacles};
    }
    watched_[id].switching = true;
    ++watched_[id].switchovers;
    open_switchover(**s);
    auto outcome = co_await run_switchover(*s);
    end_switchover(id);
    co_return outcome;
}

/// From now on what is seen counts again.
void Impl::end_switchover(const std::string& id) {
    auto& watched = watched_[id];
    watched.switching = false;
    if (!watched.planned) return;
    watched.planned.reset();
    watched.recovering = false;
    if (stopped_) return;
    if (const auto cluster = observer_.cluster(id)) on_cluster(id, cluster);
}

void Impl::open_switchover(Switchover& s) {
    const auto cluster = observer_.cluster(s.request.cluster_id);
    auto c = std::make_shared<Case>();
    c->candidate = s.candidate;
    c->replaced = s.primary;
    c->record = {
        .id = store_.new_id(),
        .uid = new_uid(clock_),
        .code = std::string(analysis::info(Code::dead_primary).name),
        .kind = std::string(switchover_kind),
        .command_hint = s.request.command_hint,
        .cluster_id = s.request.cluster_id,
        .failed = s.primary,
        .description = fmt::format("planned switchover from {} to {}", s.primary.text(), s.candidate.text()),
        .started = clock_.wall(),
        .boot = clock_.boot(),
        .started_mono_us = to_us(clock_.now().time_since_epoch()),
        .forced = true,
        .skip_hooks = s.request.skip_hooks,
        .node_hostname = options_.node_hostname,
        .node_token = options_.node_token};
    if (cluster) {
        c->record.cluster_name = cluster->name;
        c->record.cluster_alias = cluster->alias;
        c->record.cluster_domain = cluster->domain;
        for (const auto* replica : cluster->replicas_of(s.primary))
            c->record.replicas.push_back(replica->key);
    }
    c->record.lost = s.plan.lost;
    c->journal = std::make_shared<Journal>(clock_, store_, announce_, c->record.uid, clock_.now());
    s.c = c;
    beginning_of(c->record);
    save(*c);
    announce_recovery(*c);
    c->journal->mark(c->record.description + ": " + s.plan.choice.why,
                     fmt::format("{}{}", switch_deed, s.candidate.text()));
    for (const auto& remark : s.plan.remarks)
        c->journal->note(remark);
}

/// What a script that is told beforehand needs to know: who will lead.
Task<Result<void>> Impl::hooks_before_switchover(SwitchoverPtr s) {
    if (s->request.skip_hooks) co_return Result<void>{};
    auto about = s->c->record;
    about.successor = s->candidate;
    auto f = facts(*s->c);
    f.recovery = &about;
    f.successful = true;
    auto done =
        co_await run_hooks(clock_, processes_, options_.hook_options, "PreGracefulTakeoverProcesses",
                           options_.hooks.pre_graceful_takeover, placeholders(f), environment(f), true,
                           [journal = s->c->journal](std::string text) { journal->note(std::move(text)); });
    if (done) done = co_await run_pre_hooks(s->c);
    if (!done) done.error().message = "a hook failed, so nothing was done: " + done.error().message;
    co_return done;
}

/// Nothing when what was planned may still be done.
Task<Result<void>> Impl::still_possible(SwitchoverPtr s, MonoTime since) {
    if (clock_.now() - since <= survey_fresh) co_return Result<void>{};
    auto request = s->request;
    request.candidate = s->candidate;
    const auto again = co_await survey(std::move(request));
    if (!again) co_return std::unexpected(again.error());
    if (!(*again)->plan.obstacles.empty())
        co_return fail(ErrorKind::refused_by_policy, "while the hooks ran, something came in between: " +
                                                         join((*again)->plan.obstacles, "; "));
    if ((*again)->primary != s->primary)
        co_return fail(ErrorKind::conflict, "another server leads by now", (*again)->primary.text());
    s->plan = (*again)->plan;
    s->wish = (*again)->wish;
    co_return Result<void>{};
}

Task<Outcome> Impl::run_switchover(SwitchoverPtr s) {
    const auto surveyed = clock_.now();
    s->started = !s->request.skip_hooks &&
                 (!options_.hooks.pre_graceful_takeover.empty() || !options_.hooks.pre_failover.empty());
    auto ready = co_await hooks_before_switchover(s);
    if (ready) ready = co_await still_possible(s, surveyed);
    if (ready && watched_[s->request.cluster_id].recovering)
        ready = fail(ErrorKind::conflict, "a recovery of this cluster began meanwhile", s->primary.text());
    if (!ready) {
        co_await finish_switchover(s, ready.error().text());
        co_return Outcome{.recovery = s->c->record,
                          .not_attempted_because = ready.error().text(),
                          .obstacles = {ready.error().text()}};
    }
    s->started = true;
    auto& watched = watched_[s->request.cluster_id];
    watched.recovering = true;
    watched.planned = s->primary;
    warm_.warm(s->candidate);
    std::vector<std::vector<plan::Step>> after;
    const auto done = co_await up_to_promotion(s, after);
    if (stopped_) co_return Outcome{.recovery = s->c->record, .attempted = true};
    if (done.settled == Settled::leads) {
        co_await after_promotion(s, std::move(after));
    } else if (done.settled == Settled::in_doubt) {
        co_await end_in_doubt(s, done.error);
    } else {
        co_await undo_switchover(s, done.error);
        co_await finish_switchover(s, done.error);
    }
    co_return Outcome{.recovery = s->c->record, .attempted = true};
}

/// Clients first, then the old primary and all others, the hooks beside them.
Task<void> Impl::after_promotion(SwitchoverPtr s, std::vector<std::vector<plan::Step>> rest) {
    auto& c = *s->c;
    c.is_primary = true;
    if (!c.record.successor) c.record.successor = s->candidate;
    save(c);
    std::vector<Task<int>> side_by_side;
    side_by_side.push_back(bring_back(s, std::move(rest)));
    side_by_side.push_back(run_post_hooks(s->c));
    co_await gather(clock_, std::move(side_by_side));
    co_await let_commits_go_on(s->c);
    if (!s->request.skip_hooks)
        co_await hooks_of(s->c, "PostGracefulTakeoverProcesses", options_.hooks.post_graceful_takeover);
    co_await finish_switchover(s, {});
}

/// `error` empty: the successor leads.
Task<void> Impl::finish_switchover(SwitchoverPtr s, std::string error) {
    auto& record = s->c->record;
    const bool success = record.successor.has_value();
    if (!error.empty()) {
        record.errors.push_back(error);
        s->c->journal->note("the switchover failed: " + error);
    }
    record.state =
        success && !s->c->post_hook_failed ? store::RecoveryState::succeeded : store::RecoveryState::failed;
    record.ended = clock_.wall();
    // It was wanted, and says nothing about the next failure; only who may have been promoted blocks that.
    record.in_active_period = s->c->blocks;
    if (success) {
        co_await observer_.look_again({*record.successor}, clock_.now() + look_deadline);
        end_detections(record.failed);
        mark_lost_in_switchover(*s->c);
    }
    save(*s->c);
    audit(record.command_hint, record.failed, record.cluster_name,
          success ? "successor promoted: " + record.successor->text() : "no successor promoted: " + error);
    if (!success && s->started && !record.skip_hooks)
        co_await hooks_of(s->c, "PostUnsuccessfulFailoverProcesses",
                          options_.hooks.post_unsuccessful_failover);
    if (success) {
        s->c->journal->note(fmt::format("switchover complete: {} leads, {} replica{} follow",
                                        record.successor->text(), record.participating.size(),
                                        record.participating.size() == 1 ? "" : "s"));
    }
    announce_recovery(*s->c);
    const auto written = co_await store_.flush();
    if (!written) spdlog::error("switchover {}: {}", record.uid, written.error().text());
}

/// Nobody knows whether the candidate was promoted: nobody else may be, nor the old primary started.
Task<void> Impl::end_in_doubt(SwitchoverPtr s, std::string error) {
    s->c->blocks = true;
    const auto cluster = observer_.cluster(s->request.cluster_id);
    const auto* asked = cluster ? cluster->find(s->candidate) : nullptr;
    s->c->journal->mark(
        fmt::format("it is not known whether {} has promoted itself", s->candidate.text()),
        doubt_about(s->candidate, asked != nullptr && asked->seen ? asked->seen->started_at_us : 0));
    co_await release_clients(s);
    co_await finish_switchover(s, std::move(error));
}

/// The old primary is one of them when it did not come back.
void Impl::mark_lost_in_switchover(Case& c) {
    const bool primary = std::exchange(c.is_primary, false);
    mark_lost(c);
    c.is_primary = primary;
}

}  // namespace baton::recovery
