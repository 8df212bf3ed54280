// Each server by itself: does it answer, and may the manager do there what a failover needs?
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <map>

#include "analysis/wording.h"
#include "base/text.h"
#include "doctor/check_functions.h"
#include "doctor/words.h"

namespace baton::doctor {

void check_connection(const Facts& facts, const Cluster& cluster, Notes& notes) {
    for (const auto& i : cluster.instances) {
        if (answers(*i)) {
            notes.pass(i->key, fmt::format("PostgreSQL {}, {}, answers in {}", i->seen->version,
                                           topology::to_string(i->seen->role),
                                           analysis::duration_text(i->health.latency)));
        } else {
            Error error = i->health.error.value_or(Error{});
            error.who.clear();
            notes.fail(i->key,
                       fmt::format("does not answer ({}){}", topology::to_string(i->health.reach),
                                   error.message.empty() ? "" : ": " + error.text()),
                       "see its log, then whether the manager's machine reaches its port");
        }
    }
    for (const auto& server : facts.examined) {
        if (server.outcome || cluster.find(server.key) == nullptr) continue;
        Error error = server.outcome.error();
        error.who.clear();
        notes.fail(server.key, "a session for deeds did not work: " + error.text(),
                   "without one Baton can neither promote nor redirect this server");
    }
}

namespace {

struct Missing {
    std::vector<InstanceKey> servers;
    std::vector<std::string> what, remedies;
    bool required = false;
};

/// Servers that lack the same things are told once: grants replicate, so usually all of them do.
std::vector<Missing> missing_privileges(const Facts& facts, const Cluster& cluster, bool required) {
    std::map<std::vector<std::string>, Missing> by_what;
    for (const auto* i : answering(cluster)) {
        const auto* examination = facts.examination(i->key);
        if (examination == nullptr) continue;
        Missing missing;
        for (const auto& p : examination->privileges) {
            if (p.granted || p.required != required) continue;
            missing.what.push_back(p.what);
            if (std::ranges::find(missing.remedies, p.remedy) == missing.remedies.end())
                missing.remedies.push_back(p.remedy);
        }
        if (missing.what.empty()) continue;
        auto& known = by_what.try_emplace(missing.remedies, missing).first->second;
        known.servers.push_back(i->key);
    }
    std::vector<Missing> out;
    out.reserve(by_what.size());
    for (auto& [remedies, missing] : by_what)
        out.push_back(std::move(missing));
    return out;
}

std::string where_to_grant(const Facts& facts, const Cluster& cluster) {
    const auto* primary = cluster.primary();
    return fmt::format("-- on {}, in database {} (the standbys get it by replication):\n",
                       primary ? primary->key.text() : "the primary",
                       facts.settings().PostgreSQLTopologyDatabase);
}

size_t examined_of(const Facts& facts, const Cluster& cluster) {
    return static_cast<size_t>(std::ranges::count_if(
        cluster.instances, [&](const auto& i) { return facts.examination(i->key) != nullptr; }));
}

}  // namespace

void check_privileges(const Facts& facts, const Cluster& cluster, Notes& notes) {
    const auto examined = examined_of(facts, cluster);
    if (examined == 0) return;
    const auto role = role_name(facts.settings());
    for (const auto& missing : missing_privileges(facts, cluster, true)) {
        notes.fail(fmt::format("role {} may not do on {}: {}", role, texts_of(missing.servers),
                               join(missing.what, ", ")),
                   where_to_grant(facts, cluster) + join(missing.remedies, "\n"));
    }
    if (notes.clean())
        notes.pass(
            fmt::format("role {} may do all that a failover needs on {}", role, counted(examined, "server")));
    for (const auto& missing : missing_privileges(facts, cluster, false)) {
        notes.pass(fmt::format("not needed for a failover, and not granted on {}: {}",
                               texts_of(missing.servers), join(missing.what, ", ")),
                   where_to_grant(facts, cluster) + join(missing.remedies, "\n"));
    }
}

void check_superuser(const Facts& facts, const Cluster& cluster, Notes& notes) {
    constexpr int grants_for_alter_system = 15;
    std::vector<InstanceKey> needless;
    bool is_superuser = false, any = false;
    for (const auto* i : answering(cluster)) {
        const auto* examination = facts.examination(i->key);
        if (examination == nullptr) continue;
        any = true;
        is_superuser = is_superuser || examination->superuser;
        if (examination->superuser && major_of(*i) >= grants_for_alter_system) needless.push_back(i->key);
    }
    if (!needless.empty()) {
        const auto role = role_name(facts.settings());
        notes.warn(
            fmt::format("role {} is a superuser on {}; PostgreSQL 15 and later need far less", role,
                        texts_of(needless)),
            fmt::format("give it the grants of docs/privileges.md, then: ALTER ROLE {} NOSUPERUSER;", role));
    } else if (any) {
        notes.pass(is_superuser ? "the role is a superuser, as PostgreSQL 13 and 14 want for ALTER SYSTEM"
                                : "the role is no superuser");
    }
}

namespace {

constexpr int oldest_major = 13, newest_major = 18;

void check_one_version(const Instance& i, const Instance& upstream, Notes& notes) {
    const int ours = i.seen->version_num, theirs = upstream.seen->version_num;
    if (ours / 10'000 != theirs / 10'000) {
        notes.fail(
            i.key,
            fmt::format("runs PostgreSQL {}, its primary {} runs {}: streaming needs one major version",
                        i.seen->version, upstream.key.text(), upstream.seen->version),
            "build this standby anew with the primary's version");
    } else if (ours < theirs) {
        notes.warn(i.key,
                   fmt::format(
                       "runs PostgreSQL {}, older than {} of the primary {}: a failover to it is a downgrade",
                       i.seen->version, upstream.seen->version, upstream.key.text()),
                   "update the standbys first, the primary last");
    } else if (ours > theirs) {
        notes.warn(i.key,
                   fmt::format("runs PostgreSQL {}, newer than {} of the primary {}", i.seen->version,
                               upstream.seen->version, upstream.key.text()),
                   "finish the update: the primary comes last");
    }
}

}  // namespace

void check_versions(const Facts&, const Cluster& cluster, Notes& notes) {
    const auto members = answering(cluster);
    const auto* primary = cluster.primary();
    for (const auto* i : members) {
        const int major = major_of(*i);
        if (major < oldest_major) {
            notes.fail(i->key,
                       fmt::format("runs PostgreSQL {}; Baton manages {} to {}", i->seen->version,
                                   oldest_major, newest_major),
                       "upgrade: before 13 a standby must be restarted to follow another primary");
        } else if (major > newest_major) {
            notes.warn(i->key,
                       fmt::format("runs PostgreSQL {}; Baton was tried with {} to {}", i->seen->version,
                                   oldest_major, newest_major),
                       "try a failover with a test cluster of this version first");
        }
        if (primary != nullptr && primary->seen && i != primary) check_one_version(*i, *primary, notes);
    }
    if (notes.clean() && !members.empty())
        notes.pass(fmt::format("{} on PostgreSQL {}", counted(members.size(), "server"),
                               members.front()->seen->version));
}

void check_clock(const Facts& facts, const Cluster& cluster, Notes& notes) {
    constexpr milliseconds most{1000};
    milliseconds worst{0};
    bool any = false;
    for (const auto* i : answering(cluster)) {
        const auto* examination = facts.examination(i->key);
        if (examination == nullptr || !examination->clock_offset) continue;
        any = true;
        const auto offset = *examination->clock_offset;
        worst = std::max(worst, milliseconds(std::abs(offset.count())));
        if (std::abs(offset.count()) <= most.count()) continue;
        notes.warn(
            i->key,
            fmt::format("its clock is {} {} this machine's: times in logs and records will not fit together",
                        analysis::duration_text(milliseconds(std::abs(offset.count()))),
                        offset.count() > 0 ? "ahead of" : "behind"),
            "check time synchronisation on both machines: timedatectl, chronyc tracking");
    }
    if (any && notes.clean())
        notes.pass(fmt::format("every clock is within {} of this machine's",
                               analysis::duration_text(std::max(worst, milliseconds(1)))));
}

void check_prepared(const Facts& facts, const Cluster& cluster, Notes& notes) {
    constexpr size_t shown = 5;
    for (const auto* i : answering(cluster)) {
        const auto* examination = facts.examination(i->key);
        // A standby shows those that it has replayed: the same ones as the primary.
        if (examination == nullptr || !i->is_primary()) continue;
        const auto& prepared = examination->prepared_transactions;
        if (prepared.empty()) {
            notes.pass(i->key, "no prepared transactions");
            continue;
        }
        std::vector<std::string> first;
        for (size_t n = 0; n < std::min(shown, prepared.size()); ++n)
            first.push_back(literal(prepared[n]));
        notes.warn(i->key,
                   fmt::format("{} survive a failover and go on holding locks and rows: {}{}",
                               counted(prepared.size(), "prepared transaction"), join(first, ", "),
                               prepared.size() > shown ? ", …" : ""),
                   "where the transaction manager has forgotten one: COMMIT PREPARED or ROLLBACK PREPARED " +
                       first.front() + ";");
    }
}

void check_archive(const Facts& facts, const Cluster& cluster, Notes& notes) {
    bool any = false;
    for (const auto* i : answering(cluster)) {
        const auto* examination = facts.examination(i->key);
        if (examination == nullptr || !examination->archiving) continue;
        const auto& a = *examination->archiving;
        const bool archives = a.mode == "always" || (a.mode == "on" && i->is_primary());
        any = any || archives;
        if (!archives || !a.failing) continue;
        notes.fail(
            i->key,
            fmt::format("archiving fails, last with {}{}: WAL piles up, and a standby that needs it from the "
                        "archive is lost",
                        a.last_failed_wal,
                        a.last_failure_age
                            ? fmt::format(" {} ago", analysis::duration_text(*a.last_failure_age))
                            : ""),
            "see the server's log for archive_command or archive_library, and the room in the archive");
    }
    if (any && notes.clean()) notes.pass("archiving works");
}

void check_alter_system(const Facts&, const Cluster& cluster, Notes& notes) {
    constexpr int with_the_switch = 17;
    bool any = false;
    for (const auto* i : answering(cluster)) {
        if (major_of(*i) < with_the_switch) continue;
        any = true;
        if (i->seen->settings.allow_alter_system) continue;
        const bool self = i->seen->upstream.finds_primary_itself();
        const auto text = "allow_alter_system is off: Baton cannot redirect it, nor set its slot";
        const auto remedy =
            "in postgresql.conf: allow_alter_system = on; or list all hosts in primary_conninfo with "
            "target_session_attrs=read-write";
        if (self)
            notes.warn(i->key, std::string(text) + "; it finds a new primary itself, by its primary_conninfo",
                       remedy);
        else
            notes.fail(i->key, text, remedy);
    }
    if (any && notes.clean()) notes.pass("allow_alter_system is on everywhere");
}

}  // namespace baton::doctor
