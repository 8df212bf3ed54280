#include "http/v1/takeover.h"

#include <fmt/format.h>

#include <algorithm>

#include "http/v1/status.h"

namespace baton::http::v1 {

namespace {

std::unexpected<Error> refuse(std::string message) {
    return fail(ErrorKind::refused_by_policy, std::move(message));
}

/// The best by promotion rule, then by what it has received.
const Instance* best_of(const std::vector<const Instance*>& replicas) {
    return *std::ranges::min_element(replicas, {}, [](const Instance* i) {
        const auto position = i->seen ? i->seen->position().value : 0;
        return std::make_tuple(!i->health.ok(), i->promotion_rule, ~position, i->key);
    });
}

Result<const Instance*> choose_designated(const Cluster& cluster, const Instance& primary,
                                          const std::optional<InstanceKey>& designated, bool choose) {
    const auto replicas = cluster.replicas_of(primary.key);
    const auto name = primary.key.text();
    if (replicas.empty()) return refuse(fmt::format("Master {} doesn't seem to have replicas", name));
    if (!designated && replicas.size() > 1 && !choose) {
        return refuse(fmt::format(
            "GracefulMasterTakeover: target instance not indicated, auto=false, and master {} has {} "
            "replicas. Baton cannot choose where to failover to. Aborting",
            name, replicas.size()));
    }
    if (!designated) return best_of(replicas);
    const auto found =
        std::ranges::find_if(replicas, [&](const Instance* i) { return i->known_as(*designated); });
    if (found != replicas.end()) return *found;
    return refuse(fmt::format(
        "GracefulMasterTakeover: indicated designated instance {} must be directly replicating from "
        "the master {}",
        designated->text(), name));
}

Result<void> check_fitness(const View& view, const Instance& designated) {
    const auto name = designated.key.text();
    if (designated.promotion_rule == topology::PromotionRule::must_not ||
        ignored_for_promotion(view, designated.key)) {
        return refuse(fmt::format(
            "GracefulMasterTakeover: designated instance {} cannot be promoted due to promotion rule "
            "or it is explicitly ignored in PromotionIgnoreHostnameFilters configuration",
            name));
    }
    const auto status = status_of(view, designated);
    const bool lags = status.lags_more_than(view.config->ReasonableMaintenanceReplicationLagSeconds);
    if (lags || !status.running()) {
        return refuse(fmt::format(
            "Desginated instance {} seems to be lagging too much for this operation. Aborting.", name));
    }
    return {};
}

}  // namespace

Result<const Instance*> only_primary(const Cluster& cluster, const std::string& hint) {
    const auto primaries = cluster.primaries();
    if (primaries.size() == 1) return primaries.front();
    if (primaries.empty()) {
        return fail(ErrorKind::not_found, fmt::format("Cannot deduce cluster master for {}", hint));
    }
    return fail(ErrorKind::conflict,
                fmt::format("Cannot deduce cluster master for {}. Found {} potential masters", hint,
                            primaries.size()));
}

Result<void> check_direct_replica(const Instance& primary, const Instance& designated) {
    if (designated.upstream && primary.known_as(*designated.upstream)) return {};
    return refuse(fmt::format("You may only promote a direct child of the master {}. The master of {} is {}.",
                              primary.key.text(), designated.key.text(),
                              designated.upstream ? designated.upstream->text() : "not known"));
}

Result<const Instance*> graceful_takeover_target(const View& view, const Cluster& cluster,
                                                 const std::string& hint,
                                                 const std::optional<InstanceKey>& designated, bool choose) {
    const auto primary = only_primary(cluster, hint);
    if (!primary) return std::unexpected(primary.error());
    const auto target = choose_designated(cluster, **primary, designated, choose);
    if (!target) return target;
    if (const auto fit = check_fitness(view, **target); !fit) return std::unexpected(fit.error());
    return target;
}

}  // namespace baton::http::v1
