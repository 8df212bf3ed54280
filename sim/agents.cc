#include "sim/agents.h"

#include <fmt/format.h>

#include <boost/asio/post.hpp>

#include "base/async.h"

namespace baton::sim {
namespace {

/// An agent that is this silent is gone, whatever TCP thinks (fleet/session.cc).
constexpr seconds session_limit{5};
constexpr milliseconds resend{200};
constexpr int most_resends = 5;

}  // namespace

// ---- the manager's side

AgentHouse::AgentHouse(Ground& ground, Clock& clock, store::Store& store)
    : ground_(ground), clock_(clock), store_(store), registry_(clock, {.manager = "manager"}) {}

AgentHouse::~AgentHouse() {
    for (const auto& wire : wires_)
        wire->close_manager();
}

void AgentHouse::begin() {
    spawn(clock_.executor(), run());
}

Task<bool> AgentHouse::take_epoch(uint64_t seen) {
    const auto epoch = std::max(store_.state().epoch, seen) + 1;
    const auto written = co_await store_.apply_durably(store::PutEpoch{epoch});
    if (!written) co_return false;
    registry_.set_epoch(std::max(registry_.epoch(), epoch));
    co_return true;
}

Task<void> AgentHouse::run() {
    while (!co_await take_epoch(0))
        co_await clock_.sleep_for(seconds(1));
    registry_.start();
    open_ = true;
    for (;;) {
        co_await clock_.sleep_for(milliseconds(500));
        for (const auto& wire : std::vector(wires_)) {
            if (ground_.scheduler.now() - wire->heard() < session_limit) continue;
            wire->close_manager();
            over(wire);
        }
    }
}

void AgentHouse::let_in(WirePtr wire) {
    wires_.push_back(wire);
    const auto executor = clock_.executor();
    const std::weak_ptr weak = wire;
    wire->set_manager({.take =
                           [this, executor, weak](agent::Frame frame) {
                               asio::post(executor, [this, weak, frame = std::move(frame)]() mutable {
                                   const auto self = weak.lock();
                                   if (self && knows(self)) take(self, std::move(frame));
                               });
                           },
                       .ended =
                           [this, executor, weak] {
                               asio::post(executor, [this, weak] {
                                   if (const auto self = weak.lock()) over(self);
                               });
                           }});
}

void AgentHouse::over(const WirePtr& wire) {
    const auto held = wire;
    if (std::erase(wires_, held) > 0) registry_.gone(*held);
}

Task<void> AgentHouse::greet(WirePtr wire, agent::Hello hello) {
    if (registry_.outranked_by(hello)) (void)co_await take_epoch(hello.epoch);
    if (!knows(wire)) co_return;
    auto welcome = registry_.hello(*wire, hello);
    if (welcome) {
        wire->send(std::move(*welcome));
    } else {
        wire->end(welcome.error().message);
    }
}

void AgentHouse::take(const WirePtr& wire, agent::Frame frame) {
    if (auto* hello = std::get_if<agent::Hello>(&frame)) {
        spawn(clock_.executor(), greet(wire, std::move(*hello)));
    } else if (const auto* beat = std::get_if<agent::Beat>(&frame)) {
        auto answer = registry_.beat(*wire, *beat);
        if (!answer) {
            wire->end(answer.error().message);
        } else if (*answer) {
            wire->send(std::move(**answer));
        }
    } else if (const auto* progress = std::get_if<agent::Progress>(&frame)) {
        registry_.progress(*wire, *progress);
    } else if (const auto* done = std::get_if<agent::Done>(&frame)) {
        registry_.done(*wire, *done);
    }
}

// ---- the hosts

HostAgents::HostAgents(Ground& ground, const std::vector<std::unique_ptr<Server>>& servers, int drift_ppm)
    : ground_(ground), random_(ground.seed, "agents") {
    for (const auto& s : servers) {
        auto& b = beside_[s->key().host];
        b.server = s.get();
        if (drift_ppm > 0) {
            const auto drift = static_cast<int>(random_.next() % static_cast<uint64_t>(2 * drift_ppm + 1));
            b.clock.drift_ppm = drift - drift_ppm;
        }
        b.clock.uptime = random_.between(seconds(10), seconds(100000));
    }
    ground_.watchers.push_back(this);
}

HostAgents::~HostAgents() {
    for (auto& [name, b] : beside_) {
        if (b.agent) b.agent->leave(false);
    }
}

void HostAgents::begin() {
    for (auto& [name, b] : beside_)
        live(b);
}

void HostAgents::live(Beside& b) {
    if (b.agent || b.stopped || !b.power) return;
    b.watches_since = ground_.scheduler.now();
    b.agent = std::make_unique<HostAgent>(
        HostAgent::Host{ground_, *this, *b.server, b.disk, b.boot, ground_.seed * 1000 + ++b.lives}, b.clock);
    b.agent->begin();
}

void HostAgents::kill(const std::string& name, bool again) {
    auto& b = at(name);
    b.stopped = !again;
    if (!b.agent) return;
    ground_.trace.note("agent " + name, "killed");
    b.agent->leave(true);
    b.agent.reset();
    if (again) {
        ground_.scheduler.after(random_.between(milliseconds(100), milliseconds(1000)),
                                [this, name] { live(at(name)); });
    }
}

void HostAgents::start(const std::string& name) {
    auto& b = at(name);
    b.stopped = false;
    if (b.agent || !b.power) return;
    ground_.trace.note("agent " + name, "starts");
    live(b);
}

void HostAgents::freeze(const std::string& name, bool on) {
    auto& b = at(name);
    if (!b.agent || b.agent->frozen() == on) return;
    ground_.trace.note("agent " + name, on ? "stopped (SIGSTOP)" : "continues (SIGCONT)");
    b.watches_since = ground_.scheduler.now();
    b.agent->freeze(on);
}

void HostAgents::break_disk(const std::string& name, topology::DiskHealth health, bool own) {
    auto& b = at(name);
    b.trouble = topology::Disk{.path = "/data", .total_bytes = 1 << 30, .health = health};
    b.trouble_since = ground_.scheduler.now();
    b.disk.stalls = own;
    b.server->stall_writes(true);
    if (b.agent) b.agent->stir();
}

void HostAgents::mend_disk(const std::string& name) {
    auto& b = at(name);
    b.trouble.reset();
    b.disk.stalls = false;
    b.watches_since = ground_.scheduler.now();
    b.server->stall_writes(false);
}

std::optional<topology::Disk> HostAgents::disk_of(const Server& server) const {
    const auto& b = at(server);
    if (!b.trouble)
        return topology::Disk{.path = "/data",
                              .total_bytes = 1 << 30,
                              .free_bytes = 1 << 29,
                              .health = topology::DiskHealth::good};
    auto disk = *b.trouble;
    disk.since = ground_.scheduler.now() - b.trouble_since;
    return disk;
}

void HostAgents::power_is_back(const std::string& name) {
    auto& b = at(name);
    if (std::exchange(b.power, true)) return;
    ++b.boot;
    b.still = false;
    b.disk.stalls = false;
    b.trouble.reset();
    live(b);
}

/// What becomes of an agent when its host loses power is seen here; it is told what else happens there.
void HostAgents::look_around() {
    looking_ = false;
    for (auto& [name, b] : beside_) {
        const bool power = ground_.network.passes(name, name);
        if (!power && b.power) {
            b.power = false;
            if (b.agent) b.agent->leave(false);
            b.agent.reset();
        } else if (power && !b.power) {
            power_is_back(name);
        }
        if (b.agent && !b.agent->frozen()) b.agent->stir();
    }
}

void HostAgents::changed() {
    if (std::exchange(looking_, true)) return;
    ground_.scheduler.after(random_.between(std::chrono::microseconds(200), milliseconds(3)),
                            [this] { look_around(); });
}

std::unique_ptr<AgentHouse> HostAgents::house(Clock& clock, store::Store& store) {
    auto made = std::make_unique<AgentHouse>(ground_, clock, store);
    house_ = made.get();
    return made;
}

// ---- connections

Task<WirePtr> HostAgents::dial(HostAgent& from, Duration limit) {
    auto& network = ground_.network;
    const auto name = from.name();
    auto& clock = from.process();
    const auto round_trip = network.delay(name, "manager") + network.delay("manager", name);
    co_await clock.sleep_for(round_trip);
    const auto link = at(name).cut ? Link::silent : network.between(name, "manager");
    if (link == Link::silent) co_await clock.sleep_for(limit);
    if (link != Link::up || house_ == nullptr || !house_->open()) co_return nullptr;
    auto wire = std::make_shared<Wire>(ground_, name, [this, name] { return !at(name).cut; });
    house_->let_in(wire);
    co_return wire;
}

/// One question and its answer, over a connection that is there: what vanishes is sent again for a second.
void HostAgents::ask(HostAgent& from, const agent::Vouch& question, std::function<void()> promised) {
    question_arrives(from.name(), at(from.name()).lives, question, std::move(promised), 0);
}

void HostAgents::question_arrives(const std::string& from, uint64_t life, agent::Vouch question,
                                  std::function<void()> promised, int tries) {
    const auto peer = question.member.host;
    if (!beside_.contains(peer)) return;
    if (!ground_.network.passes(from, peer)) {
        if (tries >= most_resends) return;
        ground_.scheduler.after(resend, [this, from, life, question, promised, tries] {
            question_arrives(from, life, question, promised, tries + 1);
        });
        return;
    }
    ground_.scheduler.after(ground_.network.delay(from, peer), [this, from, life, question, promised, peer] {
        auto& b = at(peer);
        if (!b.agent) return;
        asio::post(b.agent->process().executor(), [this, &b, from, life, question, promised, peer] {
            if (b.agent->vouch(question).promised) answer_arrives(from, life, peer, promised, 0);
        });
    });
}

void HostAgents::answer_arrives(const std::string& from, uint64_t life, const std::string& peer,
                                std::function<void()> promised, int tries) {
    if (!ground_.network.passes(peer, from)) {
        if (tries >= most_resends) return;
        ground_.scheduler.after(resend, [this, from, life, peer, promised, tries] {
            answer_arrives(from, life, peer, promised, tries + 1);
        });
        return;
    }
    ground_.scheduler.after(ground_.network.delay(peer, from), [this, from, life, promised] {
        auto& b = at(from);
        if (b.agent && b.lives == life) asio::post(b.agent->process().executor(), promised);
    });
}

// ---- servers

void HostAgents::hold_still(Server& server, bool on) {
    auto& b = at(server.key().host);
    if (on && server.listens()) {
        b.still = true;
        server.hang();
    } else if (!on && std::exchange(b.still, false) && server.hung()) {
        server.resume();
    }
}

void HostAgents::forget_still(Server& server) {
    at(server.key().host).still = false;
}

void HostAgents::tell_lease_ended(const Server& server) {
    ground_.tell(&Watcher::lease_ended, server);
}

// ---- for checkers

const HostAgent* HostAgents::agent_of(const Server& server) const {
    return at(server).agent.get();
}

bool HostAgents::present(const Server& server, Duration least) const {
    const auto& b = at(server);
    return b.agent && !b.agent->frozen() && ground_.scheduler.now() - b.watches_since >= least;
}

bool HostAgents::watches(const Server& server, Duration least) const {
    return present(server, least) && !at(server).trouble;
}

const host::Kept& HostAgents::kept(const Server& server) const {
    return at(server).disk.kept;
}

bool HostAgents::is_cut(const Server& server) const {
    return at(server).cut;
}

bool HostAgents::holds_still(const Server& server) const {
    return at(server).still;
}

}  // namespace baton::sim
