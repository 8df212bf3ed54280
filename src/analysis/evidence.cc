#include "analysis/evidence.h"

#include <algorithm>

#include "base/defect.h"

namespace baton::analysis {

using topology::Ancestry;
using topology::Reach;

Testimony testimony(const Instance& standby, const Instance& primary) {
    if (!standby.health.ok() || !standby.seen || !standby.seen->can_see_all) return Testimony::unheard;
    const auto& seen = *standby.seen;
    if (primary.health.suspect_since && seen.asked_at < *primary.health.suspect_since)
        return Testimony::unheard;
    const bool elsewhere = standby.upstream && !primary.known_as(*standby.upstream);
    const bool held = standby.testimony_held_until && seen.asked_at < *standby.testimony_held_until;
    if (elsewhere) return Testimony::agrees;
    if (!seen.receiving())
        return held && !defect("count-own-interruption") ? Testimony::undecided : Testimony::agrees;
    const auto age = seen.receiver->last_message_age;
    if (age && seen.answered_at - *age > primary.health.attempt_began) return Testimony::vetoes;
    return defect("skip-receiver-check") ? Testimony::agrees : Testimony::undecided;
}

namespace {

void count_testimony(Counts& counts, Testimony testimony) {
    switch (testimony) {
        case Testimony::agrees:
            ++counts.agree;
            break;
        case Testimony::vetoes:
            ++counts.veto;
            break;
        case Testimony::undecided:
            ++counts.undecided;
            break;
        case Testimony::unheard:
            ++counts.unheard;
            break;
    }
}

/// Its old session broke, or it was never tried, and no new connection has told more: it may answer in a
/// moment, and what it says may be a veto. It counts as one that can be asked until that is known.
bool may_still_answer(const Instance& i) {
    return !i.health.ok() && !i.health.confirmed;
}

}  // namespace

Counts count(const Instance& self, const Replicas& replicas, const Policy& policy) {
    Counts counts;
    counts.replicas = static_cast<int>(replicas.size());
    for (const auto* r : replicas) {
        const bool valid = r->health.ok();
        counts.valid += valid || may_still_answer(*r);
        counts.replicating += r->replicating();
        counts.failing_to_connect += valid && r->seen && !r->seen->receiving();
        counts.downtimed += r->downtime.has_value();
        counts.lagging += r->lag.seconds.value_or(0) > policy.reasonable_lag_seconds;
        counts.delayed += r->seen && r->seen->settings.recovery_min_apply_delay_ms > 0;
        count_testimony(counts, testimony(*r, self));
    }
    return counts;
}

bool still_starting(const Instance& instance, const Policy& policy, MonoTime now) {
    if (defect("starting-is-dead")) return false;
    const auto& h = instance.health;
    return h.reach == Reach::starting &&
           (!h.suspect_since || now - *h.suspect_since <= policy.primary_start_timeout);
}

bool not_reachable(const Instance& instance, const Policy& policy, MonoTime now) {
    if (instance.kept_down()) return true;
    const auto& h = instance.health;
    if (h.reach == Reach::starting) return h.confirmed && !still_starting(instance, policy, now);
    if (h.reach == Reach::unknown || known_alive(h.reach)) return false;
    return h.confirmed;
}

bool lives_by_agent(const Instance& instance, const Policy& policy, MonoTime now) {
    using topology::ServerState;
    if (!instance.host || !instance.host->connected) return false;
    const auto state = instance.host->state;
    if (state == ServerState::running) return true;
    const bool between = state == ServerState::starting || state == ServerState::stopping;
    return between && now - instance.host->state_since <= policy.primary_start_timeout;
}

bool dead_by_agent(const Situation& s) {
    if (!s.self.kept_down() || s.counts.valid == 0) return false;
    return s.counts.agree == s.counts.valid ||
           s.now - s.self.host->state_since >= topology::receivers_end_within;
}

namespace {

/// Its agent has ended its postmaster and cannot say yet that nothing is left: it sends no more.
bool is_being_ended(const Instance& instance) {
    return instance.host && instance.host->connected &&
           instance.host->state == topology::ServerState::stopping && !instance.health.ok();
}

}  // namespace

std::string unfit(const Instance& standby, const Situation& s, topology::DiskHealth trouble_of_primary) {
    if (!standby.health.ok() || !standby.seen) return "does not answer";
    if (!receives(standby, s.policy, s.now) && !is_being_ended(s.self)) return "does not receive";
    if (standby.seen->settings.recovery_min_apply_delay_ms > 0) return "is delayed";
    if (standby.promotion_rule == topology::PromotionRule::must_not) return "must not be promoted";
    if (standby.downtime) return "is downtimed";
    if (!standby.host) return {};
    const auto& host = *standby.host;
    if (!host.quarantine.empty()) return "is quarantined";
    if (!host.connected) return {};
    if (host.job) return "is being rebuilt (" + host.job->verb + ")";
    if (host.hold != topology::Hold::none) return "is held by its agent";
    if (const auto* disk = host.bad_disk(); disk != nullptr)
        return "has a disk in trouble itself (" + std::string(to_string(disk->health)) + ")";
    const auto* fullest = host.fullest_disk();
    const bool as_full = fullest != nullptr && s.policy.disk_critical_percent > 0 &&
                         fullest->used_percent() >= s.policy.disk_critical_percent;
    if (trouble_of_primary == topology::DiskHealth::full && as_full) return "is nearly as full";
    return {};
}

bool receives(const Instance& standby, const Policy& policy, MonoTime now) {
    if (!standby.health.ok() && standby.health.confirmed) return false;
    if (standby.seen && standby.seen->receiving()) return true;
    return standby.streamed_until && now - *standby.streamed_until <= policy.receiver_grace;
}

Replicas not_receiving(const Situation& s) {
    Replicas silent;
    for (const auto* r : s.replicas) {
        if (!receives(*r, s.policy, s.now)) silent.push_back(r);
    }
    return silent;
}

namespace {

/// Of one that never answered this process the standbys below it tell: they are on its timeline, or on an
/// earlier one, unless one has diverged.
topology::Timeline timeline_of(const Cluster& cluster, const Instance& primary) {
    if (primary.seen) return primary.seen->timeline;
    topology::Timeline newest = 0;
    for (const auto* standby : cluster.replicas_of(primary.key)) {
        if (standby->seen) newest = std::max(newest, standby->seen->timeline);
    }
    return newest;
}

}  // namespace

const Instance* successor_of(const Cluster& cluster, const Instance& former) {
    const auto timeline = timeline_of(cluster, former);
    const Instance* best = nullptr;
    for (const auto* other : cluster.primaries()) {
        if (other == &former || !other->seen || other->seen->timeline <= timeline) continue;
        if (best == nullptr || topology::leads_before(*other, *best)) best = other;
    }
    return best;
}

namespace {

bool descends(const Cluster& cluster, const Instance& elder, const Instance& younger) {
    const auto* history = cluster.history.get();
    if (history == nullptr || history->timeline != younger.seen->timeline) return true;
    return history->left_at(elder.seen->timeline).has_value();
}

bool answering_primary(const Instance& i) {
    return i.health.ok() && i.is_primary() && i.seen;
}

}  // namespace

const Instance* rival_of(const Cluster& cluster, const Instance& self) {
    if (!answering_primary(self)) return nullptr;
    for (const auto* other : cluster.primaries()) {
        if (other == &self || !answering_primary(*other)) continue;
        const auto mine = self.seen->timeline;
        const auto theirs = other->seen->timeline;
        const bool related = mine < theirs   ? descends(cluster, self, *other)
                             : theirs < mine ? descends(cluster, *other, self)
                                             : false;
        if (!related) return other;
    }
    return nullptr;
}

Ancestry ancestry_of(const Situation& s) {
    if (s.lead == nullptr || !s.lead->seen || !s.self.seen) return Ancestry::unknown;
    return s.cluster.ancestry_of(s.self, *s.lead);
}

std::string names_of(const Replicas& instances) {
    std::string text;
    for (const auto* i : instances)
        text += (text.empty() ? "" : ", ") + i->key.text();
    return text;
}

}  // namespace baton::analysis
