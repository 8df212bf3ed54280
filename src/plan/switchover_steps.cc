// The steps of a switchover. Up to the promotion each has an undo, and the clients wait only between the
// pause and the routing.

#include <fmt/format.h>

#include <algorithm>

#include "analysis/synchronous.h"
#include "plan/switchover_parts.h"

namespace baton::plan {
namespace {

constexpr milliseconds checkpoint_deadline{60'000};
/// A promise to the primary's agent lasts a second, and a moment more on the side that gave it.
constexpr milliseconds clear_deadline{5'000};
/// A server ends when its standbys have received everything: what they have not got then does not come.
constexpr milliseconds received_deadline{500};

struct Draft {
    const Cluster& cluster;
    const Instance& primary;
    const Instance& candidate;
    const SwitchoverWish& wish;
    const Policy& policy;
    Plan plan;
    int phase = 1;

    Step& add(StepKind kind, const InstanceKey& target, std::string what) {
        plan.steps.push_back({.kind = kind,
                              .target = target,
                              .deadline = policy.follow_timeout,
                              .phase = phase,
                              .required = true,
                              .what = std::move(what)});
        return plan.steps.back();
    }
};

void add_slot(Draft& d, const std::string& slot, const InstanceKey& served) {
    const auto there = [&](const auto& s) { return s.physical && s.name == slot; };
    if (slot.empty() || std::ranges::any_of(d.candidate.seen->slots, there)) return;
    auto& step =
        d.add(StepKind::create_slot, d.candidate.key,
              fmt::format("create slot {} on {} for {}", slot, d.candidate.key.text(), served.text()));
    step.argument = slot;
    step.served = served;
    step.undo = fmt::format("drop slot {} on {}, unless it is to be a possible primary", slot,
                            d.candidate.key.text());
}

/// Of those that will follow, the steps of an ordinary change of upstream; their slots are made beforehand.
std::vector<Step> steps_of_followers(Draft& d) {
    std::vector<const Instance*> able;
    for (const auto* i : followers(d.cluster, d.primary, d.candidate)) {
        const auto how = answers(*i) ? d.cluster.ancestry_of(*i, d.candidate) : topology::Ancestry::unknown;
        const auto& target = answers(*i) ? i->seen->settings.recovery_target_timeline : std::string();
        const bool fixed = !target.empty() && target != "latest";
        const bool apart = how == topology::Ancestry::diverged || how == topology::Ancestry::foreign;
        if (answers(*i) && !fixed && !apart) {
            able.push_back(i);
            continue;
        }
        d.plan.lost.push_back(i->key);
        d.plan.remarks.push_back(
            fmt::format("{} {}", i->key.text(),
                        !answers(*i) ? "is not answering; it will be rewired when it returns"
                        : fixed ? "cannot follow to a new timeline: recovery_target_timeline is " + target
                                : std::string("is on another branch; it needs a rewind")));
    }
    Plan scratch{.kind = Kind::switchover};
    add_rewire_steps(scratch, {d.cluster, d.candidate, d.policy, false, false}, able, 1);
    std::ranges::move(scratch.remarks, std::back_inserter(d.plan.remarks));
    return std::move(scratch.steps);
}

void add_slots(Draft& d, const std::vector<Step>& rewiring, const std::string& slot_of_old) {
    for (const auto& step : rewiring) {
        if (step.kind == StepKind::create_slot) add_slot(d, step.argument, step.served);
    }
    if (d.policy.manage_slots) {
        add_slot(d, slot_of_old, d.primary.key);
    } else if (!slot_of_old.empty()) {
        d.plan.remarks.push_back(
            fmt::format("slots are not managed: {} needs slot {} on {}, see that it is there",
                        d.primary.key.text(), slot_of_old, d.candidate.key.text()));
    }
}

/// It works on a standby, too, so that clients never meet it.
void add_permission_to_write(Draft& d) {
    if (!d.candidate.seen->settings.default_transaction_read_only) return;
    auto& writes =
        d.add(StepKind::allow_writes, d.candidate.key,
              fmt::format("turn default_transaction_read_only off on {}, or it would refuse writes",
                          d.candidate.key.text()));
    writes.undo = fmt::format("turn it on again on {}", d.candidate.key.text());
}

void add_preparation(Draft& d) {
    add_permission_to_write(d);
    if (!d.plan.steps.empty()) ++d.phase;
    auto& checkpoint =
        d.add(StepKind::checkpoint, d.primary.key,
              fmt::format("write a checkpoint on {}, so that its shutdown is short", d.primary.key.text()));
    checkpoint.deadline = checkpoint_deadline;
    ++d.phase;
}

void add_pause(Draft& d) {
    for (const auto& router : d.wish.routers) {
        auto& pause = d.add(
            StepKind::pause_clients, d.primary.key,
            fmt::format("router {} holds its clients, for {} ms at most", router, d.wish.pause.count()));
        pause.argument = router;
        pause.deadline = d.wish.pause;
        pause.undo = fmt::format("router {} lets them go on", router);
    }
    if (!d.wish.routers.empty()) ++d.phase;
}

void add_change(Draft& d) {
    auto& stop =
        d.add(StepKind::stop_primary, d.primary.key,
              fmt::format("stop {} in order: what is open there is rolled back, and everything that was "
                          "committed is sent to its standbys",
                          d.primary.key.text()));
    stop.deadline = d.wish.pause;
    stop.undo = fmt::format("start {} again", d.primary.key.text());
    // Not before: should the manager die, a primary that runs needs that vouch.
    auto& clear = d.add(StepKind::stand_clear, d.candidate.key,
                        fmt::format("the agent of {} stands clear: it vouches for {} no more",
                                    d.candidate.key.text(), d.primary.key.text()));
    clear.deadline = clear_deadline;
    clear.undo = fmt::format("the agent of {} vouches again", d.candidate.key.text());
    ++d.phase;
    auto& received = d.add(StepKind::has_received, d.candidate.key,
                           fmt::format("{} has received the shutdown checkpoint of {}",
                                       d.candidate.key.text(), d.primary.key.text()));
    received.upstream = d.primary.key;
    received.deadline = received_deadline;
    received.undo = fmt::format("start {} again", d.primary.key.text());
    ++d.phase;
    auto& promote = d.add(StepKind::promote, d.candidate.key, "promote " + d.candidate.key.text());
    promote.deadline = d.policy.promotion_timeout;
    promote.irreversible = true;
    ++d.phase;
}

void add_routes(Draft& d) {
    for (const auto& router : d.wish.routers) {
        auto& route = d.add(
            StepKind::route_clients, d.candidate.key,
            fmt::format("router {} leads to {}, and lets clients go on", router, d.candidate.key.text()));
        route.argument = router;
        route.required = false;
    }
    if (!d.wish.routers.empty()) ++d.phase;
}

void add_return(Draft& d, std::vector<Step> rewiring, const std::string& slot_of_old) {
    auto& back =
        d.add(StepKind::make_standby, d.primary.key,
              fmt::format("start {} as a standby of {}{}", d.primary.key.text(), d.candidate.key.text(),
                          slot_of_old.empty() ? "" : " through slot " + slot_of_old));
    back.upstream = d.candidate.key;
    back.argument = slot_of_old;
    back.required = false;
    back.deadline = std::max(d.policy.follow_timeout, milliseconds(60'000));
    for (auto& step : rewiring) {
        if (step.kind != StepKind::follow) continue;
        step.phase = d.phase;
        d.plan.steps.push_back(std::move(step));
    }
    ++d.phase;
    auto& streams = d.add(StepKind::verify_streaming, d.primary.key,
                          fmt::format("{} streams from {}", d.primary.key.text(), d.candidate.key.text()));
    streams.upstream = d.candidate.key;
    streams.required = false;
    for (auto& step : rewiring) {
        if (step.kind != StepKind::verify_streaming) continue;
        step.phase = d.phase;
        d.plan.steps.push_back(std::move(step));
    }
}

}  // namespace

Plan plan_switchover(const Cluster& cluster, const Preflight& preflight, const SwitchoverWish& wish,
                     const Policy& policy) {
    Plan plan{.kind = Kind::switchover, .cluster_id = cluster.id};
    if (preflight.primary) plan.subject = *preflight.primary;
    plan.choice = {.chosen = preflight.candidate, .why = preflight.why};
    for (const auto& f : preflight.failures)
        plan.obstacles.push_back(f.text);
    for (const auto& w : preflight.warnings)
        plan.remarks.push_back(w.text);
    const auto* primary = preflight.primary ? cluster.find(*preflight.primary) : nullptr;
    const auto* candidate = preflight.candidate ? cluster.find(*preflight.candidate) : nullptr;
    if (primary == nullptr || candidate == nullptr || !primary->seen || !candidate->seen) return plan;
    Draft d{cluster, *primary, *candidate, wish, policy, std::move(plan)};
    const auto slot_of_old = slot_of_old_primary(*primary, policy);
    auto rewiring = steps_of_followers(d);
    add_slots(d, rewiring, slot_of_old);
    add_preparation(d);
    add_pause(d);
    add_change(d);
    add_routes(d);
    add_return(d, std::move(rewiring), slot_of_old);
    return std::move(d.plan);
}

Plan plan_after_promotion(const Cluster& cluster, const InstanceKey& old_primary, const InstanceKey& leader,
                          const SwitchoverWish& wish, const Policy& policy) {
    Plan plan{.kind = Kind::switchover, .cluster_id = cluster.id, .subject = old_primary};
    plan.choice = {.chosen = leader, .why = "it leads"};
    const auto* primary = cluster.find(old_primary);
    const auto* candidate = cluster.find(leader);
    if (primary == nullptr || candidate == nullptr || !candidate->seen) return plan;
    Draft d{cluster, *primary, *candidate, wish, policy, std::move(plan)};
    const auto slot_of_old = slot_of_old_primary(*primary, policy);
    auto rewiring = steps_of_followers(d);
    add_routes(d);
    add_slots(d, rewiring, slot_of_old);
    add_permission_to_write(d);
    for (auto& step : d.plan.steps)
        step.required = false;
    ++d.phase;
    add_return(d, std::move(rewiring), slot_of_old);
    return std::move(d.plan);
}

}  // namespace baton::plan
