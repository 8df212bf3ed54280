#include "sim/nemesis.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "sim/fault.h"

namespace baton::sim {
namespace {

constexpr seconds mends_within{2};

}  // namespace

Nemesis::Nemesis(World& world, const Story& story)
    : world_(world),
      story_(story),
      random_(story.seed, "nemesis"),
      old_record_(std::make_shared<store::State>(world.disk())) {
    for (const auto& fault : story_.faults) {
        if (fault.trigger == Trigger::time) world_.after(fault.at, [this, &fault] { begin(fault); });
    }
}

/// `unlike`: the other end of a link, which must be somebody else.
std::string Nemesis::host_of(const std::string& target, const std::string& unlike) const {
    std::string name = target;
    if (target == "primary") {
        const auto* leader = world_.leader();
        name = leader != nullptr ? leader->key().host : "p";
    } else if (target == "candidate") {
        name = candidate_.empty() ? world_.servers().back()->key().host : candidate_;
    }
    if (name != unlike) return name;
    return name == "manager" ? "p" : "manager";
}

void Nemesis::journalled(const store::Command& command) {
    if (std::holds_alternative<store::PutRecovery>(command)) trigger(Trigger::recovery, nullptr);
}

void Nemesis::promotion_asked(const Server& server) {
    trigger(Trigger::promotion, &server);
}

void Nemesis::promoted(const Server& server) {
    trigger(Trigger::promoted, &server);
}

void Nemesis::trigger(Trigger trigger, const Server* candidate) {
    if (over_ || std::exchange(triggered_[static_cast<size_t>(trigger)], true)) return;
    if (candidate != nullptr && candidate_.empty()) candidate_ = candidate->key().host;
    for (const auto& fault : story_.faults) {
        if (fault.trigger != trigger) continue;
        if (fault.steps > 0) {
            world_.after_steps(fault.steps, [this, &fault] { begin(fault); });
        } else {
            world_.after(fault.at, [this, &fault] { begin(fault); });
        }
    }
}

void Nemesis::begin(const Fault& fault) {
    if (over_) return;
    auto ends = act(fault);
    happened_.push_back(fault.kind);
    if (!first_) first_ = world_.now();
    if (!ends) return;
    const auto id = next_id_++;
    lasting_[id] = {&fault, fmt::format("ends: {}", info(fault.kind).name), std::move(ends)};
    if (fault.lasts > Duration{}) world_.after(fault.lasts, [this, id] { end(id); });
}

void Nemesis::end(size_t id) {
    auto node = lasting_.extract(id);
    if (!node) return;
    world_.trace().note("nemesis", node.mapped().text);
    node.mapped().end();
    world_.links_changed();
}

Nemesis::End Nemesis::act(const Fault& fault) {
    using enum FaultKind;
    switch (fault.kind) {
        case cut:
        case cut_one_way:
        case reject:
        case cut_some:
        case reject_some:
        case isolate:
        case partition:
        case ring:
        case slow:
        case loss:
            return on_links(fault);
        case flap:
            return flapping(fault);
        case kill_manager:
        case kill_manager_old:
        case kill_manager_lost:
        case jump_wall:
        case break_dns:
            return on_manager(fault);
        case kill_agent:
        case freeze_agent:
        case cut_agent:
        case disk_full:
        case disk_hung:
            return on_agent(fault, world_[host_of(fault.target)]);
        default:
            return on_server(fault, world_[host_of(fault.target)]);
    }
}

Nemesis::End Nemesis::on_server(const Fault& fault, Server& server) {
    using enum FaultKind;
    const auto note = [&](const std::string& text) {
        world_.trace().note("nemesis", server.key().host + ": " + text);
    };
    const auto start = [this, &server] { this->start(server); };
    switch (fault.kind) {
        case kill:
            if (random_.chance(50)) server.leave_partial_record();
            server.kill();
            return start;
        case crash_backend:
            if (server.running() && !server.hung()) server.crash_backend();
            return nullptr;
        case shut_down:
            server.shutdown(random_.chance(80));
            return [this, &server] { start_when_down(server); };
        case power_off:
            server.power_off();
            return start;
        case hang:
            server.hang();
            return [this, &server] { resume(server); };
        case hang_postmaster:
            server.hang_postmaster();
            return [this, &server] { resume(server); };
        case fill_connections:
            note("too many clients");
            server.exhaust_connections(true);
            return [&server] { server.exhaust_connections(false); };
        case refuse_logins:
            note("refuses the manager's password");
            server.refuse_logins(true);
            return [&server] { server.refuse_logins(false); };
        case end_sessions:
            note("an operator ends the manager's sessions");
            server.break_sessions("manager");
            return nullptr;
        case block_looks:
            note("a lock on the catalog");
            server.block_looks(true);
            return [&server] { server.block_looks(false); };
        case stall_promotion:
            note("a promotion would never end");
            server.stall_promotions(true);
            return [&server] { server.stall_promotions(false); };
        case pause_replay:
            note("an operator pauses the replay");
            server.pause_replay(true);
            return [&server] { server.pause_replay(false); };
        case lose_slot:
            note("loses the slot of " + fault.other);
            server.lose_slot(fault.other + "_slot");
            return [&server, name = fault.other + "_slot"] { server.mend_slot(name); };
        case may_not_follow:
            note("the manager may not change primary_conninfo");
            server.forbidden.insert("follow");
            return [&server] { server.forbidden.erase("follow"); };
        default:
            return nullptr;
    }
}

/// What its agent has stopped nobody else lets go on.
void Nemesis::resume(Server& server) {
    const auto* agents = world_.host_agents();
    if (agents == nullptr || !agents->holds_still(server)) server.resume();
}

/// A world without agents knows nothing of them.
Nemesis::End Nemesis::on_agent(const Fault& fault, Server& server) {
    using enum FaultKind;
    auto* agents = world_.host_agents();
    if (agents == nullptr) return nullptr;
    const auto name = server.key().host;
    world_.trace().note("nemesis", fmt::format("{} {}", info(fault.kind).name, name));
    switch (fault.kind) {
        case kill_agent: {
            const bool stays_away = fault.lasts == Duration{} || fault.lasts > seconds(2);
            agents->kill(name, !stays_away);
            if (!stays_away) return nullptr;
            return [agents, name] { agents->start(name); };
        }
        case freeze_agent:
            agents->freeze(name, true);
            return [agents, name] { agents->freeze(name, false); };
        case cut_agent:
            agents->cut(name, true);
            return [agents, name] { agents->cut(name, false); };
        default: {
            const bool full = fault.kind == disk_full;
            agents->break_disk(name, full ? topology::DiskHealth::full : topology::DiskHealth::hung,
                               !full && random_.chance(50));
            return [agents, name] { agents->mend_disk(name); };
        }
    }
}

bool Nemesis::apart(const Fault& fault, const std::string& a, const std::string& b) {
    const auto place = [&](const std::string& host) {
        return static_cast<size_t>(std::ranges::find(fault.group, host) - fault.group.begin());
    };
    const auto size = fault.group.size();
    const auto x = place(a), y = place(b);
    if (fault.kind == FaultKind::partition) return (x < size) != (y < size);
    if (x >= size || y >= size) return false;
    const auto distance = x > y ? x - y : y - x;
    return distance != 1 && distance != size - 1;
}

/// All pairs of hosts between which this fault stands.
std::vector<std::pair<std::string, std::string>> Nemesis::pairs(const Fault& fault) const {
    using enum FaultKind;
    const auto a = host_of(fault.target);
    const auto b = host_of(fault.other, a);
    if (fault.kind == cut_one_way) return {{a, b}};
    std::vector<std::pair<std::string, std::string>> all;
    const auto both = [&](const std::string& x, const std::string& y) {
        all.insert(all.end(), {{x, y}, {y, x}});
    };
    const auto hosts = world_.hosts();
    if (fault.kind == cut_some || fault.kind == reject_some) {
        for (const auto& host : fault.group) {
            if (host != a) both(a, host);
        }
    } else if (fault.kind == isolate) {
        for (const auto& host : hosts) {
            if (host != a) both(a, host);
        }
    } else if (fault.kind == partition || fault.kind == ring) {
        for (size_t i = 0; i < hosts.size(); ++i) {
            for (size_t k = i + 1; k < hosts.size(); ++k) {
                if (apart(fault, hosts[i], hosts[k])) both(hosts[i], hosts[k]);
            }
        }
    } else {
        both(a, b);
    }
    return all;
}

Nemesis::End Nemesis::on_links(const Fault& fault) {
    using enum FaultKind;
    LinkFault what{.state = Link::silent};
    if (fault.kind == reject || fault.kind == reject_some) what = {.state = Link::refused};
    if (fault.kind == slow) what = {.state = Link::up, .slower = milliseconds(fault.amount)};
    if (fault.kind == loss) what = {.state = Link::up, .loss_percent = fault.amount};
    std::string said;
    if (fault.group.empty()) {
        const auto a = host_of(fault.target);
        said = fault.kind == isolate ? a : a + " / " + host_of(fault.other, a);
    } else {
        said = (fault.kind != partition && fault.kind != ring ? host_of(fault.target) + " / " : "") +
               join(fault.group, " ");
    }
    if (fault.amount != 0) said += fmt::format(" ({})", fault.amount);
    world_.trace().note("nemesis", fmt::format("{} {}", info(fault.kind).name, said));
    std::vector<uint64_t> ids;
    for (const auto& [from, to] : pairs(fault))
        ids.push_back(world_.network().add(from, to, what));
    world_.links_changed();
    return [this, ids] {
        for (const auto id : ids)
            world_.network().remove(id);
        world_.links_changed();
    };
}

Nemesis::End Nemesis::flapping(const Fault& fault) {
    struct Flapping {
        End up;
        bool over = false;
        std::function<void()> turn;
    };
    auto state = std::make_shared<Flapping>();
    state->turn = [this, &fault, weak = std::weak_ptr(state)] {
        const auto self = weak.lock();
        if (!self || self->over) return;
        if (self->up) {
            world_.trace().note("nemesis", "the link is back");
            std::exchange(self->up, nullptr)();
        } else {
            Fault once = fault;
            once.kind = FaultKind::cut;
            self->up = on_links(once);
        }
        world_.after(milliseconds(fault.amount), [weak] {
            if (const auto again = weak.lock()) again->turn();
        });
    };
    state->turn();
    return [state] {
        state->over = true;
        if (state->up) state->up();
    };
}

Nemesis::End Nemesis::on_manager(const Fault& fault) {
    using enum FaultKind;
    if (fault.kind == jump_wall) {
        world_.trace().note("nemesis", fmt::format("the manager's wall clock jumps by {} s", fault.amount));
        world_.jump_wall(seconds(fault.amount));
        return nullptr;
    }
    if (fault.kind == break_dns) {
        world_.trace().note("nemesis", "names do not resolve");
        world_.break_dns(true);
        return [this] { world_.break_dns(false); };
    }
    if (!world_.manager_runs()) return nullptr;
    world_.kill_manager();
    if (fault.kind == kill_manager_old) {
        world_.trace().note("nemesis", "the manager's record is an old one");
        world_.replace_disk(*old_record_);
    } else if (fault.kind == kill_manager_lost) {
        world_.trace().note("nemesis", "the manager's record is lost");
        world_.replace_disk({});
    }
    return [this] {
        if (!world_.manager_runs()) world_.start_manager();
    };
}

void Nemesis::mend() {
    over_ = true;
    world_.trace().note("nemesis", "everything is mended");
    for (const auto& [id, lasting] : lasting_)
        world_.after(random_.between({}, mends_within), [this, id] { end(id); });
    world_.after(mends_within, [this] {
        start_what_is_dead();
        mended_ = true;
    });
}

/// A primary that died stays away where the story says so and somebody else can lead.
void Nemesis::start(Server& server) {
    const bool other = std::ranges::any_of(world_.servers(), [&](const auto& s) {
        return s.get() != &server && s->in_recovery() && s->branch() == server.branch() &&
               !s->half_copied() && !server.has_given_up(*s);
    });
    if (over_ && !story_.former_returns && !server.in_recovery() && other) return;
    world_.network().set_host(server.key().host, true);
    if (auto* agents = world_.host_agents()) {
        // It comes before any server of its host does.
        agents->power_is_back(server.key().host);
        world_.after(milliseconds(100), [&server] { server.start(); });
        return;
    }
    server.start();
}

/// A shutdown takes its time: it waits for standbys.
void Nemesis::start_when_down(Server& server) {
    if (!server.listens()) return start(server);
    if (!server.shuts_down()) return;
    world_.after(milliseconds(100), [this, &server] { start_when_down(server); });
}

void Nemesis::start_what_is_dead() {
    for (const auto& s : world_.servers()) {
        if (!s->listens()) start(*s);
    }
    if (!world_.manager_runs()) world_.start_manager();
}

}  // namespace baton::sim
