// Who is promoted. First a table of objections, each with its reason and with what can lift it; then an order
// among those against whom nothing is left. WAL that somebody received outranks every preference: a preferred
// candidate that is behind streams the rest from the most advanced one before it is promoted.

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <tuple>

#include "analysis/synchronous.h"
#include "analysis/wording.h"
#include "base/defect.h"
#include "plan/question.h"

namespace baton::plan {
namespace {

using analysis::bytes_text;
using analysis::duration_text;
using topology::Ancestry;
using topology::PromotionRule;
using topology::Reach;
using topology::Timeline;

Objection unreachable(const Question& q, const Instance& i) {
    if (i.health.reach == Reach::not_permitted) return std::nullopt;
    if (!i.health.ok() || !i.seen) {
        return fmt::format("it does not answer ({})", topology::to_string(i.health.reach));
    }
    if (q.suspected() && i.seen->asked_at < *q.suspected()) {
        return "it has not answered since " + q.failed_key.text() + " became suspect";
    }
    return std::nullopt;
}

Objection not_permitted(const Question&, const Instance& i) {
    if (i.health.reach != Reach::not_permitted) return std::nullopt;
    return i.health.error ? i.health.error->message : "it does not let the manager in";
}

Objection not_a_standby(const Question&, const Instance& i) {
    if (i.seen->role == topology::Role::standby) return std::nullopt;
    return "it is not in recovery";
}

Objection foreign_system(const Question& q, const Instance& i) {
    if (i.seen->system_identifier == q.cluster.id) return std::nullopt;
    return fmt::format("its system identifier is {}, the cluster's is {}", i.seen->system_identifier,
                       q.cluster.id);
}

Ancestry standing_of(const Question& q, const Instance& i) {
    if (q.timeline == 0 || defect("ignore-timeline")) return Ancestry::same;
    const auto* history = q.cluster.history.get();
    const auto how = ancestry(i.seen->timeline, i.seen->received, q.timeline, history);
    // Two servers that were promoted apart have branches of one number (scenario 75).
    const bool other = how == Ancestry::same && topology::same_number_other_branch(i.history.get(), history);
    return other ? Ancestry::foreign : how;
}

/// It stayed where the failed primary was promoted, and is not past that point. Where nobody could read the
/// history, the last known position of the failed primary stands for the point: it is not before it.
bool left_at_the_fork(const Question& q, const Instance& i) {
    if (!q.nobody_followed || i.seen->timeline == 0 || i.seen->timeline >= q.timeline) return false;
    const auto end = i.seen->end_of_records();
    const auto how = ancestry(i.seen->timeline, end, q.timeline, q.cluster.history.get());
    if (how != Ancestry::unknown) return how == Ancestry::behind;
    return i.seen->timeline + 1 == q.timeline && end <= q.last_known;
}

/// Nobody has told it to follow the failed primary yet: it still names the one that was primary before.
bool names_the_one_before(const Question& q, const Instance& i) {
    const auto* upstream = i.upstream ? q.cluster.find(*i.upstream) : nullptr;
    return left_at_the_fork(q, i) && upstream != nullptr && upstream->is_primary() && upstream->seen &&
           upstream->seen->timeline == i.seen->timeline;
}

Objection outside_the_tree(const Question& q, const Instance& i) {
    if (q.cluster.is_below(i.key, q.failed_key) || names_the_one_before(q, i)) return std::nullopt;
    return "it does not replicate from " + q.failed_key.text() +
           (i.upstream ? " but from " + i.upstream->text() : std::string(" nor from anybody"));
}

Objection diverged(const Question& q, const Instance& i) {
    if (standing_of(q, i) != Ancestry::diverged || left_at_the_fork(q, i)) return std::nullopt;
    return fmt::format("it is at {} on timeline {}, past the fork to timeline {}", i.seen->received.text(),
                       i.seen->timeline, q.timeline);
}

Objection foreign_timeline(const Question& q, const Instance& i) {
    if (standing_of(q, i) == Ancestry::same || left_at_the_fork(q, i)) return std::nullopt;
    if (i.seen->timeline == q.timeline)
        return fmt::format("it is on another branch of timeline {}", q.timeline);
    return fmt::format("it is on timeline {}, {} was on {}", i.seen->timeline, q.failed_key.text(),
                       q.timeline);
}

Objection half_copied(const Question& q, const Instance& i) {
    if (!i.seen->half_copied) return std::nullopt;
    return fmt::format(
        "it was going over to timeline {} and has copied its WAL up to {} only, short of {}: promoted now, "
        "PostgreSQL would stop there for good; it gets the rest when {} or another server of that timeline "
        "is back",
        i.seen->timeline, i.seen->half_copied->text(), i.seen->replayed.text(), q.failed_key.text());
}

Objection replay_paused(const Question&, const Instance& i) {
    if (!i.seen->replay_paused || defect("promote-paused")) return std::nullopt;
    return fmt::format("somebody paused its replay, {} are received and not replayed",
                       bytes_text(topology::bytes_ahead(i.seen->received, i.seen->replayed)));
}

Objection delayed(const Question&, const Instance& i) {
    const auto delay = i.seen->settings.recovery_min_apply_delay_ms;
    if (delay <= 0 || defect("promote-delayed-replica")) return std::nullopt;
    return "recovery_min_apply_delay is " + duration_text(milliseconds(delay));
}

Objection must_not(const Question&, const Instance& i) {
    if (i.promotion_rule != PromotionRule::must_not || defect("promote-must-not")) return std::nullopt;
    return "its promotion rule is must_not";
}

Objection ignored_by_filter(const Question& q, const Instance& i) {
    if (!q.policy.ignored_for_promotion || !q.policy.ignored_for_promotion(i.key)) return std::nullopt;
    return "its name matches PromotionIgnoreHostnameFilters";
}

Objection period(const std::optional<topology::Downtime>& entry, std::string_view what) {
    if (!entry) return std::nullopt;
    return fmt::format("{} by {}: {}", what, entry->owner, entry->reason);
}

Objection downtimed(const Question&, const Instance& i) {
    return period(i.downtime, "downtimed");
}
Objection in_maintenance(const Question&, const Instance& i) {
    return period(i.maintenance, "in maintenance");
}

Objection slot_wal_lost(const Question& q, const Instance& i) {
    const auto& name = i.seen->settings.primary_slot_name;
    if (name.empty() || i.seen->receiving() || !q.failed || !q.failed->seen) return std::nullopt;
    const auto lost = [&](const topology::Slot& s) { return s.name == name && s.wal_status == "lost"; };
    if (std::ranges::none_of(q.failed->seen->slots, lost)) return std::nullopt;
    // It has all that was written when the slot was seen to be lost: it needs nothing of what went.
    if (i.seen->received >= q.last_known) return std::nullopt;
    return fmt::format("its slot {} on {} had lost WAL that it still needs", name, q.failed_key.text());
}

/// For a standby that this process never saw streaming, perhaps because it was started a moment ago. It had
/// been apart for at least as long as it was watched in vain, and for no longer than since the last
/// transaction that it replayed was committed.
Objection never_seen_streaming(const Question& q, const Instance& i) {
    const auto suspected = q.suspected().value_or(q.now);
    const auto age = i.seen->last_replayed_age;
    const bool answered = q.failed && q.failed->health.last_answer != MonoTime{};
    const bool in_vain = i.stopped_by && suspected - *i.stopped_by > q.policy.maximum_disconnected;
    if (answered && (in_vain || !age))
        return fmt::format("it was not streaming from {} while that answered", q.failed_key.text());
    const auto allowed = q.policy.maximum_disconnected + (q.now - suspected);
    if (!age || *age <= allowed) return std::nullopt;
    return fmt::format("nobody saw it streaming, and the last transaction that it replayed is {} old",
                       duration_text(*age));
}

Objection disconnected_too_long(const Question& q, const Instance& i) {
    if (q.policy.maximum_disconnected <= Duration{} || i.seen->receiving()) return std::nullopt;
    if (!i.streamed_until) return never_seen_streaming(q, i);
    const auto gap = q.suspected().value_or(q.now) - *i.streamed_until;
    if (gap <= q.policy.maximum_disconnected) return std::nullopt;
    return fmt::format("it had not been streaming for {} before the failure; {} is allowed",
                       duration_text(gap), duration_text(q.policy.maximum_disconnected));
}

bool synchronous(const Question& q) {
    if (defect("ignore-synchronous-proof")) return false;
    return q.failed && q.failed->seen && analysis::waits_for_standbys(q.failed->seen->settings);
}

/// Nobody confirmed a commit of the failed primary: nobody was seen to, and nobody is out of sight who may
/// have.
bool acknowledged_nothing(const Question& q) {
    const auto& senders = q.failed->seen->senders;
    const bool confirmed = std::ranges::any_of(
        senders, [](const auto& s) { return s.sync_state == "sync" || s.sync_state == "quorum"; });
    return !confirmed && std::ranges::all_of(q.cluster.instances, [&](const auto& i) {
        return i->known_as(q.failed_key) || i->health.proven_dead() || answers(*i);
    });
}

/// Commits waited for it before the promotion, too, and it has all up to there (with ANY and some others they
/// may not have waited for this one), or they waited for nobody. Where nobody could read the history, the
/// last known position of the failed one stands for the fork, which is not past it.
bool held_all_before_the_fork(const Question& q, const Instance& i) {
    const auto* history = q.cluster.history.get();
    const auto fork = (history ? history->left_at(i.seen->timeline) : std::nullopt).value_or(q.last_known);
    return std::ranges::any_of(q.cluster.primaries(), [&](const Instance* p) {
        if (p->known_as(q.failed_key) || !p->seen || p->seen->timeline != i.seen->timeline) return false;
        const bool waited = analysis::waits_for_standbys(p->seen->settings);
        return !waited || (analysis::listed_as_synchronous(*p, i) && i.seen->received >= fork);
    });
}

Objection not_synchronous(const Question& q, const Instance& i) {
    if (!synchronous(q) || analysis::listed_as_synchronous(*q.failed, i)) return std::nullopt;
    if (left_at_the_fork(q, i) && acknowledged_nothing(q) && held_all_before_the_fork(q, i))
        return std::nullopt;
    return fmt::format("commits of {} waited for '{}', and it was not among the synchronous ones",
                       q.failed_key.text(), q.failed->seen->settings.synchronous_standby_names);
}

Objection differs(bool prevented, const std::string& here, const std::string& there, std::string_view what) {
    if (!prevented || here.empty() || there.empty() || here == there) return std::nullopt;
    return fmt::format("it is in {} {}, the failed primary was in {}", what, there, here);
}

Objection other_data_center(const Question& q, const Instance& i) {
    if (!q.failed) return std::nullopt;
    return differs(q.policy.prevent_cross_data_center, q.failed->data_center, i.data_center, "data centre");
}

Objection other_region(const Question& q, const Instance& i) {
    if (!q.failed) return std::nullopt;
    return differs(q.policy.prevent_cross_region, q.failed->region, i.region, "region");
}

Objection older_major_version(const Question& q, const Instance& i) {
    int newest = q.failed ? major_version(*q.failed) : 0;
    for (const auto& other : q.cluster.instances)
        newest = std::max(newest, major_version(*other));
    if (major_version(i) >= newest) return std::nullopt;
    return fmt::format("its major version is {}, others have {}", major_version(i), newest);
}

/// What lifts an objection. Those against facts stand whatever the operator says.
enum class Lifted : uint8_t { never, by_force, by_request };

struct Check {
    Rejection reason;
    Lifted lifted;
    Objection (*objection)(const Question&, const Instance&);
};

// Those of the agents need no look at the server. The next ones make sure that `seen` is there and means
// something for those after them.
constexpr std::array checks{
    Check{Rejection::quarantined, Lifted::never, quarantined},
    Check{Rejection::being_rebuilt, Lifted::never, being_rebuilt},
    Check{Rejection::not_permitted, Lifted::never, not_permitted},
    Check{Rejection::unreachable, Lifted::never, unreachable},
    Check{Rejection::not_a_standby, Lifted::never, not_a_standby},
    Check{Rejection::foreign_system, Lifted::never, foreign_system},
    Check{Rejection::other_upstream, Lifted::never, outside_the_tree},
    Check{Rejection::another_may_lead, Lifted::by_force, another_may_lead},
    Check{Rejection::foreign_timeline, Lifted::by_force, standbys_disagree},
    Check{Rejection::diverged, Lifted::never, diverged},
    Check{Rejection::half_copied, Lifted::never, half_copied},
    Check{Rejection::foreign_timeline, Lifted::by_force, foreign_timeline},
    Check{Rejection::older_major_version, Lifted::never, older_major_version},
    Check{Rejection::held, Lifted::by_force, held},
    Check{Rejection::disk_trouble, Lifted::by_force, disk_trouble},
    Check{Rejection::must_not, Lifted::by_force, must_not},
    Check{Rejection::ignored_by_filter, Lifted::by_force, ignored_by_filter},
    Check{Rejection::in_maintenance, Lifted::by_force, in_maintenance},
    Check{Rejection::downtimed, Lifted::by_force, downtimed},
    Check{Rejection::replay_paused, Lifted::by_request, replay_paused},
    Check{Rejection::delayed, Lifted::by_force, delayed},
    Check{Rejection::slot_wal_lost, Lifted::by_force, slot_wal_lost},
    Check{Rejection::disconnected_too_long, Lifted::by_force, disconnected_too_long},
    Check{Rejection::not_synchronous, Lifted::by_force, not_synchronous},
    Check{Rejection::not_synchronous, Lifted::by_force, lost_out_of_sight},
    Check{Rejection::not_synchronous, Lifted::by_force, unseen_synchronous},
    Check{Rejection::disconnected_too_long, Lifted::by_force, nobody_met_it},
    Check{Rejection::other_data_center, Lifted::by_force, other_data_center},
    Check{Rejection::other_region, Lifted::by_force, other_region},
};

struct Verdict {
    const Instance* instance = nullptr;
    std::optional<Rejected> rejected;
    bool can_donate = false;          ///< its WAL is good, whatever else is held against it
    std::vector<std::string> lifted;  ///< objections that were set aside
};

bool lifts(const Question& q, const Instance& i, Lifted by) {
    if (by == Lifted::never) return false;
    return q.forced || (by == Lifted::by_request && q.is_requested(i));
}

Verdict judge(const Question& q, const Instance& i) {
    Verdict verdict{.instance = &i};
    for (const auto& check : checks) {
        const auto objection = check.objection(q, i);
        if (!objection) continue;
        if (lifts(q, i, check.lifted)) {
            verdict.lifted.push_back(*objection);
            continue;
        }
        verdict.rejected = Rejected{i.key, check.reason, *objection};
        break;
    }
    const auto reason = verdict.rejected ? verdict.rejected->reason : Rejection::must_not;
    const bool about_its_wal = std::ranges::any_of(checks, [&](const Check& c) {
        return verdict.rejected && c.reason == reason && c.lifted == Lifted::never;
    });
    verdict.can_donate = !about_its_wal && reason != Rejection::foreign_timeline &&
                         (standing_of(q, i) == Ancestry::same || left_at_the_fork(q, i));
    return verdict;
}

bool direct(const Question& q, const Instance& i) {
    return i.upstream && q.failed_key == *i.upstream;
}

/// The order after WAL. Smaller is better.
auto preference(const Question& q, const Instance& i, int oldest_version) {
    const auto differ = [&](std::string Instance::* where) {
        return q.failed != nullptr && i.*where != q.failed->*where;
    };
    return std::tuple(i.promotion_rule, differ(&Instance::data_center), differ(&Instance::region),
                      i.seen->version_num > oldest_version, i.key);
}

int oldest_version(const Question& q) {
    int oldest = INT32_MAX;
    for (const auto& i : q.cluster.instances) {
        if (answers(*i) && !i->known_as(q.failed_key)) oldest = std::min(oldest, i->seen->version_num);
    }
    return oldest;
}

using Eligible = std::vector<const Instance*>;

const Instance* most_advanced(const Question& q, const Eligible& eligible) {
    const auto oldest = oldest_version(q);
    return *std::ranges::min_element(eligible, {}, [&](const Instance* i) {
        const auto at = defect("count-replayed-instead-of-received") ? i->seen->replayed : i->seen->received;
        return std::tuple(~at.value, preference(q, *i, oldest));
    });
}

const Instance* pick(const Question& q, const Eligible& eligible) {
    const auto* by_wal = most_advanced(q, eligible);
    Eligible best_rule;
    const auto rule = std::ranges::min(eligible, {}, &Instance::promotion_rule)->promotion_rule;
    std::ranges::copy_if(eligible, std::back_inserter(best_rule),
                         [&](const Instance* i) { return i->promotion_rule == rule; });
    return rule < by_wal->promotion_rule ? most_advanced(q, best_rule) : by_wal;
}

void reject(Choice& choice, const Instance& i, Rejection reason, std::string detail) {
    choice.rejected.push_back({i.key, reason, std::move(detail)});
}

/// Takes those out of `eligible` that something about the whole speaks against.
void reject_by_comparison(const Question& q, Eligible& eligible, Lsn reachable, Choice& choice) {
    const auto drop_where = [&](auto speaks_against, Rejection reason, auto detail) {
        std::erase_if(eligible, [&](const Instance* i) {
            if (!speaks_against(*i)) return false;
            reject(choice, *i, reason, detail(*i));
            return true;
        });
    };
    if (q.requested) {
        drop_where([&](const Instance& i) { return !q.is_requested(i); }, Rejection::not_requested,
                   [&](const Instance&) { return "the operator asked for " + q.requested->text(); });
    }
    const auto is_direct = [&](const Instance* i) { return direct(q, *i); };
    if (!q.requested && std::ranges::any_of(eligible, is_direct)) {
        drop_where([&](const Instance& i) { return !direct(q, i); }, Rejection::other_upstream,
                   [&](const Instance& i) {
                       return fmt::format("it streams from {}; a direct standby of {} is there",
                                          i.upstream->text(), q.failed_key.text());
                   });
    }
    const auto behind = topology::bytes_ahead(q.last_known, reachable);
    if (q.policy.maximum_lag_bytes > 0 && !q.forced && behind > q.policy.maximum_lag_bytes) {
        drop_where([](const Instance&) { return true; }, Rejection::too_far_behind,
                   [&](const Instance& i) {
                       return fmt::format("it is {} behind the last known position of {}, {} are allowed",
                                          bytes_text(topology::bytes_ahead(q.last_known, i.seen->received)),
                                          q.failed_key.text(), bytes_text(q.policy.maximum_lag_bytes));
                   });
    }
}

/// What decided between two of whom neither lacks WAL that the other has, or a better rule won.
std::string deciding_preference(const Question& q, const Instance& chosen, const Instance& loser) {
    const auto name = chosen.key.text();
    if (chosen.promotion_rule != loser.promotion_rule) {
        return fmt::format("its promotion rule is {}, that of {} is {}", to_string(loser.promotion_rule),
                           name, to_string(chosen.promotion_rule));
    }
    const auto nearer = [&](std::string Instance::* where) {
        return q.failed != nullptr && chosen.*where == q.failed->*where && loser.*where != q.failed->*where;
    };
    if (nearer(&Instance::data_center)) return name + " is in the data centre of the failed primary";
    if (nearer(&Instance::region)) return name + " is in the region of the failed primary";
    if (loser.seen->version_num > chosen.seen->version_num) {
        return fmt::format("its version {} is newer than {} of {}", loser.seen->version, chosen.seen->version,
                           name);
    }
    return name + " is as good and comes first by name";
}

void reject_losers(const Question& q, const Eligible& eligible, const Instance& chosen, Choice& choice) {
    for (const auto* i : eligible) {
        if (i == &chosen) continue;
        const auto missing = topology::bytes_ahead(chosen.seen->received, i->seen->received);
        if (missing > 0) {
            reject(choice, *i, Rejection::less_advanced,
                   fmt::format("it has {} less WAL than {}", bytes_text(missing), chosen.key.text()));
        } else {
            reject(choice, *i, Rejection::lower_preference, deciding_preference(q, chosen, *i));
        }
    }
}

/// ANY k of m: only when at most k - 1 members are missing is each acknowledged commit sure to be on one that
/// is left.
Objection quorum_doubt(const Question& q, const Eligible& donors) {
    if (!synchronous(q)) return std::nullopt;
    const auto members_left = static_cast<size_t>(std::ranges::count_if(
        donors, [&](const Instance* i) { return analysis::listed_as_synchronous(*q.failed, *i); }));
    const auto rule =
        analysis::parse_synchronous_standby_names(q.failed->seen->settings.synchronous_standby_names);
    const auto members = static_cast<size_t>(
        std::ranges::count(q.failed->seen->senders, "quorum", &topology::Sender::sync_state));
    if (!rule || !rule->any || members_left + static_cast<size_t>(rule->needed) > members)
        return std::nullopt;
    return fmt::format(
        "only {} of the {} members of the quorum are left, so an acknowledged commit may be missing",
        members_left, members);
}

std::string why_chosen(const Question& q, const Instance& chosen, const Choice& choice,
                       const Verdict& verdict) {
    auto text = chosen.key.text();
    if (choice.donor) {
        const auto* donor = q.cluster.find(*choice.donor);
        text +=
            fmt::format(" ({}) first streams the {} that it lacks from {}", to_string(chosen.promotion_rule),
                        bytes_text(topology::bytes_ahead(donor->seen->received, chosen.seen->received)),
                        choice.donor->text());
    } else {
        text += fmt::format(" ({}) has the most WAL, up to {}", to_string(chosen.promotion_rule),
                            chosen.seen->received.text());
    }
    if (q.last_known) {
        text += fmt::format("; {} behind the last known position of {}", bytes_text(choice.bytes_behind),
                            q.failed_key.text());
    }
    if (left_at_the_fork(q, chosen)) {
        text += fmt::format(
            "; it is on timeline {}, and nobody who can be asked followed {} to timeline {}: what {} wrote "
            "there "
            "is given up",
            chosen.seen->timeline, q.failed_key.text(), q.timeline, q.failed_key.text());
    }
    if (q.is_requested(chosen)) text += "; the operator asked for it";
    if (!verdict.lifted.empty()) {
        text += fmt::format("; {} although {}", q.forced ? "forced" : "requested",
                            fmt::join(verdict.lifted, ", "));
    }
    const bool loses =
        q.forced && q.policy.maximum_lag_bytes > 0 && choice.bytes_behind > q.policy.maximum_lag_bytes;
    if (loses) text += fmt::format("; forced past the limit of {}", bytes_text(q.policy.maximum_lag_bytes));
    return text;
}

std::string why_nobody(const Question& q, const Choice& choice) {
    auto text = "nobody can be promoted in place of " + q.failed_key.text();
    if (q.requested && q.cluster.find(*q.requested) == nullptr) {
        return text + ": " + q.requested->text() + ", which was asked for, is not in the cluster";
    }
    if (choice.rejected.empty()) return text + ": it has no standby";
    for (const auto& r : choice.rejected) {
        text += fmt::format("{}{}: {}", &r == &choice.rejected.front() ? ": " : "; ", r.instance.text(),
                            r.detail);
    }
    return text;
}

Question make_question(const Cluster& cluster, const InstanceKey& failed, const Policy& policy,
                       const std::optional<InstanceKey>& requested, bool forced, MonoTime now) {
    Question q{cluster, failed, cluster.find(failed), policy, requested, forced, now};
    if (q.failed && q.failed->seen) {
        q.timeline = q.failed->seen->timeline;
        q.last_known = q.failed->seen->written;
        return q;
    }
    for (const auto& i : cluster.instances) {
        if (!answers(*i) || !i->is_standby()) continue;
        if (forced && q.is_requested(*i)) {
            q.timeline = i->seen->timeline;
            break;
        }
        q.timeline = std::max(q.timeline, i->seen->timeline);
    }
    return q;
}

struct Field {
    std::vector<Verdict> verdicts;
    Eligible eligible;
    Eligible donors;
};

Field judge_all(const Question& q, Choice& choice) {
    Field field;
    for (const auto& i : q.cluster.instances) {
        if (i->known_as(q.failed_key)) continue;
        field.verdicts.push_back(judge(q, *i));
        const auto& verdict = field.verdicts.back();
        if (verdict.can_donate) field.donors.push_back(i.get());
        if (verdict.rejected) {
            choice.rejected.push_back(*verdict.rejected);
        } else {
            field.eligible.push_back(i.get());
        }
    }
    return field;
}

}  // namespace

Choice choose_candidate(const Cluster& cluster, const InstanceKey& failed_name, const Policy& policy,
                        const std::optional<InstanceKey>& requested, bool forced, MonoTime now) {
    const auto* known = cluster.find(failed_name);
    const auto failed = known != nullptr ? known->key : failed_name;
    auto q = make_question(cluster, failed, policy, requested, forced, now);
    Choice choice;
    auto field = judge_all(q, choice);
    // The new timeline of those left at the fork gets the number of the one that it leaves out. If that one's
    // server only hung and came back, no number would tell the two apart: so it must be known to be down.
    if (field.donors.empty() && q.failed && q.failed->seen && (forced || q.failed->proven_dead())) {
        q.nobody_followed = true;
        choice = {};
        field = judge_all(q, choice);
    }
    const Instance* donor = field.donors.empty() ? nullptr : most_advanced(q, field.donors);
    reject_by_comparison(q, field.eligible, donor ? donor->seen->received : Lsn{}, choice);
    if (!field.eligible.empty()) {
        const auto& chosen = *pick(q, field.eligible);
        choice.chosen = chosen.key;
        auto final_position = chosen.seen->received;
        if (donor != nullptr && donor->seen->received > final_position &&
            donor->seen->timeline >= chosen.seen->timeline && !defect("no-catch-up")) {
            choice.donor = donor->key;
            final_position = donor->seen->received;
        }
        choice.bytes_behind = topology::bytes_ahead(q.last_known, final_position);
        reject_losers(q, field.eligible, chosen, choice);
        const auto verdict = std::ranges::find(field.verdicts, &chosen, &Verdict::instance);
        choice.why = why_chosen(q, chosen, choice, *verdict);
        auto doubt = quorum_doubt(q, field.donors);
        if (!doubt) doubt = missing_had_more(q, final_position);
        if (doubt && forced) {
            choice.why += "; " + *doubt;
        } else if (doubt) {
            choice.rejected.push_back({chosen.key, Rejection::not_synchronous, *doubt});
            choice.chosen.reset();
            choice.donor.reset();
        }
    }
    std::ranges::sort(choice.rejected, {}, &Rejected::instance);
    if (!choice.chosen) choice.why = why_nobody(q, choice);
    return choice;
}

}  // namespace baton::plan
