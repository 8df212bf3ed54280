// A promotion that was asked for and does not come (scenario 61): a standby leads only when it has replayed
// what it has, and a query that holds a lock can keep it from that for ever. It must not be passed over while
// it may still act upon the request; its agent can end it, and the request with it.
#include <fmt/format.h>

#include <algorithm>

#include "recovery/impl.h"

namespace baton::recovery {
namespace {

/// One that replays gets further in this time.
constexpr seconds standstill{1};
/// In promotion timeouts: how long one that gets on is waited for.
constexpr int longest = 20;
constexpr milliseconds control_deadline{5000};

/// The cluster as if this one were dead.
topology::Cluster without(const topology::Cluster& cluster, const InstanceKey& key) {
    auto rest = cluster;
    for (auto& i : rest.instances) {
        if (!i->known_as(key)) continue;
        auto dead = std::make_shared<topology::Instance>(*i);
        dead->health.reach = topology::Reach::refused;
        i = std::move(dead);
    }
    return rest;
}

bool never_led(const agent::ControlData& control) {
    return control.state == "in archive recovery" || control.state == "shut down in recovery";
}

}  // namespace

/// What a choice of this recovery goes by: who failed in it is not chosen again.
plan::Policy Impl::policy_of(CasePtr c) const {
    auto policy = options_.plan;
    policy.ignored_for_promotion = [c, filter = options_.plan.ignored_for_promotion](const InstanceKey& key) {
        return std::ranges::find(c->excluded, key) != c->excluded.end() || (filter && filter(key));
    };
    return policy;
}

/// Nobody gives up the only one that may yet lead.
bool Impl::another_could_lead(const CasePtr& c, const InstanceKey& key) const {
    const auto cluster = observer_.cluster(c->record.cluster_id);
    if (!cluster || c->candidate == key) return false;
    return plan::choose_candidate(without(*cluster, key), c->replaced, policy_of(c), std::nullopt,
                                  c->record.forced, clock_.now())
        .chosen.has_value();
}

/// Waits for as long as it replays. Nothing: it stands still in recovery. Else whether it leads; false where
/// that is not known.
Task<std::optional<bool>> Impl::replays_on(CasePtr c, InstanceKey key) {
    const auto latest = clock_.now() + longest * options_.plan.promotion_timeout;
    topology::Lsn replayed;
    for (;; co_await clock_.sleep_for(standstill)) {
        co_await observer_.look_again({key}, clock_.now() + look_deadline);
        const auto cluster = observer_.cluster(c->record.cluster_id);
        const auto* i = cluster ? cluster->find(key) : nullptr;
        if (stopped_ || i == nullptr || !i->health.ok() || !i->seen) co_return false;
        if (i->is_primary()) co_return true;
        if (i->seen->replayed <= replayed || clock_.now() >= latest) co_return std::nullopt;
        if (!replayed)
            c->journal->note(fmt::format("{} has replayed up to {}: it is waited for while it gets on",
                                         key.text(), i->seen->replayed.text()));
        replayed = i->seen->replayed;
    }
}

/// After a promotion that was asked for in vain. True: it leads after all. False: it is down, kept so by its
/// agent, and never led; or nothing could be done.
Task<bool> Impl::led_or_ended(CasePtr c, StepOutcome outcome) {
    const auto key = outcome.step.target;
    const bool in_vain = outcome.result.error().kind == ErrorKind::timeout && outcome.promotion_requests > 0;
    if (!in_vain || agent::connected(agents_, key) == nullptr) co_return false;
    if (const auto leads = co_await replays_on(c, key)) co_return *leads;
    if (!another_could_lead(c, key)) co_return false;
    const auto written = co_await c->journal->before_deed(
        fmt::format("{} was asked to promote itself and stands still: its agent is asked to stop it, so that "
                    "another one can be",
                    key.text()),
        "end-candidate " + key.text());
    if (!written || stopped_) co_return false;
    const auto done = co_await order(key, agent::Verb::fence, options_.fence_deadline);
    if (const auto failure = done ? done->error : std::optional(done.error())) {
        c->journal->note(
            fmt::format("{} could not be stopped by its agent: {}", key.text(), failure->message));
        co_return false;
    }
    const auto control = co_await control_of(key, control_deadline);
    if (control && never_led(*control)) {
        c->journal->note(fmt::format("{} is down, and its agent keeps it so", key.text()));
        co_return false;
    }
    // It may have begun to lead just before, and what it acknowledged then is only there.
    c->journal->note(fmt::format("{} is started again: its control file {}", key.text(),
                                 control ? "says \"" + control->state + "\"" : "could not be read"));
    if (const auto started = co_await start_once(key); !started)
        c->journal->note(fmt::format("{} could not be started: {}", key.text(), started.error().message));
    co_await observer_.look_again({key}, clock_.now() + look_deadline);
    const auto cluster = observer_.cluster(c->record.cluster_id);
    const auto* i = cluster ? cluster->find(key) : nullptr;
    co_return i != nullptr && i->health.ok() && i->is_primary();
}

}  // namespace baton::recovery
