// Host agents: are they there, may they be trusted, and does the lease that fences a primary hold.
#include <fmt/format.h>

#include <set>

#include "analysis/wording.h"
#include "base/text.h"
#include "doctor/check_functions.h"
#include "doctor/words.h"

namespace baton::doctor {

namespace {

constexpr std::chrono::hours certificate_soon{30 * 24};

bool any_agent(const Facts& facts, const Cluster& cluster) {
    return std::ranges::any_of(cluster.instances,
                               [&](const auto& i) { return facts.manager_agent(*i) != nullptr; });
}

bool may_be_promoted(const Instance& i) {
    return i.is_standby() && i.promotion_rule != topology::PromotionRule::must_not;
}

/// Why an agent of this server would not do for a lease; "" = it does.
std::string unfit(const ManagerAgent* agent, bool must_vouch) {
    if (agent == nullptr) return "no host agent guards it";
    if (!agent->connected) return "its host agent is not connected";
    if (must_vouch && agent->peer_address.empty())
        return "its host agent listens for no other agents (PeerAddress)";
    return {};
}

void check_versions_of_agents(const Facts& facts, const Cluster& cluster, Notes& notes) {
    std::set<std::string> versions;
    for (const auto& i : cluster.instances) {
        const auto* agent = facts.manager_agent(*i);
        if (agent != nullptr && agent->connected) versions.insert(agent->version);
    }
    if (versions.size() < 2) return;
    const std::vector<std::string> texts(versions.begin(), versions.end());
    notes.warn(fmt::format("host agents of different versions: {}", join(texts, ", ")),
               "bring all of them to the manager's version");
}

}  // namespace

void check_agents_listener(const Facts& facts, Notes& notes) {
    const auto& c = facts.settings();
    if (!c.ServeAgentsHttp) {
        notes.pass("host agents are not served (ServeAgentsHttp): no fencing, no switchover, no rejoin");
        return;
    }
    if (c.AgentToken.empty() && !c.AgentsUseMutualTLS) {
        notes.fail("ServeAgentsHttp is on, but nothing tells a host agent from anybody else: none is served",
                   "set AgentToken, or AgentsUseSSL and AgentsUseMutualTLS (baton certs makes certificates)");
        return;
    }
    if (!c.AgentsUseSSL) {
        notes.warn(
            "the token of the host agents crosses the network in clear",
            "set AgentsUseSSL, AgentSSLCertFile and AgentSSLPrivateKeyFile (baton certs makes certificates)");
        return;
    }
    notes.pass(fmt::format("host agents come in over TLS with {}",
                           c.AgentsUseMutualTLS ? "certificates" : "a token"));
}

void check_agents(const Facts& facts, const Cluster& cluster, Notes& notes) {
    if (!any_agent(facts, cluster)) {
        notes.pass("no host agents; they are optional");
        return;
    }
    for (const auto& i : cluster.instances) {
        const auto* agent = facts.manager_agent(*i);
        if (agent == nullptr) {
            notes.warn(
                i->key, "no host agent guards it, although others of its cluster have one",
                fmt::format("run baton agent on {}, with this server among its Instances", i->key.host));
            continue;
        }
        if (!agent->connected) {
            notes.fail(i->key, fmt::format("its host agent on {} is not connected", agent->host),
                       "look at the agent's log: systemctl status baton-agent");
            continue;
        }
        if (agent->peer_address.empty()) {
            notes.warn(i->key, "its host agent listens for no other agents, so it cannot vouch",
                       "set PeerListenAddress and PeerAddress in the agent's configuration");
        }
        const auto left = agent->certificate_seconds;
        if (left && *left <= 0) {
            notes.fail(
                i->key, "the certificate of its host agent has expired: it is refused when it connects anew",
                "make a new one (baton certs) in the place of CertFile and KeyFile; it is read by itself");
        } else if (left && seconds(*left) < certificate_soon) {
            notes.warn(
                i->key,
                fmt::format("the certificate of its host agent is good for {} more",
                            analysis::duration_text(seconds(*left))),
                "make a new one (baton certs) in the place of CertFile and KeyFile; it is read by itself");
        }
        if (!agent->in_the_way.empty())
            notes.warn(i->key, agent->in_the_way, "see \"systemd and Debian\" in docs/agent.md");
        if (!agent->quarantine.empty()) {
            notes.fail(i->key, fmt::format("it must not be started: {}", agent->quarantine),
                       fmt::format("baton reinit {}", i->key.text()));
        } else if (!agent->hold.empty() && agent->hold != "none") {
            notes.warn(i->key, fmt::format("its host agent keeps it {}", agent->hold),
                       fmt::format("baton rejoin {}", i->key.text()));
        }
    }
    check_versions_of_agents(facts, cluster, notes);
    if (notes.clean())
        notes.pass(fmt::format("{}, all connected", counted(cluster.instances.size(), "host agent")));
}

void check_lease(const Facts& facts, const Cluster& cluster, Notes& notes) {
    const auto* primary = cluster.primary();
    if (primary == nullptr || !any_agent(facts, cluster)) {
        notes.pass("no host agents, no lease: a primary that is cut off goes on taking writes");
        return;
    }
    const auto* agent = facts.manager_agent(*primary);
    if (agent != nullptr && agent->connected && agent->lease_on) {
        notes.pass(fmt::format("{} holds its lease of {} s", primary->key.text(),
                               facts.settings().PrimaryLeaseSeconds));
        return;
    }
    std::vector<std::string> reasons;
    if (const auto why = unfit(agent, false); !why.empty())
        reasons.push_back(fmt::format("{}: {}", primary->key.text(), why));
    for (const auto& i : cluster.instances) {
        if (!may_be_promoted(*i)) continue;
        if (const auto why = unfit(facts.manager_agent(*i), true); !why.empty())
            reasons.push_back(fmt::format("{}: {}", i->key.text(), why));
    }
    notes.warn(primary->key,
               fmt::format("its lease is off, so it is not fenced when it is cut off: {}",
                           reasons.empty() ? "the manager has not granted one yet" : join(reasons, "; ")),
               "run connected agents with a PeerAddress on the primary and on every standby that may be "
               "promoted, or exclude one: baton promotion-rule HOST:PORT must_not");
}

}  // namespace baton::doctor
