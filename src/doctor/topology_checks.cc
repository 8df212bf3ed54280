// Who is who: one cluster, one primary, standbys that stream from it, and how they name what they stream
// from.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "analysis/synchronous.h"
#include "analysis/wording.h"
#include "base/text.h"
#include "doctor/check_functions.h"
#include "doctor/words.h"

namespace baton::doctor {

using topology::Ancestry;

namespace {

std::string other_names(const Cluster& cluster) {
    std::vector<std::string> texts;
    for (const auto& i : cluster.instances) {
        if (!i->aliases.empty())
            texts.push_back(fmt::format("{} is also {}", i->key.text(), texts_of(i->aliases)));
    }
    return join(texts, "; ");
}

void check_foreign_upstreams(const Facts& facts, const Cluster& cluster, Notes& notes) {
    if (!facts.topology) return;
    for (const auto* standby : standbys(cluster)) {
        for (const auto& host : standby->seen->upstream.hosts) {
            const auto at = facts.topology->cluster_of.find(host);
            if (at == facts.topology->cluster_of.end() || at->second == cluster.id) continue;
            notes.fail(standby->key,
                       fmt::format("its primary_conninfo names {}, which belongs to another system ({})",
                                   host.text(), at->second),
                       "point it to its own primary, or build it anew from that one");
        }
    }
}

}  // namespace

void check_one_cluster(const Facts& facts, const Cluster& cluster, Notes& notes) {
    check_foreign_upstreams(facts, cluster, notes);
    if (facts.topology) {
        for (const auto& [id, other] : facts.topology->clusters) {
            if (id == cluster.id || name_of(*other) != name_of(cluster)) continue;
            notes.warn(fmt::format("another system, {}, goes by the same name", id),
                       "give each an alias of its own: ClusterNameToAlias, or baton set-alias");
        }
    }
    if (!notes.clean()) return;
    const auto names = other_names(cluster);
    notes.pass(fmt::format("{}, one system identifier{}", counted(cluster.instances.size(), "server"),
                           names.empty() ? "" : "; " + names));
}

void check_one_primary(const Facts&, const Cluster& cluster, Notes& notes) {
    std::vector<const Instance*> primaries;
    for (const auto* i : answering(cluster)) {
        if (i->seen->role == topology::Role::primary) primaries.push_back(i);
    }
    if (primaries.size() == 1) {
        notes.pass(fmt::format("{} on timeline {}", primaries.front()->key.text(),
                               primaries.front()->seen->timeline));
        return;
    }
    if (primaries.empty()) {
        notes.fail("no server of this cluster that answers is a primary",
                   "start the primary, or let a standby take over: baton failover CLUSTER");
        return;
    }
    std::vector<std::string> texts;
    for (const auto* p : primaries)
        texts.push_back(fmt::format("{} (timeline {})", p->key.text(), p->seen->timeline));
    notes.fail(fmt::format("{} take writes at the same time: {}", counted(primaries.size(), "server"),
                           join(texts, ", ")),
               "stop the one that must not take writes, at once; then make it a standby with pg_rewind or "
               "pg_basebackup");
}

namespace {

void check_one_stream(const Instance& standby, Notes& notes) {
    const auto upstream = standby.upstream ? standby.upstream->text() : "its upstream";
    if (!standby.seen->receiving()) {
        const auto status =
            standby.seen->receiver ? standby.seen->receiver->status : std::string("no WAL receiver");
        notes.fail(standby.key, fmt::format("does not stream from {} ({})", upstream, status),
                   "its log says why: pg_hba.conf or password of the replication role, a missing slot, WAL "
                   "that is gone");
    } else if (!standby.upstream_known) {
        notes.fail(standby.key,
                   fmt::format("streams from {}, which is no known server of this cluster", upstream),
                   "discover it: baton discover " + upstream +
                       "; or use a name in primary_conninfo that the manager can reach");
    }
}

}  // namespace

void check_streaming(const Facts&, const Cluster& cluster, Notes& notes) {
    const auto all = standbys(cluster);
    for (const auto* standby : all)
        check_one_stream(*standby, notes);
    if (all.empty()) {
        notes.fail("there is no standby, so nothing could take over", "build one with pg_basebackup");
    } else if (notes.clean()) {
        notes.pass(counted(all.size(), "standby") == "1 standby"
                       ? "1 standby streams"
                       : fmt::format("{} standbys stream", all.size()));
    }
}

namespace {

bool explains(const Instance& standby, const topology::Sender& row) {
    const auto& s = standby.seen->settings;
    if (!row.slot.empty() && row.slot == s.primary_slot_name) return true;
    return row.application_name == analysis::standby_name(standby) || row.client_addr == standby.key.host;
}

}  // namespace

void check_hidden_standbys(const Facts&, const Cluster& cluster, Notes& notes) {
    size_t rows = 0;
    for (const auto* upstream : answering(cluster)) {
        auto below = cluster.replicas_of(upstream->key);
        std::erase_if(below, [](const Instance* i) { return !i->seen; });
        rows += upstream->seen->senders.size();
        for (const auto& row : upstream->seen->senders) {
            const auto known =
                std::ranges::find_if(below, [&](const Instance* i) { return explains(*i, row); });
            if (known != below.end()) {
                below.erase(known);
                continue;
            }
            notes.warn(
                upstream->key,
                fmt::format("\"{}\" from {} streams from it, and is no server that was found",
                            row.application_name, row.client_addr.empty() ? "this machine" : row.client_addr),
                "name it in DiscoverySeeds, or its port in DiscoveryPortCandidates; let it log the manager "
                "in");
        }
    }
    if (notes.clean() && rows > 0) notes.pass("every row of pg_stat_replication is a known server");
}

void check_timeline(const Facts&, const Cluster& cluster, Notes& notes) {
    const auto* primary = cluster.primary();
    if (primary == nullptr || !primary->seen) return;
    bool any = false;
    for (const auto* standby : standbys(cluster)) {
        any = true;
        const auto& s = *standby->seen;
        const auto stands =
            topology::ancestry(s.timeline, s.received, primary->seen->timeline, cluster.history.get());
        if (stands == Ancestry::diverged || stands == Ancestry::foreign) {
            notes.fail(
                standby->key,
                fmt::format("has WAL that {} never had (timeline {} at {}; the primary is on {})",
                            primary->key.text(), s.timeline, s.received.text(), primary->seen->timeline),
                "rewind or rebuild it: pg_rewind --target-pgdata … --source-server …");
        } else if (stands == Ancestry::unknown) {
            notes.warn(
                standby->key,
                fmt::format(
                    "is on timeline {}, the primary on {}, and the history between them could not be read",
                    s.timeline, primary->seen->timeline),
                "let the manager's role read it: ALTER ROLE … REPLICATION, and a replication line in "
                "pg_hba.conf");
        }
    }
    if (any && notes.clean()) notes.pass(fmt::format("all can follow timeline {}", primary->seen->timeline));
}

void check_lag(const Facts& facts, const Cluster& cluster, Notes& notes) {
    const auto& c = facts.settings();
    const auto most_bytes = static_cast<uint64_t>(c.MaximumLagOnFailoverBytes);
    uint64_t worst = 0;
    bool any = false;
    for (const auto* standby : standbys(cluster)) {
        any = true;
        const auto& lag = standby->lag;
        const auto behind = lag.receive_bytes.value_or(0);
        worst = std::max({worst, behind, lag.replay_bytes.value_or(0)});
        if (most_bytes > 0 && behind > most_bytes) {
            notes.fail(
                standby->key,
                fmt::format("lacks {} of WAL, more than MaximumLagOnFailoverBytes: it would not be promoted",
                            analysis::bytes_text(behind)),
                "see the network and the standby's disk");
        } else if (lag.seconds.value_or(0) > c.ReasonableReplicationLagSeconds) {
            notes.warn(
                standby->key,
                fmt::format("is {} behind ({} not replayed)", analysis::duration_text(seconds(*lag.seconds)),
                            analysis::bytes_text(lag.replay_bytes.value_or(0))),
                "long queries on the standby hold replay back, or its disk is slow: see pg_stat_activity "
                "there");
        }
    }
    if (any && notes.clean()) notes.pass(fmt::format("at most {} behind", analysis::bytes_text(worst)));
}

void check_held_standbys(const Facts&, const Cluster& cluster, Notes& notes) {
    bool any = false;
    for (const auto* standby : standbys(cluster)) {
        any = true;
        const auto delay = standby->seen->settings.recovery_min_apply_delay_ms;
        if (standby->seen->replay_paused) {
            notes.warn(standby->key, "replay is paused: it is not promoted, and its lag grows",
                       on(standby->key, "SELECT pg_wal_replay_resume();"));
        } else if (delay > 0 && standby->promotion_rule != topology::PromotionRule::must_not) {
            notes.warn(standby->key,
                       fmt::format("replays {} late on purpose: it is not promoted",
                                   analysis::duration_text(milliseconds(delay))),
                       fmt::format("if that is meant, say so to be sure: baton promotion-rule {} must_not",
                                   standby->key.text()));
        }
    }
    if (any && notes.clean()) notes.pass("no standby is paused or delayed");
}

namespace {

bool all_on_loopback(const Cluster& cluster) {
    return std::ranges::all_of(cluster.instances,
                               [](const auto& i) { return topology::is_loopback(i->key.host); });
}

void check_hosts(const Cluster& cluster, const Instance& standby, Notes& notes) {
    const auto& up = standby.seen->upstream;
    for (const auto& host : up.hosts) {
        if (standby.known_as(host)) {
            if (up.hosts.size() == 1)
                notes.fail(standby.key, "its primary_conninfo points to itself", "point it to its primary");
        } else if (host.host.empty()) {
            notes.warn(standby.key,
                       "its primary_conninfo names a Unix socket: after a failover to another machine it "
                       "means somebody else",
                       "use a host name in primary_conninfo");
        } else if (topology::is_loopback(host.host) && !all_on_loopback(cluster)) {
            notes.warn(standby.key,
                       fmt::format("its primary_conninfo names {}, which means itself on every machine",
                                   host.text()),
                       "use a name in primary_conninfo that means the same server everywhere");
        }
    }
}

void check_many_hosts(const Cluster& cluster, const Instance& standby, Notes& notes) {
    const auto& up = standby.seen->upstream;
    if (up.hosts.size() < 2) return;
    if (!up.finds_primary_itself()) {
        notes.warn(standby.key,
                   "its primary_conninfo lists several hosts without target_session_attrs: it may stream "
                   "from any of them",
                   "add target_session_attrs=read-write to its primary_conninfo");
    }
    std::vector<InstanceKey> absent;
    for (const auto& i : cluster.instances) {
        const bool listed =
            std::ranges::any_of(up.hosts, [&](const auto& host) { return i->known_as(host); });
        if (!listed && i->key != standby.key) absent.push_back(i->key);
    }
    if (!absent.empty()) {
        notes.warn(standby.key,
                   fmt::format("its primary_conninfo lists several hosts, but not {}", texts_of(absent)),
                   "list every server that may become primary");
    }
}

}  // namespace

void check_conninfo(const Facts& facts, const Cluster& cluster, Notes& notes) {
    bool any = false;
    for (const auto* standby : standbys(cluster)) {
        any = true;
        const auto& up = standby->seen->upstream;
        if (!up.readable) {
            notes.fail(standby->key,
                       "primary_conninfo: " + (up.problem.empty() ? "cannot be read" : up.problem),
                       standby->seen->can_see_all
                           ? "correct the text: key='value' pairs, with ' and \\ escaped by \\"
                           : fmt::format("GRANT pg_monitor TO {};", role_name(facts.settings())));
            continue;
        }
        if (up.hosts.empty())
            notes.fail(standby->key, "primary_conninfo names no host: it lives on its archive only",
                       set_on(standby->key, "primary_conninfo", "'host=… port=… user=… application_name=…'"));
        check_hosts(cluster, *standby, notes);
        check_many_hosts(cluster, *standby, notes);
    }
    if (any && notes.clean()) notes.pass("every primary_conninfo can be read and redirected");
}

void check_application_names(const Facts&, const Cluster& cluster, Notes& notes) {
    std::map<std::string, std::vector<InstanceKey>> by_name;
    const auto* primary = cluster.primary();
    for (const auto* standby : standbys(cluster))
        by_name[analysis::standby_name(*standby)].push_back(standby->key);
    const bool synchronous =
        primary && primary->seen && !primary->seen->settings.synchronous_standby_names.empty();
    for (const auto& [name, keys] : by_name) {
        if (keys.size() < 2) continue;
        const auto text =
            fmt::format("{} all go by the name \"{}\": {}", texts_of(keys), name,
                        synchronous ? "synchronous_standby_names cannot tell them apart"
                                    : "monitoring and synchronous replication cannot tell them apart");
        const auto remedy =
            "give each a cluster_name of its own in postgresql.conf (restart), or application_name=… in its "
            "primary_conninfo";
        notes.add(synchronous ? Level::fail : Level::warn, text, remedy);
    }
    if (!by_name.empty() && notes.clean()) notes.pass("every standby has a name of its own");
}

}  // namespace baton::doctor
