#include "recovery/recovery.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/async.h"
#include "base/defect.h"
#include "recovery/impl.h"

namespace baton::recovery {

Impl::Impl(Clock& clock, engine::Engine& engine, store::Store& store, Observer& observer,
           ProcessRunner& processes, agent::Agents& agents, Announce announce, Options options)
    : clock_(clock),
      engine_(engine),
      store_(store),
      observer_(observer),
      processes_(processes),
      agents_(agents),
      announce_(std::move(announce)),
      options_(std::move(options)),
      warm_(clock, engine),
      executor_(clock, engine, observer, warm_),
      routers_(std::make_shared<Routers>(clock)),
      rejoiner_(std::make_shared<Rejoiner>(Rejoiner::Means{.clock = clock,
                                                           .engine = engine,
                                                           .store = store,
                                                           .observer = observer,
                                                           .agents = agents,
                                                           .announce = announce_,
                                                           .busy =
                                                               [this](const std::string& id) {
                                                                   const auto at = watched_.find(id);
                                                                   return at != watched_.end() &&
                                                                          at->second.recovering;
                                                               }},
                                           options_.rejoin)),
      slots_(std::make_shared<SlotKeeper>(
          SlotKeeper::Means{.clock = clock, .engine = engine, .store = store, .agents = agents},
          options_.slots)) {
    routers_->set(options_.switchover.routers);
}

void Impl::stop() {
    stopped_ = true;
    rejoiner_->stop();
    slots_->stop();
    routers_->stop();
}

void Impl::set_options(Options options) {
    options_ = std::move(options);
    rejoiner_->set_options(options_.rejoin);
    slots_->set_options(options_.slots);
    routers_->set(options_.switchover.routers);
}

/// What an agent says may be all that is new about a server that is down.
void Impl::listen_to_agents() {
    agents_.on_change([weak = weak_from_this()](const InstanceKey& key) {
        const auto self = weak.lock();
        if (!self || self->stopped_) return;
        self->on_agent(key);
        asio::post(self->clock_.executor(), [self, key] {
            for (auto& [id, w] : self->watched_) {
                if (self->stopped_) return;
                const auto cluster = w.snapshot;
                if (!cluster || cluster->find(key) == nullptr) continue;
                self->keep_guard(w);
                return self->rejoiner_->consider(*cluster);
            }
        });
    });
}

void Impl::start() {
    started_ = clock_.now();
    hears_agents_ = !agents_.all().empty();
    std::vector<store::Recovery> open;
    for (const auto& [id, r] : store_.state().recoveries) {
        beginning_of(r);
        const bool is_open = r.state == store::RecoveryState::running && !defect("forget-open-recoveries");
        if (is_open) open.push_back(r);
    }
    for (auto& r : open) {
        if (r.kind == "primary") withheld_.insert(r.failed);
        auto& watched = watched_[r.cluster_id];
        watched.recovering = true;
        if (r.kind == switchover_kind) {
            watched.switching = true;
            watched.planned = r.failed;
            spawn(clock_.executor(), resume_switchover(std::move(r)));
            continue;
        }
        spawn(clock_.executor(), resume(std::move(r)));
    }
    spawn(clock_.executor(), tick());
    listen_to_agents();
}

std::vector<Problem> Impl::problems() const {
    std::vector<Problem> all;
    for (const auto& [id, w] : watched_)
        all.insert(all.end(), w.problems.begin(), w.problems.end());
    return all;
}

namespace {

const Problem* actionable_problem(const std::vector<Problem>& problems, const InstanceKey& key) {
    const auto at =
        std::ranges::find_if(problems, [&](const Problem& p) { return p.instance == key && p.actionable(); });
    return at == problems.end() ? nullptr : &*at;
}

/// What an operator says with a forced failover: take it as dead.
Problem declared_dead(const topology::Cluster& cluster, const topology::Instance& primary) {
    Problem problem{.code = Code::dead_primary,
                    .instance = primary.key,
                    .cluster_id = cluster.id,
                    .description = "an operator asked for a failover regardless of the analysis",
                    .is_primary = true};
    for (const auto* replica : cluster.replicas_of(primary.key))
        problem.replicas.push_back(replica->key);
    problem.counts.replicas = static_cast<int>(problem.replicas.size());
    return problem;
}

}  // namespace

Task<Result<Outcome>> Impl::recover(Request request) {
    const auto self = shared_from_this();
    auto& watched = watched_[request.cluster_id];
    const auto cluster = observer_.cluster(request.cluster_id);
    const auto* failed = cluster ? cluster->find(request.failed) : nullptr;
    if (failed == nullptr) co_return fail(ErrorKind::not_found, "is not known", request.failed.text());
    if (watched.busy()) {
        co_return fail(ErrorKind::conflict,
                       "found an active or recent recovery on the cluster: one at a time",
                       request.failed.text());
    }
    const auto problems = analysis::analyse(*cluster, options_.analysis, clock_.now());
    const auto* found = actionable_problem(problems, failed->key);
    if (found == nullptr && !request.force_failover) {
        co_return Outcome{.not_attempted_because = fmt::format(
                              "the analysis of {} shows nothing that a recovery mends", failed->key.text())};
    }
    const auto problem = found != nullptr ? *found : declared_dead(*cluster, *failed);
    watched.recovering = true;
    acknowledge_completed(failed->key);
    const auto detection = register_detection(*cluster, problem);
    const auto c = open_case(*cluster, problem, request, detection.id);
    c->record.forced = true;
    c->regardless = request.force_failover;
    // An agent ends it, which is better.
    const bool lives = failed->health.ok() && failed->is_primary() &&
                       agent::connected(agents_, failed->key) == nullptr &&
                       !failed->seen->settings.default_transaction_read_only;
    if (lives) co_await keep_clients_away(c, true);
    // Nobody was suspected, so what is known of the standbys may be a poll old: too old to compare them.
    if (c->regardless) co_await look_at_everyone(request.cluster_id);
    auto outcome = co_await run_case(c, false);
    if (lives && !c->record.successor && !in_doubt(c->record)) co_await keep_clients_away(c, false);
    watched_[request.cluster_id].recovering = false;
    co_return outcome;
}

/// An operator who forces a recovery has seen the earlier ones of that server.
void Impl::acknowledge_completed(const InstanceKey& failed) {
    store::Acknowledge seen{.recovery_ids = {},
                            .by = "orchestrator",
                            .comment = "acknowledged by a forced recovery",
                            .at = clock_.wall()};
    for (const auto& [id, r] : store_.state().recoveries) {
        if (r.failed == failed && r.in_active_period && r.state != store::RecoveryState::running)
            seen.recovery_ids.push_back(id);
    }
    store_.apply(std::move(seen));
}

/// The old primary lives: clients are kept from it as well as can be done without an agent, which is not a
/// fence. Undone when nobody takes its place.
Task<void> Impl::keep_clients_away(CasePtr c, bool away) {
    const auto key = c->record.failed;
    auto actor = engine_.make_actor(key);
    const auto done = co_await actor->set_read_only(away, clock_.now() + options_.plan.follow_timeout);
    const auto* deed = away ? "still answers: set default_transaction_read_only on it; this is not a fence"
                            : "goes on as the primary: default_transaction_read_only is off again";
    c->journal->note(
        done ? fmt::format("{} {}", key.text(), deed)
             : fmt::format("{} still answers; default_transaction_read_only could not be set {}: {}",
                           key.text(), away ? "on" : "off", done.error().text()));
}

Task<Result<Executed>> Impl::execute(plan::Plan plan) {
    const auto self = shared_from_this();
    if (watched_[plan.cluster_id].recovering) {
        co_return fail(ErrorKind::conflict,
                       "a recovery of this cluster is under way; try again when it has ended",
                       plan.subject.text());
    }
    Executed executed;
    std::set<InstanceKey> failed;
    bool ended = false;
    const auto tell = [&](const StepOutcome& outcome) {
        const auto& step = outcome.step;
        audit("relocate-below", step.target, {}, (outcome.result ? "done: " : "failed: ") + step.what);
        if (!outcome.result) {
            if (failed.insert(plan::about(step)).second)
                executed.failed.emplace_back(step.target, outcome.result.error());
            // Nobody is led to a slot that was not made, and where it came from nothing is tidied up.
            ended = ended || step.required;
        } else if (step.kind == plan::StepKind::verify_streaming) {
            executed.done.push_back(step.target);
        }
    };
    const auto planned = clock_.now();
    for (auto& phase : phases(plan)) {
        const auto drop_failed = [&] {
            std::erase_if(phase, [&](const plan::Step& s) { return failed.contains(plan::about(s)); });
        };
        drop_failed();
        for (const auto& outcome : co_await unfit_by_now(plan.cluster_id, phase, planned))
            tell(outcome);
        if (ended) break;
        drop_failed();
        if (watched_[plan.cluster_id].recovering && !phase.empty()) {
            executed.failed.emplace_back(plan.subject,
                                         Error{ErrorKind::conflict,
                                               "a recovery of this cluster began: the rest was left undone",
                                               plan.subject.text(),
                                               {}});
            break;
        }
        for (const auto& outcome : co_await executor_.run_phase(plan.cluster_id, phase, nullptr))
            tell(outcome);
        if (ended) break;
    }
    co_return executed;
}

Result<int> Impl::acknowledge(const std::vector<int64_t>& ids, std::string by, std::string comment) {
    std::vector<int64_t> fresh;
    for (const auto id : ids) {
        const auto at = store_.state().recoveries.find(id);
        if (at == store_.state().recoveries.end() || at->second.acknowledged) continue;
        if (at->second.state == store::RecoveryState::running) continue;
        fresh.push_back(id);
        if (at->second.detection_id != 0) store_.apply(store::EndDetection{at->second.detection_id});
    }
    store_.apply(store::Acknowledge{
        .recovery_ids = fresh, .by = std::move(by), .comment = std::move(comment), .at = clock_.wall()});
    for (const auto id : fresh)
        store_.apply(store::EndActivePeriod{id});
    return static_cast<int>(fresh.size());
}

namespace {

/// Keeps the implementation alive for as long as the owner does; its coroutines hold it too, until they have
/// ended.
class Handle final : public Recovery {
  public:
    explicit Handle(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
    ~Handle() override { impl_->stop(); }
    void start() override { impl_->start(); }
    void stop() override { impl_->stop(); }
    void set_options(Options options) override { impl_->set_options(std::move(options)); }
    void on_cluster(const std::string& id, const ClusterPtr& cluster) override {
        impl_->on_cluster(id, cluster);
    }
    std::vector<Problem> problems() const override { return impl_->problems(); }
    uint64_t problems_version() const override { return impl_->problems_version(); }
    Task<Result<Outcome>> recover(Request request) override { return impl_->recover(std::move(request)); }
    Task<Result<Executed>> execute(plan::Plan plan) override { return impl_->execute(std::move(plan)); }
    Task<Result<plan::Plan>> plan_switchover(SwitchoverRequest request) override {
        return impl_->plan_switchover(std::move(request));
    }
    Task<Result<Outcome>> switchover(SwitchoverRequest request) override {
        return impl_->switchover(std::move(request));
    }
    Task<Result<void>> schedule_switchover(SwitchoverRequest request, WallTime at) override {
        return impl_->schedule_switchover(std::move(request), at);
    }
    Task<Result<ScheduledSwitchover>> cancel_switchover(std::string id, std::string by) override {
        return impl_->cancel_switchover(std::move(id), std::move(by));
    }
    std::vector<ScheduledSwitchover> scheduled_switchovers() const override {
        return impl_->scheduled_switchovers();
    }
    Task<Result<RejoinState>> rejoin(RejoinRequest request) override {
        return impl_->rejoin(std::move(request));
    }
    Result<plan::Rejoin> preview_rejoin(const RejoinRequest& request) const override {
        return impl_->preview_rejoin(request);
    }
    Result<void> cancel_rejoin(const InstanceKey& key, const std::string& by) override {
        return impl_->cancel_rejoin(key, by);
    }
    std::vector<RejoinState> rejoins() const override { return impl_->rejoins(); }
    Result<int> acknowledge(const std::vector<int64_t>& ids, std::string by, std::string comment) override {
        return impl_->acknowledge(ids, std::move(by), std::move(comment));
    }

  private:
    std::shared_ptr<Impl> impl_;
};

}  // namespace

std::unique_ptr<Recovery> make_recovery(Clock& clock, engine::Engine& engine, store::Store& store,
                                        Observer& observer, ProcessRunner& processes, agent::Agents& agents,
                                        Announce announce, Options options) {
    return std::make_unique<Handle>(std::make_shared<Impl>(clock, engine, store, observer, processes, agents,
                                                           std::move(announce), std::move(options)));
}

}  // namespace baton::recovery
