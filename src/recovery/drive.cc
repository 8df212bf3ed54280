// A recovery from its record to its end: look, choose, promote, and then everything else off the clients'
// path.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "base/async.h"
#include "base/defect.h"
#include "base/json_writer.h"
#include "base/text.h"
#include "recovery/impl.h"

namespace baton::recovery {
namespace {

/// A standby that was told to follow somebody needs up to a second before its having no receiver says
/// something.
constexpr milliseconds unfollowed_settles{2000};
constexpr milliseconds unfollowed_pause{50};
constexpr std::chrono::hours lost_downtime{24 * 365};

bool is_promote(const plan::Step& step) {
    return step.kind == plan::StepKind::promote;
}

std::string texts(const std::vector<InstanceKey>& keys) {
    std::vector<std::string> all;
    all.reserve(keys.size());
    for (const auto& k : keys)
        all.push_back(k.text());
    return join(all, ", ");
}

}  // namespace

std::string new_uid(Clock& clock) {
    const auto ns = std::chrono::duration_cast<Duration>(clock.wall().time_since_epoch()).count();
    return fmt::format("{}:{}", ns, random_hex(32));
}

void Impl::save(const Case& c) {
    store_.apply(store::PutRecovery{c.record});
}

void Impl::announce_recovery(const Case& c) {
    static constexpr std::string_view states[] = {"running", "succeeded", "failed"};
    JsonWriter json;
    json.begin_object()
        .field("uid", c.record.uid)
        .field("id", c.record.id)
        .field("cluster", c.record.cluster_name);
    json.field("cluster_id", c.record.cluster_id)
        .field("code", c.record.code)
        .field("failed", c.record.failed.text());
    json.field("state", states[static_cast<int>(c.record.state)]);
    json.field("successor", c.record.successor ? c.record.successor->text() : std::string{}).end_object();
    announce_("recovery", json.text());
}

HookFacts Impl::facts(const Case& c) const {
    const auto at = watched_.find(c.record.cluster_id);
    const auto cluster = at == watched_.end() ? nullptr : at->second.snapshot;
    return {.recovery = &c.record,
            .is_primary = c.is_primary,
            .successful = c.record.successor.has_value(),
            .automated_primary = cluster && options_.recovers_primary(*cluster),
            .automated_intermediate = cluster && options_.recovers_intermediate(*cluster)};
}

CasePtr Impl::open_case(const topology::Cluster& cluster, const Problem& problem, const Request& request,
                        int64_t detection_id) {
    const auto* failed = cluster.find(problem.instance);
    auto c = std::make_shared<Case>();
    c->candidate = request.candidate;
    c->is_primary = analysis::info(problem.code).action == analysis::Action::recover_primary;
    c->record = {.id = store_.new_id(),
                 .uid = new_uid(clock_),
                 .code = std::string(analysis::info(problem.code).name),
                 .kind = c->is_primary ? "primary" : "intermediate",
                 .command_hint = request.command_hint,
                 .cluster_id = cluster.id,
                 .cluster_name = cluster.name,
                 .cluster_alias = cluster.alias,
                 .cluster_domain = cluster.domain,
                 .failed = problem.instance,
                 .failed_upstream = failed != nullptr ? failed->upstream : std::nullopt,
                 .replicas = problem.replicas,
                 .description = problem.description,
                 .started = clock_.wall(),
                 .boot = clock_.boot(),
                 .started_mono_us = to_us(clock_.now().time_since_epoch()),
                 .forced = request.force_failover || !request.command_hint.empty(),
                 .skip_hooks = request.skip_hooks,
                 .detection_id = detection_id,
                 .node_hostname = options_.node_hostname,
                 .node_token = options_.node_token};
    const auto since =
        failed != nullptr && failed->health.suspect_since ? *failed->health.suspect_since : clock_.now();
    c->journal = std::make_shared<Journal>(clock_, store_, announce_, c->record.uid, since);
    beginning_of(c->record);
    save(*c);
    announce_recovery(*c);
    c->journal->note(fmt::format("will handle {} event on {}: {}", c->record.code, problem.instance.text(),
                                 problem.description));
    return c;
}

Task<Outcome> Impl::run_case(CasePtr c, bool check_again) {
    const auto self = shared_from_this();
    c->judged = clock_.now();
    if (const auto hooks = co_await run_pre_hooks(c); !hooks) {
        c->blocks = true;
        co_await finish(c, false,
                        "a PreFailoverProcesses hook failed, so nothing was done: " + hooks.error().text());
        co_return Outcome{
            .recovery = c->record, .attempted = false, .not_attempted_because = hooks.error().text()};
    }
    if ((check_again || !judged_lately(*c)) && !c->regardless && !(co_await still_so(c))) {
        co_await finish(c, false, "the failure is over: nothing was done");
        co_return Outcome{
            .recovery = c->record, .attempted = false, .not_attempted_because = "the failure is over"};
    }
    if (c->is_primary) {
        co_await drive_primary(c);
    } else {
        co_await drive_intermediate(c);
    }
    co_return Outcome{.recovery = c->record, .attempted = true, .not_attempted_because = {}};
}

Task<Result<void>> Impl::run_pre_hooks(CasePtr c) {
    if (c->record.skip_hooks) co_return Result<void>{};
    const auto f = facts(*c);
    co_return co_await run_hooks(
        clock_, processes_, options_.hook_options, "PreFailoverProcesses", options_.hooks.pre_failover,
        placeholders(f), environment(f), true,
        [journal = c->journal](std::string text) { journal->note(std::move(text)); });
}

void Impl::note_choice(Case& c, const plan::Choice& choice) {
    for (const auto& r : choice.rejected) {
        c.journal->note(fmt::format("not promoting {}: {}{}{}", r.instance.text(), to_string(r.reason),
                                    r.detail.empty() ? "" : ": ", r.detail));
    }
    c.journal->note(choice.chosen
                        ? fmt::format("chose {} for promotion: {}", choice.chosen->text(), choice.why)
                        : "no candidate: " + choice.why);
}

Task<void> Impl::drive_primary(CasePtr c) {
    const auto policy = policy_of(c);
    c->replaced = c->record.failed;
    if (!(co_await still_lost(c))) {
        co_await finish(c, false, "the failure is over: nothing was done");
        co_return;
    }
    if (!(co_await out_of_the_way(c))) co_return;
    for (;;) {
        const auto cluster = observer_.cluster(c->record.cluster_id);
        if (stopped_) co_return;
        if (!cluster) {
            co_await finish(c, false, "the cluster was forgotten meanwhile");
            co_return;
        }
        const auto choice = plan::choose_candidate(*cluster, c->replaced, policy, c->candidate,
                                                   c->record.forced, clock_.now());
        note_choice(*c, choice);
        if (!choice.chosen) {
            if (const auto asked = outstanding(*cluster, *c)) {
                co_await finish_in_doubt(c, *asked, choice.why);
            } else {
                co_await finish(c, false, c->kept_back.empty() ? choice.why : c->kept_back);
            }
            co_return;
        }
        const auto plan = plan::plan_primary_failover(*cluster, c->replaced, choice, policy, clock_.now());
        c->record.lost = plan.lost;
        if (c->replaced != c->record.failed) c->record.lost.push_back(c->replaced);
        for (const auto& remark : plan.remarks)
            c->journal->note(remark);
        std::vector<std::vector<plan::Step>> rest;
        if (co_await promote_phases(c, plan, rest)) {
            std::vector<Task<int>> side_by_side;
            side_by_side.push_back(rewire(c, std::move(rest)));
            side_by_side.push_back(run_post_hooks(c));
            co_await gather(clock_, std::move(side_by_side));
            co_await let_commits_go_on(c);
            if (co_await died_unfollowed(c)) continue;
            co_await finish(c, true, {});
            co_return;
        }
        if (c->record.state != store::RecoveryState::running) co_return;
    }
}

/// A candidate whose host refused us was taken for dead. With the primary alive that may have been a
/// firewall's word, and the promotion that it was asked for may have taken place.
Task<void> Impl::finish_since_it_is_over(CasePtr c) {
    if (!c->taken_for_dead) {
        co_await finish(c, false, "the failure is over: nobody was promoted");
        co_return;
    }
    const auto asked = *c->taken_for_dead;
    co_await finish_in_doubt(
        c, asked,
        fmt::format("the failure is over, and nobody else was promoted than perhaps {}, which was "
                    "asked to promote itself before it refused connections",
                    asked.text()));
}

/// Runs the plan up to and with the promotion. False: it failed, and either the recovery is finished or
/// another candidate is to be chosen.
Task<bool> Impl::promote_phases(CasePtr c, plan::Plan plan, std::vector<std::vector<plan::Step>>& rest) {
    auto all = phases(plan);
    bool promoted_already = false;
    const Executor::Over over{.by_now = [this, c] { return answers_again(*c); },
                              .asking = [this, c] { return over_meanwhile(c); }};
    for (auto& phase : all) {
        if (promoted_already) {
            rest.push_back(std::move(phase));
            continue;
        }
        const bool asks = std::ranges::any_of(phase, is_promote);
        if (asks && !(co_await cleared(c, *plan.choice.chosen))) co_return false;
        // Catching up moves a standby, too.
        if (co_await over_meanwhile(c)) {
            co_await finish_since_it_is_over(c);
            co_return false;
        }
        if (asks && (co_await overtaken(c, plan.choice) || co_await passed_over_lives(c))) co_return false;
        for (auto& outcome : co_await executor_.run_phase(plan.cluster_id, phase, c->journal, over)) {
            if (is_promote(outcome.step)) {
                if (!outcome.result && !(co_await promotion_failed(c, outcome))) co_return false;
                promoted(*c, outcome);
                promoted_already = true;
            } else if (!outcome.result && outcome.step.required) {
                // It cannot get the WAL that it lacks, whoever's step failed.
                co_await pass_over(c, *plan.choice.chosen);
                co_return false;
            }
        }
    }
    co_return promoted_already;
}

/// Another candidate is to be chosen, unless this one was asked to promote itself in an earlier life.
Task<void> Impl::pass_over(CasePtr c, InstanceKey candidate) {
    c->blocks = true;
    const auto cluster = observer_.cluster(c->record.cluster_id);
    if (const auto asked = cluster ? outstanding(*cluster, *c) : std::nullopt) {
        co_await finish_in_doubt(c, *asked, "it could not catch up, and was asked to promote itself before");
        co_return;
    }
    c->excluded.push_back(std::move(candidate));
    c->candidate.reset();
}

/// After a failed promotion: true if it took place after all. A candidate that is proven dead is left out and
/// another one is chosen (scenario 20); one that may still promote itself must not be passed over, or there
/// would be two primaries.
Task<bool> Impl::promotion_failed(CasePtr c, StepOutcome outcome) {
    const auto key = outcome.step.target;
    if (co_await led_or_ended(c, outcome)) co_return true;
    co_await observer_.look_again({key}, clock_.now() + look_deadline);
    const auto cluster = observer_.cluster(c->record.cluster_id);
    const auto* target = cluster ? cluster->find(key) : nullptr;
    if (target != nullptr && target->health.ok() && target->is_primary()) co_return true;
    const auto kind = outcome.result.error().kind;
    if (kind == ErrorKind::io) {
        c->blocks = true;
        co_await finish(c, false, outcome.result.error().text());
        co_return false;
    }
    // The journal tells of each attempt beforehand; one in an earlier life may have got through.
    const bool never_asked = outcome.promotion_requests == 0 && remembered(*c, key) <= 1;
    if (kind == ErrorKind::cancelled && never_asked) {
        co_await finish_since_it_is_over(c);
        co_return false;
    }
    c->blocks = true;  // nobody was asked before here: nothing could flap
    // Its refusal of the request is the last word; its refusal of a login is not, once the request is out.
    const bool refused_before =
        kind == ErrorKind::privilege ||
        (never_asked && (kind == ErrorKind::authentication || kind == ErrorKind::too_many_connections));
    const auto started_us = target != nullptr && target->seen ? target->seen->started_at_us : 0;
    const bool asked_when_seen = target != nullptr && target->health.ok();
    const bool dead = target != nullptr && target->health.proven_dead() && co_await is_gone(c, key);
    if (!dead && !refused_before && !never_asked) {
        const auto later = co_await when_started(c, key);
        const auto* now_is = later ? later->find(key) : nullptr;
        if (now_is != nullptr && now_is->health.ok() && now_is->is_primary()) co_return true;
        if (now_is != nullptr && started_anew(*now_is, started_us)) {
            forgive(*c, key);
            co_return false;
        }
    }
    if (dead && !refused_before) {
        c->taken_for_dead = key;
        c->taken_for_dead_started_us = started_us;
    }
    const bool passed_over = dead || refused_before || never_asked || defect("pass-over-the-asked");
    if (passed_over && !defect("no-second-candidate")) {
        // Its refusal may be a firewall's word: should it fall silent later, nobody may be promoted beside
        // it.
        const bool doubtful = dead && !refused_before && !never_asked;
        c->journal->mark(fmt::format("{} {}: choosing another candidate", key.text(),
                                     dead             ? "died during its promotion"
                                     : refused_before ? "cannot be promoted by us"
                                                      : "was not reached to be asked"),
                         doubtful ? doubt_about(key, started_us) : std::string{});
        c->excluded.push_back(key);
        c->candidate.reset();
        co_return false;
    }
    co_await finish_in_doubt(
        c, key,
        fmt::format(
            "{} was asked to promote itself and has not done so in time ({}). It may still do so, and "
            "therefore no other server is promoted; look at its log, then use recover",
            key.text(), outcome.result.error().message),
        asked_when_seen ? started_us : 0);
    co_return false;
}

void Impl::promoted(Case& c, const StepOutcome& outcome) {
    c.record.successor = outcome.step.target;
    lead_clients(c);
    const auto cluster = observer_.cluster(c.record.cluster_id);
    const auto* successor = cluster ? cluster->find(outcome.step.target) : nullptr;
    if (successor != nullptr && successor->seen)
        c.record.successor_position = successor->seen->received.text();
    const auto asked = outcome.promotion_requests;
    c.journal->note(fmt::format("promoted {}: it accepts writes; asked {} time{}", outcome.step.target.text(),
                                asked, asked == 1 ? "" : "s"));
    save(c);
    announce_recovery(c);
    spawn(clock_.executor(), [](std::shared_ptr<Impl> self, InstanceKey key) -> Task<void> {
        co_await self->observer_.look_again({key}, self->clock_.now() + look_deadline);
    }(shared_from_this(), outcome.step.target));
}

/// What stands between clients and the primary is told at once: this ends their outage.
void Impl::lead_clients(const Case& c) {
    const auto cluster = observer_.cluster(c.record.cluster_id);
    if (cluster && c.record.successor && !routers_->none())
        routers_->lead_to(*cluster, *c.record.successor, c.journal);
}

/// The survivors. A failure costs that replica, not the recovery.
Task<int> Impl::rewire(CasePtr c, std::vector<std::vector<plan::Step>> rest) {
    std::set<InstanceKey> failed;
    int done = 0;
    for (auto& phase : rest) {
        std::erase_if(phase, [&](const plan::Step& s) { return failed.contains(plan::about(s)); });
        if (phase.empty()) continue;
        for (const auto& outcome : co_await executor_.run_phase(c->record.cluster_id, phase, c->journal)) {
            const auto& step = outcome.step;
            if (!outcome.result) {
                c->record.errors.push_back(outcome.result.error().text());
                const bool about_replica =
                    step.kind == plan::StepKind::follow || step.kind == plan::StepKind::verify_streaming;
                // Where its upstream died it has lost nothing: whoever replaces that one leads it on.
                const auto cluster = observer_.cluster(c->record.cluster_id);
                if (about_replica && failed.insert(step.target).second &&
                    !proven_dead(cluster.get(), step.upstream))
                    c->record.lost.push_back(step.target);
            } else if (step.kind == plan::StepKind::verify_streaming) {
                c->record.participating.push_back(step.target);
                ++done;
            }
        }
    }
    save(*c);
    co_return done;
}

/// What the standbys say of a successor that refuses connections. Nothing: it is not proven dead (any more),
/// or the failed primary is back, or somebody who may follow it does not answer.
std::optional<analysis::Counts> Impl::testimony_on_successor(const topology::Cluster& cluster,
                                                             const Case& c) const {
    const auto& successor = *c.record.successor;
    const auto* failed = cluster.find(c.record.failed);
    if (!proven_dead(&cluster, successor) ||
        (failed != nullptr && topology::known_alive(failed->health.reach)))
        return std::nullopt;
    const auto before = failed != nullptr && failed->seen ? failed->seen->timeline : topology::Timeline{};
    analysis::Counts counts;
    for (const auto& i : cluster.instances) {
        if (!i->is_standby() || i->known_as(successor) || proven_dead(&cluster, i->key)) continue;
        const bool followed = !i->seen || (i->seen->timeline > before && !i->seen->half_copied);
        if (!i->health.ok() || followed) return std::nullopt;
        const auto says = analysis::testimony(*i, *cluster.find(successor));
        if (says == analysis::Testimony::vetoes) return std::nullopt;
        // Right after it was told to follow, its settings may still name the one before.
        const bool held = i->testimony_held_until && i->seen->asked_at < *i->testimony_held_until;
        ++(says == analysis::Testimony::agrees && !held ? counts.agree : counts.undecided);
    }
    return counts;
}

/// The late form of scenario 20: the promotion took place, and the new primary died before anybody followed
/// it. Nobody but its clients knows its timeline, and a standby that is left takes its place in the same
/// recovery. Not before those that were told to follow it had the time to, and could not; not where somebody
/// may have followed it out of our sight.
Task<bool> Impl::died_unfollowed(CasePtr c) {
    const auto successor = *c->record.successor;
    if (!c->record.participating.empty() || stopped_) co_return false;
    const auto snapshot = observer_.cluster(c->record.cluster_id);
    if (!proven_dead(snapshot.get(), successor)) co_return false;
    ClusterPtr cluster;
    for (const auto deadline = clock_.now() + unfollowed_settles;;
         co_await clock_.sleep_for(unfollowed_pause)) {
        cluster = co_await look_at_everyone(c->record.cluster_id);
        const auto counts =
            cluster && !stopped_ ? testimony_on_successor(*cluster, *c) : std::optional<analysis::Counts>();
        if (!counts || (counts->undecided > 0 && clock_.now() >= deadline)) co_return false;
        if (counts->undecided > 0) continue;
        if (counts->agree == 0) co_return false;
        break;
    }
    // The silent ones were waited for: that it refuses must be of this moment, for a firewall's word passes.
    if (!(co_await is_gone(c, successor)) || stopped_) co_return false;
    cluster = observer_.cluster(c->record.cluster_id);
    const auto* gone = cluster ? cluster->find(successor) : nullptr;
    if (gone == nullptr) co_return false;
    c->journal->note(
        fmt::format("{} died before anybody followed it, and what it wrote is on no server that answers: "
                    "choosing another "
                    "candidate",
                    successor.text()));
    if (gone->is_primary()) c->replaced = successor;
    // The next one may have to catch up first: this one is looked at again just before the request.
    c->taken_for_dead = successor;
    c->taken_for_dead_started_us = gone->seen ? gone->seen->started_at_us : 0;
    c->excluded.push_back(successor);
    c->candidate.reset();
    c->record.successor.reset();
    c->record.successor_position.clear();
    c->record.lost.clear();
    c->blocks = true;
    c->judged = clock_.now();
    save(*c);
    co_return true;
}

Task<int> Impl::hooks_of(CasePtr c, std::string name, std::vector<std::string> commands) {
    const auto f = facts(*c);
    const auto done = co_await run_hooks(
        clock_, processes_, options_.hook_options, name, std::move(commands), placeholders(f), environment(f),
        false, [journal = c->journal](std::string text) { journal->note(std::move(text)); });
    if (!done && options_.fail_on_failed_post_hooks) {
        c->post_hook_failed = true;
        c->record.errors.push_back(done.error().text());
        co_return 1;
    }
    co_return 0;
}

/// After a success: the list of the kind, then the general one.
Task<int> Impl::run_post_hooks(CasePtr c) {
    publish_key_values(*c);
    if (c->record.skip_hooks) co_return 0;
    const int failures = c->is_primary ? co_await hooks_of(c, "PostMasterFailoverProcesses",
                                                           options_.hooks.post_primary_failover)
                                       : co_await hooks_of(c, "PostIntermediateMasterFailoverProcesses",
                                                           options_.hooks.post_intermediate_failover);
    if (failures > 0) co_return failures;
    co_return co_await hooks_of(c, "PostFailoverProcesses", options_.hooks.post_failover);
}

Task<void> Impl::drive_intermediate(CasePtr c) {
    const auto cluster = observer_.cluster(c->record.cluster_id);
    if (!cluster) {
        co_await finish(c, false, "the cluster was forgotten meanwhile");
        co_return;
    }
    auto plan = plan::plan_intermediate_failover(*cluster, c->record.failed, options_.plan, clock_.now());
    if (!plan) {
        co_await finish(c, false, plan.error().text());
        co_return;
    }
    c->record.lost = plan->lost;
    for (const auto& remark : plan->remarks)
        c->journal->note(remark);
    const auto follow = std::ranges::find(plan->steps, plan::StepKind::follow, &plan::Step::kind);
    const int moved = co_await rewire(c, phases(*plan));
    c->blocks = moved == 0;
    if (moved > 0) {
        c->record.successor = follow->upstream;
        save(*c);
        co_await run_post_hooks(c);
    }
    co_await finish(c, moved > 0, moved > 0 ? "" : "no replica could be moved");
}

void Impl::mark_lost(Case& c) {
    auto lost = c.record.lost;
    if (c.is_primary) lost.push_back(c.record.failed);
    const auto wall = clock_.wall();
    for (const auto& key : lost) {
        store_.apply(store::BeginDowntime{key,
                                          {.owner = "orchestrator",
                                           .reason = std::string(lost_in_recovery),
                                           .begins = wall,
                                           .ends = wall + lost_downtime}});
        audit("begin-downtime", key, c.record.cluster_name, "owner: orchestrator, reason: lost-in-recovery");
        observer_.refresh_annotations(key);
    }
    if (!c.record.lost.empty()) c.journal->note("lost replicas: " + texts(c.record.lost));
}

void Impl::publish_key_values(const Case& c) {
    if (!c.is_primary || !c.record.successor) return;
    const auto& name = c.record.cluster_alias.empty() ? c.record.cluster_name : c.record.cluster_alias;
    const auto base = options_.kv_prefix + name;
    store_.apply(store::PutKeyValue{base, c.record.successor->text()});
    store_.apply(store::PutKeyValue{base + "/hostname", c.record.successor->host});
    store_.apply(store::PutKeyValue{base + "/port", std::to_string(c.record.successor->port)});
}

Task<void> Impl::finish(CasePtr c, bool success, std::string error) {
    auto& record = c->record;
    if (!error.empty()) {
        record.errors.push_back(error);
        c->journal->note((success ? "remark: " : "recovery failed: ") + error);
    }
    record.state =
        success && !c->post_hook_failed ? store::RecoveryState::succeeded : store::RecoveryState::failed;
    record.ended = clock_.wall();
    if (success) {
        // The picture must show who leads now before the failure counts as over, or it would be detected once
        // more.
        co_await observer_.look_again({*record.successor}, clock_.now() + look_deadline);
        mark_lost(*c);
        end_detections(record.failed);
        store_.apply(store::RemoveBlocked{record.failed});
    } else {
        // Where nothing was done, nothing can flap: a candidate that turns up later may be used. What was
        // tried in vain is not tried again and again.
        const bool at_once = defect("repeat-failed-recovery-at-once");
        record.in_active_period = c->blocks && !at_once;
        // Of each failure on its own: the primary's and an intermediate's may both be without a way out, and
        // the one must not make the other be tried again.
        if (!at_once) watched_[record.cluster_id].hopeless_detections.insert(record.detection_id);
    }
    if (!defect("leave-recovery-open")) save(*c);
    if (!success && c->is_primary) release(*c);
    const auto type = c->is_primary ? "recover-dead-master" : "recover-dead-intermediate-master";
    audit(type, record.failed, record.cluster_name,
          success ? "promoted replica: " + record.successor->text() : "failed: " + error);
    if (!success && !record.skip_hooks) {
        co_await hooks_of(c, "PostUnsuccessfulFailoverProcesses", options_.hooks.post_unsuccessful_failover);
    }
    c->journal->note(success ? fmt::format("recovery of {} is complete: {} leads, {} replica{} follow",
                                           record.failed.text(), record.successor->text(),
                                           record.participating.size(),
                                           record.participating.size() == 1 ? "" : "s")
                             : fmt::format("recovery of {} ended without a successor", record.failed.text()));
    announce_recovery(*c);
    const auto written = co_await store_.flush();
    if (!written) spdlog::error("recovery {}: {}", record.uid, written.error().text());
}

/// Ends without a successor, and says for good who may have become one: nobody else is promoted unless an
/// operator asks for it.
/// `started_us`: when the postmaster had started that was asked, where that is known.
Task<void> Impl::finish_in_doubt(CasePtr c, InstanceKey asked, std::string error, int64_t started_us) {
    c->blocks = true;
    c->journal->mark(
        fmt::format("it is not known whether {} has promoted itself", asked.text()),
        doubt_about(asked, c->taken_for_dead == asked ? c->taken_for_dead_started_us : started_us));
    co_await finish(c, false, std::move(error));
}

/// A server that fails again is a new detection, under whichever name.
void Impl::end_detections(const InstanceKey& failed) {
    std::vector<int64_t> over;
    for (const auto& [id, d] : store_.state().detections) {
        if (d.active && d.instance == failed) over.push_back(id);
    }
    for (const auto id : over)
        store_.apply(store::EndDetection{id});
}

void Impl::audit(const std::string& type, const InstanceKey& key, const std::string& cluster,
                 const std::string& message) {
    store_.apply(store::AddAudit{{.id = store_.new_id(),
                                  .at = clock_.wall(),
                                  .type = type,
                                  .instance = key,
                                  .cluster_name = cluster,
                                  .message = message}});
}

}  // namespace baton::recovery
