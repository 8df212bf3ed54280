// Would a failover happen, to whom, and would the clients be served afterwards?
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "analysis/synchronous.h"
#include "base/text.h"
#include "control/options.h"
#include "doctor/check_functions.h"
#include "doctor/words.h"

namespace baton::doctor {

void check_automatic_recovery(const Facts& facts, const Cluster& cluster, Notes& notes) {
    const auto options = control::recovery_options(facts.settings(), {}, {});
    const auto* known = facts.manager_cluster(cluster);
    const bool primary = known ? known->recovers_primary : options.recovers_primary(cluster);
    const bool intermediate = known ? known->recovers_intermediate : options.recovers_intermediate(cluster);
    const auto entry = fmt::format("[\"{}\"], or [\"*\"] for every cluster",
                                   cluster.alias.empty() ? cluster.id : "alias=" + cluster.alias);
    if (!primary) {
        notes.warn(
            "no entry of RecoverMasterClusterFilters matches: a dead primary is reported, and nobody is "
            "promoted",
            "\"RecoverMasterClusterFilters\": " + entry);
    }
    const bool cascades = std::ranges::any_of(
        cluster.instances, [](const auto& i) { return i->is_standby() && !i->downstream.empty(); });
    if (cascades && !intermediate) {
        notes.warn(
            "no entry of RecoverIntermediateMasterClusterFilters matches: the standbys below a dead standby "
            "stay cut off",
            "\"RecoverIntermediateMasterClusterFilters\": " + entry);
    }
    if (options.analysis.ignored) {
        for (const auto& i : cluster.instances) {
            if (options.analysis.ignored(i->key))
                notes.warn(i->key, "matches RecoveryIgnoreHostnameFilters: its failure is not even announced",
                           "take it out of the filter if it is not meant");
        }
    }
    if (notes.clean()) notes.pass("a dead primary is replaced automatically");
}

namespace {

bool concerns(const Cluster& cluster, const ManagerRecovery& r) {
    return cluster.find(r.failed) != nullptr || (r.successor && cluster.find(*r.successor) != nullptr) ||
           r.cluster_name == cluster.name;
}

}  // namespace

void check_stale_recoveries(const Facts& facts, const Cluster& cluster, Notes& notes) {
    if (!facts.manager.reachable) return;
    const auto* known = facts.manager_cluster(cluster);
    const auto name = known ? (known->alias.empty() ? known->name : known->alias) : name_of(cluster);
    for (const auto& r : facts.manager.recoveries) {
        if (!concerns(cluster, r)) continue;
        if (r.ended.empty()) {
            notes.warn(fmt::format("a recovery from {} of {} is under way since {}", r.code, r.failed.text(),
                                   r.started),
                       "follow it: baton timeline " + r.uid);
        } else if (r.blocks()) {
            notes.warn(fmt::format("the recovery from {} of {} at {} keeps the next one from happening",
                                   r.code, r.failed.text(), r.started),
                       fmt::format("baton ack {} --comment '…'", name));
        }
    }
    if (notes.clean()) notes.pass("nothing keeps the next recovery from happening");
}

void check_downtimes(const Facts& facts, const Cluster& cluster, Notes& notes) {
    if (!facts.manager.reachable) return;
    for (const auto& i : cluster.instances) {
        const auto* known = facts.manager_instance(*i);
        if (known == nullptr || !known->downtimed) continue;
        notes.warn(i->key,
                   fmt::format("is downtimed until {} by {} ({}): {}", known->downtime_ends,
                               known->downtime_owner, known->downtime_reason,
                               i->is_primary() ? "its death is not acted on" : "it is not promoted"),
                   "baton end-downtime " + i->key.text());
    }
    if (notes.clean()) notes.pass("no server is downtimed");
}

void check_known_to_manager(const Facts& facts, const Cluster& cluster, Notes& notes) {
    if (!facts.manager.reachable) return;
    size_t watched = 0;
    for (const auto& i : cluster.instances) {
        if (facts.manager_instance(*i) != nullptr) {
            ++watched;
            continue;
        }
        notes.warn(i->key, "is not known to the running manager", "baton discover " + i->key.text());
    }
    if (notes.clean()) notes.pass(fmt::format("the manager watches {}", counted(watched, "server")));
}

namespace {

std::string remedy_for(const analysis::Problem& problem) {
    using enum analysis::Code;
    switch (problem.code) {
        case stale_primary:
        case split_brain:
            return "stop the one on the older timeline at once; then make it a standby with pg_rewind or "
                   "pg_basebackup";
        case primary_crash_recovery:
            return "wait: it lives and recovers; its log says how far it is";
        case too_many_connections:
            return "raise max_connections, or end idle sessions";
        case authentication_failed:
            return "check the password, sslmode and pg_hba.conf for the manager's role";
        case hung_primary:
        case primary_disk_hung:
            return "look at the disks and the kernel log of that host; an automatic failover fences it first";
        case primary_disk_full:
            return "free space: drop idle slots, end the query that fills it; or switch over to a standby "
                   "with space";
        case primary_disk_read_only:
        case primary_disk_failing:
            return "replace the disk; a standby takes over where one is fit: baton plan CLUSTER";
        case primary_lost_to_clients:
            return "mend the way from these hosts to it, or switch over to a standby that they reach: baton "
                   "switchover CLUSTER --to HOST:PORT";
        case primary_crash_loop:
            return "see the log of " + problem.instance.text() + " for why it does not stay up";
        default:
            return problem.actionable() ? "baton plan CLUSTER shows what would be done; baton recover " +
                                              problem.instance.text() + " does it"
                                        : "see the log of " + problem.instance.text();
    }
}

}  // namespace

void check_problems(const Facts& facts, const Cluster& cluster, Notes& notes) {
    const auto policy = control::recovery_options(facts.settings(), {}, {}).analysis;
    for (const auto& problem : analysis::analyse(cluster, policy, facts.now)) {
        const auto& info = analysis::info(problem.code);
        // What concerns the structure has checks of its own, with remedies.
        if (info.structure || problem.code == analysis::Code::no_problem) continue;
        const auto text = fmt::format("{}: {}", info.name, problem.description);
        const auto level = info.severity == analysis::Severity::critical ? Level::fail : Level::warn;
        notes.add(level, problem.instance, text, remedy_for(problem));
    }
    if (notes.clean()) notes.pass("the manager would report no failure");
}

namespace {

void note_choice(const Cluster& cluster, const Instance& primary, const plan::Choice& choice,
                 const plan::Policy& policy, MonoTime now, Notes& notes) {
    auto text = fmt::format("if {} died now, {} would be promoted: {}", primary.key.text(),
                            choice.chosen->text(), choice.why);
    for (const auto& r : choice.rejected)
        text += fmt::format("; not {}: {} ({})", r.instance.text(), plan::to_string(r.reason), r.detail);
    notes.pass(text);
    const auto plan = plan::plan_primary_failover(cluster, primary.key, choice, policy, now);
    if (!plan.lost.empty()) {
        notes.warn(fmt::format("{} could not follow {}", texts_of(plan.lost), choice.chosen->text()),
                   "see what else is said here of them");
    }
    for (const auto& remark : plan.remarks)
        notes.pass(remark);
}

}  // namespace

void check_promotion(const Facts& facts, const Cluster& cluster, Notes& notes) {
    const auto* primary = cluster.primary();
    if (primary == nullptr) {
        notes.fail("there is no primary, so the choice cannot be tried", "see one-primary");
        return;
    }
    const auto policy = control::recovery_options(facts.settings(), {}, {}).plan;
    const auto choice = plan::choose_candidate(cluster, primary->key, policy, std::nullopt, false, facts.now);
    if (choice.chosen) {
        note_choice(cluster, *primary, choice, policy, facts.now, notes);
        return;
    }
    std::string remedy;
    for (const auto& r : choice.rejected)
        remedy += fmt::format("{}{}: {} ({})", remedy.empty() ? "" : "\n", r.instance.text(),
                              plan::to_string(r.reason), r.detail);
    notes.fail(fmt::format("if {} died now, nobody would be promoted: {}", primary->key.text(), choice.why),
               remedy.empty() ? "build a standby" : remedy);
}

// ---- synchronous replication
// -------------------------------------------------------------------------------

namespace {

std::vector<std::string> names_except(const std::vector<const Instance*>& all, const Instance* left_out) {
    std::vector<std::string> names;
    for (const auto* standby : all) {
        if (standby != left_out && standby->seen->receiving())
            names.push_back(analysis::standby_name(*standby));
    }
    return names;
}

bool may_set_synchronous(const Facts& facts, const InstanceKey& key) {
    const auto* examination = facts.examination(key);
    if (examination == nullptr) return true;
    const auto at =
        std::ranges::find(examination->privileges, "synchronous_standby_names", &engine::Privilege::what);
    return examination->superuser || at == examination->privileges.end() || at->granted;
}

void check_unknown_names(const Instance& primary, const std::vector<const Instance*>& all, Notes& notes) {
    const auto rule =
        analysis::parse_synchronous_standby_names(primary.seen->settings.synchronous_standby_names);
    if (!rule) return;
    std::set<std::string> known{lower(primary.seen->settings.cluster_name)};
    for (const auto* standby : all)
        known.insert(lower(analysis::standby_name(*standby)));
    for (const auto& name : rule->names) {
        if (name == "*" || known.contains(lower(name))) continue;
        notes.warn(
            primary.key,
            fmt::format("synchronous_standby_names names \"{}\", and no standby goes by that name", name),
            "correct the list, or the application_name (cluster_name) of the standby");
    }
}

void check_after_failover(const Facts& facts, const Instance& candidate,
                          const std::vector<const Instance*>& all, Notes& notes) {
    const auto& settings = candidate.seen->settings;
    if (!analysis::waits_for_standbys(settings)) return;
    if (analysis::synchronous_satisfiable(settings.synchronous_standby_names, names_except(all, &candidate)))
        return;
    const auto what =
        fmt::format("as the new primary it would find nobody for synchronous_standby_names = {}",
                    literal(settings.synchronous_standby_names));
    const bool relaxes = facts.settings().SynchronousFailoverPolicy != "keep";
    if (!relaxes) {
        notes.warn(candidate.key,
                   what + "; SynchronousFailoverPolicy = \"keep\": commits would hang until a standby comes",
                   "one more standby, or \"SynchronousFailoverPolicy\": \"relax\"");
    } else if (!may_set_synchronous(facts, candidate.key)) {
        notes.fail(candidate.key, what + ", and the manager may not change it: commits would hang",
                   fmt::format("GRANT ALTER SYSTEM ON PARAMETER synchronous_standby_names TO {};",
                               role_name(facts.settings())));
    } else {
        notes.pass(candidate.key, what + "; Baton would relax it, so that commits do not hang");
    }
}

void check_same_names(const Instance& primary, const std::vector<const Instance*>& all, Notes& notes) {
    const auto& value = primary.seen->settings.synchronous_standby_names;
    for (const auto* standby : all) {
        const auto& own = standby->seen->settings.synchronous_standby_names;
        if (own == value) continue;
        notes.warn(standby->key,
                   fmt::format("synchronous_standby_names is {} here and {} on the primary: a failover "
                               "changes what commits wait for",
                               literal(own), literal(value)),
                   "the same on all servers, naming all of them: 'ANY 1 (n1, n2, n3)'");
    }
}

}  // namespace

void check_synchronous(const Facts& facts, const Cluster& cluster, Notes& notes) {
    const auto* primary = cluster.primary();
    if (primary == nullptr || !answers(*primary)) return;
    const auto all = standbys(cluster);
    const auto& settings = primary->seen->settings;
    const auto& value = settings.synchronous_standby_names;
    if (!value.empty() && !analysis::waits_for_standbys(settings)) {
        notes.warn(primary->key,
                   fmt::format("synchronous_standby_names is set, but synchronous_commit = {}: no commit "
                               "waits, commits may be lost",
                               settings.synchronous_commit),
                   set_on(primary->key, "synchronous_commit", "on"));
    } else if (!analysis::synchronous_satisfiable(value, names_except(all, nullptr))) {
        notes.fail(primary->key,
                   fmt::format("synchronous_standby_names = {}: too few of them stream, commits hang now",
                               literal(value)),
                   "bring a standby back; or, giving up the guarantee: " +
                       set_on(primary->key, "synchronous_standby_names", "''"));
    }
    check_unknown_names(*primary, all, notes);
    check_same_names(*primary, all, notes);
    for (const auto* candidate : all)
        check_after_failover(facts, *candidate, all, notes);
    if (!notes.clean()) return;
    notes.pass(value.empty() ? "replication is asynchronous: a failover may lose the last commits"
                             : fmt::format("synchronous_standby_names = {} can be met", literal(value)));
}

}  // namespace baton::doctor
