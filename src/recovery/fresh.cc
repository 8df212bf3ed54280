// Is it still so? What led to a recovery is asked for again where it may have changed meanwhile.
#include <algorithm>

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
    if (c->regardless || judged_lately(*c)) co_return false;
    if (defect("trust-old-snapshot")) co_return false;
    const auto cluster = co_await look_at_everyone(c->record.cluster_id);
    if (!cluster) co_return true;
    c->judged = clock_.now();
    const auto* failed = cluster->find(c->record.failed);
    if (failed != nullptr && failed->health.reach == topology::Reach::failing) co_return true;
    for (const auto& p : analysis::analyse(*cluster, options_.analysis, clock_.now())) {
        if (p.instance != c->record.failed || analysis::info(p.code).structure) continue;
        const bool unheard_of = p.code == Code::dead_primary_and_standbys ||
                                p.code == Code::dead_primary_without_replicas ||
                                p.code == Code::unreachable_primary || p.code == Code::primary_unresponsive;
        co_return !p.actionable() && !(unheard_of && p.counts.veto == 0);
    }
    co_return true;
}

/// Just before candidates are compared for the first time: asks those again whose last look is not of this
/// moment. False: one of them has heard of the primary since.
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
    co_await observer_.look_again(stale, clock_.now() + position_deadline);
    if (c->regardless) co_return true;
    const auto now = observer_.cluster(c->record.cluster_id);
    const auto problems =
        now ? analysis::analyse(*now, options_.analysis, clock_.now()) : std::vector<Problem>{};
    co_return !now || std::ranges::any_of(problems, [&](const Problem& p) {
        return p.instance == c->record.failed && p.actionable();
    });
}

}  // namespace baton::recovery
