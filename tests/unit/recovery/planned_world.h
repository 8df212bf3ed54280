#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <map>
#include <set>

#include "base/async.h"
#include "recovery/recovery.h"
#include "routing/router.h"

/// A cluster of a primary p and its standbys s1 and s2, with agents, one router and no network: what a
/// switchover does is written down, and any deed can be made to fail.
namespace baton::recovery {

using topology::Lsn;

inline InstanceKey key(const std::string& name) {
    return {name, 5432};
}
inline const std::string system_id = "7300000000000000001";

struct Node {
    InstanceKey key;
    bool primary = false;
    bool running = true;
    bool agent = true;
    bool silent = false;   ///< where it does not run: no answer at all
    bool receives = true;  ///< what its upstream writes
    topology::Hold hold = topology::Hold::none;
    InstanceKey upstream;
    topology::Timeline timeline = 1;
    Lsn at{0x5000000};
    agent::ControlData control{.state = "in production", .timeline = 1};
    std::set<std::string> slots;
    std::string slot;  ///< that it uses
};

class PlannedWorld final : public Observer,
                           public agent::Agents,
                           public engine::Engine,
                           public ProcessRunner {
  public:
    PlannedWorld() : io_(1), clock_(make_system_clock(io_.get_executor())) {
        add("p", true);
        add("s1", false);
        add("s2", false);
        nodes["s2"].slot = "s2_slot";
        disk = std::make_shared<store::State>();
        options.switchover.pause = milliseconds(600);
        options.switchover.agents_return = milliseconds(300);
        options.switchover.routers = {{.router = std::make_shared<FakeRouter>(*this), .serves = {}}};
        options.plan.promotion_timeout = milliseconds(500);
        options.plan.follow_timeout = milliseconds(500);
        options.start_delay = {};
        options.recovers_primary = options.recovers_intermediate = [](const auto&) { return true; };
        begin_life();
    }

    // ---- what a test sets up and looks at
    std::map<std::string, Node> nodes;
    std::vector<std::string> log;
    /// "stop p", "promote s1", "pause pb", …: fails so, after it was written down.
    std::map<std::string, Error> failures;
    /// Called before a deed is done.
    std::map<std::string, std::function<void()>> before;
    /// These take so long.
    std::map<std::string, milliseconds> slow;
    topology::Activity activity;
    routing::Leash leash;  ///< of the last pause
    routing::Standing standing;
    std::shared_ptr<store::State> disk;
    Options options;

    /// A manager that begins with what is on `disk`.
    void begin_life() {
        recovery_.reset();
        store_ = store::make_memory_store(*clock_, disk);
        recovery_ = make_recovery(
            *clock_, *this, *store_, *this, *this, *this, [](const std::string&, const std::string&) {},
            options);
    }
    Recovery& recovery() { return *recovery_; }
    store::Store& store() { return *store_; }
    Clock& clock() { return *clock_; }

    template <class T>
    T run(Task<T> task) {
        std::optional<T> result;
        spawn(io_.get_executor(), [](std::optional<T>& out, Task<T> t) -> Task<void> {
            out = co_await std::move(t);
        }(result, std::move(task)));
        const auto until = clock_->now() + seconds(20);
        io_.restart();
        while (!result && clock_->now() < until)
            io_.run_one_for(milliseconds(50));
        EXPECT_TRUE(result.has_value()) << "it did not come to an end";
        return std::move(*result);
    }
    /// Until `so` holds; false after 20 s.
    bool run_until(const std::function<bool()>& so) {
        const auto until = clock_->now() + seconds(20);
        io_.restart();
        while (!so() && clock_->now() < until)
            io_.run_one_for(milliseconds(10));
        return so();
    }
    Result<Outcome> switch_over(const std::string& to = "s1") {
        SwitchoverRequest request{.cluster_id = system_id};
        if (!to.empty()) request.candidate = key(to);
        return run(recovery_->switchover(request));
    }
    std::vector<std::string> writers() const {
        std::vector<std::string> all;
        for (const auto& [name, n] : nodes) {
            if (n.running && n.primary) all.push_back(name);
        }
        return all;
    }
    std::string journal() const {
        std::string text;
        for (const auto& [uid, steps] : store_->state().steps) {
            for (const auto& s : steps)
                text += s.message + "\n";
        }
        return text;
    }
    bool logged(const std::string& what) const { return std::ranges::find(log, what) != log.end(); }
    void crash(const std::string& name) {
        nodes[name].running = false;
        nodes[name].hold = topology::Hold::down;
    }

    // ---- Observer
    ClusterPtr cluster(const std::string& id) const override {
        if (id != system_id) return nullptr;
        auto c = std::make_shared<topology::Cluster>();
        c->id = system_id;
        c->name = "p:5432";
        for (const auto& [name, n] : nodes)
            c->instances.push_back(instance_of(n));
        return c;
    }
    Task<void> look_again(std::vector<InstanceKey>, MonoTime) override {
        co_await clock_->sleep_for(milliseconds(1));
    }
    void hold_testimony(const InstanceKey&, MonoTime) override {}
    bool settled() const override { return true; }
    void refresh_annotations(const InstanceKey&) override {}

    // ---- Agents
    const agent::Seen* of(const InstanceKey& k) const override {
        const auto at = nodes.find(k.host);
        if (at == nodes.end() || !at->second.agent) return nullptr;
        const auto& n = at->second;
        auto& seen = seen_[k.host];
        seen.connected = true;
        seen.heard = clock_->now();
        seen.status.key = n.key;
        seen.status.system_identifier = system_id;
        seen.status.state = n.running ? topology::ServerState::running : topology::ServerState::down;
        seen.status.hold = n.hold;
        seen.status.standby_signal = !n.primary;
        seen.status.control = n.control;
        return &seen;
    }
    std::vector<agent::Seen> all() const override { return {}; }
    Task<Result<agent::Done>> order(agent::Order o) override { return obey(std::move(o)); }
    Result<void> cancel(const InstanceKey&) override { return {}; }
    void grant(const InstanceKey&, agent::Grant) override {}
    void withhold(const InstanceKey&, bool) override {}
    void on_change(std::function<void(const InstanceKey&)>) override {}
    uint64_t epoch() const override { return 1; }

    // ---- Engine
    std::unique_ptr<engine::Probe> make_probe(const InstanceKey&) override { return nullptr; }
    std::unique_ptr<engine::Actor> make_actor(const InstanceKey& k) override {
        return std::make_unique<FakeActor>(*this, k.host);
    }
    Task<Result<std::vector<std::string>>> resolve(std::string host, MonoTime) override {
        co_return std::vector<std::string>{host};
    }
    std::vector<std::string> known_addresses(const std::string&) const override { return {}; }

    // ---- ProcessRunner
    Task<Result<ProcessResult>> run(ProcessSpec spec) override {
        for (const auto& [name, value] : spec.environment) {
            if (name == "ORC_SUCCESSOR_HOST") log.push_back("hook for " + value);
        }
        ProcessResult result;
        if (failures.contains("hook")) result.exit_code = 1;
        co_return result;
    }

    /// Notes a deed and lets it take its time; the error with which it is to fail.
    Task<Result<void>> deed(std::string what, std::string more = {}) {
        log.push_back(what + more);
        if (const auto at = before.find(what); at != before.end()) at->second();
        if (const auto at = slow.find(what); at != slow.end()) co_await clock_->sleep_for(at->second);
        if (const auto at = failures.find(what); at != failures.end()) co_return std::unexpected(at->second);
        co_return Result<void>{};
    }

  private:
    class FakeActor final : public engine::Actor {
      public:
        FakeActor(PlannedWorld& w, std::string name) : w_(w), name_(std::move(name)) {}
        Task<Result<void>> connect(MonoTime) override { co_return Result<void>{}; }
        Task<Result<bool>> in_recovery(MonoTime) override { co_return !w_.nodes[name_].primary; }
        Task<Result<engine::Promotion>> promote(MonoTime, std::function<bool()> over) override {
            if (over && over()) co_return fail(ErrorKind::cancelled, "over", name_);
            ++requests_;
            if (auto d = co_await w_.deed("promote " + name_); !d) co_return std::unexpected(d.error());
            auto& n = w_.nodes[name_];
            if (!n.running) co_return fail(ErrorKind::refused, "nobody listens there", name_);
            n.primary = true;
            ++n.timeline;
            co_return engine::Promotion{};
        }
        int promotion_requests() const override { return requests_; }
        Task<Result<engine::FollowHow>> follow(engine::FollowOrder order, MonoTime) override {
            if (auto d = co_await w_.deed("follow " + name_, " of " + order.upstream.host); !d)
                co_return std::unexpected(d.error());
            auto& n = w_.nodes[name_];
            n.upstream = order.upstream;
            n.timeline = w_.nodes[order.upstream.host].timeline;
            n.at = w_.nodes[order.upstream.host].at;
            co_return engine::FollowHow::rewritten;
        }
        Task<Result<void>> create_slot(std::string slot, MonoTime) override {
            auto d = co_await w_.deed("slot " + name_, " " + slot);
            if (d) w_.nodes[name_].slots.insert(slot);
            co_return d;
        }
        Task<Result<void>> drop_slot(std::string slot, MonoTime) override {
            w_.nodes[name_].slots.erase(slot);
            co_return Result<void>{};
        }
        Task<Result<void>> restart_receiver(MonoTime) override { co_return Result<void>{}; }
        Task<Result<void>> pause_replay(bool, MonoTime) override { co_return Result<void>{}; }
        Task<Result<void>> set_read_only(bool, MonoTime) override { co_return Result<void>{}; }
        Task<Result<void>> set_synchronous_standby_names(std::string, MonoTime) override {
            co_return Result<void>{};
        }
        Task<Result<void>> end_session(int, MonoTime) override { co_return Result<void>{}; }
        Task<Result<topology::TimelineHistory>> timeline_history(topology::Timeline, MonoTime) override {
            co_return fail(ErrorKind::unsupported, "no");
        }
        Task<Result<engine::Examination>> examine(MonoTime) override { co_return engine::Examination{}; }
        Task<Result<void>> checkpoint(MonoTime) override {
            co_return co_await w_.deed("checkpoint " + name_);
        }
        Task<Result<topology::Activity>> activity(MonoTime) override { co_return w_.activity; }

      private:
        PlannedWorld& w_;
        std::string name_;
        int requests_ = 0;
    };

    class FakeRouter final : public routing::Router {
      public:
        explicit FakeRouter(PlannedWorld& w) : w_(w) {}
        const std::string& name() const override { return name_; }
        Task<Result<void>> pause(routing::Leash given, MonoTime) override {
            w_.leash = given;
            co_return co_await w_.deed("pause pb");
        }
        Task<Result<void>> resume(MonoTime) override { co_return co_await w_.deed("resume pb"); }
        Task<Result<void>> point_at(routing::Target t, routing::Clients clients, MonoTime) override {
            const bool held = clients == routing::Clients::held;
            co_return co_await w_.deed("point pb", " at " + t.host + (held ? " held" : ""));
        }
        Task<Result<routing::Standing>> check(MonoTime) override {
            if (const auto at = w_.failures.find("check pb"); at != w_.failures.end())
                co_return std::unexpected(at->second);
            co_return w_.standing;
        }

      private:
        PlannedWorld& w_;
        std::string name_ = "pb";
    };

    void add(const std::string& name, bool primary) {
        Node n;
        n.key = key(name);
        n.primary = primary;
        if (!primary) n.upstream = key("p");
        if (!primary) n.control.state = "in archive recovery";
        nodes[name] = n;
    }

    topology::InstancePtr instance_of(const Node& n) const {
        auto i = std::make_shared<topology::Instance>();
        const auto now = clock_->now();
        i->key = n.key;
        i->cluster_id = system_id;
        i->role = n.primary ? topology::Role::primary : topology::Role::standby;
        const auto away = n.silent ? topology::Reach::silent : topology::Reach::refused;
        i->health = {.reach = n.running ? topology::Reach::answering : away,
                     .attempt_began = now,
                     .last_attempt = now,
                     .last_answer = now - (n.running ? Duration{} : Duration(seconds(1))),
                     .confirmed = !n.running};
        if (!n.running) i->health.suspect_since = now - milliseconds(20);
        if (n.agent)
            i->host = topology::Host{
                .connected = true,
                .heard = now,
                .state = n.running ? topology::ServerState::running : topology::ServerState::down,
                .hold = n.hold};
        auto seen = std::make_shared<topology::Observation>();
        seen->asked_at = seen->answered_at = now;
        seen->engine = topology::Engine::postgresql;
        seen->system_identifier = system_id;
        seen->version_num = 150018;
        seen->role = i->role;
        seen->timeline = n.timeline;
        seen->settings.cluster_name = n.key.host;
        seen->settings.recovery_target_timeline = "latest";
        seen->settings.primary_slot_name = n.slot;
        seen->settings.max_wal_senders = seen->settings.max_replication_slots = 10;
        for (const auto& slot : n.slots)
            seen->slots.push_back({.name = slot});
        if (n.primary) {
            seen->written = n.at;
        } else {
            seen->received = seen->replayed = n.at;
            i->upstream = n.upstream;
            i->lag = {0, 0, 0};
            const auto& up = nodes.at(n.upstream.host);
            if (up.running && n.running)
                seen->receiver = topology::Receiver{
                    .status = "streaming", .sender_host = up.key.host, .sender_port = 5432};
            if (seen->receiver)
                i->streamed_until = now;
            else
                i->streamed_until = now - milliseconds(20);
        }
        i->seen = seen;
        return i;
    }

    /// In order: everybody who receives has it, and the checkpoint at its end.
    void shut_down(Node& n, bool fast) {
        n.running = false;
        n.hold = topology::Hold::down;
        if (!fast || !n.primary) return;
        n.control.state = "shut down";
        n.control.timeline = n.timeline;
        n.control.checkpoint = n.at;
        n.at.value += 120;
        for (auto& [name, other] : nodes) {
            if (!other.primary && other.receives) other.at = n.at;
        }
    }

    Task<Result<agent::Done>> obey(agent::Order o) {
        if (o.verb == agent::Verb::route) co_return agent::Done{};
        const auto name = o.instance.host;
        if (!nodes[name].agent) co_return fail(ErrorKind::not_found, "no host agent guards it", name);
        std::string more;
        if (o.verb == agent::Verb::stop) more = " " + o.mode;
        if (o.verb == agent::Verb::make_standby) more = " of " + o.upstream.host + " through " + o.slot;
        if (o.verb == agent::Verb::stand_clear) more = o.on ? " on" : " off";
        const auto what = std::string(to_string(o.verb)) + " " + name;
        const bool second_stop = o.verb == agent::Verb::stop && o.mode != "fast";
        auto d = co_await deed(second_stop ? what + " " + o.mode : what, second_stop ? "" : more);
        if (!d) co_return std::unexpected(d.error());
        auto& n = nodes[name];
        if (o.verb == agent::Verb::stop) shut_down(n, o.mode == "fast");
        if (o.verb == agent::Verb::start) {
            n.running = true;
            n.hold = topology::Hold::none;
        }
        if (o.verb == agent::Verb::make_standby) {
            n.primary = false;
            n.running = true;
            n.hold = topology::Hold::none;
            n.upstream = o.upstream;
            n.timeline = nodes[o.upstream.host].timeline;
            n.at = nodes[o.upstream.host].at;
        }
        co_return agent::Done{.status = of(o.instance)->status};
    }

    asio::io_context io_;
    std::unique_ptr<Clock> clock_;
    std::unique_ptr<store::Store> store_;
    std::unique_ptr<Recovery> recovery_;
    mutable std::map<std::string, agent::Seen> seen_;
};

}  // namespace baton::recovery
