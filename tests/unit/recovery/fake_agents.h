#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/agents.h"
#include "recovery/observer.h"
#include "topology/world.h"

/// Hands, eyes and servers for tests of what recovery does with agents. Everything answers at once and is
/// written down in `log`.
namespace baton::recovery::testing {

using Log = std::vector<std::string>;

class FakeAgents final : public agent::Agents {
  public:
    explicit FakeAgents(Log& log) : log_(log) {}

    const agent::Seen* of(const InstanceKey& key) const override {
        const auto at = seen.find(key);
        return at == seen.end() ? nullptr : &at->second;
    }
    std::vector<agent::Seen> all() const override {
        std::vector<agent::Seen> found;
        for (const auto& [key, s] : seen)
            found.push_back(s);
        return found;
    }
    Task<Result<agent::Done>> order(agent::Order order) override {
        std::string text = order.instance.host + ": " + std::string(to_string(order.verb));
        if (order.upstream.valid()) text += " " + order.upstream.host + "/" + order.slot;
        if (order.verb == agent::Verb::wal_past)
            text += " " + std::to_string(order.timeline) + "@" + order.position.text();
        log_.push_back(text);
        if (hold) co_await hold(order);
        const auto answer = answers.find(order.verb);
        Result<agent::Done> done = agent::Done{.order = order.id};
        if (answer != answers.end()) done = answer->second(order);
        co_return done;
    }
    Result<void> cancel(const InstanceKey& key) override {
        log_.push_back(key.host + ": cancel");
        return {};
    }
    void grant(const InstanceKey&, agent::Grant) override {}
    void withhold(const InstanceKey&, bool) override {}
    void on_change(std::function<void(const InstanceKey&)>) override {}
    uint64_t epoch() const override { return 1; }

    std::map<InstanceKey, agent::Seen> seen;
    std::map<agent::Verb, std::function<Result<agent::Done>(const agent::Order&)>> answers;
    std::function<Task<void>(const agent::Order&)> hold;

  private:
    Log& log_;
};

class FakeActor final : public engine::Actor {
  public:
    FakeActor(Log& log, std::map<std::string, Error>& failures, InstanceKey key)
        : log_(log), failures_(failures), key_(std::move(key)) {}

    Task<Result<void>> connect(MonoTime) override { return answer("connect"); }
    Task<Result<bool>> in_recovery(MonoTime) override { co_return false; }
    Task<Result<engine::Promotion>> promote(MonoTime, std::function<bool()>) override {
        co_return fail(ErrorKind::unsupported, "not here");
    }
    int promotion_requests() const override { return 0; }
    Task<Result<engine::FollowHow>> follow(engine::FollowOrder, MonoTime) override {
        co_return engine::FollowHow::rewritten;
    }
    Task<Result<void>> create_slot(std::string name, MonoTime) override {
        return answer("create-slot", " " + name);
    }
    Task<Result<void>> drop_slot(std::string name, MonoTime) override {
        return answer("drop-slot", " " + name);
    }
    Task<Result<void>> advance_slot(std::string name, topology::Lsn to, MonoTime) override {
        return answer("advance-slot", " " + name + " " + to.text());
    }
    Task<Result<std::vector<std::string>>> drop_left_over_slots(std::vector<std::string> names,
                                                                MonoTime) override {
        std::string all;
        for (const auto& name : names)
            all += " " + name;
        auto done = co_await answer("drop-left-over", all);
        if (!done) co_return std::unexpected(done.error());
        co_return names;
    }
    Task<Result<void>> restart_receiver(MonoTime) override { return answer("restart-receiver"); }
    Task<Result<void>> pause_replay(bool, MonoTime) override { return answer("pause-replay"); }
    Task<Result<void>> set_read_only(bool, MonoTime) override { return answer("set-read-only"); }
    Task<Result<void>> set_synchronous_standby_names(std::string, MonoTime) override {
        return answer("set-names");
    }
    Task<Result<void>> end_session(int, MonoTime) override { return answer("end-session"); }
    Task<Result<topology::TimelineHistory>> timeline_history(topology::Timeline, MonoTime) override {
        co_return fail(ErrorKind::unsupported, "not here");
    }
    Task<Result<engine::Examination>> examine(MonoTime) override { co_return engine::Examination{}; }
    Task<Result<void>> checkpoint(MonoTime) override { return answer("checkpoint"); }

  private:
    Task<Result<void>> answer(std::string what, std::string more = {}) {
        log_.push_back(key_.host + ": " + what + more);
        if (const auto at = failures_.find(what); at != failures_.end())
            co_return std::unexpected(at->second);
        co_return Result<void>{};
    }

    Log& log_;
    std::map<std::string, Error>& failures_;
    InstanceKey key_;
};

class FakeEngine final : public engine::Engine {
  public:
    explicit FakeEngine(Log& log) : log_(log) {}
    std::unique_ptr<engine::Probe> make_probe(const InstanceKey&) override { return nullptr; }
    std::unique_ptr<engine::Actor> make_actor(const InstanceKey& key) override {
        return std::make_unique<FakeActor>(log_, failures, key);
    }
    Task<Result<std::vector<std::string>>> resolve(std::string host, MonoTime) override {
        co_return std::vector<std::string>{host};
    }
    std::vector<std::string> known_addresses(const std::string& host) const override { return {host}; }

    std::map<std::string, Error> failures;

  private:
    Log& log_;
};

/// Shows the world as it is at that moment.
class FakeObserver final : public Observer {
  public:
    ClusterPtr cluster(const std::string& id) const override {
        return id == sample::system_id && world ? std::make_shared<topology::Cluster>(world->build())
                                                : nullptr;
    }
    Task<void> look_again(std::vector<InstanceKey>, MonoTime) override { co_return; }
    void hold_testimony(const InstanceKey&, MonoTime) override {}
    bool settled() const override { return true; }
    void refresh_annotations(const InstanceKey&) override {}

    std::optional<sample::World> world;
};

}  // namespace baton::recovery::testing
