#include "recovery/rejoin.h"

#include <gmock/gmock.h>

#include "base/async.h"
#include "fleet/fake_clock.h"
#include "recovery/fake_agents.h"

namespace baton::recovery::testing {
namespace {

using fleet::testing::FakeClock;
using plan::RejoinPolicy;
using sample::key;
using sample::lsn;
using sample::make_cluster;
using sample::World;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using topology::ServerState;

/// old crashed as the primary on timeline 1, which s1 left at 0/5000000; s1 leads now.
World after_failover() {
    return make_cluster()
        .primary("s1")
        .timeline(2)
        .written("0/6000000")
        .primary("old")
        .down(topology::Reach::refused, seconds(20))
        .written("0/4FFFF00")
        .history(2, "1\t0/5000000\tx\n");
}

/// … and old is back below it.
World rejoined() {
    return make_cluster()
        .primary("s1")
        .timeline(2)
        .written("0/6000000")
        .standby("old")
        .timeline(2)
        .received("0/6000000")
        .history(2, "1\t0/5000000\tx\n");
}

agent::Seen crashed() {
    agent::Seen seen;
    seen.connected = true;
    auto& s = seen.status;
    s.key = key("old");
    s.state = ServerState::down;
    s.hold = topology::Hold::down;
    s.system_identifier = sample::system_id;
    s.control = {.state = "in production", .timeline = 1, .wal_log_hints = true};
    return seen;
}

class RejoinerTest : public ::testing::Test {
  protected:
    RejoinerTest()
        : rejoiner(std::make_shared<Rejoiner>(
              Rejoiner::Means{
                  .clock = clock,
                  .engine = engine,
                  .store = *store,
                  .observer = observer,
                  .agents = agents,
                  .announce = [this](const std::string& type, const std::string&) { events.push_back(type); },
                  .busy = [this](const std::string&) { return busy; }},
              RejoinOptions{.automatic = [](const topology::Cluster&) { return true; }})) {
        observer.world = after_failover();
        agents.seen[key("old")] = crashed();
        past("0/5000000", 0);
        for (const auto verb :
             {agent::Verb::make_standby, agent::Verb::start, agent::Verb::rewind, agent::Verb::clone}) {
            agents.answers[verb] = [this](const agent::Order&) {
                observer.world = rejoined();
                agents.seen[key("old")].status.state = ServerState::running;
                return Result<agent::Done>(agent::Done{});
            };
        }
    }
    /// What waits ends before the clock does.
    ~RejoinerTest() override {
        rejoiner->stop();
        clock.advance(seconds(10));
    }

    void past(const char* end, int64_t commits, std::string listed = {}) {
        agents.answers[agent::Verb::wal_past] = [=](const agent::Order&) {
            return Result<agent::Done>(
                agent::Done{.detail = listed, .past = topology::WalPast{lsn(end), commits}});
        };
    }
    void fails(agent::Verb verb, ErrorKind kind) {
        agents.answers[verb] = [=](const agent::Order&) {
            return Result<agent::Done>(agent::Done{.error = Error{kind, "no", "old:5432", {}}});
        };
    }
    void look() {
        rejoiner->consider(*observer.cluster(sample::system_id));
        clock.settle();
    }
    std::vector<std::string> audits(const std::string& type) const {
        std::vector<std::string> found;
        for (const auto& [id, a] : store->state().audit) {
            if (a.type == type) found.push_back(a.message);
        }
        return found;
    }
    Result<RejoinState> ask(RejoinRequest request) {
        request.cluster_id = sample::system_id;
        if (!request.instance.valid()) request.instance = key("old");
        auto answer = std::make_shared<std::optional<Result<RejoinState>>>();
        spawn(clock.executor(), [](auto r, auto q, auto into) -> Task<void> {
            *into = co_await r->ask(std::move(q));
        }(rejoiner, std::move(request), answer));
        clock.settle();
        return answer->value_or(fail(ErrorKind::timeout, "no answer"));
    }
    RejoinState state() const {
        for (const auto& s : rejoiner->states()) {
            if (s.instance == key("old")) return s;
        }
        return {};
    }

    FakeClock clock;
    Log log;
    FakeEngine engine{log};
    std::unique_ptr<store::Store> store = store::make_memory_store(clock);
    FakeObserver observer;
    FakeAgents agents{log};
    std::vector<std::string> events;
    bool busy = false;
    std::shared_ptr<Rejoiner> rejoiner;
};

TEST_F(RejoinerTest, starts_a_former_primary_whose_wal_the_new_one_has) {
    look();
    EXPECT_THAT(log,
                ElementsAre("old: wal-past 1@0/5000000", "s1: create-slot old", "old: make-standby s1/old"));
    EXPECT_EQ(state().phase, RejoinPhase::done);
    EXPECT_THAT(audits("rejoin-begin"), ElementsAre(HasSubstr("start: its WAL ends at 0/5000000")));
    EXPECT_THAT(audits("rejoin-done"), ElementsAre(HasSubstr("streams from s1:5432")));
    EXPECT_THAT(events, Contains("rejoin"));
    log.clear();
    clock.advance(seconds(60));
    look();
    EXPECT_THAT(log, IsEmpty()) << "it is where it belongs";
}

TEST_F(RejoinerTest, rewinds_what_only_has_records_past_the_fork_after_a_checkpoint) {
    past("0/5000100", 0);
    look();
    EXPECT_THAT(log, ElementsAre("old: wal-past 1@0/5000000", "s1: create-slot old", "s1: checkpoint",
                                 "old: rewind s1/old"));
    EXPECT_THAT(audits("rejoin-begin"), ElementsAre(HasSubstr("256 bytes and 0 commits past the fork")));
}

TEST_F(RejoinerTest, waits_for_leave_to_drop_commits) {
    past("0/5000100", 2, "transactions 724 at 0/5000040, 725 at 0/5000080");
    look();
    for (int i = 0; i < 5; ++i) {
        clock.advance(seconds(60));
        look();
    }
    EXPECT_THAT(log, ElementsAre("old: wal-past 1@0/5000000")) << "it is asked once";
    EXPECT_THAT(audits("rejoin-waits"), ElementsAre(HasSubstr("baton rejoin old:5432 --force")));
    EXPECT_THAT(audits("rejoin-examined"), ElementsAre(HasSubstr("transactions 724")));
    EXPECT_EQ(state().phase, RejoinPhase::waiting);

    const auto refused = ask({});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, ErrorKind::refused_by_policy);
    const auto begun = ask({.force = true, .by = "ann"});
    ASSERT_TRUE(begun) << begun.error().text();
    EXPECT_EQ(log.back(), "old: rewind s1/old");
    EXPECT_EQ(state().phase, RejoinPhase::done);
    EXPECT_THAT(audits("rejoin-begin"), ElementsAre(HasSubstr("transactions 724 at 0/5000040")))
        << "what is dropped is in the record first";
}

TEST_F(RejoinerTest, drops_commits_where_that_is_configured) {
    past("0/5000100", 2);
    rejoiner->set_options({.may_drop_writes = true, .automatic = [](const auto&) { return true; }});
    look();
    EXPECT_EQ(log.back(), "old: rewind s1/old");
}

TEST_F(RejoinerTest, does_nothing_of_its_own_will_where_it_may_not) {
    busy = true;
    look();
    EXPECT_THAT(log, IsEmpty()) << "a recovery is under way";
    busy = false;
    store->apply(store::SetGlobalRecoveries{false});
    look();
    EXPECT_THAT(log, IsEmpty());
    store->apply(store::SetGlobalRecoveries{true});
    observer.world->on("old").downtimed();
    look();
    EXPECT_THAT(log, IsEmpty()) << "an operator wants it left alone";
    observer.world = after_failover();
    rejoiner->set_options({.automatic = [](const auto&) { return false; }});
    look();
    EXPECT_THAT(log, IsEmpty()) << "the filters do not name the cluster";
    agents.seen[key("old")].connected = false;
    rejoiner->set_options({.automatic = [](const auto&) { return true; }});
    look();
    EXPECT_THAT(log, IsEmpty()) << "no hands";
    agents.seen.clear();
    look();
    EXPECT_THAT(log, IsEmpty());
    EXPECT_THAT(events, IsEmpty());
}

TEST_F(RejoinerTest, a_server_lost_in_a_recovery_is_brought_back_all_the_same) {
    observer.world->on("old").with([](topology::Instance& i, auto&) {
        i.downtime = topology::Downtime{.reason = std::string(lost_in_recovery)};
    });
    look();
    EXPECT_EQ(state().phase, RejoinPhase::done);
}

TEST_F(RejoinerTest, makes_anew_what_cannot_be_rewound) {
    past("0/5000100", 0);
    fails(agent::Verb::rewind, ErrorKind::unsupported);
    look();
    EXPECT_EQ(log.back(), "old: rewind s1/old");
    EXPECT_THAT(audits("rejoin-failed"), ElementsAre(HasSubstr("next try in 1.0 s")));
    clock.advance(seconds(1));
    look();
    EXPECT_EQ(log.back(), "old: clone s1/old");
    EXPECT_EQ(state().phase, RejoinPhase::done);
}

TEST_F(RejoinerTest, makes_nothing_anew_under_rewind_only) {
    past("0/5000100", 0);
    fails(agent::Verb::rewind, ErrorKind::unsupported);
    rejoiner->set_options(
        {.policy = RejoinPolicy::rewind_only, .automatic = [](const auto&) { return true; }});
    look();
    clock.advance(seconds(60));
    look();
    EXPECT_EQ(log.back(), "old: rewind s1/old");
    EXPECT_THAT(audits("rejoin-waits"), ElementsAre(HasSubstr("baton reinit old:5432")));
}

TEST_F(RejoinerTest, tries_again_with_growing_pauses_and_then_no_more) {
    past("0/5000100", 0);
    fails(agent::Verb::rewind, ErrorKind::unreachable);
    const auto rewinds = [&] { return std::ranges::count(log, "old: rewind s1/old"); };
    look();
    EXPECT_EQ(rewinds(), 1);
    clock.advance(seconds(4));
    look();
    EXPECT_EQ(rewinds(), 1);
    for (int minutes = 0; minutes < 120; ++minutes) {
        clock.advance(seconds(60));
        look();
    }
    EXPECT_EQ(rewinds(), 5);
    EXPECT_THAT(audits("rejoin-failed").back(), HasSubstr("not tried again before `baton rejoin old:5432`"));
    ASSERT_TRUE(ask({}));
    EXPECT_EQ(rewinds(), 6);
}

TEST_F(RejoinerTest, a_checkpoint_that_may_not_be_asked_for_must_have_been) {
    past("0/5000100", 0);
    engine.failures["checkpoint"] = {ErrorKind::privilege, "GRANT pg_checkpoint", "s1:5432", "42501"};
    look();
    EXPECT_THAT(log, Contains("s1: control-data"));
    EXPECT_EQ(state().phase, RejoinPhase::failed) << "nobody knows: PostgreSQL 15 would not rewind";
    agents.answers[agent::Verb::control_data] = [](const agent::Order&) {
        agent::Status status;
        status.control.timeline = 2;
        return Result<agent::Done>(agent::Done{.status = status});
    };
    clock.advance(seconds(5));
    look();
    EXPECT_EQ(state().phase, RejoinPhase::done);
}

TEST_F(RejoinerTest, what_runs_but_does_not_get_on_is_made_anew) {
    const auto stuck = [this](const agent::Order&) {
        auto world = rejoined();
        world.on("old").timeline(1).received("0/5000000").not_streaming(seconds(90));
        observer.world = world;
        agents.seen[key("old")].status.state = ServerState::running;
        return Result<agent::Done>(agent::Done{});
    };
    agents.answers[agent::Verb::make_standby] = stuck;
    look();
    EXPECT_EQ(state().phase, RejoinPhase::running);
    clock.advance(seconds(200));
    EXPECT_EQ(state().phase, RejoinPhase::failed) << state().doing;
    look();
    EXPECT_EQ(log.back(), "old: clone s1/old");
    EXPECT_EQ(state().phase, RejoinPhase::done);
}

TEST_F(RejoinerTest, who_streams_for_a_moment_and_receives_nothing_does_not_get_on) {
    agents.answers[agent::Verb::make_standby] = [this](const agent::Order&) {
        auto world = rejoined();
        world.on("old").received("0/5000000");
        observer.world = world;
        agents.seen[key("old")].status.state = ServerState::running;
        return Result<agent::Done>(agent::Done{});
    };
    look();
    EXPECT_EQ(state().phase, RejoinPhase::running) << "each of its receivers ends at once: the WAL is gone";
    clock.advance(seconds(200));
    EXPECT_EQ(state().phase, RejoinPhase::failed) << state().doing;
    EXPECT_THAT(audits("rejoin-failed"), ElementsAre(HasSubstr("receives nothing from s1:5432")));
    observer.world->on("old").not_streaming(seconds(90));
    look();
    EXPECT_EQ(log.back(), "old: clone s1/old");
    EXPECT_EQ(state().phase, RejoinPhase::done);
}

TEST_F(RejoinerTest, a_slot_that_was_lost_while_it_was_away_is_made_anew_first) {
    observer.world->on("s1").with(
        [](auto&, topology::Observation& o) { o.slots = {{.name = "old", .wal_status = "lost"}}; });
    look();
    EXPECT_THAT(log, ElementsAre("old: wal-past 1@0/5000000", "s1: drop-slot old", "s1: create-slot old",
                                 "old: make-standby s1/old"));
    EXPECT_EQ(state().phase, RejoinPhase::done);
}

TEST_F(RejoinerTest, who_ends_again_is_not_waited_for) {
    agents.answers[agent::Verb::make_standby] = [this](const agent::Order&) {
        auto world = rejoined();
        world.on("old").down(topology::Reach::refused, seconds(20));
        observer.world = world;
        return Result<agent::Done>(agent::Done{});
    };
    look();
    clock.advance(seconds(10));
    EXPECT_EQ(state().phase, RejoinPhase::failed) << state().doing;
    EXPECT_THAT(audits("rejoin-failed"), ElementsAre(HasSubstr("does not run any more")));
}

TEST_F(RejoinerTest, a_standby_of_which_no_copy_could_be_made_goes_on_as_it_was) {
    observer.world = rejoined();
    agents.seen[key("old")].status.state = ServerState::running;
    agents.seen[key("old")].status.hold = topology::Hold::none;
    agents.answers[agent::Verb::clone] = [this](const agent::Order&) {
        agents.seen[key("old")].status.state = ServerState::down;
        return Result<agent::Done>(agent::Done{.error = Error{ErrorKind::io, "no room", "old:5432", {}}});
    };
    ASSERT_TRUE(ask({.anew = true}));
    EXPECT_THAT(log, ElementsAre("s1: create-slot old", "old: clone s1/old", "old: start"));
    EXPECT_THAT(audits("rejoin-failed"), ElementsAre(HasSubstr("not tried again")));
    EXPECT_THAT(audits("start"), ElementsAre(HasSubstr("as it was")));
    log.clear();
    clock.advance(seconds(60));
    look();
    EXPECT_THAT(log, IsEmpty()) << "each further try would stop it again";
}

TEST_F(RejoinerTest, a_lost_slot_is_made_anew_before_the_standby_is) {
    auto world = rejoined();
    world.on("old").slot("old").not_streaming(seconds(20)).on("s1").with([](auto&, topology::Observation& o) {
        o.slots = {{.name = "old", .wal_status = "lost"}};
    });
    observer.world = world;
    agents.seen[key("old")].status.state = ServerState::running;
    look();
    EXPECT_THAT(log, ElementsAre("s1: drop-slot old", "s1: create-slot old"));
    clock.advance(seconds(200));
    look();
    EXPECT_EQ(log.back(), "old: clone s1/old") << state().result;
}

TEST_F(RejoinerTest, one_deed_at_a_time_which_can_be_cancelled) {
    past("0/5000100", 0);
    auto gate = std::make_shared<Signal>(clock);
    agents.hold = [gate](const agent::Order& o) -> Task<void> {
        if (o.verb == agent::Verb::rewind) co_await gate->wait_until(MonoTime::max());
    };
    look();
    EXPECT_EQ(state().phase, RejoinPhase::running);
    agents.seen[key("old")].status.job = topology::Job{.verb = "rewind", .phase = "copying", .done_bytes = 7};
    clock.advance(seconds(1));
    EXPECT_EQ(state().job->done_bytes, 7);
    look();
    const auto second = ask({});
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().kind, ErrorKind::conflict);
    ASSERT_TRUE(rejoiner->cancel(key("old"), "ann"));
    EXPECT_EQ(log.back(), "old: cancel");
    fails(agent::Verb::rewind, ErrorKind::cancelled);
    gate->notify();
    clock.settle();
    agents.seen[key("old")].status.job.reset();
    EXPECT_EQ(state().phase, RejoinPhase::failed);
    agents.hold = nullptr;
    const auto before = log.size();
    clock.advance(seconds(600));
    look();
    EXPECT_EQ(log.size(), before) << "whoever cancelled it begins it again";
    EXPECT_FALSE(rejoiner->cancel(key("old"), "ann"));
}

TEST_F(RejoinerTest, an_order_is_not_given_once_a_recovery_began) {
    agents.hold = [this](const agent::Order& o) -> Task<void> {
        busy = o.verb == agent::Verb::wal_past;
        co_return;
    };
    look();
    EXPECT_EQ(log.back(), "s1: create-slot old");
    EXPECT_EQ(state().tries, 0) << "that is no failure of the server";
    busy = false;
    agents.hold = nullptr;
    clock.advance(seconds(5));
    look();
    EXPECT_EQ(state().phase, RejoinPhase::done);
}

TEST_F(RejoinerTest, makes_a_new_server_from_the_one_that_is_named) {
    auto seen = crashed();
    seen.status.key = key("new");
    seen.status.state = ServerState::no_data;
    seen.status.control = {};
    agents.seen[key("new")] = seen;
    agents.answers[agent::Verb::clone] = [this](const agent::Order&) {
        auto world = after_failover();
        world.standby("new").timeline(2).received("0/6000000");
        observer.world = world;
        return Result<agent::Done>(agent::Done{});
    };
    const auto plan = rejoiner->preview(
        {.cluster_id = sample::system_id, .instance = key("new"), .anew = true, .from = key("s1")});
    ASSERT_TRUE(plan);
    EXPECT_EQ(plan->way, plan::RejoinWay::clone);
    EXPECT_THAT(log, IsEmpty());
    ASSERT_TRUE(ask({.instance = key("new"), .anew = true, .from = key("s1")}));
    EXPECT_THAT(log, ElementsAre("s1: create-slot new_5432", "new: clone s1/new_5432"));
    EXPECT_THAT(audits("rejoin-done"), ElementsAre(HasSubstr("streams from s1:5432")));
}

TEST_F(RejoinerTest, commands_say_why_not) {
    EXPECT_EQ(ask({.instance = key("nobody")}).error().kind, ErrorKind::unreachable);
    busy = true;
    EXPECT_EQ(ask({}).error().kind, ErrorKind::conflict);
    busy = false;
    observer.world = rejoined();
    agents.seen[key("old")].status.state = ServerState::running;
    const auto well = ask({});
    ASSERT_FALSE(well);
    EXPECT_THAT(well.error().message, HasSubstr("nothing to do: it streams"));
    EXPECT_THAT(rejoiner->states(), IsEmpty());
}

}  // namespace
}  // namespace baton::recovery::testing
