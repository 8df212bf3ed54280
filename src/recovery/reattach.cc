// A standby that was away while its siblings were rewired comes back still pointing at the primary that was
// replaced. It is led to the new one, if its history allows; if not, it is left alone and said to be lost.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "base/async.h"
#include "base/defect.h"
#include "recovery/impl.h"

namespace baton::recovery {
namespace {

constexpr seconds pause_between_tries{10};
/// A history is read with a deadline of 2 s. Where nobody may read it, standbys are led all the same.
constexpr seconds history_read_within{3};
/// Before that, whoever led it there may be about to make it.
constexpr seconds slot_missing_for{2};

/// An operator who downtimed it wants it left alone; a downtime of our own making only marks that it was
/// lost.
bool left_alone(const topology::Instance& standby) {
    return standby.maintenance || (standby.downtime && standby.downtime->reason != lost_in_recovery);
}

/// Did a recovery put `successor` in the place of `upstream`? Then a standby that still streams from it
/// belongs elsewhere: without fencing a former primary that came back goes on writing, and with this
/// standby's confirmation even commits. Where no recovery did it, a promotion by hand may have been the
/// mistake, and standbys stay where they are.
bool replaced(const store::State& record, const topology::Cluster& cluster, const InstanceKey& upstream,
              const InstanceKey& successor) {
    return std::ranges::any_of(record.recoveries, [&](const auto& row) {
        const auto& r = row.second;
        return r.cluster_id == cluster.id && r.failed == upstream && r.successor == successor &&
               r.state == store::RecoveryState::succeeded;
    });
}

/// Its slot does not exist where it wants to stream from: it could not be made when it was led there, or that
/// server was made anew. Without it the standby tries in vain for ever.
bool waits_for_a_slot(const topology::Instance& standby, const topology::Instance* upstream, MonoTime now) {
    if (upstream == nullptr || !upstream->health.ok() || !upstream->seen || !upstream->seen->can_see_all)
        return false;
    if (!standby.seen || standby.seen->receiving() || standby.seen->replay_paused) return false;
    if (standby.streamed_until && now - *standby.streamed_until < slot_missing_for) return false;
    const auto& name = standby.seen->settings.primary_slot_name;
    return !name.empty() &&
           !std::ranges::any_of(upstream->seen->slots, [&](const auto& slot) { return slot.name == name; });
}

/// A silent host stands beside the primary in its list: libpq waits there for minutes.
bool waits_at_a_silent_host(const topology::Cluster& cluster, const topology::Instance& standby,
                            const topology::Instance& primary, MonoTime now) {
    if (!standby.seen || standby.seen->receiving() || standby.seen->replay_paused) return false;
    if (standby.streamed_until && now - *standby.streamed_until < slot_missing_for) return false;
    // One whose slot is lost gets through to the primary, and is refused there each time.
    const auto& slot = standby.seen->settings.primary_slot_name;
    const bool lost = primary.seen && std::ranges::any_of(primary.seen->slots, [&](const auto& s) {
                          return s.name == slot && s.wal_status == "lost";
                      });
    return !lost && plan::may_hang(cluster, standby, primary);
}

/// Standbys that stream from each other get nothing new: one was to catch up from the other, and that was
/// given up when the failure was over. One of them is led out of the circle: of those that may follow
/// `primary`, the one with the most WAL.
bool led_out_of_a_circle(const topology::Cluster& cluster, const topology::Instance& standby,
                         const topology::Instance& primary, const plan::Policy& policy, MonoTime now) {
    std::vector<const topology::Instance*> circle;
    const auto* at = &standby;
    do {
        circle.push_back(at);
        at = at->upstream ? cluster.find(*at->upstream) : nullptr;
    } while (at != nullptr && at != &standby && circle.size() <= cluster.instances.size());
    if (at != &standby) return false;
    std::erase_if(circle, [&](const topology::Instance* i) {
        return !i->health.ok() || !i->seen || !plan::plan_follow(cluster, i->key, primary.key, policy, now);
    });
    const auto first = std::ranges::max_element(
        circle, {}, [](const auto* i) { return std::pair(i->seen->received, i->key); });
    return first != circle.end() && *first == &standby;
}

}  // namespace

/// Standbys that still point at a primary which `primary` replaced, those whose slot is missing, those that
/// wait for a silent host, and those that stream from each other.
std::vector<Impl::Stranded> Impl::stranded(const Watched& watched, const topology::Instance& primary) const {
    const auto& cluster = *watched.snapshot;
    std::vector<Stranded> all;
    for (const auto& problem : watched.problems) {
        if (problem.code != Code::stranded_standby) continue;
        if (const auto* standby = cluster.find(problem.instance)) all.push_back({standby, primary.key});
    }
    for (const auto& instance : cluster.instances) {
        const bool candidate = instance->health.ok() && instance->is_standby() && instance->upstream;
        if (!candidate || std::ranges::find(all, instance.get(), &Stranded::standby) != all.end()) continue;
        const auto* upstream = cluster.find(*instance->upstream);
        if (upstream != nullptr && upstream != &primary && upstream->is_primary()) {
            if (replaced(store_.state(), cluster, upstream->key, primary.key))
                all.push_back({instance.get(), primary.key});
        } else if (waits_for_a_slot(*instance, upstream, clock_.now()) ||
                   (upstream == &primary &&
                    waits_at_a_silent_host(cluster, *instance, primary, clock_.now()))) {
            all.push_back({instance.get(), upstream->key});
        } else if (led_out_of_a_circle(cluster, *instance, primary, options_.plan, clock_.now())) {
            all.push_back({instance.get(), primary.key});
        }
    }
    return all;
}

/// Whether it may follow is not known yet, and will be in a moment.
bool Impl::history_is_awaited(Watched& watched, const topology::Instance& standby,
                              const InstanceKey& target) {
    const auto* to = watched.snapshot->find(target);
    if (to == nullptr || !to->seen || !standby.seen) return false;
    const auto& seen = *standby.seen;
    const auto how = watched.snapshot->ancestry_of(standby, *to);
    const bool unread = !standby.history || standby.history->timeline != seen.timeline;
    const bool same_number = how == topology::Ancestry::same && seen.timeline > 1 && !seen.receiving();
    if (how != topology::Ancestry::unknown && !(same_number && unread)) {
        watched.unjudged.erase(standby.key);
        return false;
    }
    const auto since = watched.unjudged.try_emplace(standby.key, clock_.now()).first->second;
    return clock_.now() - since < history_read_within;
}

void Impl::reattach_stranded(Watched& watched) {
    const auto& cluster = *watched.snapshot;
    const auto* primary = cluster.primary();
    if (watched.recovering || primary == nullptr || !primary->health.ok()) return;
    if (defect("leave-stranded")) return;
    if (!store_.state().recoveries_enabled || !options_.recovers_primary(cluster)) return;
    const auto now = clock_.now();
    for (const auto& [standby, target] : stranded(watched, *primary)) {
        auto& last = watched.reattached[standby->key];
        if (left_alone(*standby) || history_is_awaited(watched, *standby, target)) continue;
        if (last != MonoTime{} && now - last < pause_between_tries) continue;
        last = now;
        auto plan = plan::plan_follow(cluster, standby->key, target, options_.plan, now);
        if (plan) {
            spawn(clock_.executor(), reattach(cluster.id, std::move(*plan)));
            continue;
        }
        const auto problem = std::ranges::find_if(watched.problems, [&](const Problem& p) {
            return p.code == Code::stranded_standby && p.instance == standby->key;
        });
        if (problem == watched.problems.end()) continue;
        report_blocked(cluster.id, watched, *problem,
                       "it cannot follow the new primary: " + plan.error().text(), 0);
    }
}

Task<void> Impl::reattach(std::string id, plan::Plan plan) {
    const auto self = shared_from_this();
    const auto subject = plan.subject;
    const auto known = watched_.find(id);
    audit("reattach-replica", subject,
          known != watched_.end() && known->second.snapshot ? known->second.snapshot->name : id,
          "is led to where it belongs: " +
              (plan.steps.empty() ? std::string("nothing to do") : plan.steps.front().what));
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
