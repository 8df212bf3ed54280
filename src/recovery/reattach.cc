// A standby that was away while its siblings were rewired comes back still pointing at the primary that was
// replaced. It is led to the new one, if its history allows; if not, it is left alone and said to be lost.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "base/async.h"
#include "base/defect.h"
#include "recovery/impl.h"

namespace baton::recovery {
namespace {

constexpr seconds pause_between_tries{10};

/// An operator who downtimed it wants it left alone; a downtime of our own making only marks that it was
/// lost.
bool left_alone(const topology::Instance& standby) {
    return standby.maintenance || (standby.downtime && standby.downtime->reason != lost_in_recovery);
}

}  // namespace

void Impl::reattach_stranded(Watched& watched) {
    const auto& cluster = *watched.snapshot;
    const auto* primary = cluster.primary();
    if (watched.recovering || primary == nullptr || !primary->health.ok()) return;
    if (defect("leave-stranded")) return;
    if (!store_.state().recoveries_enabled || !options_.recovers_primary(cluster)) return;
    const auto now = clock_.now();
    for (const auto& problem : watched.problems) {
        if (problem.code != Code::stranded_standby) continue;
        const auto* standby = cluster.find(problem.instance);
        auto& last = watched.reattached[problem.instance];
        if (standby == nullptr || left_alone(*standby)) continue;
        if (last != MonoTime{} && now - last < pause_between_tries) continue;
        last = now;
        auto plan = plan::plan_follow(cluster, problem.instance, primary->key, options_.plan, now);
        if (plan) {
            spawn(clock_.executor(), reattach(cluster.id, std::move(*plan)));
        } else {
            report_blocked(cluster.id, watched, problem,
                           "it cannot follow the new primary: " + plan.error().text(), 0);
        }
    }
}

Task<void> Impl::reattach(std::string id, plan::Plan plan) {
    const auto self = shared_from_this();
    const auto subject = plan.subject;
    const auto done = co_await execute(std::move(plan));
    if (stopped_) co_return;
    const auto at = watched_.find(id);
    const auto name = at != watched_.end() && at->second.snapshot ? at->second.snapshot->name : id;
    const auto failure = !done                  ? done.error().text()
                         : done->failed.empty() ? ""
                                                : done->failed.front().second.text();
    audit("reattach-replica", subject, name,
          failure.empty() ? "came back and was rewired to the new primary"
                          : "could not be rewired: " + failure);
    spdlog::info("{}: {}", subject.text(),
                 failure.empty() ? "came back; rewired to the new primary" : failure);
}

}  // namespace baton::recovery
