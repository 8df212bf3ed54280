// The gates before an automatic recovery, in the order that operators know. Each that stops something says
// so.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <charconv>

#include "base/defect.h"
#include "recovery/impl.h"

namespace baton::recovery {
namespace {

struct Doubt {
    InstanceKey asked;
    int64_t started_us = 0;
};

std::optional<Doubt> parse_doubt(std::string_view deed) {
    if (!deed.starts_with(in_doubt_deed)) return std::nullopt;
    deed.remove_prefix(in_doubt_deed.size());
    const auto space = deed.find(' ');
    const auto key = topology::parse_instance_key(deed.substr(0, space), 0);
    if (!key) return std::nullopt;
    Doubt doubt{.asked = *key};
    // Older records have no number: then only an operator tells.
    if (space != std::string_view::npos)
        std::from_chars(deed.data() + space + 1, deed.data() + deed.size(), doubt.started_us);
    return doubt;
}

}  // namespace

std::string doubt_about(const InstanceKey& asked, int64_t started_us) {
    return fmt::format("{}{} {}", in_doubt_deed, asked.text(), started_us);
}

bool started_anew(const topology::Instance& i, int64_t started_us) {
    return started_us != 0 && i.health.ok() && i.is_standby() && i.seen &&
           i.seen->started_at_us != started_us;
}

std::optional<std::pair<std::string, int64_t>> Impl::anti_flapping(const topology::Cluster& cluster,
                                                                   const Problem& problem) {
    // Replicas that were moved are no reason to leave the cluster without a primary, nor the other way round.
    const bool primary = analysis::info(problem.code).action == analysis::Action::recover_primary;
    for (const auto& [id, r] : store_.state().recoveries) {
        if (!r.in_active_period || r.acknowledged || r.cluster_id != cluster.id) continue;
        if (r.state == store::RecoveryState::running && defect("two-recoveries-at-once")) continue;
        if ((r.kind != "intermediate") != primary) continue;
        if (const auto asked = in_doubt(r)) {
            return std::pair(
                fmt::format("{} was asked to promote itself and nobody knows whether it did; look "
                            "at its log, then acknowledge recovery {} or use recover",
                            asked->text(), r.uid),
                id);
        }
        // A switchover was wanted: it says nothing about the next failure.
        if (r.kind == switchover_kind || defect("drop-block-period")) continue;
        const auto left =
            std::chrono::duration_cast<seconds>(options_.recovery_block - (clock_.now() - beginning_of(r)));
        const auto hint = fmt::format(
            "acknowledge recovery {} to allow another now; else in {} s (RecoveryPeriodBlockSeconds)", r.uid,
            std::max<int64_t>(0, left.count()));
        if (r.successor == problem.instance) {
            return std::pair(
                fmt::format("{} was promoted by a recent recovery; {}", problem.instance.text(), hint), id);
        }
        return std::pair(fmt::format("cluster {} has recently experienced a failover of {}; {}", cluster.name,
                                     r.failed.text(), hint),
                         id);
    }
    return std::nullopt;
}

/// Whom a failed recovery asked to promote itself without ever learning whether it did. The doubt ends when
/// that server is seen to lead or to have been started anew, when it is forgotten, or when an operator
/// acknowledges; it rests while its port refuses.
std::optional<InstanceKey> Impl::in_doubt(const store::Recovery& r) const {
    if (r.acknowledged || r.state != store::RecoveryState::failed || r.kind == "intermediate")
        return std::nullopt;
    if (defect("forget-the-doubt")) return std::nullopt;
    const auto steps = store_.state().steps.find(r.uid);
    if (steps == store_.state().steps.end()) return std::nullopt;
    const auto cluster = observer_.cluster(r.cluster_id);
    for (const auto& step : steps->second) {
        const auto doubt = parse_doubt(step.deed);
        const auto* i = doubt && cluster ? cluster->find(doubt->asked) : nullptr;
        if (i == nullptr || (i->health.ok() && i->is_primary())) continue;
        if (i->health.proven_dead() || started_anew(*i, doubt->started_us)) continue;
        return i->key;
    }
    return std::nullopt;
}

/// Why a recovery would end without having done anything; nothing when it has a way out.
std::optional<std::string> Impl::no_way_out(const topology::Cluster& cluster, const Problem& problem) const {
    if (analysis::info(problem.code).action == analysis::Action::recover_primary) {
        auto policy = options_.plan;
        std::vector<InstanceKey> kept_back;
        policy.ignored_for_promotion = [&](const InstanceKey& key) {
            const auto& filter = options_.plan.ignored_for_promotion;
            return std::ranges::find(kept_back, key) != kept_back.end() || (filter && filter(key));
        };
        for (std::string why;;) {
            const auto choice =
                plan::choose_candidate(cluster, problem.instance, policy, {}, false, clock_.now());
            if (!choice.chosen) return "no candidate: " + (why.empty() ? choice.why : why);
            const auto forbids = lease_forbids(cluster, problem.instance, *choice.chosen, false);
            if (!forbids) return std::nullopt;
            why = fmt::format("{} may not be promoted: {}", choice.chosen->text(), *forbids);
            kept_back.push_back(*choice.chosen);
        }
    }
    const auto plan =
        plan::plan_intermediate_failover(cluster, problem.instance, options_.plan, clock_.now());
    if (plan) return std::nullopt;
    return plan.error().text();
}

/// The reason why nothing is done, reported once; nothing when the way is free.
std::optional<std::string> Impl::gate(const topology::Cluster& cluster, const Watched& watched,
                                      const Problem& problem) {
    const bool primary = analysis::info(problem.code).action == analysis::Action::recover_primary;
    const auto refuse = [&](std::string reason, int64_t blocking = 0) -> std::optional<std::string> {
        report_blocked(cluster.id, watched_[cluster.id], problem, reason, blocking);
        return reason;
    };
    // A server that we saw alive ourselves is known to have died; one that we know from the record may have
    // moved.
    const auto* failed = cluster.find(problem.instance);
    const bool seen_alive = failed != nullptr && failed->health.last_answer != MonoTime{};
    const bool fresh = clock_.now() - started_ < options_.start_delay && !defect("start-at-once");
    if (!seen_alive && fresh) {
        return refuse(
            "the manager has only just started and has not seen it alive: it waits for three polls first");
    }
    // That an intermediate was lost in the failover of its primary does not mean that its replicas are to be.
    const bool only_lost = !primary && !problem.replicas_downtimed && failed != nullptr && failed->downtime &&
                           failed->downtime->reason == lost_in_recovery;
    if (problem.downtimed && !only_lost) return refuse("the instance, or every replica of it, is downtimed");
    if (!store_.state().recoveries_enabled)
        return refuse("recoveries are disabled globally (enable-global-recoveries lifts it)");
    const bool automatic =
        primary ? options_.recovers_primary(cluster) : options_.recovers_intermediate(cluster);
    if (!automatic) {
        return refuse(
            fmt::format("the cluster matches no entry of {}",
                        primary ? "RecoverMasterClusterFilters" : "RecoverIntermediateMasterClusterFilters"));
    }
    if (const auto blocked = anti_flapping(cluster, problem)) return refuse(blocked->first, blocked->second);
    if (clock_.now() < watched.held_off_until) return refuse(watched.held_off);
    // One that still runs is not stopped for nothing.
    if (analysis::info(problem.code).fence_first) {
        if (const auto why = no_way_out(cluster, problem)) return refuse(*why);
    }
    const auto* detection = active_detection(problem);
    if (detection == nullptr) return std::nullopt;
    if (watched.forbidden_detections.contains(detection->id))
        return refuse("an OnFailureDetectionProcesses hook failed: use recover to go on without it");
    if (!watched.hopeless_detections.contains(detection->id)) return std::nullopt;
    if (const auto why = no_way_out(cluster, problem)) return refuse(*why);
    return std::nullopt;
}

void Impl::report_blocked(const std::string& id, Watched& watched, const Problem& problem,
                          const std::string& reason, int64_t blocking_recovery) {
    // Numbers in a reason change from second to second; its beginning does not.
    auto& told = watched.reported[{problem.instance, problem.code}];
    const auto gist = reason.substr(0, reason.find(';'));
    const bool back = told.gone.has_value();
    const bool known = told.gist == gist && (!back || clock_.now() - *told.gone < same_trouble);
    told = {.gist = gist, .gone = std::nullopt};
    if (known && !back && !defect("unbounded-audit")) return;
    const auto name = watched.snapshot ? watched.snapshot->name : id;
    const auto code = std::string(analysis::info(problem.code).name);
    if (!known || defect("unbounded-audit")) {
        audit("recovery-blocked", problem.instance, name,
              fmt::format("{} is not acted on: {}", code, reason));
        spdlog::warn("{} (cluster {}): {} is not acted on: {}", problem.instance.text(), name, code, reason);
    }
    store_.apply(store::PutBlocked{{.failed = problem.instance,
                                    .cluster_id = id,
                                    .cluster_name = name,
                                    .code = code,
                                    .last_blocked = clock_.wall(),
                                    .blocking_recovery_id = blocking_recovery}});
}

}  // namespace baton::recovery
