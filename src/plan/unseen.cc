// A manager that was started when the primary was out of sight knows it by its standbys only.

#include <fmt/format.h>

#include <algorithm>

#include "analysis/synchronous.h"
#include "analysis/wording.h"
#include "base/defect.h"
#include "plan/question.h"

namespace baton::plan {

using topology::Ancestry;

/// A sender notices within wal_sender_timeout, which is seldom shorter, that its receiver is gone.
constexpr seconds primary_moves_on_after{5};

/// Where this manager never saw the primary, another one may have replaced it long ago: one that was seen to
/// lead on a timeline that is not older than the standbys', or one that lives and lets nobody look. One that
/// leads on an older timeline was itself replaced; one that gives no sign of life is as likely dead as the
/// primary.
Objection another_may_lead(const Question& q, const Instance&) {
    if (q.failed && q.failed->seen) return std::nullopt;
    for (const auto& other : q.cluster.instances) {
        if (other->known_as(q.failed_key)) continue;
        if (other->seen && other->is_primary() && other->seen->timeline >= q.timeline) {
            return fmt::format(
                "this manager never saw {}, and {} leads on timeline {}: it may have replaced it; name the "
                "right one to recover",
                q.failed_key.text(), other->key.text(), other->seen->timeline);
        }
        if (!other->seen && topology::known_alive(other->health.reach)) {
            return fmt::format(
                "this manager never saw {}, and {} lives and cannot be looked at ({}): it may have replaced "
                "it; name the right one to recover",
                q.failed_key.text(), other->key.text(), topology::to_string(other->health.reach));
        }
    }
    return std::nullopt;
}

/// Where this manager never saw the primary, its standbys must tell its timeline, and of two branches only
/// one can have been its: a standby that was promoted by mistake once has the higher number.
Objection standbys_disagree(const Question& q, const Instance&) {
    if ((q.failed && q.failed->seen) || q.timeline == 0 || defect("ignore-timeline")) return std::nullopt;
    for (const auto& other : q.cluster.instances) {
        if (other->known_as(q.failed_key) || !answers(*other) || !other->is_standby()) continue;
        const auto how = ancestry(other->seen->timeline, other->seen->end_of_records(), q.timeline,
                                  q.cluster.history.get());
        if (how == Ancestry::same || how == Ancestry::behind) continue;
        return fmt::format(
            "this manager never saw {}, and its standbys are on different branches: {} is at {} on "
            "timeline {}, others are on timeline {}; name the right one to recover",
            q.failed_key.text(), other->key.text(), other->seen->end_of_records().text(),
            other->seen->timeline, q.timeline);
    }
    return std::nullopt;
}

/// A manager that was restarted while the primary was out of sight does not know whose confirmation its
/// commits waited for. The same setting on another server says that they may have; then each commit is sure
/// to be on one that is left only when nobody is missing.
Objection unseen_synchronous(const Question& q, const Instance&) {
    if (q.failed && q.failed->seen) return std::nullopt;
    if (defect("ignore-synchronous-proof")) return std::nullopt;
    const auto& all = q.cluster.instances;
    const auto hint = std::ranges::find_if(
        all, [](const auto& i) { return i->seen && analysis::waits_for_standbys(i->seen->settings); });
    const auto missing =
        std::ranges::find_if(all, [&](const auto& i) { return !i->known_as(q.failed_key) && !answers(*i); });
    if (hint == all.end() || missing == all.end()) return std::nullopt;
    return fmt::format(
        "commits of {} may have waited for standbys ('{}' is set on {}), this manager has not seen "
        "for which, and {} does not answer",
        q.failed_key.text(), (*hint)->seen->settings.synchronous_standby_names, (*hint)->key.text(),
        (*missing)->key.text());
}

/// After a loss of power everywhere the primary may just take longer to come back. What it had confirmed
/// without waiting for anybody, and sent to nobody, cannot be known. Where agents start servers again it is
/// waited for.
Objection nobody_met_it(const Question& q, const Instance& i) {
    if ((q.failed && q.failed->seen) || !i.host) return std::nullopt;
    const auto* host = q.failed && q.failed->host ? &*q.failed->host : nullptr;
    if (host != nullptr && host->connected && host->state == topology::ServerState::no_data)
        return std::nullopt;
    const bool known = std::ranges::any_of(q.cluster.instances, [&](const auto& other) {
        return other->seen && (analysis::waits_for_standbys(other->seen->settings) ||
                               (answers(*other) && other->is_standby() && other->seen->received_since_start));
    });
    if (known) return std::nullopt;
    return fmt::format(
        "this manager never saw {}, no standby has met it since it was started itself, and commits waited "
        "for nobody: what would be lost is not known; {} is waited for, unless an operator forces it",
        q.failed_key.text(), q.failed_key.text());
}

namespace {

/// A primary that falls silent leaves a receiver in place until wal_receiver_timeout (0: for ever), or until
/// we make it reconnect. One that ended sooner was ended by its sender or by hand: a primary that lives knows
/// it.
bool ended_of_itself(const Question& q, const Instance& i) {
    const auto& health = q.failed->health;
    const bool may_live = health.reach == topology::Reach::silent ||
                          health.reach == topology::Reach::unresponsive ||
                          health.reach == topology::Reach::unreachable;
    const bool ours =
        i.streamed_until && i.testimony_held_until && *i.testimony_held_until >= *i.streamed_until;
    const milliseconds timeout(i.seen->settings.wal_receiver_timeout_ms);
    const auto heard = std::max(health.last_answer, i.last_message.value_or(MonoTime{}));
    return may_live && !ours && (timeout.count() == 0 || *i.stopped_by - heard < timeout);
}

}  // namespace

/// A primary with FIRST goes on with the next standby when it has lost the first one. Where this manager did
/// not see when the candidate lost it, that may have been long before the primary died, unless everybody who
/// could have been next is there to be compared.
Objection lost_out_of_sight(const Question& q, const Instance& i) {
    if (!q.failed || !q.failed->seen || !i.stopped_by) return std::nullopt;
    const auto& settings = q.failed->seen->settings;
    const auto rule = analysis::parse_synchronous_standby_names(settings.synchronous_standby_names);
    // One that this process never saw streaming may have lost it at any time before.
    const auto unwatched = i.streamed_until ? *i.stopped_by - *i.streamed_until : Duration::max();
    const bool late = unwatched >= primary_moves_on_after;
    if (!rule || rule->any || !analysis::waits_for_standbys(settings) || (!late && !ended_of_itself(q, i)))
        return std::nullopt;
    const auto& all = q.cluster.instances;
    const auto missing = std::ranges::find_if(all, [&](const auto& other) {
        // At once it goes on only with one that streamed already.
        return !other->known_as(q.failed_key) && !answers(*other) &&
               rule->matches(analysis::standby_name(*other)) && (late || analysis::listed(*q.failed, *other));
    });
    if (missing == all.end()) return std::nullopt;
    return fmt::format(
        "it lost {} while this manager did not see it{}; commits may have waited for {} since then, which "
        "does not answer ('{}')",
        q.failed_key.text(), i.streamed_until ? " for " + analysis::duration_text(unwatched) : std::string(),
        (*missing)->key.text(), settings.synchronous_standby_names);
}

/// Who confirms commits changes. One that the primary had no more when it was last seen may have confirmed
/// what those that are left never got, if they had lost the primary before it did: it had more than `kept`
/// when it last answered.
Objection missing_had_more(const Question& q, Lsn kept) {
    if (!q.failed || !q.failed->seen || defect("ignore-synchronous-proof")) return std::nullopt;
    const auto& settings = q.failed->seen->settings;
    const auto rule = analysis::parse_synchronous_standby_names(settings.synchronous_standby_names);
    if (!rule || !analysis::waits_for_standbys(settings)) return std::nullopt;
    const auto& all = q.cluster.instances;
    const auto missing = std::ranges::find_if(all, [&](const auto& other) {
        if (other->known_as(q.failed_key) || answers(*other) || !other->seen || !other->is_standby())
            return false;
        return rule->matches(analysis::standby_name(*other)) && !analysis::listed(*q.failed, *other) &&
               other->seen->timeline == q.timeline && other->seen->end_of_records() > kept;
    });
    if (missing == all.end()) return std::nullopt;
    return fmt::format("{} does not answer, had {} more when it last did, and may have confirmed it ('{}')",
                       (*missing)->key.text(),
                       analysis::bytes_text(topology::bytes_ahead((*missing)->seen->end_of_records(), kept)),
                       settings.synchronous_standby_names);
}

}  // namespace baton::plan
