#include "fleet_sim/world.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace baton::bench {
namespace {

constexpr uint64_t first_system_identifier = 7'300'000'000'000'000'000;
constexpr uint64_t first_position = 0x3000000;
constexpr uint64_t step_between_standbys = 64;

/// Spread over 127.1.0.1 and up: 250 to the last byte, so that no address ends in 0 or 255.
std::string address(uint32_t id) {
    return fmt::format("127.{}.{}.{}", 1 + id / 62500, id / 250 % 250, 1 + id % 250);
}

std::string word_after(const std::string& text, std::string_view key) {
    const auto at = text.find(key);
    if (at == std::string::npos) return {};
    const auto from = at + key.size();
    auto word = text.substr(from, text.find(' ', from) - from);
    std::erase(word, '\'');
    return word;
}

}  // namespace

World::World(const FleetOptions& options) : options_(options) {
    servers_.reserve(options.instances);
    if (options.big > 0) add_cluster(options.big, options.fan_out);
    const size_t small = options.clusters - clusters_.size();
    for (size_t i = 0; i < small; ++i) {
        const size_t left = options.instances - servers_.size();
        add_cluster((left + small - i - 1) / (small - i), left);
    }
}

void World::add_cluster(size_t size, size_t fan_out) {
    const auto number = static_cast<uint32_t>(clusters_.size());
    auto& cluster = clusters_.emplace_back();
    cluster.system_identifier = first_system_identifier + options_.first + number;
    for (size_t i = 0; i < size; ++i) {
        std::optional<uint32_t> upstream;
        if (i > 0) upstream = cluster.members[(i - 1) / fan_out];
        cluster.members.push_back(add_server(number, upstream));
    }
}

uint32_t World::add_server(uint32_t cluster, std::optional<uint32_t> upstream) {
    const auto id = static_cast<uint32_t>(servers_.size());
    auto& s = servers_.emplace_back();
    s.id = id;
    s.cluster = cluster;
    s.host = address(options_.first + id);
    s.primary = !upstream;
    s.streaming = upstream.has_value();
    s.upstream = upstream;
    s.position = first_position + cluster * 1000;
    s.slot = upstream ? fmt::format("slot_{}", id) : "";
    if (upstream) {
        auto& up = servers_[*upstream];
        up.slots.push_back(s.slot);
        s.conninfo = fmt::format(
            "user=replicator password=secret host={} port={} sslmode=disable application_name=node{}",
            up.host, options_.port, id);
    }
    return id;
}

/// Standbys are a few bytes apart, so that the choice among them matters.
topology::Lsn World::position(const Server& s) const {
    if (s.primary && s.up) {
        const auto seconds = static_cast<double>(now_ - s.since) / 1e6;
        const auto written = static_cast<uint64_t>(seconds * static_cast<double>(options_.bytes_per_second));
        return {s.position + written / 8 * 8};
    }
    if (!s.streaming) return {s.position};
    const auto above = position(servers_[*s.upstream]).value;
    return {std::max(s.position, above - s.id % 3 * step_between_standbys)};
}

uint32_t World::timeline(const Server& s) const {
    return s.streaming ? timeline(servers_[*s.upstream]) : s.timeline;
}

std::vector<const Server*> World::followers(const Server& s) const {
    std::vector<const Server*> found;
    for (const auto id : clusters_[s.cluster].members) {
        const auto& other = servers_[id];
        if (other.up && other.streaming && other.upstream == s.id) found.push_back(&other);
    }
    return found;
}

void World::stop_streaming(Server& s) {
    if (!s.streaming) return;
    s.position = position(s).value;
    s.timeline = timeline(s);
    s.streaming = false;
}

std::vector<uint32_t> World::kill_primaries(size_t count) {
    std::vector<uint32_t> candidates;
    for (const auto& s : servers_) {
        if (s.up && s.primary && !followers(s).empty()) candidates.push_back(s.id);
    }
    std::ranges::shuffle(candidates, random_);
    candidates.resize(std::min(count, candidates.size()));
    std::uniform_int_distribution<Micros> jitter(options_.receiver_notices / 3,
                                                 options_.receiver_notices * 5 / 3);
    for (const auto id : candidates) {
        auto& s = servers_[id];
        const auto end = position(s).value;
        for (const auto* f : followers(s))
            after(jitter(random_), [this, follower = f->id] { stop_streaming(servers_[follower]); });
        s.up = false;
        s.position = end;
        auto& cluster = clusters_[s.cluster];
        cluster.killed = now_;
        cluster.promoted.reset();
        cluster.rewired.reset();
    }
    return candidates;
}

void World::promote(Server& s) {
    if (s.primary || s.promoting) return;
    s.promoting = true;
    after(options_.promotion, [this, id = s.id] {
        auto& promoted = servers_[id];
        auto& cluster = clusters_[promoted.cluster];
        stop_streaming(promoted);
        promoted.history.push_back({promoted.timeline, {promoted.position}});
        ++promoted.timeline;
        promoted.promoting = false;
        promoted.primary = true;
        promoted.upstream.reset();
        promoted.since = now_;
        if (cluster.promoted) ++promoted_twice_;
        cluster.promoted = now_;
        note_rewired(promoted);
    });
}

std::optional<uint32_t> World::find(const std::string& conninfo) const {
    const auto host = word_after(conninfo, "host=");
    const auto at = std::ranges::find(servers_, host, &Server::host);
    return at == servers_.end() ? std::nullopt : std::optional(at->id);
}

void World::reload(Server& s) {
    const bool changed = s.next_conninfo || s.next_slot;
    if (s.next_conninfo) s.conninfo = *std::exchange(s.next_conninfo, std::nullopt);
    if (s.next_slot) s.slot = *std::exchange(s.next_slot, std::nullopt);
    if (!changed || s.primary) return;
    stop_streaming(s);
    s.upstream = find(s.conninfo);
    after(options_.reconnect, [this, id = s.id] { connect_receiver(id); });
}

void World::connect_receiver(uint32_t id) {
    auto& s = servers_[id];
    if (s.primary || s.streaming || !s.upstream) return;
    const auto& above = servers_[*s.upstream];
    const bool slot_is_there = s.slot.empty() || std::ranges::find(above.slots, s.slot) != above.slots.end();
    if (!above.up || !slot_is_there || position(above).value < s.position || timeline(above) < s.timeline) {
        constexpr Micros wal_retrieve_retry_interval = 5'000'000;
        after(wal_retrieve_retry_interval, [this, id] { connect_receiver(id); });
        return;
    }
    s.streaming = true;
    note_rewired(s);
}

void World::note_rewired(const Server& s) {
    auto& cluster = clusters_[s.cluster];
    const bool all = std::ranges::all_of(cluster.members, [this](uint32_t id) {
        const auto& m = servers_[id];
        return !m.up || m.primary || (m.streaming && servers_[*m.upstream].up);
    });
    if (all && cluster.promoted && !cluster.rewired) cluster.rewired = now_;
}

Outcome World::outcome() const {
    Outcome out;
    out.promoted_twice = promoted_twice_;
    for (const auto& c : clusters_) {
        if (!c.killed) continue;
        ++out.killed;
        if (c.promoted) out.promoted_ms.push_back(static_cast<double>(*c.promoted - *c.killed) / 1000);
        if (c.rewired) out.rewired_ms.push_back(static_cast<double>(*c.rewired - *c.killed) / 1000);
    }
    return out;
}

Micros World::advance(Micros now) {
    now_ = now;
    while (!due_.empty() && due_.top().at <= now_) {
        const auto what = due_.top().what;
        due_.pop();
        what();
    }
    return due_.empty() ? -1 : due_.top().at - now_;
}

}  // namespace baton::bench
