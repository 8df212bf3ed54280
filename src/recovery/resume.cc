// After a restart: a recovery that was left open is not continued where it stopped but by looking again. The
// journal only tells which irreversible deeds may have happened.
#include <fmt/format.h>

#include <algorithm>
#include <ranges>

#include "base/async.h"
#include "base/defect.h"
#include "base/text.h"
#include "recovery/impl.h"

namespace baton::recovery {
namespace {

constexpr seconds settle_deadline{10};
constexpr milliseconds look_interval{200};

}  // namespace

Task<bool> Impl::wait_settled(std::string id) {
    const auto deadline = clock_.now() + settle_deadline;
    while (!observer_.settled() && clock_.now() < deadline && !stopped_)
        co_await clock_.sleep_for(milliseconds(50));
    co_return co_await look_at_everyone(id) != nullptr;
}

std::vector<InstanceKey> Impl::requested_promotions(const Case& c) const {
    std::vector<InstanceKey> keys;
    const auto at = store_.state().steps.find(c.record.uid);
    if (at == store_.state().steps.end() || defect("forget-whom-it-asked")) return keys;
    for (const auto& step : at->second) {
        if (!step.deed.starts_with("promote ")) continue;
        if (const auto key = topology::parse_instance_key(step.deed.substr(8), 0)) keys.push_back(*key);
    }
    return keys;
}

/// The last of them that is neither passed over nor proven dead: nobody else may be promoted.
std::optional<InstanceKey> Impl::outstanding(const topology::Cluster& cluster, const Case& c) const {
    for (const auto& key : requested_promotions(c) | std::views::reverse) {
        if (std::ranges::find(c.excluded, key) != c.excluded.end() || remembered(c, key) <= 0) continue;
        const auto* i = cluster.find(key);
        if (i != nullptr && !i->health.proven_dead()) return key;
    }
    return std::nullopt;
}

/// Someone other than the failed one leads, and on a later branch or by our own journalled request.
const topology::Instance* Impl::promoted_instance(const topology::Cluster& cluster, const Case& c) const {
    const auto requested = requested_promotions(c);
    const auto* failed = cluster.find(c.record.failed);
    const topology::Timeline before = failed != nullptr && failed->seen ? failed->seen->timeline : 0;
    for (const auto* p : cluster.primaries()) {
        if (p->key == c.record.failed || !p->health.ok() || !p->seen) continue;
        const bool ours = std::ranges::find(requested, p->key) != requested.end();
        if (ours || (before != 0 && p->seen->timeline > before)) return p;
    }
    return nullptr;
}

plan::Plan Impl::plan_survivors(const topology::Cluster& cluster, const Case& c,
                                const InstanceKey& successor) const {
    plan::Choice choice;
    choice.chosen = successor;
    auto plan = plan::plan_primary_failover(cluster, c.record.failed, choice, options_.plan, clock_.now());
    std::erase_if(plan.steps, [](const plan::Step& s) {
        return s.kind == plan::StepKind::promote || s.kind == plan::StepKind::catch_up;
    });
    return plan;
}

Task<void> Impl::resume(store::Recovery record) {
    const auto self = shared_from_this();
    auto c = std::make_shared<Case>();
    c->is_primary = record.kind == "primary";
    c->regardless = record.command_hint.starts_with("force-");
    c->record = std::move(record);
    c->journal = std::make_shared<Journal>(clock_, store_, announce_, c->record.uid, beginning_of(c->record));
    c->journal->note("the manager was restarted during this recovery: looking again");
    const auto id = c->record.cluster_id;
    if (!(co_await wait_settled(id))) {
        co_await finish(c, false, "nothing of the cluster is known any more");
    } else if (c->is_primary) {
        co_await resume_primary(c);
    } else if (co_await still_so(c)) {
        co_await drive_intermediate(c);
    } else {
        co_await finish_intermediate(c);
    }
    watched_[id].recovering = false;
    if (const auto cluster = observer_.cluster(id); cluster && !stopped_) on_cluster(id, cluster);
}

/// There is nothing left to do. Was that our doing, before we were killed? The replicas tell.
Task<void> Impl::finish_intermediate(CasePtr c) {
    const auto cluster = observer_.cluster(c->record.cluster_id);
    for (const auto& key : c->record.replicas) {
        const auto* replica = cluster ? cluster->find(key) : nullptr;
        const bool moved = replica != nullptr && replica->health.ok() && replica->upstream &&
                           *replica->upstream != c->record.failed && !replica->is_primary();
        if (!moved) continue;
        c->journal->note(fmt::format("{} follows {} now", key.text(), replica->upstream->text()));
        c->record.successor = replica->upstream;
    }
    if (c->record.successor) {
        save(*c);
        co_await run_post_hooks(c);
    }
    co_await finish(c, c->record.successor.has_value(),
                    c->record.successor ? "" : "the failure is over: nothing more to do");
}

Task<void> Impl::resume_primary(CasePtr c) {
    const auto requested = requested_promotions(*c);
    const auto deadline = clock_.now() + options_.plan.promotion_timeout;
    for (;;) {
        const auto cluster = observer_.cluster(c->record.cluster_id);
        if (stopped_) co_return;
        if (!cluster) {
            co_await finish(c, false, "the cluster was forgotten meanwhile");
            co_return;
        }
        if (const auto* successor = promoted_instance(*cluster, *c)) {
            c->record.successor = successor->key;
            c->journal->note(fmt::format("{} leads: rewiring what is left", successor->key.text()));
            lead_clients(*c);
            save(*c);
            std::vector<Task<int>> side_by_side;
            side_by_side.push_back(rewire(c, phases(plan_survivors(*cluster, *c, successor->key))));
            side_by_side.push_back(run_post_hooks(c));
            co_await gather(clock_, std::move(side_by_side));
            co_await let_commits_go_on(c);
            co_await finish(c, true, {});
            co_return;
        }
        // One that was asked and does not answer now may have become primary: nobody else may be, until that
        // is known.
        const bool in_the_dark = std::ranges::any_of(requested, [&](const InstanceKey& key) {
            const auto* i = cluster->find(key);
            return i != nullptr && !i->health.ok() && i->health.reach != topology::Reach::refused;
        });
        if (!in_the_dark) break;
        if (clock_.now() >= deadline) {
            co_await finish_in_doubt(
                c, requested.back(),
                fmt::format(
                    "{} was asked to promote itself before the restart and does not answer; nobody else "
                    "is promoted until it is known whether it did",
                    requested.back().text()));
            co_return;
        }
        co_await clock_.sleep_for(look_interval);
        co_await observer_.look_again(requested, clock_.now() + look_deadline);
    }
    if (!(co_await still_so(c)) && !c->regardless) {
        co_await finish(c, false, "the failure is over: nothing was promoted");
        co_return;
    }
    if (!requested.empty()) c->candidate = requested.back();
    co_await drive_primary(c);
}

}  // namespace baton::recovery
