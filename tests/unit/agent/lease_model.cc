#include "lease_model.h"

#include <fmt/format.h>

namespace baton::agent::model {
namespace {

constexpr milliseconds lease{2000};
constexpr Ms step_ms = 5;
constexpr Ms heartbeat_ms = 500;
/// How late the agent's loop may be and the law still hold: what stop_margin has left after the kill.
constexpr Ms latest_loop = stop_margin.count() - kill_after.count();

}  // namespace

World::World(uint64_t seed, Without without) : without_(without), random_(seed) {
    const auto clock = [&] {
        return Clock{.rate = 1 + static_cast<double>(draw(-100, 100)) / 10000.0, .offset = draw(0, 3600000)};
    };
    p_.clock = clock();
    for (const auto* name : {"x", "y"})
        standbys_[name] = {.key = {name, 5432}, .clock = clock(), .voucher = {}, .clear_on_disk = {}};
    m_.clock = clock();
    start_manager(true);
}

Ms World::draw(Ms from, Ms to) {
    return from + static_cast<Ms>(random_() % static_cast<uint64_t>(to - from + 1));
}

bool World::chance(int per_mille) {
    return draw(0, 999) < per_mille;
}

bool World::cut(const std::string& a, const std::string& b) const {
    const auto at = cut_until_.find({std::min(a, b), std::max(a, b)});
    return at != cut_until_.end() && now_ < at->second;
}

void World::send(const std::string& from, const std::string& to, std::function<void()> deliver) {
    if (cut(from, to)) return;
    const auto delay = chance(30) ? draw(0, 3000) : draw(0, 20);
    due_.emplace(now_ + delay, [this, from, to, deliver = std::move(deliver)] {
        if (!cut(from, to)) deliver();
    });
}

Result World::run(Ms duration) {
    while (now_ < duration && result_.two_primaries.empty()) {
        step();
        now_ += step_ms;
    }
    return result_;
}

void World::step() {
    while (!due_.empty() && due_.begin()->first <= now_) {
        const auto deliver = std::move(due_.begin()->second);
        due_.erase(due_.begin());
        deliver();
        judge();
    }
    if (p_.killed_at && p_.clock.at(now_) >= *p_.killed_at) p_.runs = false;
    if (now_ >= p_.next_loop) primary_loop();
    manager_loop();
    fault();
    judge();
}

void World::fault() {
    static const std::vector<std::string> hosts{"p", "x", "y", "m"};
    if (chance(5)) {
        const auto& a = hosts[static_cast<size_t>(draw(0, 3))];
        const auto& b = hosts[static_cast<size_t>(draw(0, 3))];
        if (a != b) cut_until_[{std::min(a, b), std::max(a, b)}] = now_ + draw(100, 8000);
    }
    if (chance(1)) {
        for (const auto* other : {"m", "x", "y"})
            cut_until_[{std::min<std::string>("p", other), std::max<std::string>("p", other)}] =
                now_ + draw(500, 8000);
    }
    if (chance(1)) restart_primary_agent();
    if (chance(2)) restart_standby_agent(standbys_[chance(500) ? "x" : "y"]);
    if (chance(1)) start_manager(!chance(300));
    if (chance(3)) change_grant();
}

// ---- The primary's agent

void World::primary_loop() {
    p_.next_loop = now_ + (chance(20) ? draw(5, latest_loop - step_ms) : 5);
    const auto now = p_.clock.at(now_);
    if (!p_.runs || p_.killed_at) return;
    const auto verdict = p_.holder.verdict(now);
    if (p_.frozen_until) {
        if (verdict.deed != LeaseDeed::stop) {
            p_.frozen_until.reset();
        } else if (now >= *p_.frozen_until) {
            end_server(now);
        }
    } else if (verdict.deed == LeaseDeed::stop) {
        end_server(verdict.until);
    }
    if (verdict.deed != LeaseDeed::run) ask_vouches();
    if (verdict.held_by == "vouches") result_.vouched_through = true;
    if (now_ >= p_.next_beat) beat();
}

/// It runs on until it is killed, as a server does that does not heed SIGQUIT.
void World::end_server(MonoTime lease_end) {
    result_.lease_ended = true;
    p_.killed_at = std::max(p_.clock.at(now_), lease_end + kill_after);
}

void World::beat() {
    p_.next_beat = now_ + heartbeat_ms;
    const auto sent = p_.clock.at(now_);
    send("p", "m", [this, life = m_.life, sent, epoch = p_.epoch_on_disk, grant = p_.on_disk] {
        manager_hears(life, sent, epoch, grant);
    });
}

void World::take_answer(MonoTime sent, uint64_t epoch, Grant grant) {
    if (without_ != Without::epochs) p_.holder.heard_epoch(epoch);
    // On disk first; a while later it is in force, unless the agent was restarted meanwhile.
    due_.emplace(now_ + draw(0, 40), [this, sent, grant] {
        auto on_disk = p_.holder;
        if (!on_disk.answered(sent, grant)) return;
        p_.on_disk = grant;
        p_.epoch_on_disk = std::max(p_.epoch_on_disk, grant.epoch);
        p_.holder = on_disk;
    });
}

void World::ask_vouches() {
    if (now_ < p_.next_ask) return;
    p_.next_ask = now_ + 250;
    const auto asked = p_.clock.at(now_);
    for (const auto& member : p_.holder.grant().promotable)
        send("p", member.key.host, [this, key = member.key, asked] { vouch(standbys_[key.host], asked); });
}

/// It is back within its margin, and the server stands still until the lease is known to hold.
void World::restart_primary_agent() {
    p_.holder.restore(p_.on_disk, p_.epoch_on_disk);
    p_.next_loop = now_ + draw(0, latest_loop - step_ms);
    p_.next_ask = p_.next_beat = 0;
    if (p_.runs && !p_.killed_at && p_.holder.verdict(p_.clock.at(now_)).deed == LeaseDeed::stop)
        p_.frozen_until = p_.clock.at(now_) + freeze_span;
}

// ---- The standbys' agents

void World::vouch(Standby& s, MonoTime asked) {
    if (s.primary || s.voucher.promise(s.clock.at(now_), vouch_span)) return;
    send(s.key.host, "p", [this, key = s.key, asked] { p_.holder.vouched(key, asked, vouch_span); });
}

void World::restart_standby_agent(Standby& s) {
    s.voucher = Voucher{};
    if (without_ != Without::restart_promise) s.voucher.started(s.clock.at(now_));
    if (s.clear_on_disk && without_ != Without::durable_clear) s.voucher.restore_clear(*s.clear_on_disk);
}

// ---- The manager

void World::start_manager(bool record_kept) {
    const auto clock = m_.clock;
    const auto life = m_.life + 1;
    const auto epoch = record_kept ? m_.epoch + 1 : 1;
    const bool asked = m_.promotion_asked;
    m_ = Manager{.clock = clock, .life = life, .epoch = epoch, .log = {}, .wanted = {}, .attempt = {}};
    m_.answered = m_.clock.at(now_);
    // Whoever was asked to promote itself may do so yet; the journal says so, or everything is gone.
    m_.promotion_asked = asked;
    m_.withheld = asked && record_kept;
    if (!record_kept || without_ == Without::guard) disk_ = {};
    p_.next_beat = 0;
    change_grant();
}

void World::manager_hears(int life, MonoTime sent, uint64_t epoch, const Grant& acknowledged) {
    if (life != m_.life) return;
    // An agent that has seen a newer life makes this one newer still.
    if (epoch > m_.epoch) m_.epoch = epoch + 1;
    if (epoch == m_.epoch || without_ == Without::epochs) m_.log.acknowledged(acknowledged);
    if (m_.withheld && without_ != Without::withholding) return;
    m_.answered = m_.clock.at(now_);
    if (m_.wanted.epoch != m_.epoch) {
        m_.wanted.epoch = m_.epoch;
        m_.wanted.number = ++m_.number;
    }
    put_guard();
    m_.log.sent(m_.wanted);
    send("m", "p", [this, sent, e = m_.epoch, grant = m_.wanted] { take_answer(sent, e, grant); });
}

void World::change_grant() {
    if (m_.attempt) return;
    m_.wanted = {.epoch = 0, .number = 0, .on = !chance(100), .lease = lease, .promotable = {}};
    for (const auto* name : {"x", "y"}) {
        if (m_.wanted.on && chance(700)) m_.wanted.promotable.push_back({{name, 5432}, name});
    }
}

/// What every grant that may be in force says, before this one goes out.
void World::put_guard() {
    Guard next{.on = m_.wanted.on || m_.log.on(), .certain = m_.wanted.on && m_.log.certain(), .members = {}};
    if (!m_.log.heard()) {
        next.on = next.on || disk_.on;
        next.certain = next.certain && disk_.certain;
    }
    for (const auto* name : {"x", "y"}) {
        const InstanceKey key{name, 5432};
        const bool before = m_.log.heard() || !disk_.on || std::ranges::count(disk_.members, key) > 0;
        const bool by_this = !m_.wanted.on || std::ranges::count(m_.wanted.promotable, key, &Member::key) > 0;
        if (before && by_this && m_.log.promotable(key)) next.members.push_back(key);
    }
    disk_ = next;
}

void World::manager_loop() {
    if (m_.promotion_asked) return;
    if (!m_.attempt) {
        if (!chance(3)) return;
        m_.attempt = Attempt{
            .candidate = {chance(500) ? "x" : "y", 5432}, .cleared = {}, .give_up = now_ + draw(1000, 6000)};
        m_.withheld = true;
    }
    auto& a = *m_.attempt;
    if (now_ >= a.next_order) order_stand_clear(a);
    if (may_promote(a)) {
        promote(a.candidate);
    } else if (now_ >= a.give_up) {
        send("m", a.candidate.host, [this, host = a.candidate.host] {
            standbys_[host].voucher.vouch_again();
            standbys_[host].clear_on_disk.reset();
        });
        m_.attempt.reset();
        m_.withheld = false;
    }
}

/// The answer goes out when the last promise has run out; it is asked for again and again.
void World::order_stand_clear(Attempt& a) {
    a.next_order = now_ + (without_ == Without::final_word && a.cleared ? 1000000 : draw(20, 400));
    send("m", a.candidate.host, [this, life = m_.life, host = a.candidate.host] {
        auto& s = standbys_[host];
        s.voucher.stand_clear(s.clock.at(now_));
        s.clear_on_disk = s.voucher.clear_until();
        if (!s.voucher.free(s.clock.at(now_))) return;
        send(host, "m", [this, life, host, said = now_] {
            if (life != m_.life || !m_.attempt || m_.attempt->candidate.host != host) return;
            m_.attempt->cleared = std::max(m_.attempt->cleared.value_or(0), said);
        });
    });
}

/// By the law, and only where the manager can be sure that a lease binds the server.
bool World::may_promote(const Attempt& a) const {
    const bool by_record = !m_.log.heard();
    const bool certain =
        by_record ? disk_.on && disk_.certain && m_.log.on() == m_.log.certain() : m_.log.certain();
    bool promotable = m_.log.promotable(a.candidate);
    if (by_record) promotable = promotable && std::ranges::count(disk_.members, a.candidate) > 0;
    if (without_ == Without::grant_log)
        promotable = std::ranges::count(m_.wanted.promotable, a.candidate, &Member::key) > 0;
    if (!certain && without_ != Without::guard) return false;
    const LeaseView view{.on = true,
                         .confirmed_dead = false,
                         .lease = lease,
                         .promotable = promotable,
                         .answered = m_.answered};
    const auto now = m_.clock.at(now_);
    const auto waits = standoff(view, a.candidate, now);
    if (without_ == Without::margin) {
        if (now < m_.answered + lease - milliseconds(100)) return false;
    } else if (waits) {
        return false;
    }
    if (without_ == Without::stand_clear) return true;
    if (!a.cleared) return false;
    if (without_ == Without::final_word) return true;
    const auto over = m_.answered + lease_and_margin(lease);
    return m_.clock.at(*a.cleared) >= over;
}

void World::promote(const InstanceKey& candidate) {
    m_.promotion_asked = true;
    due_.emplace(now_ + draw(0, 3000), [this, host = candidate.host] {
        standbys_[host].primary = true;
        result_.promoted = true;
    });
}

void World::judge() {
    if (!p_.commits() || !result_.two_primaries.empty()) return;
    if (p_.killed_at && p_.clock.at(now_) >= *p_.killed_at) return;
    for (const auto& [name, s] : standbys_) {
        if (!s.primary) continue;
        result_.two_primaries =
            fmt::format("at {} ms: p takes writes (held by '{}', until {} ms from now) beside {}", now_,
                        p_.holder.verdict(p_.clock.at(now_)).held_by,
                        to_ms(p_.holder.verdict(p_.clock.at(now_)).until - p_.clock.at(now_)), name);
    }
}

}  // namespace baton::agent::model
