#include "fake_agents.h"

namespace baton::sim {
namespace {

constexpr milliseconds pace{5};
constexpr milliseconds heartbeat{500};

}  // namespace

using agent::Hold;
using agent::ServerState;
using agent::Verb;

FakeAgents::FakeAgents(World& world) : world_(world) {
    world.use_agents(*this);
}

void FakeAgents::beside(const std::string& name) {
    beside_[name].server = &world_[name];
}

void FakeAgents::begin() {
    tick();
}

void FakeAgents::new_manager() {
    ++epoch_;
    callbacks_.clear();
    for (auto& [name, b] : beside_) {
        b.seen.reset();
        b.wish.reset();
        b.withheld = false;
        b.number = 0;
    }
}

void FakeAgents::alive(const std::string& name, bool on) {
    auto& b = at(name);
    b.alive = on;
    if (on) b.holder.restore(b.holder.grant(), epoch_);
}

std::set<std::string> FakeAgents::promotable(const std::string& name) {
    std::set<std::string> names;
    for (const auto& m : at(name).holder.grant().promotable)
        names.insert(m.key.host);
    return names;
}

size_t FakeAgents::orders(const std::string& name, Verb verb) const {
    return static_cast<size_t>(std::ranges::count_if(
        orders_, [&](const agent::Order& o) { return o.instance.host == name && o.verb == verb; }));
}

FakeAgents::Beside& FakeAgents::at(const std::string& name) {
    return beside_.at(name);
}

FakeAgents::Beside* FakeAgents::find(const InstanceKey& key) {
    const auto found = beside_.find(key.host);
    return found == beside_.end() ? nullptr : &found->second;
}

bool FakeAgents::reaches(const std::string& a, const std::string& b) {
    return world_.network().between(a, b) == Link::up;
}

void FakeAgents::tick() {
    for (auto& [name, b] : beside_) {
        if (b.alive) {
            look(b);
            enforce(b);
            if (world_.now() >= b.next_beat) beat(b, false);
        }
        const bool silent = b.seen && b.seen->connected && world_.now() - b.seen->heard > 3 * heartbeat;
        if (silent) {
            b.seen->connected = false;
            tell(b.server->key());
        }
    }
    world_.after(pace, [this] { tick(); });
}

/// One that died is kept down from then on, whoever starts it.
void FakeAgents::look(Beside& b) {
    if (b.hold != Hold::none && b.server->listens()) b.server->kill();
    const auto now = !b.server->listens()                ? ServerState::down
                     : b.server->hung_for_new_sessions() ? ServerState::hung
                     : b.server->running()               ? ServerState::running
                                                         : ServerState::starting;
    if (now == b.state) return;
    b.state = now;
    b.since = world_.now();
    if (now == ServerState::down && b.hold == Hold::none) b.hold = Hold::down;
    beat(b, true);
}

void FakeAgents::enforce(Beside& b) {
    if (!b.server->listens() || b.server->in_recovery()) return;
    const auto verdict = b.holder.verdict(world_.now());
    if (verdict.deed == agent::LeaseDeed::run) return;
    for (const auto& m : b.holder.grant().promotable) {
        auto* peer = find(m.key);
        if (!peer || !peer->alive || !peer->server->in_recovery()) continue;
        if (!talk_always_ && !reaches(b.server->key().host, m.key.host)) continue;
        if (!peer->voucher.promise(world_.now(), agent::vouch_span))
            b.holder.vouched(m.key, world_.now(), agent::vouch_span);
    }
    if (b.holder.verdict(world_.now()).deed != agent::LeaseDeed::stop) return;
    world_.trace().note(b.server->key().host, "its lease has ended");
    b.hold = Hold::fenced;
    b.server->kill();
}

agent::Status FakeAgents::status(const Beside& b) const {
    agent::Status s{.key = b.server->key()};
    s.system_identifier = b.server->system_identifier();
    s.state = b.state;
    s.in_state = world_.now() - b.since;
    s.standby_signal = b.server->in_recovery();
    s.hold = b.hold;
    s.control.timeline = b.server->timeline();
    s.vouches = world_.now() < b.voucher.promised_until();
    s.lease.on = b.holder.grant().on;
    return s;
}

void FakeAgents::beat(Beside& b, bool changed) {
    b.next_beat = world_.now() + heartbeat;
    const auto& key = b.server->key();
    if (callbacks_.empty() || !reaches(key.host, "manager")) return;
    if (!b.seen) b.seen.emplace();
    auto& seen = *b.seen;
    const bool was_connected = std::exchange(seen.connected, true);
    if (!was_connected) ++seen.sessions;
    const bool news = changed || !was_connected || seen.status.vouches != status(b).vouches;
    seen.agent = seen.host = key.host;
    seen.peer_address = key.host + ":3002";
    seen.heard = world_.now();
    seen.status = status(b);
    const auto& in_force = b.holder.grant();
    const bool acknowledges = in_force.epoch != 0 && in_force != seen.grants.last_acknowledged();
    if (in_force.epoch != 0) seen.grants.acknowledged(in_force);
    b.holder.heard_epoch(epoch_);
    if (news || acknowledges) tell(key);
    answer(b);
}

void FakeAgents::answer(Beside& b) {
    if (b.withheld || !b.seen) return;
    b.seen->answered = world_.now();
    if (!b.wish) return;
    if (b.wish->epoch != epoch_) {
        b.wish->epoch = epoch_;
        b.wish->number = ++b.number;
    }
    b.seen->grants.sent(*b.wish);
    b.holder.answered(world_.now(), *b.wish);
}

void FakeAgents::tell(const InstanceKey& key) {
    if (!world_.manager_runs()) return;
    for (const auto& callback : std::vector(callbacks_))
        callback(key);
}

const agent::Seen* FakeAgents::of(const InstanceKey& key) const {
    const auto found = beside_.find(key.host);
    return found == beside_.end() || !found->second.seen ? nullptr : &*found->second.seen;
}

std::vector<agent::Seen> FakeAgents::all() const {
    std::vector<agent::Seen> all;
    for (const auto& [name, b] : beside_) {
        if (b.seen) all.push_back(*b.seen);
    }
    return all;
}

Task<Result<agent::Done>> FakeAgents::order(agent::Order order) {
    auto* b = find(order.instance);
    if (!b || !b->seen)
        co_return fail(ErrorKind::not_found, "no host agent guards it", order.instance.text());
    orders_.push_back(order);
    if (!b->alive || !b->seen->connected || !reaches(order.instance.host, "manager"))
        co_return fail(ErrorKind::unreachable, "the agent is not connected", order.instance.text());
    world_.trace().note(
        "agent", std::string(to_string(order.verb)) + " " + order.instance.text() + (order.on ? "" : " off"));
    agent::Done done;
    done.error = obey(*b, order);
    look(*b);
    beat(*b, true);
    co_return done;
}

std::optional<Error> FakeAgents::obey(Beside& b, const agent::Order& order) {
    switch (order.verb) {
        case Verb::fence:
            if (b.disobeys) return Error{ErrorKind::io, "cannot be killed", "", ""};
            b.hold = Hold::fenced;
            if (b.server->listens()) b.server->kill();
            return std::nullopt;
        case Verb::unfence:
            b.hold = Hold::none;
            return std::nullopt;
        case Verb::start:
            if (b.hold == Hold::fenced) return Error{ErrorKind::refused_by_policy, "it is fenced", "", ""};
            b.hold = Hold::none;
            b.server->start();
            return std::nullopt;
        case Verb::stand_clear:
            if (!order.on) {
                b.voucher.vouch_again();
                return std::nullopt;
            }
            if (b.voucher.stand_clear(world_.now()) <= world_.now()) return std::nullopt;
            return Error{ErrorKind::timeout, "its last promise has not run out", "", ""};
        default:
            return Error{ErrorKind::unsupported, "is not of this test", "", ""};
    }
}

Result<void> FakeAgents::cancel(const InstanceKey& key) {
    return fail(ErrorKind::not_found, "nothing is under way", key.text());
}

void FakeAgents::grant(const InstanceKey& primary, agent::Grant grant) {
    auto* b = find(primary);
    if (!b) return;
    if (b->wish) {
        grant.epoch = b->wish->epoch;
        grant.number = b->wish->number;
        if (grant == *b->wish) return;
    }
    grant.epoch = 0;
    b->wish = std::move(grant);
}

void FakeAgents::withhold(const InstanceKey& primary, bool on) {
    if (auto* b = find(primary)) b->withheld = on;
}

}  // namespace baton::sim
