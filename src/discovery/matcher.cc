#include "discovery/matcher.h"

#include <algorithm>

namespace baton::discovery {
namespace {

/// Seen from another machine, "localhost" of a server is that server's host.
InstanceKey as_seen_from_outside(const InstanceKey& server, std::string host, uint16_t port) {
    const bool local = host.empty() || host.starts_with('/') || host.starts_with('@') ||
                       (topology::is_loopback(host) && !topology::is_loopback(server.host));
    return {local ? server.host : std::move(host), port};
}

std::string effective_application_name(const Observation& seen) {
    if (!seen.upstream.application_name.empty()) return seen.upstream.application_name;
    return seen.settings.cluster_name.empty() ? "walreceiver" : seen.settings.cluster_name;
}

bool same_address(const topology::Sender& row, const InstanceKey& standby, const InstanceKey& upstream,
                  const AddressesOf& addresses) {
    if (row.client_addr.empty() || topology::is_loopback(row.client_addr)) {
        return standby.host == upstream.host || topology::is_loopback(standby.host);
    }
    if (standby.host == row.client_addr || standby.host == row.client_hostname) return true;
    const auto known = addresses(standby.host);
    return std::ranges::find(known, row.client_addr) != known.end();
}

/// 0 = this member cannot be the row's standby.
int match_score(const topology::Sender& row, const Member& standby, const Member& upstream,
                const AddressesOf& addresses) {
    int score = 0;
    if (!row.slot.empty()) {
        if (standby.seen->settings.primary_slot_name != row.slot) return 0;
        score += 4;
    }
    const bool same_name = row.application_name == effective_application_name(*standby.seen);
    const bool same_host = same_address(row, standby.key, upstream.key, addresses);
    if (same_name) score += row.application_name == "walreceiver" ? 1 : 2;
    if (same_host) score += 1;
    // A common name alone says little: two standbys on two hosts may both be "walreceiver".
    const bool enough = score >= 4 || (same_name && (same_host || row.application_name != "walreceiver"));
    return enough ? score : 0;
}

bool says_it_follows(const Member& member, const Member& upstream) {
    if (!member.seen || member.role != topology::Role::standby || !member.edge) return false;
    return *member.edge == upstream.key ||
           std::ranges::find(upstream.aliases, *member.edge) != upstream.aliases.end();
}

}  // namespace

std::optional<InstanceKey> upstream_of(const InstanceKey& standby, const Observation& seen) {
    if (seen.role != topology::Role::standby) return std::nullopt;
    if (seen.receiver && seen.receiver->streaming() && seen.receiver->sender_port != 0) {
        return as_seen_from_outside(standby, seen.receiver->sender_host, seen.receiver->sender_port);
    }
    if (seen.upstream.hosts.size() == 1) {
        return as_seen_from_outside(standby, seen.upstream.hosts[0].host, seen.upstream.hosts[0].port);
    }
    return std::nullopt;
}

std::vector<InstanceKey> conninfo_hosts(const InstanceKey& standby, const Observation& seen) {
    std::vector<InstanceKey> hosts;
    for (const auto& h : seen.upstream.hosts)
        hosts.push_back(as_seen_from_outside(standby, h.host, h.port));
    return hosts;
}

std::vector<const topology::Sender*> unexplained_senders(const Member& upstream,
                                                         std::span<const Member* const> members,
                                                         const AddressesOf& addresses) {
    if (!upstream.seen) return {};
    struct Pair {
        int score;
        size_t row;
        const Member* standby;
    };
    const auto& rows = upstream.seen->senders;
    std::vector<Pair> pairs;
    for (const auto* m : members) {
        if (m == &upstream || !says_it_follows(*m, upstream)) continue;
        for (size_t r = 0; r < rows.size(); ++r) {
            if (const int score = match_score(rows[r], *m, upstream, addresses); score > 0)
                pairs.push_back({score, r, m});
        }
    }
    std::ranges::sort(pairs, [](const Pair& a, const Pair& b) {
        return std::tie(b.score, a.row, a.standby->key) < std::tie(a.score, b.row, b.standby->key);
    });
    std::vector<bool> explained(rows.size(), false);
    std::vector<const Member*> used;
    for (const auto& p : pairs) {
        if (explained[p.row] || std::ranges::find(used, p.standby) != used.end()) continue;
        explained[p.row] = true;
        used.push_back(p.standby);
    }
    std::vector<const topology::Sender*> left;
    for (size_t r = 0; r < rows.size(); ++r) {
        if (!explained[r]) left.push_back(&rows[r]);
    }
    return left;
}

std::vector<InstanceKey> guesses(const topology::Sender& row, const InstanceKey& upstream,
                                 uint16_t default_port, std::span<const uint16_t> candidates) {
    std::vector<InstanceKey> keys;
    const auto add = [&keys](InstanceKey key) {
        if (key.valid() && std::ranges::find(keys, key) == keys.end()) keys.push_back(std::move(key));
    };
    if (row.application_name.find(':') != std::string::npos) {
        if (auto named = topology::parse_instance_key(row.application_name, 0)) add(*named);
    }
    std::vector<std::string> hosts{as_seen_from_outside(upstream, row.client_addr, default_port).host};
    // All of 127/8 is one machine: a client there shows as 127.0.0.1 whatever address its own server listens
    // on.
    if (topology::is_loopback(hosts[0]) && hosts[0] != upstream.host) hosts.push_back(upstream.host);
    std::vector<uint16_t> ports{default_port, upstream.port};
    ports.insert(ports.end(), candidates.begin(), candidates.end());
    for (const auto port : ports) {
        for (const auto& host : hosts) {
            if (InstanceKey key{host, port}; key != upstream) add(std::move(key));
        }
    }
    return keys;
}

}  // namespace baton::discovery
