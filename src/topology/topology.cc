#include "topology/topology.h"

#include <algorithm>
#include <tuple>

#include "base/text.h"

namespace baton::topology {

std::string_view to_string(Engine engine) {
    switch (engine) {
        case Engine::unknown:
            return "unknown";
        case Engine::postgresql:
            return "postgresql";
        case Engine::mysql:
            return "mysql";
        case Engine::mariadb:
            return "mariadb";
    }
    return "unknown";
}

std::string_view to_string(Role role) {
    switch (role) {
        case Role::unknown:
            return "unknown";
        case Role::primary:
            return "primary";
        case Role::standby:
            return "standby";
    }
    return "unknown";
}

std::string_view to_string(Reach reach) {
    switch (reach) {
        case Reach::unknown:
            return "unknown";
        case Reach::answering:
            return "answering";
        case Reach::refused:
            return "refused";
        case Reach::silent:
            return "silent";
        case Reach::unresponsive:
            return "unresponsive";
        case Reach::unreachable:
            return "unreachable";
        case Reach::starting:
            return "starting";
        case Reach::too_many_connections:
            return "too-many-connections";
        case Reach::not_permitted:
            return "not-permitted";
        case Reach::failing:
            return "failing";
    }
    return "unknown";
}

std::string_view to_string(PromotionRule rule) {
    switch (rule) {
        case PromotionRule::must:
            return "must";
        case PromotionRule::prefer:
            return "prefer";
        case PromotionRule::neutral:
            return "neutral";
        case PromotionRule::prefer_not:
            return "prefer_not";
        case PromotionRule::must_not:
            return "must_not";
    }
    return "neutral";
}

std::optional<PromotionRule> parse_promotion_rule(std::string_view text) {
    using enum PromotionRule;
    for (const auto rule : {must, prefer, neutral, prefer_not, must_not}) {
        if (text == to_string(rule)) return rule;
    }
    return std::nullopt;
}

bool Instance::known_as(const InstanceKey& other) const {
    return key == other || std::ranges::find(aliases, other) != aliases.end();
}

const Instance* Cluster::find(const InstanceKey& key) const {
    for (const auto& instance : instances) {
        if (instance->known_as(key)) return instance.get();
    }
    return nullptr;
}

bool leads_before(const Instance& a, const Instance& b) {
    const auto rank = [](const Instance& i) {
        return std::tuple(i.seen ? i.seen->timeline : 0, i.health.ok(), !i.downstream.empty());
    };
    return rank(a) > rank(b);
}

const Instance* Cluster::primary() const {
    const Instance* best = nullptr;
    for (const auto& instance : instances) {
        if (!instance->is_primary()) continue;
        if (best == nullptr || leads_before(*instance, *best)) best = instance.get();
    }
    return best;
}

std::vector<const Instance*> Cluster::primaries() const {
    std::vector<const Instance*> found;
    for (const auto& instance : instances) {
        if (instance->is_primary()) found.push_back(instance.get());
    }
    return found;
}

std::vector<const Instance*> Cluster::replicas_of(const InstanceKey& key) const {
    std::vector<const Instance*> found;
    for (const auto& instance : instances) {
        if (instance->is_standby() && instance->upstream == key) found.push_back(instance.get());
    }
    return found;
}

bool Cluster::is_below(const InstanceKey& key, const InstanceKey& ancestor) const {
    const Instance* at = find(key);
    for (size_t hops = 0; at != nullptr && hops <= instances.size(); ++hops) {
        if (at->known_as(ancestor)) return true;
        at = at->upstream && at->is_standby() ? find(*at->upstream) : nullptr;
    }
    return false;
}

namespace {

/// Long enough that their answers, which are of different moments, can be compared.
constexpr seconds apart_for_long{3};

/// A standby that has not streamed for a while and has more WAL than the primary that answers now: wherever
/// it got that, it was not from this primary. All that can be told where no history may be read.
bool has_what_the_primary_never_had(const Instance& standby, const Instance& upstream) {
    if (!upstream.is_primary() || !upstream.health.ok() || standby.seen->receiving()) return false;
    const bool apart =
        !standby.streamed_until || standby.seen->answered_at - *standby.streamed_until > apart_for_long;
    return apart && standby.seen->position() > upstream.seen->position();
}

}  // namespace

Ancestry Cluster::ancestry_of(const Instance& standby, const Instance& upstream) const {
    const auto how = ancestry(standby.seen->timeline, standby.seen->end_of_records(), upstream.seen->timeline,
                              history.get());
    if (how != Ancestry::same) return how;
    if (same_number_other_branch(standby.history.get(), history.get())) return Ancestry::foreign;
    return has_what_the_primary_never_had(standby, upstream) ? Ancestry::diverged : how;
}

ClusterPtr Topology::cluster(const std::string& id) const {
    const auto at = clusters.find(id);
    return at == clusters.end() ? nullptr : at->second;
}

ClusterPtr Topology::find_cluster(const std::string& hint, uint16_t default_port) const {
    if (auto found = cluster(hint)) return found;
    if (const auto at = names.find(hint); at != names.end()) return cluster(at->second);
    const auto key = parse_instance_key(hint, default_port);
    if (!key) return nullptr;
    if (const auto at = cluster_of.find(*key); at != cluster_of.end()) return cluster(at->second);
    if (const auto at = names.find(key->text()); at != names.end()) return cluster(at->second);
    return nullptr;
}

InstancePtr Topology::find_instance(const InstanceKey& key) const {
    const auto at = cluster_of.find(key);
    if (at == cluster_of.end()) return nullptr;
    const auto found = cluster(at->second);
    if (!found) return nullptr;
    for (const auto& instance : found->instances) {
        if (instance->known_as(key)) return instance;
    }
    return nullptr;
}

size_t Topology::instance_count() const {
    size_t count = 0;
    for (const auto& [id, cluster] : clusters)
        count += cluster->instances.size();
    return count;
}

}  // namespace baton::topology
