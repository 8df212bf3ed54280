// A server that was left behind may have WAL that the primary does not have. Whether it has is the first
// question: what is dropped is gone for good.
#include "plan/rejoin.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "analysis/wording.h"
#include "plan/rewire.h"
#include "plan/slots.h"
#include "topology/control_file.h"

namespace baton::plan {
namespace {

using analysis::bytes_text;
using topology::Ancestry;
using topology::Hold;
using topology::ServerState;
using topology::Timeline;

/// A receiver that comes and goes is given this long before its lost slot counts.
constexpr seconds not_streaming_for{10};
/// … and so long a standby on another branch, before it is stopped.
constexpr seconds lost_for{10};

struct Question {
    const Cluster& cluster;
    const Instance& instance;
    const Directory& dir;
    const RejoinWish& wish;
    MonoTime now;
    const Instance& leader;

    std::string name() const { return instance.key.text(); }
};

bool is_damaged(const Question& q) {
    return q.dir.control_state == topology::damaged_directory || q.wish.damaged;
}

Rejoin answer(RejoinWay way, std::string why) {
    Rejoin rejoin;
    rejoin.way = way;
    rejoin.why = std::move(why);
    return rejoin;
}

Rejoin by_hand(Rejoin rejoin, std::string why, std::string allow) {
    rejoin.way = RejoinWay::by_hand;
    rejoin.why = std::move(why);
    rejoin.allow = std::move(allow);
    return rejoin;
}

/// Where and through which slot it will stream.
void lead(const Question& q, const Instance& upstream, Rejoin& rejoin) {
    rejoin.upstream = upstream.key;
    if (uses_slot(q.instance)) {
        rejoin.slot = slot_on(q.instance, upstream, {});
    } else if (q.wish.manage_slots) {
        rejoin.slot = member_slot(q.cluster, q.instance);
    }
}

/// A last look at what the operator said of things that are done without being asked.
Rejoin permitted(const Question& q, Rejoin rejoin) {
    if (q.wish.asked || q.wish.policy != RejoinPolicy::manual) return rejoin;
    return by_hand(rejoin, rejoin.why + "; RejoinPolicy is manual", "baton rejoin " + q.name());
}

Rejoin clone_it(const Question& q, Rejoin rejoin, const std::string& why) {
    const auto* from = q.wish.from ? q.cluster.find(*q.wish.from) : &q.leader;
    if (from == nullptr || !answers(*from))
        return answer(RejoinWay::wait,
                      fmt::format("{} does not answer", q.wish.from.value_or(InstanceKey{}).text()));
    if (from == &q.instance) return answer(RejoinWay::nothing, "it cannot be made anew from itself");
    lead(q, *from, rejoin);
    rejoin.way = RejoinWay::clone;
    rejoin.why = why + ": it is made anew from " + from->key.text();
    const bool allowed = q.wish.anew || q.wish.force || q.wish.policy == RejoinPolicy::automatic;
    if (allowed) return rejoin;
    return by_hand(rejoin, why + ": it must be made anew, and RejoinPolicy does not allow that",
                   "baton reinit " + q.name());
}

/// It has WAL past the fork. `harmless`: none of it is of a commit.
Rejoin drop_the_rest(const Question& q, Rejoin rejoin, bool harmless, const std::string& why) {
    if (!harmless && !q.wish.force && !q.wish.may_drop_writes) {
        return by_hand(rejoin,
                       fmt::format("{}; bringing it back drops {}, which no other server may have", why,
                                   past_the_fork(rejoin)),
                       fmt::format("baton rejoin {} --force", q.name()));
    }
    if (is_damaged(q)) return clone_it(q, rejoin, why + "; its data directory is damaged");
    if (q.wish.rewind_failed) return clone_it(q, rejoin, why + "; it could not be rewound");
    if (!q.dir.rewindable) {
        return clone_it(
            q, rejoin, why + "; it cannot be rewound, since it has neither wal_log_hints nor data checksums");
    }
    lead(q, q.leader, rejoin);
    rejoin.way = RejoinWay::rewind;
    rejoin.why = why;
    return permitted(q, rejoin);
}

Rejoin start_it(const Question& q, Rejoin rejoin, const std::string& why) {
    if (is_damaged(q)) return clone_it(q, rejoin, why + ", and its data directory is damaged");
    lead(q, q.leader, rejoin);
    rejoin.way = RejoinWay::start;
    rejoin.why = why;
    return permitted(q, rejoin);
}

std::optional<Lsn> fork_of(const Question& q, Timeline timeline) {
    const auto& history = q.cluster.history;
    if (!history || history->timeline != q.leader.seen->timeline) return std::nullopt;
    return history->left_at(timeline);
}

bool history_is_known(const Question& q) {
    return q.cluster.history && q.cluster.history->timeline == q.leader.seen->timeline;
}

void note_loss(Rejoin& rejoin, Lsn end) {
    rejoin.bytes_past = topology::bytes_ahead(end, rejoin.fork);
}

/// Its WAL goes on past the fork, up to `at_least`: its agent can tell what is there.
Rejoin past_fork(const Question& q, Rejoin rejoin, Lsn at_least, const std::string& why) {
    if (q.wish.past) {
        note_loss(rejoin, std::max(at_least, q.wish.past->end));
        rejoin.commits_past = q.wish.past->commits;
        return drop_the_rest(q, rejoin, q.wish.past->commits == 0, why);
    }
    if (at_least > rejoin.fork) note_loss(rejoin, at_least);
    if (!q.wish.examined) {
        rejoin.way = RejoinWay::examine;
        rejoin.why = why;
        return rejoin;
    }
    return drop_the_rest(q, rejoin, false, why);
}

/// Two that were promoted apart (scenario 75).
Rejoin of_one_number(const Question& q, Rejoin rejoin, std::string_view is) {
    return by_hand(rejoin,
                   fmt::format("it {} on timeline {}, as {} is: two branches of one number, which pg_rewind "
                               "takes for one",
                               is, rejoin.timeline, q.leader.key.text()),
                   "baton reinit " + q.name());
}

bool has_other_branch_of_one_number(const Question& q, Timeline timeline) {
    const auto* own = q.instance.history.get();
    return own != nullptr && own->timeline == timeline &&
           topology::same_number_other_branch(own, q.cluster.history.get());
}

// ---- a server that runs

bool its_slot_is_lost(const Question& q) {
    const auto& seen = *q.instance.seen;
    const auto* upstream = q.instance.upstream ? q.cluster.find(*q.instance.upstream) : nullptr;
    if (upstream == nullptr || !answers(*upstream) || seen.settings.primary_slot_name.empty()) return false;
    return std::ranges::any_of(upstream->seen->slots, [&](const auto& slot) {
        return slot.name == seen.settings.primary_slot_name && slot.wal_status == "lost";
    });
}

bool has_not_streamed_for_long(const Question& q) {
    if (q.instance.seen->receiving() || q.instance.seen->replay_paused) return false;
    return !q.instance.streamed_until || q.now - *q.instance.streamed_until >= not_streaming_for;
}

bool is_stuck(const Question& q) {
    const auto& seen = *q.instance.seen;
    return q.wish.cannot_catch_up && q.wish.stuck_at && seen.received <= q.wish.stuck_at &&
           seen.received < q.leader.seen->position();
}

Rejoin without_wal(const Question& q) {
    if (is_stuck(q)) return clone_it(q, {}, "the WAL that it lacks could not be had from its upstream");
    if (!has_not_streamed_for_long(q)) return answer(RejoinWay::nothing, "it streams");
    if (q.wish.cannot_catch_up)
        return clone_it(q, {}, "the WAL that it lacks could not be had from its upstream");
    if (!its_slot_is_lost(q)) return answer(RejoinWay::nothing, "it looks for its upstream itself");
    const auto* upstream = q.cluster.find(*q.instance.upstream);
    Rejoin rejoin;
    rejoin.way = RejoinWay::renew_slot;
    rejoin.upstream = upstream->key;
    rejoin.slot = q.instance.seen->settings.primary_slot_name;
    rejoin.keep_upstream = true;
    rejoin.why = fmt::format("its slot {} on {} has lost WAL", rejoin.slot, upstream->key.text());
    return permitted(q, rejoin);
}

/// A standby that does not stream says the timeline of its last restart point, which may be older than its
/// WAL, and a manager that was just started has not seen it stream. One that runs is stopped only for what
/// lasts.
bool may_find_its_way(const Question& q) {
    return !q.wish.asked && (!q.instance.stopped_by || q.now - *q.instance.stopped_by < lost_for);
}

Rejoin of_running(const Question& q) {
    if (!answers(q.instance)) return answer(RejoinWay::wait, "it does not answer");
    if (q.instance.is_primary())
        return answer(RejoinWay::wait, "it runs as a primary; it must be stopped before it can come back");
    const auto how = q.cluster.ancestry_of(q.instance, q.leader);
    const auto& seen = *q.instance.seen;
    Rejoin rejoin;
    rejoin.timeline = seen.timeline;
    if (has_other_branch_of_one_number(q, seen.timeline)) return of_one_number(q, rejoin, "is a standby");
    if ((how == Ancestry::diverged || how == Ancestry::foreign) && may_find_its_way(q))
        return answer(RejoinWay::wait, "it seems to be on another branch: it is watched for a while");
    switch (how) {
        case Ancestry::diverged: {
            rejoin.fork = fork_of(q, seen.timeline).value_or(Lsn{});
            const auto why =
                fmt::format("it is at {} on timeline {}, past the fork", seen.received.text(), seen.timeline);
            if (rejoin.fork) return past_fork(q, rejoin, seen.received, why);
            return drop_the_rest(q, rejoin, false, why);
        }
        case Ancestry::foreign:
            return drop_the_rest(q, rejoin, false,
                                 fmt::format("its timeline {} is not in the history of timeline {}",
                                             seen.timeline, q.leader.seen->timeline));
        case Ancestry::unknown:
            return answer(RejoinWay::wait, "the history of the primary's timeline is not known yet");
        default:
            return without_wal(q);
    }
}

// ---- a data directory without a server

bool was_standby(const Directory& dir) {
    return dir.standby_signal || dir.control_state == "shut down in recovery" ||
           dir.control_state == "in archive recovery";
}

/// What a recovery has lost was below the server that it replaced; that one may be a standby itself by now.
bool knows_where_it_belongs(const Question& q) {
    const auto* upstream = q.instance.upstream ? q.cluster.find(*q.instance.upstream) : nullptr;
    if (upstream == nullptr || !answers(*upstream)) return false;
    return upstream == &q.leader || (upstream->is_standby() && !q.wish.lost_in_recovery);
}

Rejoin of_stopped_standby(const Question& q) {
    if (q.dir.control_state == "shut down in recovery" && !q.wish.asked && !q.wish.lost_in_recovery &&
        q.dir.hold != Hold::fenced) {
        return answer(RejoinWay::nothing,
                      "somebody stopped it in order; `baton rejoin " + q.name() + "` starts it");
    }
    Rejoin rejoin;
    rejoin.timeline = q.dir.timeline;
    if (has_other_branch_of_one_number(q, q.dir.timeline)) return of_one_number(q, rejoin, "was a standby");
    if (const auto fork = fork_of(q, q.dir.timeline); fork && q.dir.minimum_recovery_end > *fork) {
        rejoin.fork = *fork;
        return past_fork(q, rejoin, q.dir.minimum_recovery_end,
                         fmt::format("it had replayed WAL up to {} on timeline {}, past the fork at {}",
                                     q.dir.minimum_recovery_end.text(), q.dir.timeline, fork->text()));
    }
    rejoin = start_it(q, rejoin, "it is a standby that does not run");
    if (is_damaged(q) || q.dir.hold == Hold::fenced || !knows_where_it_belongs(q)) return rejoin;
    rejoin.keep_upstream = true;
    rejoin.upstream = *q.instance.upstream;
    return rejoin;
}

Rejoin of_clean_primary(const Question& q, Rejoin rejoin) {
    const auto& at = q.dir.checkpoint;
    // A record that begins at the fork belongs to the new timeline, and such a server would refuse to start.
    if (at < rejoin.fork) {
        return start_it(q, rejoin,
                        fmt::format("it was stopped in order, and its last record, a checkpoint at {}, is "
                                    "before the fork at {}",
                                    at.text(), rejoin.fork.text()));
    }
    if (at == rejoin.fork) {
        rejoin.bytes_past = 0;
        rejoin.commits_past = 0;
        return drop_the_rest(q, rejoin, true, "only the checkpoint of its shutdown is past the fork");
    }
    return past_fork(q, rejoin, at,
                     fmt::format("it went on up to {} on timeline {}, past the fork at {}", at.text(),
                                 rejoin.timeline, rejoin.fork.text()));
}

Rejoin of_crashed_primary(const Question& q, Rejoin rejoin) {
    if (q.wish.past && q.wish.past->end <= rejoin.fork) {
        return start_it(
            q, rejoin,
            fmt::format("its WAL ends at {}, and the primary has all of it", q.wish.past->end.text()));
    }
    const auto why = fmt::format("it crashed as the primary on timeline {}, which was left at {}",
                                 rejoin.timeline, rejoin.fork.text());
    const auto seen =
        q.instance.seen && q.instance.seen->timeline == rejoin.timeline ? q.instance.seen->written : Lsn{};
    return past_fork(q, rejoin, seen, why);
}

Rejoin of_former_primary(const Question& q) {
    Rejoin rejoin;
    // Until its first checkpoint a promoted server's control file names the timeline that it left.
    const bool was_primary = q.instance.seen && q.instance.seen->role == topology::Role::primary;
    rejoin.timeline = std::max(q.dir.timeline, was_primary ? q.instance.seen->timeline : 0);
    const auto leads = q.leader.seen->timeline;
    if (rejoin.timeline > leads) {
        return answer(RejoinWay::wait, fmt::format("it is on timeline {}, and the primary on the older {}",
                                                   rejoin.timeline, leads));
    }
    if (rejoin.timeline == leads) return of_one_number(q, rejoin, "was a primary");
    if (!history_is_known(q))
        return answer(RejoinWay::wait, "the history of the primary's timeline is not known yet");
    const auto fork = fork_of(q, rejoin.timeline);
    if (!fork) {
        return drop_the_rest(
            q, rejoin, false,
            fmt::format("its timeline {} is not in the history of timeline {}", rejoin.timeline, leads));
    }
    rejoin.fork = *fork;
    return q.dir.control_state == "shut down" ? of_clean_primary(q, rejoin) : of_crashed_primary(q, rejoin);
}

Rejoin of_stopped(const Question& q) {
    if (q.dir.system_identifier.empty()) {
        return by_hand({}, "its control file cannot be read: the data directory may be damaged",
                       "baton reinit " + q.name());
    }
    if (q.dir.system_identifier != q.leader.seen->system_identifier) {
        return by_hand({},
                       fmt::format("its data directory belongs to another cluster ({}, not {})",
                                   q.dir.system_identifier, q.leader.seen->system_identifier),
                       "baton reinit " + q.name());
    }
    if (q.wish.cannot_catch_up)
        return clone_it(q, {}, "the WAL that it lacks could not be had from the primary");
    if (q.dir.control_state.empty())
        return answer(RejoinWay::wait, "how it ended is not known yet: its control file is read");
    return was_standby(q.dir) ? of_stopped_standby(q) : of_former_primary(q);
}

/// A deed was interrupted: what it drops, somebody allowed. Its agent knows whether a rewind can go on; where
/// it cannot, the directory is only good for being replaced.
Rejoin of_quarantined(const Question& q) {
    if (q.wish.rewind_failed || !q.dir.rewindable || q.dir.state == ServerState::no_data)
        return clone_it(q, {}, q.dir.quarantine);
    Rejoin rejoin;
    lead(q, q.leader, rejoin);
    rejoin.way = RejoinWay::rewind;
    rejoin.why = q.dir.quarantine;
    return permitted(q, rejoin);
}

Rejoin by_state(const Question& q) {
    switch (q.dir.state) {
        case ServerState::no_data:
            return clone_it(q, {}, "its data directory is missing or empty");
        case ServerState::down:
            return of_stopped(q);
        case ServerState::running:
            return of_running(q);
        case ServerState::hung:
            return answer(RejoinWay::wait, "it hangs");
        default:
            return answer(RejoinWay::wait, "its server is " + std::string(topology::to_string(q.dir.state)));
    }
}

}  // namespace

std::string_view to_string(RejoinWay way) {
    static constexpr std::array<std::string_view, 8> words{"nothing", "wait",       "examine", "start",
                                                           "rewind",  "renew-slot", "clone",   "by-hand"};
    return words[static_cast<size_t>(way)];
}

std::string past_the_fork(const Rejoin& rejoin) {
    std::string text = rejoin.bytes_past ? bytes_text(*rejoin.bytes_past) : "an unknown amount of WAL";
    if (rejoin.commits_past) {
        text +=
            fmt::format(" and {} {}", *rejoin.commits_past, *rejoin.commits_past == 1 ? "commit" : "commits");
    }
    return text + " past the fork";
}

Rejoin plan_rejoin(const Cluster& cluster, const Instance& instance, const Directory& directory,
                   const RejoinWish& wish, MonoTime now) {
    const auto* leader = cluster.primary();
    if (leader == nullptr || !answers(*leader))
        return answer(RejoinWay::wait, "no primary answers that it could follow");
    if (leader->known_as(instance.key)) return answer(RejoinWay::nothing, "it leads the cluster");
    if (!directory.agent) return answer(RejoinWay::wait, "no agent is connected beside it");
    if (!directory.job.empty())
        return answer(RejoinWay::wait, "its agent is at work already: " + directory.job);
    const Question q{cluster, instance, directory, wish, now, *leader};
    if (wish.anew) {
        if (directory.state == ServerState::running && instance.is_primary())
            return answer(RejoinWay::wait, "it runs as a primary; stop it first");
        return clone_it(q, {}, "an operator asked for it");
    }
    // What writes there would only fail, and use up its tries. One that runs may need nothing.
    const bool writes = directory.state != ServerState::running || !directory.quarantine.empty();
    if (writes && !directory.disk_trouble.empty() && !wish.asked)
        return answer(RejoinWay::wait, "its disk is in trouble: " + directory.disk_trouble);
    if (!directory.quarantine.empty()) return of_quarantined(q);
    return by_state(q);
}

}  // namespace baton::plan
