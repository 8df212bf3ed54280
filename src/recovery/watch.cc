// From snapshots to problems, and from problems to a response: detection, its hooks, the search for the
// truth, recovery.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "base/async.h"
#include "base/defect.h"
#include "base/json_writer.h"
#include "recovery/impl.h"

namespace baton::recovery {
namespace {

constexpr seconds warm_age{30};
constexpr milliseconds doubt_before_check{500};
constexpr milliseconds detection_settles{500};
/// A cluster that is probed every second is judged anew about as often, without the clock's help.
constexpr milliseconds verdict_age{1500};

bool reads_alike(const Problem& a, const Problem& b) {
    return a.description == b.description && a.downtimed == b.downtimed;
}

bool same(const Problem& a, const Problem& b) {
    return a.code == b.code && a.instance == b.instance;
}

std::string problem_json(const topology::Cluster& cluster, const Problem& problem) {
    JsonWriter json;
    json.begin_object().field("cluster", cluster.name).field("cluster_id", cluster.id);
    json.field("instance", problem.instance.text()).field("code", analysis::info(problem.code).name);
    json.field("description", problem.description).field("downtimed", problem.downtimed).end_object();
    return json.take();
}

/// The only server that acknowledges commits must not be disturbed: writes would wait for it.
bool only_synchronous(const topology::Cluster& cluster, const topology::Instance& standby) {
    const auto* primary = standby.upstream ? cluster.find(*standby.upstream) : nullptr;
    if (primary == nullptr || !primary->seen) return false;
    int synchronous = 0;
    bool is_it = false;
    for (const auto& sender : primary->seen->senders) {
        if (sender.sync_state != "sync" && sender.sync_state != "quorum") continue;
        ++synchronous;
        const auto& name = standby.seen->upstream.application_name;
        is_it =
            is_it || sender.application_name == (name.empty() ? standby.seen->settings.cluster_name : name);
    }
    return synchronous == 1 && is_it;
}

/// A primary that may still have run was stopped by our own recovery: that it is away now is no new incident.
bool is_end_of(const store::Detection& detection, const Problem& problem, const store::State& state,
               const topology::Cluster& cluster) {
    if (!analysis::fence_first(detection.code) || analysis::info(problem.code).fence_first) return false;
    const bool away = analysis::info(problem.code).action == analysis::Action::recover_primary ||
                      problem.code == Code::unreachable_primary ||
                      problem.code == Code::dead_primary_and_standbys;
    const auto recovery = state.recoveries.find(detection.recovery_id);
    if (!away || recovery == state.recoveries.end()) return false;
    const auto* failed = cluster.find(problem.instance);
    const bool fenced = failed != nullptr && failed->host && failed->host->hold == topology::Hold::fenced;
    return fenced || recovery->second.state == store::RecoveryState::running;
}

}  // namespace

void Impl::on_cluster(const std::string& id, const ClusterPtr& cluster) {
    if (stopped_) return;
    if (!cluster) {
        const auto gone = watched_.find(id);
        if (gone == watched_.end()) return;
        ++version_;
        if (gone->second.recovering || gone->second.switching || !gone->second.responding.empty()) {
            // Whoever deals with it ends first: nobody else may begin meanwhile, even if it comes back.
            gone->second.snapshot = nullptr;
            gone->second.problems.clear();
        } else {
            watched_.erase(gone);
        }
        return;
    }
    auto& watched = watched_[id];
    watched.snapshot = cluster;
    watched.analysed = clock_.now();
    auto before =
        std::exchange(watched.problems, analysis::analyse(*cluster, options_.analysis, clock_.now()));
    // Whom a switchover has stopped is away because it was wanted.
    if (watched.planned) {
        std::erase_if(watched.problems, [&](const Problem& p) {
            return p.instance == *watched.planned && analysis::info(p.code).action != analysis::Action::none;
        });
    }
    compare(watched, before);
    end_lost_downtimes(watched);
    reattach_stranded(watched);
    keep_guard(watched);
    rejoiner_->consider(*cluster);
    if (defect("unbounded-steps")) {
        for (const auto& [recovery_id, r] : store_.state().recoveries)
            store_.apply(
                store::AddRecoveryStep{{.uid = r.uid, .at = clock_.wall(), .message = "looked again"}});
    }
    const auto problems = watched.problems;
    for (const auto& problem : problems) {
        if (analysis::info(problem.code).action != analysis::Action::none) {
            consider(id, watched_[id], problem);
        } else if (problem.code == Code::unreachable_intermediate_primary) {
            prepare(watched_[id], problem);
        }
    }
}

void Impl::compare(Watched& watched, const std::vector<Problem>& before) {
    bool changed = false;
    for (const auto& p : watched.problems) {
        if (std::ranges::any_of(before, [&](const auto& b) { return same(b, p); })) continue;
        changed = true;
        watched.since[{p.instance, p.code}] = clock_.now();
        const auto& about = analysis::info(p.code);
        spdlog::log(about.severity == analysis::Severity::info ? spdlog::level::info : spdlog::level::warn,
                    "{} (cluster {}): {}: {}", p.instance.text(), watched.snapshot->name, about.name,
                    p.description);
        announce_("problem", problem_json(*watched.snapshot, p));
    }
    for (const auto& b : before) {
        if (std::ranges::any_of(watched.problems, [&](const auto& p) { return same(b, p); })) continue;
        changed = true;
        spdlog::info("{} (cluster {}): no longer {}", b.instance.text(), watched.snapshot->name,
                     analysis::info(b.code).name);
        announce_("problem-cleared", problem_json(*watched.snapshot, b));
        if (const auto told = watched.reported.find({b.instance, b.code}); told != watched.reported.end())
            told->second.gone = clock_.now();
        watched.since.erase({b.instance, b.code});
        store_.apply(store::RemoveBlocked{b.instance});
    }
    if (changed) note_codes(watched);
    if (changed || !std::ranges::equal(watched.problems, before, reads_alike)) ++version_;
}

void Impl::note_codes(Watched& watched) {
    std::map<InstanceKey, std::string> codes;
    for (const auto& p : watched.problems)
        codes[p.instance] += std::string(analysis::info(p.code).name) + ",";
    for (const auto& [key, text] : watched.codes) {
        if (!text.empty()) codes.try_emplace(key, "NoProblem,");
    }
    for (const auto& [key, text] : codes) {
        auto& last = watched.codes[key];
        if (last == text) continue;
        last = text;
        store_.apply(store::AddAnalysisChange{{.instance = key, .at = clock_.wall(), .codes = text}});
    }
}

/// Called for each snapshot that shows the problem: cheap unless something is to be done.
void Impl::consider(const std::string& id, Watched& watched, const Problem& problem) {
    prepare(watched, problem);
    const ProblemKey key{problem.instance, problem.code};
    if (watched.responding.contains(key)) return;
    const auto* detection = active_detection(problem);
    // A suspicion that the standbys answer within milliseconds is not worth anybody's hooks.
    if (!problem.actionable() && clock_.now() - watched.since[key] < detection_settles) return;
    if (detection == nullptr) {
        watched.responding.insert(key);
        spawn(clock_.executor(), respond(id, problem));
        return;
    }
    if (!problem.actionable() || watched.busy()) return;
    if (gate(*watched.snapshot, watched, problem)) return;
    watched.responding.insert(key);
    spawn(clock_.executor(), respond(id, problem));
}

/// While it is not yet sure: open sessions that a failover would need, and make doubtful receivers prove
/// themselves.
void Impl::prepare(Watched& watched, const Problem& problem) {
    const auto* failed = watched.snapshot->find(problem.instance);
    if (failed == nullptr || watched.recovering) return;
    const bool kept_down = failed->kept_down();
    if (!kept_down && (failed->health.ok() || !failed->health.confirmed)) return;
    if (!kept_down && topology::known_alive(failed->health.reach) &&
        failed->health.reach != topology::Reach::starting)
        return;
    if (!options_.recovers_primary(*watched.snapshot) && !options_.recovers_intermediate(*watched.snapshot))
        return;
    const auto now = clock_.now();
    const auto in_doubt = now - failed->health.suspect_since.value_or(now);
    if (in_doubt < warm_age) {
        for (const auto* standby : watched.snapshot->replicas_of(problem.instance)) {
            if (standby->health.ok()) warm_.warm(standby->key);
        }
    }
    if (!options_.receiver_check || problem.counts.undecided == 0 || kept_down) return;
    const bool no_word = failed->health.reach == topology::Reach::silent ||
                         failed->health.reach == topology::Reach::unresponsive ||
                         in_doubt > doubt_before_check;
    if (!no_word) return;
    for (const auto* standby : watched.snapshot->replicas_of(problem.instance)) {
        if (!standby->health.ok() || !standby->seen || only_synchronous(*watched.snapshot, *standby))
            continue;
        if (analysis::testimony(*standby, *failed) != analysis::Testimony::undecided) continue;
        auto& last = watched.receiver_checks[standby->key];
        if (last != MonoTime{} && now - last < options_.receiver_check_interval) continue;
        last = now;
        spdlog::info("{}: its receiver claims to stream from {}, which does not answer: making it reconnect",
                     standby->key.text(), problem.instance.text());
        spawn(clock_.executor(), check_receiver(watched.snapshot->id, standby->key));
    }
}

/// Back to streaming is a veto, not back at the deadline is agreement; until then its absence proves nothing.
Task<void> Impl::check_receiver(std::string id, InstanceKey standby) {
    const auto self = shared_from_this();
    const auto wait = options_.receiver_check_deadline;
    const auto ordered_by = clock_.now() + wait;
    observer_.hold_testimony(standby, ordered_by + wait);
    {
        // Its session ends with the order: nobody needs it for the wait, and connections may be scarce.
        const auto actor = engine_.make_actor(standby);
        const auto done = co_await actor->restart_receiver(ordered_by);
        if (!done)
            spdlog::warn("{}: cannot make its receiver reconnect: {}", standby.text(), done.error().text());
    }
    // The time is the receiver's: it has room for one lost SYN, and the order must not use it up.
    const auto back_by = clock_.now() + wait;
    observer_.hold_testimony(standby, back_by);
    // The next check begins after the end of this one, or none would ever be conclusive.
    if (const auto at = watched_.find(id); at != watched_.end())
        at->second.receiver_checks[standby] = clock_.now();
    co_await clock_.sleep_until(back_by);
    if (!stopped_) co_await observer_.look_again({standby}, clock_.now() + wait);
}

const store::Detection* Impl::active_detection(const Problem& problem) const {
    const auto& detections = store_.state().detections;
    const auto name = analysis::info(problem.code).name;
    for (auto at = detections.rbegin(); at != detections.rend(); ++at) {
        const auto& d = at->second;
        if (!d.active || d.instance != problem.instance) continue;
        if (d.code == name) return &d;
        const auto watched = watched_.find(d.cluster_id);
        if (watched == watched_.end() || !watched->second.snapshot) continue;
        if (is_end_of(d, problem, store_.state(), *watched->second.snapshot)) return &d;
    }
    return nullptr;
}

store::Detection Impl::register_detection(const topology::Cluster& cluster, const Problem& problem) {
    store::Detection detection{.id = store_.new_id(),
                               .instance = problem.instance,
                               .code = std::string(analysis::info(problem.code).name),
                               .cluster_id = cluster.id,
                               .cluster_name = cluster.name,
                               .cluster_alias = cluster.alias,
                               .replicas = problem.replicas,
                               .at = clock_.wall(),
                               .description = problem.description};
    beginning_of(detection.id, detection.at);
    store_.apply(store::PutDetection{detection});
    return detection;
}

Task<Result<void>> Impl::run_detection_hooks(const topology::Cluster& cluster, Problem problem,
                                             store::Detection detection) {
    store::Recovery about{.code = detection.code,
                          .cluster_id = cluster.id,
                          .cluster_name = cluster.name,
                          .cluster_alias = cluster.alias,
                          .cluster_domain = cluster.domain,
                          .failed = problem.instance,
                          .replicas = problem.replicas,
                          .description = problem.description,
                          .node_hostname = options_.node_hostname};
    const HookFacts facts{.recovery = &about,
                          .is_primary = problem.is_primary,
                          .is_downtimed = problem.downtimed,
                          .automated_primary = options_.recovers_primary(cluster),
                          .automated_intermediate = options_.recovers_intermediate(cluster)};
    const auto key = problem.instance;
    const auto name = cluster.name;
    co_return co_await run_hooks(clock_, processes_, options_.hook_options, "OnFailureDetectionProcesses",
                                 options_.hooks.on_failure_detection, placeholders(facts), environment(facts),
                                 true, [self = shared_from_this(), key, name](std::string text) {
                                     if (!text.starts_with("No "))
                                         self->audit("on-failure-detection", key, name, text);
                                 });
}

Task<void> Impl::respond(std::string id, Problem problem) {
    const auto self = shared_from_this();
    const ProblemKey key{problem.instance, problem.code};
    const auto cluster = watched_[id].snapshot;
    if (!cluster) co_return;
    const auto* known = active_detection(problem);
    auto detection = known != nullptr ? *known : register_detection(*cluster, problem);
    Result<void> hooks;
    if (known == nullptr) {
        audit("detect", problem.instance, cluster->name,
              fmt::format("{}: {}", detection.code, problem.description));
        hooks = co_await run_detection_hooks(*cluster, problem, detection);
    }
    auto& watched = watched_[id];
    // Hooks may have taken minutes: only what is seen now counts.
    const bool lasts = std::ranges::any_of(
        watched.problems, [&](const Problem& p) { return p.instance == problem.instance && p.actionable(); });
    const bool act = hooks && lasts && problem.actionable() && !watched.busy() && !stopped_ &&
                     watched.snapshot && !gate(*watched.snapshot, watched, problem);
    if (!hooks) {
        watched.forbidden_detections.insert(detection.id);
        report_blocked(id, watched, problem,
                       "an OnFailureDetectionProcesses hook failed: " + hooks.error().text(), 0);
    }
    if (act) {
        watched.recovering = true;
        const auto c = open_case(*watched.snapshot, problem, {.cluster_id = id, .failed = problem.instance},
                                 detection.id);
        detection.recovery_id = c->record.id;
        store_.apply(store::PutDetection{detection});
        co_await run_case(c, known == nullptr && !options_.hooks.on_failure_detection.empty());
        watched_[id].recovering = false;
    }
    watched_[id].responding.erase(key);
    if (act && !stopped_) {
        if (const auto now_is = observer_.cluster(id)) on_cluster(id, now_is);
    }
}

Task<void> Impl::tick() {
    const auto self = shared_from_this();
    while (!stopped_) {
        co_await clock_.sleep_for(seconds(1));
        if (stopped_) co_return;
        expire();
        std::erase_if(watched_, [](const auto& w) {
            return !w.second.snapshot && !w.second.recovering && !w.second.switching &&
                   w.second.responding.empty();
        });
        begin_scheduled();
        warm_.drop_older_than(warm_age);
        for (auto& [id, w] : watched_) {
            if (!w.snapshot) continue;
            keep_guard(w);
            rejoiner_->consider(*w.snapshot);
            if (!w.recovering) slots_->consider(w.snapshot);
        }
        // Time alone changes some verdicts (a start that takes too long, a block that ended).
        for (const auto& id : [this] {
                 std::vector<std::string> troubled;
                 for (const auto& [cluster, w] : watched_) {
                     const bool stale = clock_.now() - w.analysed >= verdict_age;
                     if (!w.problems.empty() && stale) troubled.push_back(cluster);
                 }
                 return troubled;
             }()) {
            if (const auto cluster = observer_.cluster(id)) on_cluster(id, cluster);
        }
    }
}

/// The wall clock is asked once, when this life first sees a record: from then on its jumps do not count.
MonoTime Impl::beginning_of(int64_t id, WallTime by_wall) {
    const auto ago = std::max<Duration>(clock_.wall() - by_wall, {});
    if (defect("wall-clock-intervals")) return clock_.now() - ago;
    return began_.try_emplace(id, clock_.now() - ago).first->second;
}

/// The monotonic clock of a boot outlives the manager. Only what began in another boot or on another host is
/// known by its date.
MonoTime Impl::beginning_of(const store::Recovery& r) {
    const MonoTime then{std::chrono::microseconds(r.started_mono_us)};
    const bool same_clock = !r.boot.empty() && r.boot == clock_.boot() && then <= clock_.now();
    if (same_clock && !defect("wall-clock-intervals")) return then;
    return beginning_of(r.id, r.started);
}

/// Detections, active periods, downtimes and blocks whose time is over.
void Impl::expire() {
    const auto now = clock_.now();
    const auto wall = clock_.wall();
    const auto& state = store_.state();
    std::vector<store::Command> commands;
    for (const auto& [id, d] : state.detections) {
        if (d.active && now - beginning_of(id, d.at) > options_.detection_block)
            commands.emplace_back(store::EndDetection{id});
    }
    for (const auto& [id, r] : state.recoveries) {
        if (!r.in_active_period) continue;
        const bool over = now - beginning_of(r) > options_.recovery_block;
        if (over && r.state != store::RecoveryState::running && !in_doubt(r))
            commands.emplace_back(store::EndActivePeriod{id});
    }
    // What is remembered of a detection ends with it.
    for (auto& [id, watched] : watched_) {
        const auto over = [&](int64_t detection) {
            const auto at = state.detections.find(detection);
            return at == state.detections.end() || !at->second.active;
        };
        std::erase_if(watched.hopeless_detections, over);
        std::erase_if(watched.forbidden_detections, over);
        std::erase_if(watched.reported, [&](const auto& told) {
            return told.second.gone && now - *told.second.gone >= same_trouble;
        });
    }
    std::erase_if(began_, [&](const auto& known) {
        const auto d = state.detections.find(known.first);
        const auto r = state.recoveries.find(known.first);
        const bool counts = (d != state.detections.end() && d->second.active) ||
                            (r != state.recoveries.end() && r->second.in_active_period);
        return !counts;
    });
    std::vector<InstanceKey> changed;
    for (const auto& [key, downtime] : state.downtimes) {
        if (downtime.ends > wall) continue;
        commands.emplace_back(store::EndDowntime{key});
        changed.push_back(key);
    }
    for (const auto& [id, m] : state.maintenance) {
        if (m.span.ends > wall) continue;
        commands.emplace_back(store::EndMaintenance{id});
        changed.push_back(m.key);
    }
    for (const auto& [key, blocked] : state.blocked) {
        const auto by = state.recoveries.find(blocked.blocking_recovery_id);
        if (blocked.blocking_recovery_id != 0 &&
            (by == state.recoveries.end() || !by->second.in_active_period)) {
            commands.emplace_back(store::RemoveBlocked{key});
        }
    }
    for (auto& command : commands)
        store_.apply(std::move(command));
    for (const auto& key : changed)
        observer_.refresh_annotations(key);
}

/// A server that was lost in a recovery and is back needs no silence any more: if it is well nobody minds,
/// and if it is not (a stale primary) everybody should hear.
void Impl::end_lost_downtimes(const Watched& watched) {
    for (const auto& i : watched.snapshot->instances) {
        if (!i->downtime || i->downtime->reason != lost_in_recovery || !i->health.ok()) continue;
        if (i->health.last_answer < started_ || watched.recovering) continue;
        const bool replica_again = i->is_standby() && i->seen && i->seen->receiving();
        const bool writable_again = i->is_primary() && clock_.wall() - i->downtime->begins > seconds(1);
        if (!replica_again && !writable_again) continue;
        audit("end-downtime", i->key, watched.snapshot->name, "is back after it was lost in a recovery");
        store_.apply(store::EndDowntime{i->key});
        asio::post(clock_.executor(),
                   [self = shared_from_this(), key = i->key] { self->observer_.refresh_annotations(key); });
    }
}

}  // namespace baton::recovery
