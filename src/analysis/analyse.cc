// The rules: which evidence makes which problem. For one instance the first failure rule that matches wins;
// structure rules are all looked at. The order of the table is the order of importance.

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <tuple>
#include <unordered_map>

#include "analysis/by_agent.h"
#include "analysis/describe.h"
#include "analysis/evidence.h"
#include "analysis/slots.h"
#include "analysis/synchronous.h"
#include "analysis/wording.h"
#include "base/defect.h"

namespace baton::analysis {
namespace {

using topology::Ancestry;
using topology::DiskHealth;
using topology::Reach;

struct Rule {
    Code code;
    bool (*matches)(const Situation&);
    std::string (*describe)(const Situation&);
    /// Why a code that starts a recovery does not yet; "" = it does.
    std::string (*held_back)(const Situation&) = nullptr;
};

bool answering(const Situation& s) {
    return s.self.health.ok() && s.self.seen;
}
bool answering_primary(const Situation& s) {
    return answering(s) && s.self.is_primary();
}
bool answering_standby(const Situation& s) {
    return answering(s) && s.self.is_standby();
}
bool superseded(const Situation& s) {
    return successor_of(s.cluster, s.self) != nullptr;
}
bool out_of_reach(const Situation& s) {
    return not_reachable(s.self, s.policy, s.now);
}

/// A leading primary that we cannot reach, with replicas that can testify.
bool lost_primary(const Situation& s) {
    return s.self.is_primary() && !s.replicas.empty() && out_of_reach(s) && !superseded(s);
}
bool lost_intermediate(const Situation& s) {
    return s.self.is_standby() && !s.replicas.empty() && out_of_reach(s);
}
/// Somebody was heard, and all that can be reached say that it is gone.
/// A standby whose upstream's name is none that we know may well stream from the silent server, by a network
/// that we do not see: while it receives, nobody is dead.
bool someone_receives_unseen(const Situation& s) {
    if (s.self.health.reach == Reach::refused) return false;
    return std::ranges::any_of(s.cluster.instances, [&](const auto& i) {
        if (!i->is_standby() || i->upstream_known || !i->health.ok() || !i->seen || !i->seen->receiving())
            return false;
        const auto age = i->seen->receiver->last_message_age;
        return age && i->seen->answered_at - *age > s.self.health.attempt_began;
    });
}
bool all_agree(const Situation& s) {
    if (defect("promote-without-asking-replicas")) return true;
    const bool unanimous = s.counts.agree == s.counts.valid || defect("one-standby-is-enough");
    return s.counts.agree > 0 && unanimous && !someone_receives_unseen(s);
}
/// By its agent, or by everybody else; not by others alone where its agent says that it runs.
bool is_dead(const Situation& s) {
    if (s.self.kept_down()) return dead_by_agent(s);
    return all_agree(s) && !lives_by_agent(s.self, s.policy, s.now);
}
bool is_hung(const Situation& s) {
    return leads_with_agent(s) && hung(s, lost_primary(s), all_agree(s));
}
/// It is coming up, by its own word or by that of its agent.
bool comes_up(const Situation& s) {
    if (!s.self.is_primary() || s.self.kept_down()) return false;
    const bool by_agent = s.self.host && s.self.host->connected &&
                          s.self.host->state == topology::ServerState::starting && out_of_reach(s) &&
                          lives_by_agent(s.self, s.policy, s.now);
    return by_agent || still_starting(s.self, s.policy, s.now);
}
bool all_replicas_answer(const Situation& s) {
    return s.counts.valid == s.counts.replicas;
}
bool answers_with_error(const Situation& s) {
    return s.self.health.reach == Reach::failing && s.self.health.confirmed;
}
bool nobody_receives(const Situation& s) {
    return !s.replicas.empty() && not_receiving(s).size() == s.replicas.size();
}

bool has_no_primary(const Situation& s) {
    if (!answering_standby(s) || !s.cluster.primaries().empty()) return false;
    const auto first = std::ranges::find_if(
        s.cluster.instances, [](const auto& i) { return i->health.ok() && i->is_standby() && i->seen; });
    return first != s.cluster.instances.end() && first->get() == &s.self;
}

/// PostgreSQL streams from another branch of one number as from its own. With an agent beside it its history
/// is that of the server that runs now.
bool streams_from_another_branch(const Situation& s) {
    const auto* own = s.self.history.get();
    return s.self.host && s.self.host->connected && own != nullptr &&
           own->timeline == s.self.seen->timeline &&
           topology::same_number_other_branch(own, s.cluster.history.get());
}

bool is_diverged(const Situation& s) {
    if (!answering_standby(s)) return false;
    if (s.self.seen->receiving()) return streams_from_another_branch(s);
    const auto how = ancestry_of(s);
    return how == Ancestry::diverged || how == Ancestry::foreign;
}

bool waits_in_vain(const Situation& s) {
    if (!answering_primary(s) || !s.self.seen->can_see_all || !waits_for_standbys(s.self.seen->settings))
        return false;
    std::vector<std::string> names;
    for (const auto& sender : s.self.seen->senders) {
        if (sender.state == "streaming") names.push_back(sender.application_name);
    }
    return !synchronous_satisfiable(s.self.seen->settings.synchronous_standby_names, names);
}

const Instance* upstream_of(const Situation& s) {
    return s.self.upstream ? s.cluster.find(*s.self.upstream) : nullptr;
}

bool is_stranded(const Situation& s) {
    if (!answering_standby(s) || receives(s.self, s.policy, s.now)) return false;
    const auto* upstream = upstream_of(s);
    return upstream != nullptr && upstream->is_primary() && successor_of(s.cluster, *upstream) != nullptr;
}

/// Or would, if it ran: a former primary is to come back as a standby.
bool follows(const Situation& s) {
    return s.self.is_standby() || (s.self.kept_down() && successor_of(s.cluster, s.self) != nullptr);
}

constexpr std::array failure_rules{
    Rule{Code::dead_primary_without_replicas,
         [](const Situation& s) { return s.self.is_primary() && s.replicas.empty() && out_of_reach(s); },
         [](const Situation& s) { return unreachable_phrase(s) + "; no standby follows it"; }},
    Rule{Code::primary_crash_loop, crash_loop, crash_loop_phrase, nobody_fit},
    Rule{Code::primary_crash_recovery, comes_up,
         [](const Situation& s) { return unreachable_phrase(s) + ": it lives and comes back by itself"; }},
    Rule{Code::too_many_connections,
         [](const Situation& s) {
             return s.self.health.reach == Reach::too_many_connections && !s.self.kept_down();
         },
         unreachable_phrase},
    Rule{
        Code::authentication_failed,
        [](const Situation& s) { return s.self.health.reach == Reach::not_permitted && !s.self.kept_down(); },
        unreachable_phrase},
    Rule{Code::dead_primary_and_standbys,
         [](const Situation& s) { return lost_primary(s) && s.counts.valid == 0; },
         [](const Situation& s) { return witnesses(s) + "; the manager's own link may be at fault"; }},
    Rule{Code::hung_primary, is_hung, hung_phrase},
    Rule{Code::dead_primary,
         [](const Situation& s) { return lost_primary(s) && is_dead(s) && all_replicas_answer(s); },
         witnesses},
    Rule{Code::dead_primary_and_some_standbys,
         [](const Situation& s) { return lost_primary(s) && is_dead(s); }, witnesses},
    Rule{Code::primary_disk_hung,
         [](const Situation& s) { return leads_with_agent(s) && bad_disk(s, DiskHealth::hung); }, disk_phrase,
         disk_held_back},
    Rule{Code::primary_disk_read_only,
         [](const Situation& s) { return leads_with_agent(s) && bad_disk(s, DiskHealth::read_only); },
         disk_phrase, disk_held_back},
    Rule{Code::primary_disk_failing,
         [](const Situation& s) { return leads_with_agent(s) && bad_disk(s, DiskHealth::failing); },
         disk_phrase, disk_held_back},
    Rule{Code::primary_disk_full,
         [](const Situation& s) { return leads_with_agent(s) && bad_disk(s, DiskHealth::full); }, disk_phrase,
         disk_held_back},
    Rule{Code::primary_unresponsive,
         [](const Situation& s) { return lost_primary(s) && s.self.health.reach == Reach::unresponsive; },
         witnesses},
    Rule{Code::unreachable_primary,
         [](const Situation& s) { return lost_primary(s) || (s.self.is_primary() && answers_with_error(s)); },
         witnesses},
    Rule{
        Code::primary_unresponsive,
        [](const Situation& s) { return answering_primary(s) && s.self.new_sessions_hang_since.has_value(); },
        [](const Situation& s) {
            return s.self.key.text() +
                   " answers on its old sessions, but new connections get no answer for " +
                   duration_text(s.now - *s.self.new_sessions_hang_since) +
                   ": its postmaster hangs, and clients that connect now wait";
        }},
    Rule{Code::primary_unresponsive, hung_by_agent_only,
         [](const Situation& s) {
             return s.self.key.text() + " answers the manager on a new connection, too, but " +
                    agent_phrase(s);
         }},
    Rule{Code::split_brain, [](const Situation& s) { return rival_of(s.cluster, s.self) != nullptr; },
         rivals_phrase},
    Rule{Code::stale_primary, [](const Situation& s) { return answering_primary(s) && superseded(s); },
         stale_phrase},
    Rule{Code::all_standbys_not_replicating,
         [](const Situation& s) { return answering_primary(s) && nobody_receives(s); }, not_receiving_phrase},
    Rule{Code::primary_lost_to_clients,
         [](const Situation& s) { return answering_primary(s) && !superseded(s) && lost_to_clients(s); },
         lost_to_clients_phrase, lost_to_clients_held_back},
    Rule{Code::dead_intermediate_primary_and_standbys,
         [](const Situation& s) { return lost_intermediate(s) && s.counts.valid == 0; }, witnesses},
    Rule{Code::dead_intermediate_primary_with_single_standby,
         [](const Situation& s) { return lost_intermediate(s) && all_agree(s) && s.counts.replicas == 1; },
         witnesses},
    Rule{Code::dead_intermediate_primary,
         [](const Situation& s) { return lost_intermediate(s) && all_agree(s) && all_replicas_answer(s); },
         witnesses},
    Rule{Code::dead_intermediate_primary_and_some_standbys,
         [](const Situation& s) { return lost_intermediate(s) && all_agree(s); }, witnesses},
    Rule{Code::unreachable_intermediate_primary, lost_intermediate, witnesses},
    Rule{Code::all_intermediate_standbys_not_replicating,
         [](const Situation& s) { return answering_standby(s) && nobody_receives(s); }, not_receiving_phrase},
    Rule{Code::standby_not_replicating,
         [](const Situation& s) { return answering(s) && !not_receiving(s).empty(); }, not_receiving_phrase},
    Rule{Code::dead_standby,
         [](const Situation& s) { return s.self.is_standby() && s.replicas.empty() && out_of_reach(s); },
         unreachable_phrase},
    Rule{Code::no_primary, has_no_primary,
         [](const Situation& s) {
             const auto above = s.self.upstream ? s.self.upstream->text() : std::string("nobody");
             return fmt::format("no primary of this cluster was ever seen; {} follows {}", s.self.key.text(),
                                above);
         }},
};

constexpr std::array structure_rules{
    Rule{Code::quarantined,
         // A rewind that is under way seals the directory, too.
         [](const Situation& s) {
             return s.self.host && !s.self.host->quarantine.empty() && !s.self.host->job;
         },
         [](const Situation& s) {
             return fmt::format(
                 "the data directory of {} must not be started: {}; clone it or rewind it again",
                 s.self.key.text(), s.self.host->quarantine);
         }},
    Rule{Code::blind_primary, [](const Situation& s) { return s.self.is_primary() && blind(s); },
         [](const Situation& s) { return s.self.key.text() + " answers, but " + agent_phrase(s); }},
    Rule{Code::blind_standby, [](const Situation& s) { return s.self.is_standby() && blind(s); },
         [](const Situation& s) { return s.self.key.text() + " answers, but " + agent_phrase(s); }},
    Rule{Code::standby_disk_hung,
         [](const Situation& s) { return follows(s) && bad_disk(s, DiskHealth::hung); }, disk_phrase},
    Rule{Code::standby_disk_read_only,
         [](const Situation& s) { return follows(s) && bad_disk(s, DiskHealth::read_only); }, disk_phrase},
    Rule{Code::standby_disk_failing,
         [](const Situation& s) { return follows(s) && bad_disk(s, DiskHealth::failing); }, disk_phrase},
    Rule{Code::standby_disk_full,
         [](const Situation& s) { return follows(s) && bad_disk(s, DiskHealth::full); }, disk_phrase},
    Rule{Code::disk_space_critical, [](const Situation& s) { return disk_space(s) == DiskSpace::critical; },
         disk_space_phrase},
    Rule{Code::disk_space_low, [](const Situation& s) { return disk_space(s) == DiskSpace::low; },
         disk_space_phrase},
    Rule{Code::disk_space_notice, [](const Situation& s) { return disk_space(s) == DiskSpace::notice; },
         disk_space_phrase},
    Rule{Code::certificate_expires, certificate_expires, certificate_phrase},
    Rule{Code::replica_diverged, is_diverged, diverged_phrase},
    Rule{Code::slot_wal_lost,
         [](const Situation& s) { return answering(s) && !endangered_slots(s.self).empty(); },
         lost_slots_phrase},
    Rule{Code::slot_holds_back_wal,
         [](const Situation& s) { return answering(s) && !hoarding_slots(s.self, s.policy).empty(); },
         idle_slots_phrase},
    Rule{Code::replay_paused,
         [](const Situation& s) { return answering_standby(s) && s.self.seen->replay_paused; },
         [](const Situation& s) {
             const auto& seen = *s.self.seen;
             return fmt::format("replay is paused on {}: {} received and not replayed", s.self.key.text(),
                                bytes_text(topology::bytes_ahead(seen.received, seen.replayed)));
         }},
    Rule{Code::unsatisfiable_synchronous_standbys, waits_in_vain, synchronous_phrase},
    Rule{Code::slow_promotion_setting,
         [](const Situation& s) {
             return answering_standby(s) &&
                    s.self.seen->settings.wal_retrieve_retry_interval_ms > s.policy.slow_promotion_retry_ms;
         },
         [](const Situation& s) {
             return fmt::format("wal_retrieve_retry_interval is {} ms on {}; at most {} ms is advised",
                                s.self.seen->settings.wal_retrieve_retry_interval_ms, s.self.key.text(),
                                s.policy.slow_promotion_retry_ms);
         }},
    Rule{Code::read_only_primary,
         [](const Situation& s) {
             return answering_primary(s) && s.self.seen->settings.default_transaction_read_only;
         },
         [](const Situation& s) { return "default_transaction_read_only is on at " + s.self.key.text(); }},
    Rule{Code::missing_privilege,
         [](const Situation& s) { return answering(s) && !s.self.seen->can_see_all; },
         [](const Situation& s) {
             return "the manager's role is blind on " + s.self.key.text() + ": grant pg_monitor to it";
         }},
    Rule{Code::stranded_standby, is_stranded,
         [](const Situation& s) {
             const auto* upstream = upstream_of(s);
             const auto* successor = successor_of(s.cluster, *upstream);
             return fmt::format("{} still points at {}, which {} replaced as primary; relocate it below {}",
                                s.self.key.text(), upstream->key.text(), successor->key.text(),
                                successor->key.text());
         }},
};

Problem make_problem(const Rule& rule, const Situation& s) {
    Problem problem{.code = rule.code,
                    .instance = s.self.key,
                    .cluster_id = s.cluster.id,
                    .description = rule.describe(s),
                    .counts = s.counts,
                    .is_primary = s.self.is_primary()};
    if (rule.held_back != nullptr) problem.held_back = rule.held_back(s);
    if (!problem.held_back.empty()) problem.description += "; left alone: " + problem.held_back;
    for (const auto* r : s.replicas)
        problem.replicas.push_back(r->key);
    problem.replicas_downtimed = s.counts.replicas > 0 && s.counts.downtimed == s.counts.replicas;
    problem.downtimed =
        s.self.downtime.has_value() || (problem.replicas_downtimed && info(rule.code).silenced_by_replicas);
    return problem;
}

void add_problems(const Situation& s, std::vector<Problem>& problems) {
    const auto failure =
        std::ranges::find_if(failure_rules, [&](const Rule& rule) { return rule.matches(s); });
    if (failure != failure_rules.end()) problems.push_back(make_problem(*failure, s));
    for (const auto& rule : structure_rules) {
        if (rule.matches(s)) problems.push_back(make_problem(rule, s));
    }
}

using Edges = std::unordered_map<InstanceKey, Replicas>;

Edges edges_of(const Cluster& cluster) {
    Edges below;
    for (const auto& i : cluster.instances) {
        if (i->is_standby() && i->upstream) below[*i->upstream].push_back(i.get());
    }
    return below;
}

bool left_out(const Instance& instance, const Policy& policy) {
    return instance.maintenance.has_value() || (policy.ignored && policy.ignored(instance.key));
}

}  // namespace

std::vector<Problem> analyse(const Cluster& cluster, const Policy& policy, MonoTime now) {
    std::vector<Problem> problems;
    const auto below = edges_of(cluster);
    const auto* lead = cluster.primary();
    const Replicas nobody;
    for (const auto& i : cluster.instances) {
        if (left_out(*i, policy)) continue;
        const auto at = below.find(i->key);
        const auto& replicas = at == below.end() ? nobody : at->second;
        add_problems({cluster, *i, lead, replicas, count(*i, replicas, policy), policy, now}, problems);
    }
    std::ranges::sort(problems, {}, [](const Problem& p) {
        return std::tuple(!p.is_primary, -p.counts.replicas, p.instance, info(p.code).structure, p.code);
    });
    return problems;
}

}  // namespace baton::analysis
