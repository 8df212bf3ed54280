// Is it still so? What led to a recovery is asked for again where it may have changed meanwhile.
#include <algorithm>
#include <set>

#include "analysis/evidence.h"
#include "base/defect.h"
#include "recovery/impl.h"

namespace baton::recovery {
namespace {

/// An analysis older than this is not acted on: hooks may have taken minutes.
constexpr milliseconds analysis_fresh{250};
/// How old may be what standbys are compared by. A primary that gives no answer may send to them meanwhile.
constexpr milliseconds position_fresh{20};
/// A standby that does not answer again in time counts as it was last seen.
constexpr milliseconds position_deadline{150};

constexpr milliseconds unheard_pause{20};

/// Its agent speaks for it.
bool spoken_for(const topology::Cluster& cluster, const InstanceKey& key, const analysis::Policy& policy,
                MonoTime now) {
    const auto* i = cluster.find(key);
    return i != nullptr && analysis::lives_by_agent(*i, policy, now);
}

/// Nobody speaks for the primary, but one whose session has just broken may: a new connection will tell.
bool only_unheard(const Problem& p) {
    const bool lost = p.code == Code::unreachable_primary || p.code == Code::primary_unresponsive;
    return lost && p.counts.agree > 0 && p.counts.veto == 0 && p.counts.undecided == 0;
}

/// Standbys that we moved ourselves no longer testify: what is left need not be a full DeadPrimary.
bool lasts(const topology::Cluster& cluster, const InstanceKey& key, const std::vector<Problem>& problems,
           bool spoken_for) {
    const auto* failed = cluster.find(key);
    if (failed != nullptr && failed->health.reach == topology::Reach::failing && !failed->kept_down())
        return false;
    for (const auto& p : problems) {
        if (p.instance != key || analysis::info(p.code).structure) continue;
        const bool unheard_of = p.code == Code::dead_primary_and_standbys ||
                                p.code == Code::dead_primary_without_replicas ||
                                p.code == Code::unreachable_primary || p.code == Code::primary_unresponsive;
        return p.actionable() || (unheard_of && p.counts.veto == 0 && !spoken_for);
    }
    return false;
}

/// How long receivers take to notice that their sender has died.
constexpr milliseconds receivers_end_within{2000};
constexpr milliseconds gone_pause{50};

/// Its port refuses, and nobody who can be asked still receives from it: a firewall, too, refuses in a
/// server's place.
bool proven_gone(const topology::Cluster& cluster, const InstanceKey& key) {
    const auto* i = cluster.find(key);
    if (i == nullptr || !i->health.proven_dead()) return false;
    return std::ranges::none_of(cluster.replicas_of(i->key), [&](const topology::Instance* below) {
        const auto says = analysis::testimony(*below, *i);
        return says == analysis::Testimony::vetoes || says == analysis::Testimony::undecided;
    });
}

}  // namespace

bool Impl::judged_lately(const Case& c) const {
    return clock_.now() - c.judged <= analysis_fresh;
}

/// The cluster after everybody was asked again; null when it is gone.
Task<ClusterPtr> Impl::look_at_everyone(std::string cluster_id) {
    const auto cluster = observer_.cluster(cluster_id);
    if (!cluster) co_return nullptr;
    std::vector<InstanceKey> everyone;
    for (const auto& i : cluster->instances)
        everyone.push_back(i->key);
    co_await observer_.look_again(everyone, clock_.now() + look_deadline);
    co_return observer_.cluster(cluster_id);
}

Task<bool> Impl::still_so(CasePtr c) {
    if (defect("trust-old-snapshot")) co_return true;
    const auto cluster = co_await look_at_everyone(c->record.cluster_id);
    if (!cluster) co_return false;
    const auto problems = analysis::analyse(*cluster, options_.analysis, clock_.now());
    c->judged = clock_.now();
    co_return std::ranges::any_of(
        problems, [&](const Problem& p) { return p.instance == c->record.failed && p.actionable(); });
}

/// Just before a promotion, when what led to it is not fresh any more (a candidate was tried in vain, or had
/// to catch up): does the primary live? Standbys that we moved ourselves no longer testify, so that what is
/// left need not be a full DeadPrimary.
Task<bool> Impl::over_meanwhile(CasePtr c) {
    if (c->regardless || c->fenced || judged_lately(*c)) co_return false;
    if (defect("trust-old-snapshot")) co_return false;
    const auto cluster = co_await look_at_everyone(c->record.cluster_id);
    if (!cluster) co_return true;
    const auto& policy = options_.analysis;
    const auto now = clock_.now();
    const auto& failed = c->record.failed;
    const bool over = !lasts(*cluster, failed, analysis::analyse(*cluster, policy, now),
                             spoken_for(*cluster, failed, policy, now));
    // Only what lasts may be relied on a little longer: that it is over is asked again before somebody else's
    // turn.
    if (!over) c->judged = clock_.now();
    co_return over;
}

/// Just before candidates are compared for the first time: asks those again whose last look is not of this
/// moment. False: one has heard of the primary since, or it is not known in time whether one has.
Task<bool> Impl::still_lost(CasePtr c) {
    if (defect("trust-old-snapshot")) co_return true;
    const auto cluster = observer_.cluster(c->record.cluster_id);
    if (!cluster) co_return true;
    std::vector<InstanceKey> stale;
    for (const auto& i : cluster->instances) {
        const bool answers = i->is_standby() && i->health.ok() && i->seen;
        if (answers && clock_.now() - i->seen->asked_at > position_fresh) stale.push_back(i->key);
    }
    if (stale.empty()) co_return true;
    const auto deadline = clock_.now() + look_deadline;
    for (;; co_await clock_.sleep_for(unheard_pause)) {
        co_await observer_.look_again(stale, clock_.now() + position_deadline);
        if (c->regardless || stopped_) co_return true;
        const auto now = observer_.cluster(c->record.cluster_id);
        if (!now) co_return true;
        c->judged = clock_.now();
        bool waits = false;
        for (const auto& p : analysis::analyse(*now, options_.analysis, clock_.now())) {
            if (p.instance != c->record.failed) continue;
            if (p.actionable()) co_return true;
            waits = waits || only_unheard(p);
        }
        waits = waits && !spoken_for(*now, c->record.failed, options_.analysis, clock_.now());
        if (!waits || clock_.now() >= deadline) co_return false;
    }
}

/// Of a candidate that was asked: everybody who may know is asked anew. Receivers of a server that died end
/// within moments; those that go on contradict.
Task<bool> Impl::is_gone(CasePtr c, InstanceKey key) {
    bool asked_again = false;
    bool alone = false;
    for (const auto deadline = clock_.now() + receivers_end_within;; co_await clock_.sleep_for(gone_pause)) {
        const auto before = observer_.cluster(c->record.cluster_id);
        std::vector<InstanceKey> asked{key};
        if (before && !alone) {
            for (const auto* below : before->replicas_of(key))
                asked.push_back(below->key);
        }
        const auto asked_at = clock_.now();
        co_await observer_.look_again(asked, clock_.now() + look_deadline);
        const auto cluster = observer_.cluster(c->record.cluster_id);
        const auto* i = cluster ? cluster->find(key) : nullptr;
        if (stopped_ || i == nullptr) co_return false;
        if (!i->health.proven_dead()) {
            // One that gave no answer may be behind a link that flaps: it is asked once more.
            if (asked_again || topology::known_alive(i->health.reach)) co_return false;
            asked_again = true;
            continue;
        }
        if (proven_gone(*cluster, key)) {
            if (alone || clock_.now() - asked_at <= analysis_fresh) co_return true;
            // Somebody below it kept us waiting: its own refusal must be of this moment, too.
            alone = true;
            continue;
        }
        if (clock_.now() >= deadline) co_return false;
    }
}

/// Whether one that is starting remembers the request is known when it answers.
Task<ClusterPtr> Impl::when_started(CasePtr c, InstanceKey key) {
    for (const auto deadline = clock_.now() + options_.plan.promotion_timeout;;
         co_await clock_.sleep_for(gone_pause)) {
        const auto cluster = observer_.cluster(c->record.cluster_id);
        const auto* i = cluster ? cluster->find(key) : nullptr;
        if (i == nullptr || i->health.reach != topology::Reach::starting) co_return cluster;
        if (stopped_ || clock_.now() >= deadline) co_return cluster;
        co_await observer_.look_again({key}, clock_.now() + look_deadline);
    }
}

/// It may be chosen again, once: it may die of each promotion.
void Impl::forgive(Case& c, const InstanceKey& key) {
    c.journal->note(key.text() + " was started anew and has forgotten the request: choosing again");
    std::erase(c.excluded, key);
    if (c.forgotten.contains(key)) c.excluded.push_back(key);
    c.forgotten[key] = std::ranges::count(requested_promotions(c), key);
    if (c.taken_for_dead == key) c.taken_for_dead.reset();
}

/// Requests to it that it may still act upon.
std::ptrdiff_t Impl::remembered(const Case& c, const InstanceKey& key) const {
    const auto f = c.forgotten.find(key);
    return std::ranges::count(requested_promotions(c), key) - (f == c.forgotten.end() ? 0 : f->second);
}

/// Just before somebody else is asked: is the one that was asked first, and then refused connections, still
/// gone? A firewall may have refused in its place. One that was started anew does not remember (the request
/// is a file that a starting postmaster removes). True: not now: the recovery has ended in doubt, or another
/// choice is to be made.
Task<bool> Impl::passed_over_lives(CasePtr c) {
    if (!c->taken_for_dead || defect("trust-old-snapshot")) co_return false;
    const auto key = *c->taken_for_dead;
    if (co_await is_gone(c, key)) co_return false;
    const auto cluster = co_await when_started(c, key);
    const auto* i = cluster ? cluster->find(key) : nullptr;
    if (stopped_ || i == nullptr) co_return false;
    if (started_anew(*i, c->taken_for_dead_started_us)) {
        forgive(*c, key);
        co_return true;
    }
    co_await finish_in_doubt(c, key,
                             key.text() +
                                 " was asked to promote itself, refused connections, and does so no more: "
                                 "nobody else is asked in its place");
    co_return true;
}

/// Just before the first request: has the one that is to be replaced given a sign of life meanwhile? The
/// candidate may have let us in late, and what was judged lately may be refuted since.
bool Impl::answers_again(const Case& c) const {
    if (c.regardless || c.fenced || defect("trust-old-snapshot")) return false;
    const auto cluster = observer_.cluster(c.record.cluster_id);
    const auto* i = cluster ? cluster->find(c.replaced) : nullptr;
    return i != nullptr && topology::known_alive(i->health.reach) &&
           !analysis::not_reachable(*i, options_.analysis, clock_.now());
}

/// Just before standbys are led: to make their slots may have taken its whole deadline. One that streamed
/// meanwhile from a former primary may be past the fork by now, and where it is to be led may be silent.
/// Those of `phase` that may not follow any more, each with the reason.
Task<std::vector<StepOutcome>> Impl::unfit_by_now(std::string cluster_id, std::vector<plan::Step> phase,
                                                  MonoTime planned) {
    std::vector<StepOutcome> unfit;
    std::erase_if(phase, [](const plan::Step& s) { return s.kind != plan::StepKind::follow; });
    if (phase.empty() || clock_.now() - planned <= analysis_fresh || defect("trust-old-snapshot"))
        co_return unfit;
    std::set<InstanceKey> asked;
    for (const auto& s : phase) {
        asked.insert(s.target);
        asked.insert(s.upstream);
    }
    const std::vector<InstanceKey> keys(asked.begin(), asked.end());
    co_await observer_.look_again(keys, clock_.now() + look_deadline);
    const auto cluster = observer_.cluster(cluster_id);
    for (auto& s : phase) {
        Result<void> result =
            fail(ErrorKind::not_found, "the cluster was forgotten meanwhile", s.target.text());
        if (cluster) {
            const auto again = plan::plan_follow(*cluster, s.target, s.upstream, options_.plan, clock_.now());
            if (again) continue;
            result = std::unexpected(again.error());
        }
        unfit.push_back({.step = std::move(s), .result = std::move(result)});
    }
    co_return unfit;
}

}  // namespace baton::recovery
