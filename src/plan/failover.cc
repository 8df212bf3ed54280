// Failovers: promotion first, everything else off the clients' path.

#include <fmt/format.h>

#include <algorithm>

#include "analysis/synchronous.h"
#include "analysis/wording.h"
#include "base/defect.h"
#include "plan/rewire.h"

namespace baton::plan {
namespace {

using analysis::bytes_text;
using topology::Ancestry;

/// A failover of a primary while it is put together.
struct Draft {
    const Cluster& cluster;
    const InstanceKey& failed;
    const Instance& chosen;
    const Instance* donor;  ///< null when nothing has to be caught up
    const Policy& policy;
    Plan plan;
    int phase = 1;

    /// Nothing where it leads already (a recovery that is resumed): what it received before is no longer
    /// told.
    std::optional<Lsn> promotion_point() const {
        if (chosen.is_primary()) return std::nullopt;
        return donor ? donor->seen->received : chosen.seen->received;
    }
};

Step relaxation_of(const Instance& leader, const Policy& policy) {
    return Step{.kind = StepKind::set_synchronous_standby_names,
                .target = leader.key,
                .deadline = policy.follow_timeout,
                .what = fmt::format("empty synchronous_standby_names on {}, or commits would hang",
                                    leader.key.text()),
                .undo = fmt::format("set synchronous_standby_names = '{}' on {}",
                                    leader.seen->settings.synchronous_standby_names, leader.key.text())};
}

/// As PostgreSQL counts them; where its rows may not be seen, as the standbys say.
std::vector<std::string> streaming_from(const Cluster& cluster, const Instance& leader) {
    std::vector<std::string> names;
    for (const auto& row : leader.seen->senders) {
        if (row.state == "streaming") names.push_back(row.application_name);
    }
    if (leader.seen->can_see_all) return names;
    names.clear();
    for (const auto* r : cluster.replicas_of(leader.key)) {
        if (answers(*r) && r->seen->receiving()) names.push_back(analysis::standby_name(*r));
    }
    return names;
}

void add_step(Draft& d, Step step) {
    step.phase = d.phase;
    d.plan.steps.push_back(std::move(step));
}

/// Without its slot on the donor the candidate's receiver could not even start, so it is made whatever the
/// policy is.
std::string add_donor_slot(Draft& d) {
    const bool at_home = d.chosen.upstream && d.donor->known_as(*d.chosen.upstream);
    const auto slot = slot_on(d.chosen, *d.donor, {});
    if (slot.empty() || at_home) return {};
    add_step(d, Step{.kind = StepKind::create_slot,
                     .target = d.donor->key,
                     .argument = slot,
                     .served = d.chosen.key,
                     .deadline = d.policy.follow_timeout,
                     .required = true,
                     .what = fmt::format("create slot {} on {}, for {} to catch up through", slot,
                                         d.donor->key.text(), d.chosen.key.text()),
                     .undo = fmt::format("drop slot {} on {}", slot, d.donor->key.text())});
    ++d.phase;
    return slot;
}

std::string add_catch_up(Draft& d) {
    if (d.donor == nullptr) return {};
    const auto slot = add_donor_slot(d);
    const auto missing = topology::bytes_ahead(d.donor->seen->received, d.chosen.seen->received);
    add_step(
        d, Step{.kind = StepKind::catch_up,
                .target = d.chosen.key,
                .upstream = d.donor->key,
                .argument = slot,
                .position = d.donor->seen->received,
                .deadline = d.policy.follow_timeout,
                .required = true,
                .what = fmt::format("{} streams the missing {} from {}, up to {}", d.chosen.key.text(),
                                    bytes_text(missing), d.donor->key.text(), d.donor->seen->received.text()),
                .undo = fmt::format("make {} follow {} again", d.chosen.key.text(), d.failed.text())});
    ++d.phase;
    return slot;
}

void add_promotion(Draft& d) {
    add_step(d, Step{.kind = StepKind::promote,
                     .target = d.chosen.key,
                     .position = d.promotion_point().value_or(Lsn{}),
                     .deadline = d.policy.promotion_timeout,
                     .irreversible = true,
                     .required = true,
                     .what = fmt::format("promote {}", d.chosen.key.text())});
    if (defect("rewire-before-promotion-is-verified")) d.plan.steps.back().phase += 3;
    ++d.phase;
}

std::optional<std::string> cannot_survive(const Draft& d, const Instance& i) {
    if (!answers(i)) return "is not answering; it will be rewired when it returns";
    const auto& seen = *i.seen;
    const auto& chosen = *d.chosen.seen;
    const auto how = d.cluster.ancestry_of(i, d.chosen);
    if (defect("follow-diverged")) return std::nullopt;
    if (how == Ancestry::diverged || how == Ancestry::foreign) {
        return fmt::format("is on another branch (timeline {}, {}) than {} (timeline {}); it needs a rewind",
                           seen.timeline, seen.received.text(), d.chosen.key.text(), chosen.timeline);
    }
    if (const auto point = d.promotion_point(); point && seen.received > *point) {
        return fmt::format("is {} ahead of the promotion point {}; it needs a rewind",
                           bytes_text(topology::bytes_ahead(seen.received, *point)), point->text());
    }
    const auto& target = seen.settings.recovery_target_timeline;
    if (target.empty() || target == "latest") return std::nullopt;
    return fmt::format(
        "cannot follow to a new timeline: recovery_target_timeline is {}; set it to latest and restart it",
        target);
}

std::vector<const Instance*> survivors_of(Draft& d) {
    std::vector<const Instance*> survivors;
    for (const auto* replica : d.cluster.replicas_of(d.failed)) {
        if (replica == &d.chosen) continue;
        if (const auto reason = cannot_survive(d, *replica)) {
            d.plan.lost.push_back(replica->key);
            d.plan.remarks.push_back(replica->key.text() + " " + *reason);
        } else {
            survivors.push_back(replica);
        }
    }
    return survivors;
}

/// Writes on the new primary would wait for ever for standbys that it will not have. True when a step was
/// added.
bool add_relaxation(Draft& d, const std::vector<const Instance*>& survivors) {
    const auto& settings = d.chosen.seen->settings;
    if (!analysis::waits_for_standbys(settings) || defect("leave-commits-waiting")) return false;
    std::vector<std::string> names;
    for (const auto* s : survivors)
        names.push_back(analysis::standby_name(*s));
    for (const auto* r : d.cluster.replicas_of(d.chosen.key)) {
        if (answers(*r)) names.push_back(analysis::standby_name(*r));
    }
    const auto& value = settings.synchronous_standby_names;
    if (synchronous_satisfiable(value, names)) return false;
    const auto waits = fmt::format("synchronous_standby_names = '{}' on {} cannot be satisfied by {}", value,
                                   d.chosen.key.text(),
                                   names.empty() ? "anybody" : fmt::format("{}", fmt::join(names, ", ")));
    if (d.policy.synchronous == SynchronousPolicy::keep) {
        d.plan.remarks.push_back(waits +
                                 ": commits will wait until more standbys stream, as the policy demands");
        return false;
    }
    add_step(d, relaxation_of(d.chosen, d.policy));
    d.plan.remarks.push_back(waits + ": commits are not synchronous until it is set again");
    return true;
}

/// A server that was once demoted by hand may carry the setting: as a primary it would refuse every write.
/// True when a step was added.
bool add_permission_to_write(Draft& d) {
    if (!d.chosen.seen->settings.default_transaction_read_only) return false;
    add_step(
        d,
        Step{.kind = StepKind::allow_writes,
             .target = d.chosen.key,
             .deadline = d.policy.follow_timeout,
             .what = fmt::format("turn default_transaction_read_only off on {}, or it would refuse writes",
                                 d.chosen.key.text()),
             .undo = fmt::format("turn default_transaction_read_only on again on {}", d.chosen.key.text())});
    return true;
}

void remark_lost_synchrony(Draft& d) {
    const auto* failed = d.cluster.find(d.failed);
    if (failed == nullptr || !failed->seen || !analysis::waits_for_standbys(failed->seen->settings)) return;
    if (analysis::waits_for_standbys(d.chosen.seen->settings)) return;
    d.plan.remarks.push_back(
        fmt::format("{} had synchronous_standby_names = '{}', {} has none: commits are not synchronous",
                    d.failed.text(), failed->seen->settings.synchronous_standby_names, d.chosen.key.text()));
}

void add_donor_tidying(Draft& d, const std::string& slot) {
    const bool was_there =
        d.donor != nullptr &&
        std::ranges::any_of(d.donor->seen->slots, [&](const auto& s) { return s.name == slot; });
    if (slot.empty() || was_there) return;
    add_step(d, Step{.kind = StepKind::drop_slot,
                     .target = d.donor->key,
                     .argument = slot,
                     .served = d.chosen.key,
                     .deadline = d.policy.follow_timeout,
                     .what = fmt::format("drop slot {} on {}, which served the catching up", slot,
                                         d.donor->key.text())});
    ++d.phase;
}

void remark_logical_slots(Draft& d) {
    const auto* failed = d.cluster.find(d.failed);
    if (failed == nullptr || !failed->seen) return;
    std::vector<std::string> missing;
    for (const auto& slot : failed->seen->slots) {
        const auto same = [&](const auto& s) { return !s.physical && s.name == slot.name; };
        if (!slot.physical && std::ranges::none_of(d.chosen.seen->slots, same)) missing.push_back(slot.name);
    }
    if (missing.empty()) return;
    d.plan.remarks.push_back(fmt::format("logical slots of {} that {} does not have: {}", d.failed.text(),
                                         d.chosen.key.text(), fmt::join(missing, ", ")));
}

}  // namespace

Plan plan_primary_failover(const Cluster& cluster, const InstanceKey& failed_name, const Choice& choice,
                           const Policy& policy, MonoTime) {
    const auto* known = cluster.find(failed_name);
    const auto failed = known != nullptr ? known->key : failed_name;
    Plan plan{.kind = Kind::primary_failover, .cluster_id = cluster.id, .subject = failed, .choice = choice};
    const auto* chosen = choice.chosen ? cluster.find(*choice.chosen) : nullptr;
    if (chosen == nullptr || !chosen->seen) {
        plan.remarks.push_back("nobody was chosen: " + choice.why);
        return plan;
    }
    const auto* donor = choice.donor ? cluster.find(*choice.donor) : nullptr;
    if (donor != nullptr && !donor->seen) donor = nullptr;
    Draft d{cluster, failed, *chosen, donor, policy, std::move(plan)};
    const auto donor_slot = add_catch_up(d);
    add_promotion(d);
    const auto survivors = survivors_of(d);
    const bool permitted = add_permission_to_write(d);
    const bool relaxed = add_relaxation(d, survivors) || permitted;
    d.phase = add_rewire_steps(d.plan, {cluster, *chosen, policy, false, false}, survivors, d.phase, relaxed);
    add_donor_tidying(d, donor_slot);
    remark_lost_synchrony(d);
    remark_logical_slots(d);
    return std::move(d.plan);
}

std::optional<Relaxation> plan_relaxation(const Cluster& cluster, const InstanceKey& leader,
                                          const Policy& policy) {
    const auto* i = cluster.find(leader);
    if (i == nullptr || !i->seen || !analysis::waits_for_standbys(i->seen->settings)) return std::nullopt;
    if (policy.synchronous == SynchronousPolicy::keep || defect("leave-commits-waiting")) return std::nullopt;
    const auto& value = i->seen->settings.synchronous_standby_names;
    auto names = streaming_from(cluster, *i);
    if (synchronous_satisfiable(value, names)) return std::nullopt;
    auto waits =
        fmt::format("synchronous_standby_names = '{}' on {} is not satisfied by those that stream: {}", value,
                    i->key.text(), names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", ")));
    for (const auto* r : cluster.replicas_of(i->key)) {
        if (!answers(*r)) continue;
        const auto how = cluster.ancestry_of(*r, *i);
        const auto name = analysis::standby_name(*r);
        const bool never = how == Ancestry::diverged || how == Ancestry::foreign;
        if (!never && std::ranges::find(names, name) == names.end()) names.push_back(name);
    }
    return Relaxation{.step = relaxation_of(*i, policy),
                      .waits = std::move(waits),
                      .may_pass = synchronous_satisfiable(value, names)};
}

namespace {

bool reachable_sibling(const Instance& i, const InstanceKey& failed) {
    return !i.known_as(failed) && answers(i);
}

const Instance* best_sibling(const Cluster& cluster, const Instance& failed) {
    if (!failed.upstream) return nullptr;
    const Instance* best = nullptr;
    const auto rank = [&](const Instance& i) {
        return std::tuple(~i.seen->received.value, i.data_center != failed.data_center,
                          i.region != failed.region, i.key);
    };
    for (const auto* i : cluster.replicas_of(*failed.upstream)) {
        if (!reachable_sibling(*i, failed.key)) continue;
        if (best == nullptr || rank(*i) < rank(*best)) best = i;
    }
    return best;
}

Choice choose_foster_parent(const Cluster& cluster, const Instance& failed) {
    Choice choice;
    const auto* upstream = failed.upstream ? cluster.find(*failed.upstream) : nullptr;
    if (upstream != nullptr && answers(*upstream)) {
        choice.chosen = upstream->key;
        choice.why =
            fmt::format("{} is the upstream of {} and answers", upstream->key.text(), failed.key.text());
        return choice;
    }
    const std::string above = failed.upstream ? failed.upstream->text() : "its upstream";
    if (upstream != nullptr)
        choice.rejected.push_back({upstream->key, Rejection::unreachable, "it does not answer"});
    const auto* lead = cluster.primary();
    if (lead != nullptr && answers(*lead)) {
        choice.chosen = lead->key;
        choice.why = fmt::format("{} does not answer; {} leads the cluster", above, lead->key.text());
    } else if (const auto* sibling = best_sibling(cluster, failed)) {
        choice.chosen = sibling->key;
        choice.why =
            fmt::format("{} does not answer; of the siblings of {}, {} has the most WAL, up to {}", above,
                        failed.key.text(), sibling->key.text(), sibling->seen->received.text());
    } else {
        choice.why = fmt::format("neither {} nor a sibling of {} answers", above, failed.key.text());
    }
    return choice;
}

}  // namespace

Result<Plan> plan_intermediate_failover(const Cluster& cluster, const InstanceKey& failed_name,
                                        const Policy& policy, MonoTime) {
    const auto* failed = cluster.find(failed_name);
    if (failed == nullptr) {
        return fail(ErrorKind::not_found, "unknown instance; discover it first", failed_name.text());
    }
    Plan plan{.kind = Kind::intermediate_failover,
              .cluster_id = cluster.id,
              .subject = failed->key,
              .choice = choose_foster_parent(cluster, *failed)};
    if (!plan.choice.chosen) return fail(ErrorKind::conflict, plan.choice.why, failed->key.text());
    const auto* parent = cluster.find(*plan.choice.chosen);
    const auto able = able_to_follow(plan, cluster, *parent, cluster.replicas_of(failed->key), policy);
    if (able.empty()) {
        const auto reasons =
            plan.remarks.empty() ? "it has no replicas" : fmt::format("{}", fmt::join(plan.remarks, "; "));
        return fail(ErrorKind::conflict, "none of its replicas can be moved: " + reasons, failed->key.text());
    }
    add_rewire_steps(plan, {cluster, *parent, policy}, able, 1);
    return plan;
}

}  // namespace baton::plan
