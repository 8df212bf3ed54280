#include "control/evidence.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>

#include "base/async.h"
#include "control/manager.h"
#include "discovery/fake_engine.h"
#include "discovery/support.h"

namespace baton::control {
namespace {

using agent::Seen;
using discovery::at;
using topology::DiskHealth;
using topology::Hold;
using topology::ServerState;

TEST(HostOf, durations_become_moments) {
    Seen seen;
    seen.connected = true;
    seen.heard = MonoTime(seconds(100));
    seen.status = {
        .key = at("p"),
        .system_identifier = "7",
        .state = ServerState::down,
        .standby_signal = true,
        .in_state = seconds(3),
        .crashes = 2,
        .last_failure = "no space",
        .hold = Hold::fenced,
        .quarantine = "half",
        .data_disk = topology::Disk{.path = "/data", .health = DiskHealth::full, .since = seconds(9)},
        .wal_disk = topology::Disk{.path = "/wal"},
        .lease = {.on = true, .promotable = {}, .held_by = {}},
        .job = topology::Job{.order = 5, .verb = "clone"}};
    const auto host = host_of(seen);
    EXPECT_TRUE(host.connected && host.standby_signal && host.lease_on && host.kept_down());
    EXPECT_EQ(host.state_since, MonoTime(seconds(97)));
    EXPECT_EQ(host.crashes, 2);
    EXPECT_EQ(host.last_failure, "no space");
    EXPECT_EQ(host.hold, Hold::fenced);
    EXPECT_EQ(host.quarantine, "half");
    EXPECT_EQ(host.system_identifier, "7");
    ASSERT_NE(host.bad_disk(), nullptr);
    EXPECT_EQ(host.unchanged_for(*host.bad_disk(), MonoTime(seconds(101))), seconds(10));
    EXPECT_EQ(host.wal_disk->path, "/wal");
    EXPECT_EQ(host.job->verb, "clone");
}

class FakeAgents final : public agent::Agents {
  public:
    std::map<InstanceKey, Seen> guarded;
    std::vector<std::function<void(const InstanceKey&)>> callbacks;

    void tell(const InstanceKey& key) {
        for (const auto& callback : callbacks)
            callback(key);
    }
    const Seen* of(const InstanceKey& key) const override {
        const auto found = guarded.find(key);
        return found == guarded.end() ? nullptr : &found->second;
    }
    std::vector<Seen> all() const override {
        std::vector<Seen> out;
        for (const auto& [key, seen] : guarded)
            out.push_back(seen);
        return out;
    }
    Task<Result<agent::Done>> order(agent::Order order) override {
        co_return fail(ErrorKind::unreachable, "no hands", order.instance.text());
    }
    Result<void> cancel(const InstanceKey&) override { return {}; }
    void grant(const InstanceKey&, agent::Grant) override {}
    void withhold(const InstanceKey&, bool) override {}
    void on_change(std::function<void(const InstanceKey&)> callback) override {
        callbacks.push_back(std::move(callback));
    }
    uint64_t epoch() const override { return 1; }
};

class NoProcesses final : public ProcessRunner {
  public:
    Task<Result<ProcessResult>> run(ProcessSpec) override {
        co_return fail(ErrorKind::io, "no programs here", {});
    }
};

/// A manager that watches p and its standby s; nothing is recovered automatically.
class Evidence : public testing::Test {
  protected:
    Evidence() {
        engine.servers[at("p")] = discovery::observed(topology::Role::primary);
        engine.servers[at("s")] = discovery::standby_of(at("p"));
        engine.servers[at("s")].started_at_us = 2;
        config::Config config;
        config.ProviderType = "postgresql";
        config.DiscoverySeeds = {"p:5432", "s:5432"};
        manager = std::make_unique<Manager>(Parts{.clock = *clock,
                                                  .engine = engine,
                                                  .store = *store,
                                                  .processes = processes,
                                                  .hostname = "m",
                                                  .token = "t",
                                                  .configuration_files = {},
                                                  .apply_outside = {},
                                                  .agents = agents},
                                            config);
        manager->start();
        EXPECT_TRUE(until([&] { return find("p") && find("s"); }));
    }
    ~Evidence() override {
        manager.reset();
        io.poll();
    }

    InstancePtr find(const std::string& name) { return manager->view()->topology->find_instance(at(name)); }
    bool until(const std::function<bool()>& reached) {
        const auto deadline = clock->now() + seconds(5);
        while (!reached() && clock->now() < deadline)
            io.run_one_for(milliseconds(20));
        return reached();
    }
    Seen& agent_of(const std::string& name, ServerState state = ServerState::running) {
        auto& seen = agents.guarded[at(name)];
        seen.connected = true;
        seen.heard = clock->now();
        seen.status.key = at(name);
        seen.status.state = state;
        return seen;
    }
    bool told(const std::string& code) {
        const auto problems = manager->view()->problems;
        return problems && std::ranges::any_of(*problems, [&](const auto& p) {
                   return p.instance == at("p") && analysis::info(p.code).name == code;
               });
    }

    asio::io_context io{1};
    std::unique_ptr<Clock> clock = make_system_clock(io.get_executor());
    discovery::FakeEngine engine{*clock};
    std::unique_ptr<store::Store> store = store::make_memory_store(*clock);
    NoProcesses processes;
    FakeAgents agents;
    std::unique_ptr<Manager> manager;
};

TEST_F(Evidence, a_change_at_an_agent_is_a_problem_a_moment_later) {
    agent_of("p");
    agents.tell(at("p"));
    EXPECT_TRUE(until([&] { return find("p")->host.has_value(); }));
    agent_of("p").connected = false;
    agents.tell(at("p"));
    EXPECT_TRUE(until([&] { return told("BlindPrimary"); }));
    agent_of("p", ServerState::down).status.hold = Hold::down;
    engine.servers.erase(at("p"));
    agents.tell(at("p"));
    EXPECT_TRUE(until([&] { return told("DeadPrimary"); }));
}

TEST_F(Evidence, an_agent_that_spoke_before_its_server_was_known_is_heard_as_soon_as_it_is) {
    agent_of("late");
    agents.tell(at("late"));
    engine.servers[at("late")] = discovery::standby_of(at("p"));
    engine.servers[at("late")].started_at_us = 3;
    // In less time than the next look at all agents may take.
    const auto began = clock->now();
    spawn(clock->executor(), [](Manager& m) -> Task<void> {
        [[maybe_unused]] auto known = co_await m.discover(at("late"), {});
    }(*manager));
    ASSERT_TRUE(until([&] { return find("late") && find("late")->host; }));
    EXPECT_LT(clock->now() - began, milliseconds(400));
}

TEST_F(Evidence, what_no_change_tells_is_heard_in_time) {
    agent_of("p").status.data_disk = topology::Disk{.path = "/d", .total_bytes = 100, .free_bytes = 9};
    EXPECT_TRUE(until([&] { return told("DiskSpaceLow"); })) << "nobody called";
    agents.guarded.clear();
    EXPECT_TRUE(until([&] { return !find("p")->host; })) << "the agent was forgotten";
}

}  // namespace
}  // namespace baton::control
