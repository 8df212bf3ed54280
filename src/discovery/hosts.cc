// What host agents say: evidence on servers that are known, and the way to those that are not.
#include <spdlog/spdlog.h>

#include <cstdlib>

#include "discovery/impl.h"

namespace baton::discovery {
namespace {

using topology::Disk;
using topology::Host;

/// A state that is said again is dated anew each time, and by so much the dates may differ.
constexpr milliseconds same_moment{500};
/// A disk whose use moves by less is not news, so that it does not flutter about an alarm's limit.
constexpr int percent_step = 2;
constexpr std::chrono::hours certificate_step{3};

/// Points of its use that lie between two words on a disk; all of them where only one names it.
int percent_between(const std::optional<Disk>& a, const std::optional<Disk>& b) {
    if (!a || !b) return a || b ? 100 : 0;
    return std::abs(a->used_percent() - b->used_percent());
}

bool other_health(const std::optional<Disk>& a, const std::optional<Disk>& b) {
    const auto health = [](const std::optional<Disk>& d) {
        return d ? d->health : topology::DiskHealth::unknown;
    };
    return health(a) != health(b);
}

/// Something that decisions hang on: ages, bytes and progress do not count.
bool tells_more(const Host& then, const Host& now) {
    const auto parts = [](const Host& h) {
        return std::tie(h.connected, h.state, h.state_since, h.standby_signal, h.crashes, h.last_failure,
                        h.hold, h.quarantine, h.lease_on, h.system_identifier);
    };
    const auto job = [](const Host& h) { return h.job ? h.job->order : uint64_t{}; };
    return parts(then) != parts(now) || then.job.has_value() != now.job.has_value() ||
           job(then) != job(now) || other_health(then.data_disk, now.data_disk) ||
           other_health(then.wal_disk, now.wal_disk);
}

/// It was renewed, or its end has come. The wall clock that it is told by may jump by an hour.
bool other_certificate(const Host& then, const Host& now) {
    if (!then.certificate_left || !now.certificate_left)
        return then.certificate_left.has_value() != now.certificate_left.has_value();
    const Duration expected = *then.certificate_left - (now.heard - then.heard);
    const bool good = *now.certificate_left > Duration{};
    return good != (expected > Duration{}) ||
           (good && std::chrono::abs(*now.certificate_left - expected) >= certificate_step);
}

bool moved(const Host& then, const Host& now) {
    return other_certificate(then, now) || percent_between(then.data_disk, now.data_disk) >= percent_step ||
           percent_between(then.wal_disk, now.wal_disk) >= percent_step;
}

}  // namespace

void Impl::host_says(const InstanceKey& key, std::optional<Host> host) {
    if (stopped_) return;
    const auto e = find(key);
    if (!e) {
        if (host && host->connected) find_by_registration(key, std::move(*host));
        return;
    }
    if (!host && known_by_registration_alone(*e)) {
        remove_endpoint(key);
        return;
    }
    if (host && !believed(*e, *host)) host.reset();
    auto& known = e->member.host;
    if (!known && !host) return;
    const bool was_kept_down = known && known->kept_down();
    if (known && host) {
        if (known->state == host->state &&
            std::chrono::abs(known->state_since - host->state_since) < same_moment)
            host->state_since = known->state_since;
        if (!tells_more(*known, *host)) {
            if (!moved(*known, *host)) return;
            known = std::move(host);
            mark(e->member.cluster_id, false);
            return;
        }
    }
    known = std::move(host);
    mark(e->member.cluster_id, true);
    act_on_word(*e, was_kept_down);
}

void Impl::clients_say(const InstanceKey& key, std::optional<topology::Clients> clients) {
    const auto e = stopped_ ? nullptr : find(key);
    if (!e || e->member.clients == clients) return;
    e->member.clients = std::move(clients);
    mark(e->member.cluster_id, true);
}

/// A directory of another system under this name is a mistake in the agent's configuration.
bool Impl::believed(const Endpoint& e, const Host& host) {
    const auto& m = e.member;
    if (host.system_identifier.empty() || m.cluster_id.empty() || host.system_identifier == m.cluster_id) {
        disbelieved_.erase(m.key);
        return true;
    }
    if (disbelieved_.insert(m.key).second) {
        spdlog::warn(
            "{}: its agent guards a data directory of system {}, the server that answers is of system {}: "
            "what the agent says of it is left aside; look at Host, Port and DataDirectory of the agent",
            m.key.text(), host.system_identifier, m.cluster_id);
    }
    return false;
}

/// What the manager itself sees is asked for at once: the word of the agent may be the first sign.
void Impl::act_on_word(Endpoint& e, bool was_kept_down) {
    const auto& host = e.member.host;
    if (!host) return;
    if (host->state == topology::ServerState::hung) e.greeted = {};
    kick(e);
    if (!host->kept_down() || was_kept_down) return;
    ask_those_below(e);
    spawn(clock_.executor(), mark_when_receivers_ended(find(e.member.key)));
}

void Impl::ask_those_below(const Endpoint& e) {
    const auto cluster = clusters_.find(e.member.cluster_id);
    if (cluster == clusters_.end()) return;
    for (auto* other : cluster->second.members) {
        if (other != &e && other->member.edge && find(*other->member.edge).get() == &e) kick(*other);
    }
}

/// From then on a standby that still says that it receives is no doubt any more: time alone brings that
/// about, and nothing else would make a new snapshot.
Task<void> Impl::mark_when_receivers_ended(EndpointPtr e) {
    const auto self = shared_from_this();
    co_await clock_.sleep_for(topology::receivers_end_within);
    if (!stopped_ && !e->stopped) mark(e->member.cluster_id, true);
}

/// A server that an agent guards and nobody knows. One that is down cannot be asked: its agent knows where it
/// belongs, and is believed until somebody answers there.
void Impl::find_by_registration(const InstanceKey& key, Host host) {
    if (!host.says_dead()) return try_guesses({key}, host.system_identifier);
    if (host.state != topology::ServerState::down || host.system_identifier.empty()) return;
    if ((options_.ignore && options_.ignore(key)) || endpoints_.size() >= options_.max_instances) return;
    const auto e = add_endpoint(key, nullptr);
    move_to_cluster(*e, host.system_identifier);
    e->member.host = std::move(host);
    mark(e->member.cluster_id, true);
    kick(*e);
}

/// It never answered, and no record tells of it.
bool Impl::known_by_registration_alone(const Endpoint& e) {
    return !e.member.seen && e.member.last_seen == WallTime{} && e.member.role == topology::Role::unknown;
}

}  // namespace baton::discovery
