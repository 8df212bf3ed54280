// After a promotion: do commits go on? Standbys that were counted on may not have come.
#include <fmt/format.h>

#include <algorithm>

#include "analysis/synchronous.h"
#include "base/async.h"
#include "recovery/impl.h"

namespace baton::recovery {
namespace {

/// A standby below the new primary goes over to its timeline within this.
constexpr milliseconds standby_returns{1000};
constexpr milliseconds commits_pause{100};

}  // namespace

/// The plan knew who would follow; now it is seen who streams. What failed is tried again: a login that is
/// refused for a moment must not leave the clients hanging for good.
Task<void> Impl::let_commits_go_on(CasePtr c) {
    const auto leader = *c->record.successor;
    const auto began = clock_.now();
    const auto deadline = began + options_.plan.follow_timeout;
    for (; !stopped_; co_await clock_.sleep_for(commits_pause)) {
        auto cluster = observer_.cluster(c->record.cluster_id);
        const auto* known = cluster ? cluster->find(leader) : nullptr;
        if (known == nullptr || !known->seen || !analysis::waits_for_standbys(known->seen->settings))
            co_return;
        co_await observer_.look_again({leader}, clock_.now() + look_deadline);
        cluster = observer_.cluster(c->record.cluster_id);
        if (!cluster || stopped_ || proven_dead(cluster.get(), leader)) co_return;
        auto needed = plan::plan_relaxation(*cluster, leader, options_.plan);
        if (!needed) co_return;
        if (needed->may_pass && clock_.now() - began < standby_returns) continue;
        // Without the journal: what is tried ten times a second is told once, at its end.
        const auto done = co_await executor_.run_phase(c->record.cluster_id, {needed->step}, nullptr);
        const auto& result = done.front().result;
        if (result) {
            c->journal->note(needed->waits + ": commits are not synchronous until it is set again");
            co_return;
        }
        if (result.error().kind != ErrorKind::privilege && clock_.now() < deadline) continue;
        c->record.errors.push_back(result.error().text());
        c->journal->note(fmt::format("commits wait: {}; {}", needed->waits, result.error().text()));
        co_return;
    }
}

}  // namespace baton::recovery
