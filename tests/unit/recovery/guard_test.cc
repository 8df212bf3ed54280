#include <gmock/gmock.h>

#include "fleet/fake_clock.h"
#include "recovery/fake_agents.h"
#include "recovery/recovery.h"

/// Former primaries: who is ended when he comes back, who is left alone, and who is started again although no
/// manager that lives saw him lead.
namespace baton::recovery::testing {
namespace {

using agent::Hold;
using agent::ServerState;
using fleet::testing::FakeClock;
using sample::key;
using sample::make_cluster;
using sample::World;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

class NoProcesses final : public ProcessRunner {
  public:
    Task<Result<ProcessResult>> run(ProcessSpec) override { co_return ProcessResult{}; }
};

class Guards : public ::testing::Test {
  protected:
    /// What waits ends before the clock does.
    ~Guards() override {
        if (recovery) recovery->stop();
        clock.advance(seconds(400));
    }
    /// With the agents that are there by now.
    void begin() {
        Options options;
        options.recovers_primary = options.recovers_intermediate = [](const auto&) { return false; };
        recovery = make_recovery(
            clock, engine, *store, observer, processes, agents, [](const std::string&, const std::string&) {},
            options);
        recovery->start();
        clock.settle();
    }
    void see(const World& world) {
        observer.world = world;
        recovery->on_cluster(sample::system_id, observer.cluster(sample::system_id));
        clock.settle();
    }
    agent::Status& agent_of(const std::string& name, ServerState state, bool standby_signal = false) {
        auto& seen = agents.seen[key(name)];
        seen.connected = true;
        seen.heard = clock.now();
        seen.peer_address = name + ":3002";
        seen.status.key = key(name);
        seen.status.system_identifier = sample::system_id;
        seen.status.state = state;
        seen.status.standby_signal = standby_signal;
        seen.status.in_state = seconds(60);
        seen.status.control.timeline = 1;
        return seen.status;
    }
    void recovered(const std::string& failed, const std::string& successor) {
        auto r = record(failed);
        r.state = store::RecoveryState::succeeded;
        r.successor = key(successor);
        store->apply(store::PutRecovery{r});
    }
    /// It is under way, and has (not) asked `asked` to lead yet.
    void recovering(const std::string& failed, const std::string& asked) {
        const auto r = record(failed);
        store->apply(store::PutRecovery{r});
        if (!asked.empty())
            store->apply(
                store::AddRecoveryStep{{.uid = r.uid, .message = "asks", .deed = "promote " + asked}});
    }
    bool audited(const std::string& type, const std::string& part) const {
        return std::ranges::any_of(store->state().audit, [&](const auto& entry) {
            return entry.second.type == type && entry.second.message.contains(part);
        });
    }

    Log log;
    FakeClock clock;
    FakeEngine engine{log};
    FakeObserver observer;
    FakeAgents agents{log};
    NoProcesses processes;
    std::unique_ptr<store::Store> store = store::make_memory_store(clock);
    std::unique_ptr<Recovery> recovery;

  private:
    store::Recovery record(const std::string& failed) {
        const auto id = store->new_id();
        return {.id = id,
                .uid = "uid-" + std::to_string(id),
                .kind = "primary",
                .cluster_id = sample::system_id,
                .failed = key(failed)};
    }
};

// ---- on return

/// s1 led once and was replaced by p. p has died since.
World dead_again() {
    return make_cluster().primary("p").standby("s1").dies("p");
}

TEST_F(Guards, who_was_replaced_and_leads_is_ended) {
    agent_of("s1", ServerState::running);
    begin();
    recovered("s1", "p");
    see(dead_again());
    EXPECT_THAT(log, Contains("s1: fence"));
}

TEST_F(Guards, who_was_replaced_once_and_is_asked_to_lead_now_is_not_ended) {
    for (const auto* asked : {"s1:5432", "10.0.0.7:5433"}) {
        log.clear();
        agent_of("s1", ServerState::running);
        begin();
        recovered("s1", "p");
        recovering("p", asked);
        see(dead_again().on("s1").with(
            [](topology::Instance& i, auto&) { i.aliases.push_back({"10.0.0.7", 5433}); }));
        EXPECT_THAT(log, Not(Contains("s1: fence"))) << asked;
    }
}

TEST_F(Guards, that_somebody_else_is_asked_is_no_excuse) {
    for (const auto* asked : {"", "s2:5432", "s1:5433"}) {
        log.clear();
        agent_of("s1", ServerState::running);
        begin();
        recovered("s1", "p");
        recovering("p", asked);
        see(dead_again());
        EXPECT_THAT(log, Contains("s1: fence")) << asked;
    }
}

/// p was the primary by its last answer, which is `ago`; s1 has replaced it.
World replaced(Duration ago) {
    return make_cluster().primary("s1").timeline(2).primary("p").with(
        [&](topology::Instance& i, auto&) { i.health.last_answer = sample::now - ago; });
}

struct StartCase {
    std::string name;
    ServerState state;
    bool standby_signal;
    Duration in_state;
    Duration answered_ago;
    bool ended;
};

class StartsAsStandby : public Guards, public ::testing::WithParamInterface<StartCase> {};

TEST_P(StartsAsStandby, is_not_ended) {
    const auto& c = GetParam();
    agent_of("p", c.state, c.standby_signal).in_state = c.in_state;
    begin();
    recovered("p", "s1");
    see(replaced(c.answered_ago));
    if (c.ended) {
        EXPECT_THAT(log, Contains("p: fence"));
    } else {
        EXPECT_THAT(log, Not(Contains("p: fence")));
    }
}

INSTANTIATE_TEST_SUITE_P(
    Guards, StartsAsStandby,
    ::testing::Values(
        StartCase{"down", ServerState::down, true, seconds(9), seconds(1), false},
        StartCase{"starting", ServerState::starting, true, seconds(9), seconds(1), false},
        StartCase{"stopping", ServerState::stopping, true, seconds(9), seconds(1), false},
        StartCase{"runs_and_has_not_answered_since", ServerState::running, true, seconds(2), seconds(3),
                  false},
        StartCase{"hung_and_has_not_answered_since", ServerState::hung, true, seconds(2), seconds(3), false},
        StartCase{"has_answered_as_a_primary_since", ServerState::running, true, seconds(3), seconds(2),
                  true},
        StartCase{"starts_as_a_primary", ServerState::starting, false, seconds(1), seconds(3), true},
        StartCase{"down_as_a_primary", ServerState::down, false, seconds(9), seconds(10), true}),
    [](const auto& info) { return info.param.name; });

// ---- nobody knows whether somebody else leads

/// p is kept down by its agent; the last recovery asked s1 to lead in its place, and failed.
class Asked : public Guards {
  protected:
    void asked_in_vain() {
        auto& p = agent_of("p", ServerState::down);
        p.hold = Hold::down;
        begin();
        recovering("p", "s1:5432");
        auto r = store->state().recoveries.rbegin()->second;
        r.state = store::RecoveryState::failed;
        store->apply(store::PutRecovery{r});
    }
    World refusing() {
        return make_cluster().primary("p").standby("s1").dies("p").on("s1").down(topology::Reach::refused,
                                                                                 seconds(30));
    }
    void wait(const World& world) {
        for (int i = 0; i < 3; ++i) {
            clock.advance(seconds(5));
            see(world);
        }
    }
};

TEST_F(Asked, a_port_that_refuses_does_not_tell) {
    asked_in_vain();
    wait(refusing());
    EXPECT_THAT(log, Not(Contains("p: start")));
}

TEST_F(Asked, one_that_is_down_as_a_standby_did_not_lead) {
    auto& s1 = agent_of("s1", ServerState::down, true);
    s1.hold = Hold::down;
    asked_in_vain();
    wait(refusing());
    EXPECT_THAT(log, Contains("p: start"));
}

TEST_F(Asked, one_that_is_kept_down_as_a_primary_led_and_is_started) {
    auto& s1 = agent_of("s1", ServerState::down);
    s1.hold = Hold::down;
    s1.in_state = seconds(10);
    asked_in_vain();
    wait(refusing());
    EXPECT_THAT(log, Not(Contains("p: start")));
    EXPECT_THAT(log, Contains("s1: start"));
}

// ---- the record is lost

class Unseen : public Guards {
  protected:
    /// Standbys of p, which its agent keeps down and nobody saw lead.
    World standbys() {
        return make_cluster()
            .primary("p")
            .never_seen()
            .down()
            .with([](topology::Instance& i, auto&) {
                i.role = topology::Role::unknown;
                i.health.last_answer = {};
            })
            .standby("s1")
            .not_streaming()
            .standby("s2")
            .not_streaming();
    }
    void everybody() {
        auto& p = agent_of("p", ServerState::down);
        p.hold = Hold::down;
        p.lease = {.on = true, .promotable = {key("s1"), key("s2")}};
        agent_of("s1", ServerState::running, true);
        agent_of("s2", ServerState::running, true);
    }
    void later(Duration by, const World& world) {
        clock.advance(by);
        see(world);
    }
};

TEST_F(Unseen, who_led_last_is_started_when_agents_had_time_to_register) {
    everybody();
    begin();
    see(standbys());
    later(seconds(8), standbys());
    EXPECT_THAT(log, Not(Contains("p: start")));
    later(seconds(4), standbys());
    EXPECT_THAT(log, Contains("p: start"));
    EXPECT_TRUE(audited("start", "none was promoted in its place"));
}

TEST_F(Unseen, one_that_was_fenced_is_let_go_first) {
    everybody();
    agents.seen[key("p")].status.hold = Hold::fenced;
    begin();
    see(standbys());
    later(seconds(12), standbys());
    EXPECT_THAT(log, ::testing::IsSupersetOf({"p: unfence", "p: start"}));
}

TEST_F(Unseen, one_that_was_shut_down_in_order_may_be_started_by_whoever_did_it) {
    everybody();
    agents.seen[key("p")].status.control.state = "shut down";
    begin();
    see(standbys());
    later(seconds(12), standbys());
    EXPECT_THAT(log, Contains("p: unfence"));
    EXPECT_THAT(log, Not(Contains("p: start")));
}

TEST_F(Unseen, what_is_missing_is_said_once) {
    everybody();
    agents.seen[key("s2")].connected = false;
    begin();
    see(standbys());
    for (int i = 0; i < 3; ++i)
        later(seconds(12), standbys());
    EXPECT_THAT(log, Not(Contains("p: start")));
    EXPECT_TRUE(audited("not-started", "s2:5432 may have been promoted in its place"));
    EXPECT_EQ(std::ranges::count_if(store->state().audit,
                                    [](const auto& a) { return a.second.type == "not-started"; }),
              1);
}

TEST_F(Unseen, an_agent_of_a_server_that_nobody_has_found_counts) {
    everybody();
    agent_of("s3", ServerState::running).control.timeline = 2;
    begin();
    see(standbys());
    later(seconds(12), standbys());
    EXPECT_THAT(log, Not(Contains("p: start"))) << "it leads, perhaps";
    EXPECT_TRUE(audited("not-started", "s3:5432 knows of timeline 2"));
}

TEST_F(Unseen, where_somebody_leads_nobody_is_started) {
    everybody();
    begin();
    const auto led = make_cluster().primary("s1").timeline(2).primary("p").never_seen().down().with(
        [](topology::Instance& i, auto&) { i.role = topology::Role::unknown; });
    see(led);
    later(seconds(12), led);
    EXPECT_THAT(log, Not(Contains("p: start")));
}

}  // namespace
}  // namespace baton::recovery::testing
