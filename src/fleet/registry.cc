#include "fleet/registry.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "base/async.h"
#include "base/text.h"

namespace baton::fleet {
namespace {

using agent::Status;

/// A heartbeat may be late twice without anything being wrong.
constexpr int missed_beats = 3;
constexpr size_t longest_name = 255;

/// Is there anything new in it for those who act on it? Ages and free bytes move all the time.
bool tells_more(const Status& then, const Status& now) {
    const auto health = [](const Status& s) {
        return std::pair(s.data_disk ? s.data_disk->health : topology::DiskHealth::unknown,
                         s.wal_disk ? s.wal_disk->health : topology::DiskHealth::unknown);
    };
    const auto parts = [](const Status& s) {
        return std::tie(s.state, s.hold, s.quarantine, s.job, s.standby_signal, s.postmaster_pid, s.crashes,
                        s.last_failure, s.vouches, s.system_identifier, s.version, s.control, s.lease.on,
                        s.lease.held_by);
    };
    return parts(then) != parts(now) || health(then) != health(now);
}

bool sane(const std::string& name) {
    return !name.empty() && name.size() <= longest_name && printable(name, longest_name + 1) == name;
}

}  // namespace

Registry::Registry(Clock& clock, RegistryOptions options) : clock_(clock), options_(std::move(options)) {}

void Registry::start() {
    spawn(clock_.executor(), watch(*this, clock_, Duration(options_.heartbeat) / 2, alive_));
}

Task<void> Registry::watch(Registry& registry, Clock& clock, Duration pace, std::weak_ptr<bool> alive) {
    while (true) {
        co_await clock.sleep_for(pace);
        if (alive.expired()) co_return;
        registry.look();
    }
}

void Registry::stop() {
    if (!alive_) return;
    alive_.reset();
    for (const auto& [id, pending] : std::map(orders_))
        end_order(pending, fail(ErrorKind::cancelled, "the manager is stopping"));
}

/// Finds out who has fallen silent and who was not seen for so long that nobody will miss it.
void Registry::look() {
    Keys changed;
    for (auto& [id, member] : members_) {
        if (!member.link || member.silent || alive(member)) continue;
        member.silent = true;
        spdlog::warn("the agent of {} has missed {} heartbeats", member.hello.host, missed_beats);
        set_connected(member, false, changed);
    }
    forget_unseen();
    notify(changed);
}

bool Registry::alive(const Member& member) const {
    return member.link && clock_.now() - member.heard < missed_beats * Duration(options_.heartbeat);
}

void Registry::forget_unseen() {
    if (options_.forget_unseen <= Duration::zero()) return;
    const auto long_ago = clock_.now() - options_.forget_unseen;
    std::erase_if(guarded_, [&](const auto& entry) {
        const auto& seen = entry.second.seen;
        if (seen.connected || seen.heard > long_ago) return false;
        if (const auto at = members_.find(seen.agent); at != members_.end())
            at->second.guards.erase(entry.first);
        return true;
    });
    std::erase_if(members_, [&](const auto& entry) {
        return !entry.second.link && entry.second.heard <= long_ago && entry.second.guards.empty();
    });
}

// ---- Coming and going

bool Registry::outranked_by(const agent::Hello& hello) const {
    return hello.epoch > epoch_ || (hello.epoch == epoch_ && !members_.contains(hello.agent));
}

Result<void> Registry::check(const agent::Hello& hello) const {
    if (epoch_ == 0 || outranked_by(hello)) {
        return fail(ErrorKind::unreachable, "this manager is starting; try again");
    }
    if (hello.protocol != agent::protocol_version) {
        return fail(ErrorKind::unsupported,
                    fmt::format("the agent speaks protocol {}, this manager {}: bring both to one version",
                                hello.protocol, agent::protocol_version));
    }
    if (!sane(hello.agent) || !sane(hello.host))
        return fail(ErrorKind::invalid_argument, "an agent must name itself and its host");
    const auto known = members_.find(hello.agent);
    if (known == members_.end() && members_.size() >= options_.agents) {
        return fail(ErrorKind::refused_by_policy,
                    fmt::format("{} agents are known, which is the limit", members_.size()));
    }
    if (known != members_.end() && alive(known->second) && known->second.hello.host != hello.host) {
        return fail(ErrorKind::conflict,
                    fmt::format("the agent on {} ({}) has the same id: its StateDirectory was copied; remove "
                                "the copy and start the agent again",
                                known->second.hello.host, known->second.link->address()));
    }
    return check_claims(hello.agent, hello.instances);
}

Result<void> Registry::check_claims(const std::string& agent, const std::vector<Status>& instances) const {
    if (instances.size() > options_.instances_per_agent) {
        return fail(ErrorKind::refused_by_policy,
                    fmt::format("an agent may guard {} servers, not {}", options_.instances_per_agent,
                                instances.size()));
    }
    Keys keys;
    for (const auto& status : instances) {
        if (!sane(status.key.host) || status.key.port == 0)
            return fail(ErrorKind::invalid_argument, "a guarded server must have a host and a port");
        if (!keys.insert(status.key).second)
            return fail(ErrorKind::invalid_argument, "it is named twice", status.key.text());
        const auto at = guarded_.find(status.key);
        if (at == guarded_.end() || at->second.seen.agent == agent) continue;
        const auto other = members_.find(at->second.seen.agent);
        if (other == members_.end() || !other->second.guards.contains(status.key) || !alive(other->second))
            continue;
        return fail(
            ErrorKind::conflict,
            fmt::format("the agent on {} ({}) guards it already: look at Host and Port of both agents",
                        other->second.hello.host, other->second.link->address()),
            status.key.text());
    }
    return {};
}

Result<agent::Welcome> Registry::hello(Link& link, const agent::Hello& hello) {
    if (const auto good = check(hello); !good) return std::unexpected(good.error());
    auto& member = members_[hello.agent];
    replace_session(member);
    member.hello = hello;
    member.hello.token.clear();
    member.hello.instances.clear();
    member.link = &link;
    member.heard = clock_.now();
    member.silent = false;
    ++member.sessions;
    links_[&link] = hello.agent;
    ++counters_.connected;
    Keys changed;
    take(member, hello.instances, changed);
    spdlog::info(
        "the agent of {} ({}, version {}) is connected and guards {}", hello.host, link.address(),
        hello.version, member.guards.empty() ? "no server" : [&] {
            std::vector<std::string> names;
            for (const auto& key : member.guards)
                names.push_back(key.text());
            return join(names, ", ");
        }());
    notify(changed);
    return welcome();
}

agent::Welcome Registry::welcome() const {
    return {.version = BATON_VERSION,
            .manager = options_.manager,
            .epoch = epoch_,
            .heartbeat = options_.heartbeat};
}

void Registry::set_epoch(uint64_t epoch) {
    if (std::exchange(epoch_, epoch) == epoch) return;
    for (auto& [id, member] : members_) {
        if (member.link) member.link->send(welcome());
    }
}

/// An agent that lost its connection may be back before we have noticed.
void Registry::replace_session(Member& member) {
    if (!member.link) return;
    auto& old = *member.link;
    links_.erase(&old);
    member.link = nullptr;
    --counters_.connected;
    end_orders(member.hello.agent, "the agent connected anew");
    old.end("replaced by a newer connection of the same agent");
}

void Registry::gone(Link& link) {
    const auto at = links_.find(&link);
    if (at == links_.end()) return;
    auto& member = members_.at(at->second);
    links_.erase(at);
    member.link = nullptr;
    --counters_.connected;
    if (alive_)
        spdlog::warn("the agent of {} ({}) is not connected any more", member.hello.host, link.address());
    Keys changed;
    set_connected(member, false, changed);
    end_orders(member.hello.agent, "the connection to the agent ended");
    notify(changed);
}

void Registry::set_connected(const Member& member, bool connected, Keys& changed) {
    for (const auto& key : member.guards) {
        auto& seen = guarded_.at(key).seen;
        if (std::exchange(seen.connected, connected) != connected) changed.insert(key);
    }
}

// ---- What they say

/// `instances` is all that it guards.
void Registry::take(Member& member, const std::vector<Status>& instances, Keys& changed) {
    Keys named;
    for (const auto& status : instances) {
        named.insert(status.key);
        auto& guarded = guarded_[status.key];
        if (guarded.seen.agent != member.hello.agent) {
            if (const auto old = members_.find(guarded.seen.agent); old != members_.end())
                old->second.guards.erase(status.key);
            changed.insert(status.key);
        }
        member.guards.insert(status.key);
        take_status(guarded, status, changed);
        refresh(member, guarded);
        if (!std::exchange(guarded.seen.connected, true)) changed.insert(status.key);
    }
    for (const auto& key : Keys(member.guards)) {
        if (!named.contains(key)) leave(member, key, changed);
    }
    std::erase_if(member.guards, [&](const auto& key) { return !named.contains(key); });
}

void Registry::take_status(Guarded& guarded, Status status, Keys& changed) {
    if (tells_more(guarded.seen.status, status)) changed.insert(status.key);
    job_vanished(guarded, status);
    guarded.seen.status = std::move(status);
}

/// It guards that server no more; what it said last stays for a while.
void Registry::leave(const Member& member, const InstanceKey& key, Keys& changed) {
    auto& seen = guarded_.at(key).seen;
    spdlog::warn("the agent of {} does not guard {} any more", member.hello.host, key.text());
    if (std::exchange(seen.connected, false)) changed.insert(key);
}

void Registry::refresh(const Member& member, Guarded& guarded) const {
    auto& seen = guarded.seen;
    seen.agent = member.hello.agent;
    seen.host = member.hello.host;
    seen.version = member.hello.version;
    seen.peer_address = member.hello.peer_address;
    if (member.link) seen.address = member.link->address();
    seen.heard = member.heard;
    seen.sessions = member.sessions;
}

Registry::Member* Registry::member_of(const Link& link) {
    const auto at = links_.find(&link);
    return at == links_.end() ? nullptr : &members_.at(at->second);
}

Result<std::optional<agent::BeatAnswer>> Registry::beat(Link& link, const agent::Beat& beat) {
    auto* member = member_of(link);
    if (!member) return fail(ErrorKind::conflict, "this connection was replaced");
    if (const auto good = check_claims(member->hello.agent, beat.instances); !good)
        return std::unexpected(good.error());
    ++counters_.beats;
    member->heard = clock_.now();
    if (std::exchange(member->silent, false))
        spdlog::info("the agent of {} is heard again", member->hello.host);
    Keys changed;
    take(*member, beat.instances, changed);
    acknowledge(beat, *member, changed);
    notify(changed);
    // Only now: who was told may have withheld the answer to this very heartbeat, or ended the link.
    member = member_of(link);
    if (!member) return std::nullopt;
    return answer(*member, beat);
}

void Registry::acknowledge(const agent::Beat& beat, const Member& member, Keys& changed) {
    // One that has not heard of this life may yet take a grant of an earlier one, which is still on its way.
    if (beat.epoch < epoch_) return;
    for (const auto& [key, grant] : beat.acknowledged) {
        if (!member.guards.contains(key)) continue;
        auto& grants = guarded_.at(key).seen.grants;
        if (!grants.heard() || grants.last_acknowledged() != grant) changed.insert(key);
        grants.acknowledged(grant);
    }
}

std::optional<agent::BeatAnswer> Registry::answer(const Member& member, const agent::Beat& beat) {
    agent::BeatAnswer out{.seq = beat.seq, .sent_us = beat.sent_us, .grants = {}};
    bool any = member.guards.empty();
    for (const auto& key : member.guards) {
        auto& guarded = guarded_.at(key);
        if (guarded.withheld) continue;
        any = true;
        // Before the answer leaves: who waits for the lease to end counts from here.
        guarded.seen.answered = clock_.now();
        if (!guarded.grant) continue;
        const auto& grant = stamped(guarded);
        guarded.seen.grants.sent(grant);
        out.grants.emplace_back(key, grant);
    }
    if (!any) return std::nullopt;
    return out;
}

/// A grant that went out under an older epoch is another one under this.
const agent::Grant& Registry::stamped(Guarded& guarded) {
    auto& grant = *guarded.grant;
    if (grant.epoch != epoch_) {
        grant.epoch = epoch_;
        grant.number = ++guarded.grants;
    }
    return grant;
}

void Registry::notify(const Keys& changed) {
    for (const auto& key : changed) {
        for (size_t i = 0; i < callbacks_.size(); ++i)
            callbacks_[i](key);
    }
}

// ---- What the manager asks for

const Registry::Guarded* Registry::find(const InstanceKey& key) const {
    if (const auto at = guarded_.find(key); at != guarded_.end()) return &at->second;
    if (!names_ || guarded_.empty()) return nullptr;
    for (const auto& name : names_(key)) {
        if (const auto at = guarded_.find(name); at != guarded_.end()) return &at->second;
    }
    return nullptr;
}

Registry::Guarded* Registry::find(const InstanceKey& key) {
    return const_cast<Guarded*>(std::as_const(*this).find(key));
}

const agent::Seen* Registry::of(const InstanceKey& key) const {
    const auto* guarded = find(key);
    return guarded ? &guarded->seen : nullptr;
}

std::vector<agent::Seen> Registry::all() const {
    std::vector<agent::Seen> out;
    out.reserve(guarded_.size());
    for (const auto& [key, guarded] : guarded_)
        out.push_back(guarded.seen);
    return out;
}

void Registry::grant(const InstanceKey& primary, agent::Grant grant) {
    auto* guarded = find(primary);
    if (!guarded) return;
    if (const auto& now = guarded->grant; now) {
        grant.epoch = now->epoch;
        grant.number = now->number;
        if (grant == *now) return;
    }
    grant.epoch = 0;  // stamped when it first goes out
    guarded->grant = std::move(grant);
}

void Registry::withhold(const InstanceKey& primary, bool on) {
    if (auto* guarded = find(primary)) guarded->withheld = on;
}

}  // namespace baton::fleet
