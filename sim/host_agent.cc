#include "sim/host_agent.h"

#include <fmt/format.h>

#include <boost/asio/post.hpp>

#include "base/async.h"
#include "sim/agents.h"

namespace baton::sim {
namespace {

/// As the agent's own (host/guarded.cc, host/manager_link.cc).
constexpr milliseconds look_every{500};
constexpr milliseconds look_again_after_kill{1};
constexpr seconds hung_after{3};
constexpr milliseconds first_pause{100};
constexpr milliseconds longest_pause{2000};
constexpr seconds connect_limit{2};
constexpr seconds welcome_limit{5};
constexpr seconds silence_limit{20};
constexpr size_t most_unanswered = 64;
constexpr milliseconds arrives_within{250};
constexpr milliseconds between_tries{50};
constexpr seconds soon_over{5};

}  // namespace

HostAgent::HostAgent(Host host, ClockSetting clock)
    : host_(host),
      process_(host.ground.scheduler, clock),
      random_(host.seed, "agent " + host.server.key().host),
      began_(host.ground.scheduler.now()),
      epoch_(host.disk.epoch),
      guard_(
          {.key = host.server.key(), .hung_after = hung_after},
          [&] {
              auto kept = host.disk.kept;
              if (host.disk.boot != host.boot) kept.clear_until = {};
              return kept;
          }(),
          host.disk.epoch, process_.now()),
      stirred_(process_),
      to_tell_(process_),
      link_over_(process_) {}

HostAgent::~HostAgent() {
    process_.kill();
}

void HostAgent::leave(bool power) {
    if (!wire_) return;
    if (power) {
        wire_->close_agent();
    } else {
        wire_->vanish_agent();
    }
}

void HostAgent::begin() {
    asio::post(process_.executor(), [this] {
        if (const auto known = guard_.identified(host_.server.system_identifier(), false, now()))
            apply(*known);
        look();
        spawn(process_.executor(), watch());
        spawn(process_.executor(), probe());
        spawn(process_.executor(), link());
    });
}

void HostAgent::stir() {
    asio::post(process_.executor(), [this] {
        look();
        stirred_.notify();
    });
}

host::Sight HostAgent::sight() const {
    const auto& s = host_.server;
    host::Sight sight{.data = true, .postmaster = s.listens(), .standby_signal = s.in_recovery()};
    if (!sight.postmaster) return sight;
    sight.stopped = s.hung_for_new_sessions();
    sight.phase = s.shuts_down() ? host::Phase::stopping
                  : s.running()  ? host::Phase::ready
                                 : host::Phase::starting;
    sight.pid = static_cast<int>(s.life() + 1);
    return sight;
}

void HostAgent::look() {
    if (guard_.deed() == host::Deed::job) {
        if (host_.server.listens()) apply(guard_.intruded());
        return;
    }
    look_soon_ = false;
    apply(guard_.saw(sight(), now()));
}

void HostAgent::apply(const host::Actions& actions) {
    auto& server = host_.server;
    if (!actions.why.empty()) host_.ground.trace.note("agent " + name(), actions.why);
    if (actions.freeze) host_.all.hold_still(server, true);
    if (actions.thaw) host_.all.hold_still(server, false);
    if (actions.quit) {
        if (guard_.kept().hold_reason.starts_with("its lease ended:")) host_.all.tell_lease_ended(server);
        end_server(random_.between(milliseconds(2), milliseconds(60)));
    }
    if (actions.kill) {
        host_.all.forget_still(server);
        if (server.listens()) server.kill();
        look_soon_ = true;
    }
    if (actions.save) save();
    if (actions.ask) ask();
    if (actions.say) say();
    stirred_.notify();
}

/// SIGQUIT: the postmaster ends its children, and then itself.
void HostAgent::end_server(Duration after) {
    host_.ground.scheduler.after(after, [&server = host_.server, life = host_.server.life()] {
        if (server.life() == life && server.listens() && !server.hung_for_new_sessions()) server.kill();
    });
}

Task<void> HostAgent::watch() {
    auto next_look = now() + look_every;
    for (;;) {
        auto wake = std::min(guard_.wake_at(), next_look);
        if (look_soon_) wake = std::min(wake, now() + look_again_after_kill);
        co_await stirred_.wait_until(wake);
        const auto t = now();
        if (look_soon_ || t >= next_look) {
            next_look = t + look_every;
            look();
        } else if (t >= guard_.wake_at()) {
            if (guard_.state() == topology::ServerState::stopping) look();
            apply(guard_.tick(t));
        }
    }
}

Task<void> HostAgent::probe() {
    for (;;) {
        const auto asked = now();
        const auto& seen = guard_.sight();
        if (seen.postmaster && seen.phase == host::Phase::ready && !guard_.frozen() &&
            guard_.deed() != host::Deed::job) {
            const auto pid = seen.pid;
            const bool silent = host_.server.hung_for_new_sessions();
            co_await process_.sleep_for(silent ? Duration(hung_after) : Duration(milliseconds(3)));
            const bool same = guard_.sight().postmaster && guard_.sight().pid == pid;
            const bool answers = !host_.server.hung_for_new_sessions();
            if (same && host_.server.listens()) apply(guard_.probed(answers, asked, now()));
        }
        co_await process_.sleep_until(asked + hung_after);
    }
}

// ---- the state file

void HostAgent::save() {
    ++saves_;
    if (std::exchange(writing_, true)) return;
    spawn(process_.executor(), write());
}

Task<void> HostAgent::write() {
    while (written_ != saves_) {
        const auto save = saves_;
        const auto version = guard_.version();
        const AgentDisk next{.kept = guard_.kept(), .epoch = epoch_, .boot = host_.boot};
        co_await process_.sleep_for(random_.between(std::chrono::microseconds(300), milliseconds(8)));
        while (host_.disk.stalls)
            co_await process_.sleep_for(milliseconds(50));
        host_.disk.kept = next.kept;
        host_.disk.epoch = next.epoch;
        host_.disk.boot = next.boot;
        written_ = save;
        apply(guard_.saved(version, now()));
    }
    writing_ = false;
}

// ---- peers

void HostAgent::ask() {
    say();
    for (const auto& member : guard_.grant().promotable) {
        if (member.agent_address.empty()) continue;
        const agent::Vouch question{.primary = host_.server.key(),
                                    .member = member.key,
                                    .system_identifier = guard_.kept().system_identifier,
                                    .span = agent::vouch_span};
        host_.all.ask(*this, question, [this, who = member.key, asked = now()] {
            apply(guard_.vouched(who, asked, agent::vouch_span, now()));
        });
    }
}

// ---- the manager

void HostAgent::say() {
    changed_ = true;
    to_tell_.notify();
}

Task<void> HostAgent::link() {
    Duration pause = first_pause;
    for (;;) {
        if (co_await connect()) {
            pause = first_pause;
            co_await beat();
        }
        if (wire_) wire_->close_agent();
        wire_.reset();
        welcome_ = false;
        sent_.clear();
        if (next_) continue;
        co_await process_.sleep_for(pause);
        pause = std::min<Duration>(pause * 2, longest_pause);
    }
}

Task<bool> HostAgent::connect() {
    auto wire = std::exchange(next_, nullptr);
    if (!wire) wire = co_await host_.all.dial(*this, connect_limit);
    if (!wire) co_return false;
    wire_ = wire;
    const auto mine = [this, weak = std::weak_ptr(wire)](auto what) {
        return [this, weak, what = std::move(what)](auto... arguments) mutable {
            asio::post(process_.executor(),
                       [this, weak, what, ... arguments = std::move(arguments)]() mutable {
                           if (wire_ && wire_ == weak.lock()) what(std::move(arguments)...);
                       });
        };
    };
    wire->set_agent(
        {.take = mine([this](agent::Frame frame) { take(std::move(frame)); }), .ended = mine([this] {
                                                                                   wire_.reset();
                                                                                   link_over_.notify();
                                                                                   to_tell_.notify();
                                                                               })});
    agent::Hello hello{.version = "sim", .agent = name(), .host = name()};
    hello.boot = std::to_string(host_.boot);
    hello.peer_address = name() + ":3002";
    hello.epoch = epoch_;
    hello.instances = {status()};
    wire->send_up(std::move(hello));
    const auto limit = now() + welcome_limit;
    while (wire_ && !welcome_ && now() < limit)
        co_await link_over_.wait_until(limit);
    co_return wire_&& welcome_;
}

Task<void> HostAgent::beat() {
    auto heard = now();
    auto seq_heard = seq_;
    last_beat_ = now();
    while (wire_) {
        watch_way();
        agent::Beat beat{.seq = ++seq_, .epoch = epoch_};
        beat.sent_us = to_us(now().time_since_epoch());
        beat.changed = std::exchange(changed_, false);
        beat.instances = {status()};
        beat.acknowledged = {{host_.server.key(), guard_.acknowledged()}};
        sent_[seq_] = now();
        if (sent_.size() > most_unanswered) sent_.erase(sent_.begin());
        wire_->send_up(std::move(beat));
        // What is younger than the oldest unanswered beat was answered.
        if (sent_.begin()->first > seq_heard) {
            seq_heard = sent_.begin()->first;
            heard = now();
        }
        if (now() - heard > silence_limit) co_return;
        if (!changed_) co_await to_tell_.wait_until(now() + heartbeat_);
    }
}

void HostAgent::watch_way() {
    const bool late = now() - last_beat_ >= arrives_within;
    last_beat_ = now();
    if (late && is_stuck(wire_) && !std::exchange(looking_, true))
        spawn(process_.executor(), look_for_a_way(wire_));
}

/// One try after the other, each with a first packet of its own, stands for several at a time.
Task<void> HostAgent::look_for_a_way(WirePtr stuck) {
    const auto began = now();
    Duration pause = between_tries;
    while (is_stuck(stuck)) {
        const auto tried = now();
        auto wire = co_await host_.all.dial(*this, between_tries);
        if (wire && is_stuck(stuck)) {
            stuck->close_agent();
            wire_.reset();
            next_ = std::move(wire);
            link_over_.notify();
            to_tell_.notify();
        } else if (wire) {
            wire->close_agent();
        }
        co_await process_.sleep_until(tried + pause);
        if (now() - began > soon_over) pause = std::min<Duration>(pause * 2, longest_pause);
    }
    looking_ = false;
}

void HostAgent::hear_epoch(uint64_t epoch) {
    if (epoch <= epoch_) return;
    epoch_ = epoch;
    save();
    apply(guard_.heard_epoch(epoch_, now()));
}

void HostAgent::take(agent::Frame frame) {
    if (const auto* answer = std::get_if<agent::BeatAnswer>(&frame)) {
        const auto at = sent_.find(answer->seq);
        if (at == sent_.end()) return;
        const auto sent = at->second;
        sent_.erase(sent_.begin(), std::next(at));
        for (const auto& [key, grant] : answer->grants) {
            hear_epoch(grant.epoch);
            apply(guard_.answered(sent, grant, now()));
        }
    } else if (auto* order = std::get_if<agent::Order>(&frame)) {
        spawn(process_.executor(), obey(std::move(*order)));
    } else if (const auto* welcome = std::get_if<agent::Welcome>(&frame)) {
        welcome_ = true;
        heartbeat_ = welcome->heartbeat;
        hear_epoch(welcome->epoch);
        say();
        link_over_.notify();
    } else if (std::holds_alternative<agent::Refusal>(frame)) {
        if (wire_) wire_->close_agent();
        wire_.reset();
        link_over_.notify();
        to_tell_.notify();
    }
}

agent::ControlData HostAgent::control() const {
    const auto& s = host_.server;
    agent::ControlData c{.state = s.in_recovery() ? "in archive recovery" : "in production"};
    c.system_identifier = s.system_identifier();
    c.timeline = s.timeline();
    if (s.branch()) c.checkpoint = c.redo = s.branch()->begins;
    if (s.in_recovery()) {
        c.minimum_recovery_end = s.position();
        c.minimum_recovery_end_timeline = s.timeline();
    }
    c.wal_log_hints = true;
    return c;
}

agent::Status HostAgent::status() const {
    auto s = guard_.status(now());
    s.version = "15.18";
    s.control = control();
    if (s.system_identifier.empty()) s.system_identifier = host_.server.system_identifier();
    s.data_disk = host_.all.disk_of(host_.server);
    s.job = job_;
    return s;
}

}  // namespace baton::sim
