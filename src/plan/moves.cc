// Changes to the tree that an operator asks for.

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "analysis/wording.h"
#include "plan/rewire.h"

namespace baton::plan {
namespace {

Plan empty_plan(Kind kind, const Cluster& cluster, const InstanceKey& subject) {
    return Plan{.kind = kind, .cluster_id = cluster.id, .subject = subject};
}

Result<const Instance*> find(const Cluster& cluster, const InstanceKey& key) {
    if (const auto* instance = cluster.find(key)) return instance;
    return fail(ErrorKind::not_found, "unknown instance; discover it first", key.text());
}

/// The known upstream of a standby.
Result<const Instance*> upstream_of(const Cluster& cluster, const Instance& replica) {
    if (!replica.is_standby()) {
        return fail(ErrorKind::conflict, "it is a primary and replicates from nobody", replica.key.text());
    }
    if (!replica.upstream) return fail(ErrorKind::conflict, "its upstream is not known", replica.key.text());
    const auto* upstream = cluster.find(*replica.upstream);
    if (upstream != nullptr) return upstream;
    return fail(ErrorKind::conflict, "its upstream " + replica.upstream->text() + " is not known",
                replica.key.text());
}

Result<Plan> move_one(Kind kind, const Cluster& cluster, const InstanceKey& replica,
                      const InstanceKey& upstream, const Policy& policy) {
    if (auto objection = objection_to_follow(cluster, replica, upstream, policy)) {
        return std::unexpected(std::move(*objection));
    }
    const auto* mover = cluster.find(replica);
    auto plan = empty_plan(kind, cluster, mover->key);
    add_rewire_steps(plan, {cluster, *cluster.find(upstream), policy, true}, {mover}, 1);
    return plan;
}

/// Moves those of `replicas` that can; fails only if there are some and nobody can.
Result<Plan> move_many(Plan plan, const Cluster& cluster, const Instance& to,
                       const std::vector<const Instance*>& replicas, const Policy& policy) {
    const auto able = able_to_follow(plan, cluster, to, replicas, policy);
    if (able.empty() && !plan.lost.empty()) {
        return fail(ErrorKind::conflict, fmt::format("{}", fmt::join(plan.remarks, "; ")), to.key.text());
    }
    if (able.empty()) plan.remarks.push_back("there is nobody to move below " + to.key.text());
    add_rewire_steps(plan, {cluster, to, policy}, able, 1);
    return plan;
}

}  // namespace

Result<Plan> plan_follow(const Cluster& cluster, const InstanceKey& replica, const InstanceKey& upstream,
                         const Policy& policy, MonoTime) {
    return move_one(Kind::follow, cluster, replica, upstream, policy);
}

Result<Plan> plan_move_up(const Cluster& cluster, const InstanceKey& replica, const Policy& policy,
                          MonoTime) {
    const auto mover = find(cluster, replica);
    if (!mover) return std::unexpected(mover.error());
    const auto upstream = upstream_of(cluster, **mover);
    if (!upstream) return std::unexpected(upstream.error());
    if (!(*upstream)->is_standby()) {
        return fail(ErrorKind::conflict,
                    "cannot move up: it replicates from the primary " + (*upstream)->key.text() + " already",
                    (*mover)->key.text());
    }
    const auto above = upstream_of(cluster, **upstream);
    if (!above) return std::unexpected(above.error());
    return move_one(Kind::move_up, cluster, (*mover)->key, (*above)->key, policy);
}

Result<Plan> plan_take_siblings(const Cluster& cluster, const InstanceKey& replica, const Policy& policy,
                                MonoTime) {
    const auto taker = find(cluster, replica);
    if (!taker) return std::unexpected(taker.error());
    const auto upstream = upstream_of(cluster, **taker);
    if (!upstream) return std::unexpected(upstream.error());
    return move_many(empty_plan(Kind::take_siblings, cluster, (*taker)->key), cluster, **taker,
                     cluster.replicas_of((*upstream)->key), policy);
}

Result<Plan> plan_relocate_replicas(const Cluster& cluster, const InstanceKey& from, const InstanceKey& to,
                                    const std::function<bool(const InstanceKey&)>& pick, const Policy& policy,
                                    MonoTime) {
    const auto source = find(cluster, from);
    if (!source) return std::unexpected(source.error());
    const auto target = find(cluster, to);
    if (!target) return std::unexpected(target.error());
    auto replicas = cluster.replicas_of((*source)->key);
    if (pick) std::erase_if(replicas, [&](const Instance* r) { return !pick(r->key); });
    if (*source == *target) replicas.clear();
    return move_many(empty_plan(Kind::follow, cluster, (*source)->key), cluster, **target, replicas, policy);
}

namespace {

std::optional<Rejected> unfit_to_lead(const Instance& i) {
    if (!answers(i)) return Rejected{i.key, Rejection::unreachable, "it does not answer"};
    if (i.seen->replay_paused) return Rejected{i.key, Rejection::replay_paused, "somebody paused its replay"};
    if (i.seen->settings.recovery_min_apply_delay_ms > 0)
        return Rejected{i.key, Rejection::delayed, "it is delayed"};
    if (i.promotion_rule == topology::PromotionRule::must_not) {
        return Rejected{i.key, Rejection::must_not, "its promotion rule is must_not"};
    }
    return std::nullopt;
}

Choice choose_leader(const Instance& upstream, const std::vector<const Instance*>& replicas) {
    Choice choice;
    const Instance* best = nullptr;
    const auto rank = [&](const Instance& i) {
        return std::tuple(~i.seen->received.value, i.promotion_rule, i.data_center != upstream.data_center,
                          i.region != upstream.region, i.key);
    };
    for (const auto* r : replicas) {
        if (auto unfit = unfit_to_lead(*r)) {
            choice.rejected.push_back(std::move(*unfit));
        } else if (best == nullptr || rank(*r) < rank(*best)) {
            best = r;
        }
    }
    if (best == nullptr) return choice;
    choice.chosen = best->key;
    choice.why = fmt::format("{} has the most WAL, up to {}", best->key.text(), best->seen->received.text());
    return choice;
}

}  // namespace

Result<Plan> plan_regroup(const Cluster& cluster, const InstanceKey& upstream, const Policy& policy,
                          MonoTime) {
    const auto parent = find(cluster, upstream);
    if (!parent) return std::unexpected(parent.error());
    const auto replicas = cluster.replicas_of((*parent)->key);
    auto plan = empty_plan(Kind::regroup, cluster, (*parent)->key);
    plan.choice = choose_leader(**parent, replicas);
    if (!plan.choice.chosen) {
        std::string reasons;
        for (const auto& r : plan.choice.rejected)
            reasons += fmt::format("; {}: {}", r.instance.text(), r.detail);
        return fail(ErrorKind::conflict, "it has no replica that could take over its siblings" + reasons,
                    (*parent)->key.text());
    }
    const auto* leader = cluster.find(*plan.choice.chosen);
    return move_many(std::move(plan), cluster, *leader, replicas, policy);
}

}  // namespace baton::plan
