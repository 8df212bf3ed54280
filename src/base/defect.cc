#include "base/defect.h"

#include <algorithm>

#include "base/text.h"

namespace baton {
namespace {

constexpr Defect table[] = {
    // analysis: what counts as evidence
    {"promote-without-asking-replicas",
     "A primary that the manager cannot reach is dead, whatever its standbys say.", "one_history"},
    {"one-standby-is-enough",
     "One standby that has lost the primary outvotes those that still receive from it.", "one_history"},
    {"skip-receiver-check", "A standby that only claims to stream agrees that its primary is gone.",
     "one_history"},
    {"count-own-interruption",
     "A receiver that is gone because the manager made it reconnect counts as one that lost its primary.",
     "one_history"},
    {"starting-is-dead", "A primary that says that it is starting up (57P03) is dead.", "no_false_failover"},
    // discovery: what is seen, and of whom
    {"login-refused-is-dead", "A server that refuses the manager's login (28P01) refuses all connections.",
     "no_false_failover"},
    {"too-many-clients-is-dead", "A server without a free connection (53300) refuses all connections.",
     "no_false_failover"},
    {"old-session-is-enough", "The end of an old session counts as a refused connection.",
     "no_false_failover"},
    {"drop-edge-with-receiver", "A standby without a receiver follows nobody any more.", "converges"},
    {"forget-unreachable", "A server that does not answer is forgotten at once.", "converges"},
    {"merge-by-port", "Servers of one system that have the same port are taken for one.", "settle"},
    {"leak-sessions", "The session of a greeting is never closed.", "bounded"},
    // plan: who is promoted, and what becomes of the others
    {"ignore-timeline", "Candidates of another branch are as good as those of the failed primary's.",
     "converges"},
    {"count-replayed-instead-of-received", "Candidates are compared by what they have replayed.",
     "no_lost_rows"},
    {"no-catch-up", "A preferred candidate is promoted without the WAL that another one has.",
     "no_lost_rows"},
    {"ignore-synchronous-proof", "Standbys that no commit waited for are promoted, too.", "no_lost_rows"},
    {"promote-delayed-replica", "A standby with recovery_min_apply_delay is a candidate.", "wishes"},
    {"promote-paused", "A standby whose replay somebody paused is a candidate.", "wishes"},
    {"promote-must-not", "The promotion rule must_not does not count.", "wishes"},
    {"rewire-before-promotion-is-verified",
     "Survivors are led to the candidate before it is known to be promoted.", "moves"},
    {"follow-diverged", "A survivor that is past the fork is led to the new primary all the same.", "moves"},
    {"leave-commits-waiting", "The new primary waits for synchronous standbys that it does not have.",
     "outcomes"},
    {"skip-slots", "Survivors are led to slots that nobody made.", "converges"},
    // recovery: whether, in which order, and what is remembered
    {"skip-journal", "A promotion is asked for without a word in the journal.", "explained"},
    {"journal-not-durable", "A promotion is asked for before the journal is on disk.", "explained"},
    {"trust-old-snapshot",
     "What was seen a while ago, before hooks ran or a candidate was tried in vain, is acted on unseen.",
     "one_history"},
    {"promotion-on-faith", "A promotion that was asked for and never seen counts as done.", "outcomes"},
    {"no-second-candidate", "When the candidate dies in its promotion nobody else is chosen.", "outcomes"},
    {"pass-over-the-asked", "One that was asked to promote itself and is out of sight is passed over.",
     "one_history"},
    {"forget-whom-it-asked",
     "A restarted manager does not read in the journal whom it asked to promote itself.", "one_history"},
    {"forget-the-doubt",
     "A promotion of which nobody knows whether it took place does not stop the next one.", "one_history"},
    {"forget-open-recoveries", "A restarted manager leaves open recoveries as they are.", "converges"},
    {"leave-recovery-open", "The end of a recovery is not written down.", "converges"},
    {"leave-stranded", "A standby that comes back after its siblings were rewired is left where it was.",
     "converges"},
    {"drop-block-period", "A recent failover of the cluster does not block the next one.",
     "one_recovery_at_a_time"},
    {"wall-clock-intervals", "Block periods are measured by the wall clock, which jumps.",
     "one_recovery_at_a_time"},
    {"start-at-once", "A manager that has just started acts on what it only remembers.",
     "one_recovery_at_a_time"},
    {"two-recoveries-at-once", "A cluster may have two recoveries at a time.", "one_recovery_at_a_time"},
    {"repeat-failed-recovery-at-once", "A recovery that found no way out begins again at once.",
     "one_recovery_at_a_time"},
    {"unbounded-steps", "Every look at a cluster adds a line to the journals of its recoveries.", "bounded"},
    {"unbounded-audit", "A blocked recovery is reported at every look instead of once.", "bounded"},
    // agent, host: what binds a primary whose manager cannot be heard
    {"promote-beside-lease", "A standby is promoted while the old primary's lease lasts.", "fenced"},
    {"vouch-while-clear", "A standby's agent vouches although it stands clear.", "fenced"},
    {"lease-from-answer-time",
     "A lease is counted from when the answer came, not from when the heartbeat left.", "fenced"},
    {"forget-grant-at-restart", "An agent that was restarted knows of no lease.", "fenced"},
};

}  // namespace

std::span<const Defect> defects() {
    return table;
}

Result<void> activate_defect([[maybe_unused]] std::string_view name) {
#ifdef BATON_DEFECTS
    if (name.empty()) {
        detail::active_defect = {};
        return {};
    }
    if (const auto* at = std::ranges::find(table, name, &Defect::name); at != std::end(table)) {
        detail::active_defect = at->name;
        return {};
    }
    std::vector<std::string_view> known;
    for (const auto& d : table)
        known.push_back(d.name);
    const auto nearest = nearest_name(name, known);
    return fail(ErrorKind::invalid_argument,
                "is no known defect" + (nearest ? "; the nearest one is " + *nearest : std::string{}),
                std::string(name));
#else
    return fail(ErrorKind::unsupported,
                "this build has no deliberate defects: configure one with -DBATON_DEFECTS=ON",
                std::string(name));
#endif
}

}  // namespace baton
