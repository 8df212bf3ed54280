// Before somebody is promoted: the old primary must not run any more. What that takes, and what it is waited
// for; and what is undone when nobody was promoted (docs/fencing.md).
#include <fmt/format.h>

#include <algorithm>

#include "analysis/evidence.h"
#include "base/async.h"
#include "base/defect.h"
#include "recovery/impl.h"

namespace baton::recovery {
namespace {

constexpr milliseconds look_pause{10};
/// For an agent that was asked to answer at once, and for the promise of a second before that.
constexpr milliseconds word_deadline{2000};
/// How long a candidate may be waited for beyond the lease.
constexpr milliseconds patience{3000};
/// What was waited for in vain is not waited for again at once, and then less and less often.
constexpr seconds first_retry{10};
constexpr seconds last_retry{300};

/// The deed of a journal's step that says whom we have stopped.
constexpr std::string_view fence_deed = "fence ";

bool names(const topology::Cluster& cluster, const InstanceKey& key, const InstanceKey& other) {
    const auto* i = cluster.find(key);
    return key == other || (i != nullptr && i->known_as(other));
}

bool is_running(const agent::Status& s) {
    using agent::ServerState;
    return s.state == ServerState::running || s.state == ServerState::starting;
}

}  // namespace

/// Without any agent of that cluster, and without a record of one, nothing of this concerns it.
bool Impl::guarded(const topology::Cluster& cluster) const {
    if (guard_of(cluster) != nullptr) return true;
    if (!hears_agents_) return false;
    return std::ranges::any_of(cluster.instances,
                               [&](const auto& i) { return agents_.of(i->key) != nullptr; });
}

const store::Guard* Impl::guard_of(const topology::Cluster& cluster) const {
    const auto at = store_.state().guards.find(cluster.id);
    return at == store_.state().guards.end() ? nullptr : &at->second;
}

/// Its agent says that nothing of it is left, and keeps it so. The promise is on the agent's disk and
/// outlives the connection, and only we lift it.
bool Impl::kept_down(const topology::Cluster& cluster, const InstanceKey& key) const {
    const auto* i = cluster.find(key);
    if (i != nullptr && i->kept_down()) return true;
    const auto* seen = agents_.of(key);
    if (seen == nullptr) return false;
    const auto& says = seen->status;
    const bool held = says.state == agent::ServerState::no_data ||
                      (says.state == agent::ServerState::down && says.hold != agent::Hold::none);
    if (!held || (!seen->connected && says.state == agent::ServerState::no_data)) return false;
    // One that answered us later guards something else than we see.
    return i == nullptr || !i->seen || i->seen->asked_at <= seen->heard - says.in_state;
}

/// What may bind the server that `failed` names, and whether `candidate` may be promoted in its place.
agent::LeaseView Impl::lease_of(const topology::Cluster& cluster, const InstanceKey& failed,
                                const InstanceKey& candidate) const {
    const auto* seen = agents_.of(failed);
    const auto* guard = guard_of(cluster);
    if (guard != nullptr && !names(cluster, guard->primary, failed)) guard = nullptr;
    agent::LeaseView view{.on = seen != nullptr && seen->grants.on(),
                          .confirmed_dead = kept_down(cluster, failed),
                          .lease = options_.lease,
                          .promotable = seen == nullptr || seen->grants.promotable(candidate),
                          .answered = started_};
    if (seen != nullptr) {
        view.answered = std::max(view.answered, seen->answered);
        view.lease = std::max(view.lease, seen->grants.lease());
        if (seen->grants.heard()) return view;
    }
    // In this life the agent has not said what is in force. The record tells; without one the lease may be
    // on.
    if (guard == nullptr) {
        view.on = view.on || (seen == nullptr && clock_.now() - started_ < agent_grace);
    } else if (guard->on) {
        view.on = true;
        view.lease = std::max(view.lease, milliseconds(guard->lease_ms));
        view.promotable =
            view.promotable &&
            std::ranges::find(guard->members, candidate, &store::Guard::Member::key) != guard->members.end();
    }
    return view;
}

/// Its lease surely ends: without this, waiting for it proves nothing.
bool Impl::lease_is_certain(const topology::Cluster& cluster, const InstanceKey& failed) const {
    const auto* seen = agents_.of(failed);
    if (seen != nullptr && seen->grants.heard()) return seen->grants.certain();
    const auto* guard = guard_of(cluster);
    return guard != nullptr && guard->certain && names(cluster, guard->primary, failed) &&
           (seen == nullptr || seen->grants.pending() == 0);
}

/// An agent that promises not to let its standby be promoted does so because the agent of a primary asks it
/// to. Whatever we may have forgotten: that primary runs.
std::optional<InstanceKey> Impl::who_vouches(const topology::Cluster& cluster,
                                             const InstanceKey& candidate) const {
    for (const auto& i : cluster.instances) {
        const auto* seen = i->known_as(candidate) ? nullptr : agent::connected(agents_, i->key);
        if (seen != nullptr && seen->status.vouches) return i->key;
    }
    return std::nullopt;
}

/// Why `candidate` may not be asked now, if time alone does not end that.
std::optional<std::string> Impl::lease_forbids(const topology::Cluster& cluster, const InstanceKey& failed,
                                               const InstanceKey& candidate, bool regardless) const {
    if (!guarded(cluster) || defect("promote-beside-lease")) return std::nullopt;
    // One that can be told to end needs no lease to end by.
    if (agent::connected(agents_, failed) != nullptr) return std::nullopt;
    const auto view = lease_of(cluster, failed, candidate);
    if (!view.on || view.confirmed_dead) return std::nullopt;
    const auto waits = agent::standoff(view, candidate, clock_.now());
    if (waits && !waits->until && !regardless) return waits->reason;
    const auto* beside = agents_.of(candidate);
    const auto* guard = guard_of(cluster);
    const bool counted_on = beside != nullptr || (guard != nullptr && guard->on);
    if (counted_on && (beside == nullptr || !beside->connected) && !regardless) {
        return fmt::format(
            "the agent beside {} is not connected, and may have promised that it is not promoted",
            candidate.text());
    }
    if (waits || regardless) return std::nullopt;
    if (const auto who = who_vouches(cluster, candidate))
        return fmt::format("the agent beside {} vouches for a primary, which therefore runs", who->text());
    return std::nullopt;
}

void Impl::withhold(const InstanceKey& key, bool on) {
    if (on == withheld_.contains(key)) return;
    if (on) {
        withheld_.insert(key);
    } else {
        withheld_.erase(key);
    }
    agents_.withhold(key, on);
}

Task<Result<agent::Done>> Impl::order(InstanceKey key, agent::Verb verb, milliseconds deadline, bool on) {
    const auto self = shared_from_this();
    agent::Order order;
    order.instance = std::move(key);
    order.verb = verb;
    order.deadline = deadline;
    order.on = on;
    co_return co_await agents_.order(std::move(order));
}

/// Sent early, so that a promise runs out while other things are waited for; what counts is the word that is
/// asked for at the end.
void Impl::stand_clear_soon(const CasePtr& c, const InstanceKey& candidate) {
    if (agent::connected(agents_, candidate) == nullptr || !c->stood_clear.insert(candidate).second) return;
    spawn(clock_.executor(), [](std::shared_ptr<Impl> self, InstanceKey key) -> Task<void> {
        co_await self->order(key, agent::Verb::stand_clear, word_deadline, true);
    }(shared_from_this(), candidate));
}

/// An agent that connects anew (its connection had got stuck) has perhaps not heard the order: it is given
/// again.
Task<std::optional<Error>> Impl::stop_for_good(InstanceKey key) {
    const auto until = clock_.now() + options_.fence_deadline;
    for (;; co_await clock_.sleep_for(look_pause)) {
        const auto done = co_await order(key, agent::Verb::fence, options_.fence_deadline);
        auto failure = done ? done->error : std::optional(done.error());
        const bool again = failure && failure->kind == ErrorKind::unreachable && clock_.now() < until;
        if (!again || stopped_) co_return failure;
        while (!stopped_ && agent::connected(agents_, key) == nullptr && clock_.now() < until)
            co_await clock_.sleep_for(look_pause);
    }
}

/// The agent of the old primary ends it, whatever state it is in. The journal tells of it beforehand: if
/// nobody is promoted, whoever reads it starts that server again.
Task<void> Impl::fence_old(CasePtr c, InstanceKey key, std::shared_ptr<Fence> fence) {
    const auto self = shared_from_this();
    auto written =
        co_await c->journal->before_deed(fmt::format("its agent is asked to stop {} for good", key.text()),
                                         std::string(fence_deed) + key.text());
    if (!written) {
        fence->failed = "not done, because the journal could not be written: " + written.error().message;
        co_return;
    }
    const auto failure = co_await stop_for_good(key);
    if (failure) {
        fence->failed = failure->message;
        c->journal->note(
            fmt::format("{} could not be stopped by its agent: {}", key.text(), failure->message));
        co_return;
    }
    fence->done = true;
    c->journal->note(fmt::format("{} was stopped by its agent, which keeps it down", key.text()));
}

/// Why the old primary may still run; nothing: it does not.
std::optional<std::string> Impl::runs_on(const Case& c, const topology::Cluster& cluster, const Fence& fence,
                                         const InstanceKey& candidate) const {
    const auto& failed = c.replaced;
    if (fence.done || kept_down(cluster, failed)) return std::nullopt;
    const auto* seen = agent::connected(agents_, failed);
    const auto view = lease_of(cluster, failed, candidate);
    if (seen == nullptr) {
        if (analysis::fence_first(c.record.code) && !lease_is_certain(cluster, failed))
            return "it was seen to run, and its agent is not connected";
        const auto waits = agent::standoff(view, candidate, clock_.now());
        return waits && waits->until ? std::optional(waits->reason) : std::nullopt;
    }
    // Its agent is there: only its word, or that it must have stopped it by now, will do.
    const bool over = view.on && lease_is_certain(cluster, failed) &&
                      clock_.now() >= view.answered + agent::lease_and_margin(view.lease);
    if (over && !is_running(seen->status)) return std::nullopt;
    return fence.failed.empty() ? std::string("its agent has not stopped it yet")
                                : "its agent could not stop it: " + fence.failed;
}

/// From the decision to fail over on: the old primary's lease is not renewed, a connected agent ends it, and
/// the way is waited for. Returns how it went; `ended`: the recovery is over.
Task<Impl::Stood> Impl::stand_off(CasePtr c) {
    auto cluster = observer_.cluster(c->record.cluster_id);
    if (!cluster || !guarded(*cluster) || defect("promote-beside-lease")) co_return Stood::at_once;
    const auto failed = c->replaced;
    withhold(failed, true);
    const auto choice =
        plan::choose_candidate(*cluster, failed, options_.plan, c->candidate, c->record.forced, clock_.now());
    // Where nobody can take over nothing is stopped in vain.
    if (!choice.chosen) co_return Stood::at_once;
    stand_clear_soon(c, *choice.chosen);
    const auto fence = std::make_shared<Fence>();
    const bool lives = agent::connected(agents_, failed) != nullptr && !kept_down(*cluster, failed);
    if (lives) spawn(clock_.executor(), fence_old(c, failed, fence));
    const auto began = clock_.now();
    const auto deadline =
        began + std::max<Duration>(options_.fence_deadline, agent::lease_and_margin(options_.lease)) +
        patience;
    std::string told;
    for (;; co_await clock_.sleep_for(look_pause)) {
        cluster = observer_.cluster(c->record.cluster_id);
        if (!cluster || stopped_) break;
        const auto why = runs_on(*c, *cluster, *fence, *choice.chosen);
        if (!why) break;
        if (std::exchange(told, *why) != *why) c->journal->note(fmt::format("waiting: {}", *why));
        const bool in_vain = !fence->failed.empty() && !lease_is_certain(*cluster, failed);
        if (!in_vain && clock_.now() < deadline) continue;
        const auto reason =
            fmt::format("{} may still run: {}; nobody is promoted beside it", failed.text(), *why);
        hold_off(watched_[c->record.cluster_id], reason);
        co_await finish(c, false, reason);
        co_return Stood::ended;
    }
    if (cluster) note_how_it_stands(*c, *cluster);
    c->fenced = c->fenced || fence->done || (lives && cluster && kept_down(*cluster, failed));
    if (!c->fenced) co_return clock_.now() - began < look_pause ? Stood::at_once : Stood::waited;
    co_await look_at_standbys(c);
    c->judged = clock_.now();
    co_return Stood::fenced;
}

/// False: the recovery has ended.
Task<bool> Impl::out_of_the_way(CasePtr c) {
    const auto stood = co_await stand_off(c);
    if (stood == Stood::ended || stopped_) co_return false;
    if (stood != Stood::waited || (co_await still_lost(c))) co_return true;
    co_await finish(c, false, "the failure is over: nothing was done");
    co_return false;
}

/// For the reader: what makes it safe, or that nothing does.
void Impl::note_how_it_stands(Case& c, const topology::Cluster& cluster) {
    const auto& failed = c.replaced;
    const auto* seen = agents_.of(failed);
    if (kept_down(cluster, failed)) {
        c.journal->note(fmt::format("{} is down, and its agent keeps it so", failed.text()));
        return;
    }
    const auto* i = cluster.find(failed);
    const auto view = lease_of(cluster, failed, failed);
    const bool outlived = seen != nullptr && i != nullptr && i->seen &&
                          i->seen->asked_at > view.answered + agent::lease_and_margin(view.lease);
    if (view.on && lease_is_certain(cluster, failed) && !outlived) {
        c.journal->note(
            fmt::format("the lease of {} has ended: its agent has stopped it, or does so when its "
                        "standbys vouch no more",
                        failed.text()));
        return;
    }
    c.journal->note(fmt::format("{} is not fenced: {}", failed.text(),
                                outlived ? "it answered when its lease had ended, so nobody enforces it"
                                         : "no lease is known to bind it"));
}

/// What they have received is compared next, and one that was stopped sends no more.
Task<void> Impl::look_at_standbys(CasePtr c) {
    const auto cluster = observer_.cluster(c->record.cluster_id);
    if (!cluster) co_return;
    std::vector<InstanceKey> keys;
    for (const auto& i : cluster->instances) {
        if (i->is_standby() && i->health.ok()) keys.push_back(i->key);
    }
    co_await observer_.look_again(keys, clock_.now() + look_deadline);
}

/// Why `candidate` must wait; nothing: it may be asked, if its agent says so once more.
std::optional<std::string> Impl::candidate_waits(const Case& c, const topology::Cluster& cluster,
                                                 const InstanceKey& candidate) const {
    const auto view = lease_of(cluster, c.replaced, candidate);
    const auto waits = agent::standoff(view, candidate, clock_.now());
    if (waits && (waits->until || !c.regardless)) return waits->reason;
    return lease_forbids(cluster, c.replaced, candidate, c.regardless);
}

/// The last gate before the request. False: not this one, or not now.
Task<bool> Impl::cleared(CasePtr c, InstanceKey candidate) {
    auto cluster = observer_.cluster(c->record.cluster_id);
    if (!cluster || !guarded(*cluster) || defect("promote-beside-lease")) co_return true;
    stand_clear_soon(c, candidate);
    const auto deadline = clock_.now() + agent::lease_and_margin(options_.lease) + patience;
    std::string told;
    for (;; co_await clock_.sleep_for(look_pause)) {
        cluster = observer_.cluster(c->record.cluster_id);
        if (!cluster || stopped_) co_return true;
        c->waited = c->waited || !told.empty();
        const bool dead = c->fenced || kept_down(*cluster, c->replaced);
        if (dead || !lease_of(*cluster, c->replaced, candidate).on) co_return true;
        auto why = candidate_waits(*c, *cluster, candidate);
        if (!why) {
            if (agent::connected(agents_, candidate) == nullptr) co_return true;
            const auto word = co_await order(candidate, agent::Verb::stand_clear, word_deadline, true);
            const auto refused = word ? word->error : std::optional(word.error());
            if (!refused) co_return true;
            why = refused->message;
        }
        if (std::exchange(told, *why) != *why)
            c->journal->note(fmt::format("{} is not asked yet: {}", candidate.text(), *why));
        const auto waits =
            agent::standoff(lease_of(*cluster, c->replaced, candidate), candidate, clock_.now());
        const bool for_good = waits && !waits->until;
        if (!for_good && clock_.now() < deadline) continue;
        c->journal->note(fmt::format("{} is passed over: {}", candidate.text(), *why));
        c->kept_back = fmt::format("{} may not be promoted: {}", candidate.text(), *why);
        hold_off(watched_[c->record.cluster_id], c->kept_back);
        c->excluded.push_back(candidate);
        c->candidate.reset();
        co_return false;
    }
}

/// While the chosen one had to wait the old primary may have been back, and may have sent more to others.
/// True: they are compared anew.
Task<bool> Impl::overtaken(CasePtr c, plan::Choice choice) {
    if (!std::exchange(c->waited, false)) co_return false;
    co_await look_at_standbys(c);
    const auto cluster = observer_.cluster(c->record.cluster_id);
    if (!cluster || stopped_) co_return false;
    const auto now = plan::choose_candidate(*cluster, c->replaced, policy_of(c), c->candidate,
                                            c->record.forced, clock_.now());
    if (now.chosen == choice.chosen && now.donor == choice.donor) co_return false;
    c->journal->note(fmt::format("{} had to wait, and meanwhile others have got on: the choice is made anew",
                                 choice.chosen->text()));
    co_return true;
}

void Impl::hold_off(Watched& watched, std::string reason) {
    watched.held_off = std::move(reason);
    watched.held_off_for = std::clamp<Duration>(2 * watched.held_off_for, first_retry, last_retry);
    watched.held_off_until = clock_.now() + watched.held_off_for;
}

/// Somebody was asked, and did not refuse.
bool Impl::may_be_promoted(const Case& c) const {
    if (c.taken_for_dead || in_doubt(c.record)) return true;
    return !std::ranges::all_of(requested_promotions(c), [&](const InstanceKey& key) {
        return std::ranges::find(c.excluded, key) != c.excluded.end();
    });
}

/// Its lease ended, or a recovery had it stopped, and nobody was asked to lead in its place: it may be
/// started again.
bool Impl::stopped_in_vain(const topology::Cluster& cluster, const topology::Instance& i) const {
    for (auto at = store_.state().recoveries.rbegin(); at != store_.state().recoveries.rend(); ++at) {
        const auto& r = at->second;
        if (r.cluster_id != cluster.id || r.kind == "intermediate") continue;
        if (r.successor && i.known_as(*r.successor)) return true;
        if (!i.known_as(r.failed)) continue;
        const auto steps = store_.state().steps.find(r.uid);
        if (r.state != store::RecoveryState::failed || r.successor || steps == store_.state().steps.end())
            return false;
        return std::ranges::none_of(steps->second,
                                    [](const auto& s) { return s.deed.starts_with("promote "); });
    }
    return true;
}

/// Nobody was promoted: what was begun for a promotion is undone. Where somebody was asked and may yet do it,
/// everything stays as it is.
void Impl::release(Case& c) {
    if (may_be_promoted(c)) return;
    const auto failed = c.replaced.valid() ? c.replaced : c.record.failed;
    withhold(failed, false);
    for (const auto& key : std::exchange(c.stood_clear, {})) {
        spawn(clock_.executor(), [](std::shared_ptr<Impl> self, InstanceKey key) -> Task<void> {
            co_await self->order(key, agent::Verb::stand_clear, word_deadline, false);
        }(shared_from_this(), key));
    }
    const auto* seen = c.fenced ? agent::connected(agents_, failed) : nullptr;
    if (seen == nullptr || !seen->status.quarantine.empty() || stopped_) return;
    spawn(clock_.executor(), start_again(failed, c.record.cluster_name,
                                         "nobody was promoted in its place, and it was stopped for that"));
}

}  // namespace baton::recovery
