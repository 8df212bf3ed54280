// Each checker speaks when its property is broken, and only then: small worlds in which somebody other than a
// manager does what no manager should.
#include <array>

#include "scenario.h"
#include "sim/checkers/checker.h"

namespace baton::sim {
namespace {

/// A world with all checkers over it. What no manager does here is done by hand, and where a manager would
/// have written it down, that is done, too.
class Watched {
  public:
    explicit Watched(WorldPtr world, Story story = {})
        : world_(std::move(world)), story_(std::move(story)), truth_(*world_, "client") {
        world_->watch(truth_);
        for (const auto& info : checkers()) {
            checkers_.push_back(info.make({*world_, truth_, story_, violations_}));
            world_->watch(*checkers_.back());
        }
    }

    World& operator*() { return *world_; }
    World* operator->() { return world_.get(); }
    Server& server(const std::string& name) { return (*world_)[name]; }

    void run_for(Duration time) {
        for (const auto until = world_->now() + time; world_->now() < until;) {
            world_->run_for(milliseconds(100));
            for (const auto& c : checkers_)
                c->look();
        }
    }

    /// As if a manager had written it to its record, and that were on disk.
    void write(const store::Command& command) {
        auto& disk = const_cast<store::State&>(world_->disk());
        disk.apply(command, {});
        for (const auto& c : checkers_)
            c->journalled(command);
    }
    store::Recovery open_recovery(const std::string& failed, int64_t id = 1) {
        store::Recovery r{.id = id,
                          .uid = "uid-" + std::to_string(id),
                          .code = "DeadPrimary",
                          .kind = "primary",
                          .cluster_id = server(failed).system_identifier(),
                          .failed = at(failed),
                          .description = "none of its standbys receives"};
        write(store::PutRecovery{r});
        return r;
    }
    void promote(const std::string& failed, const std::string& name, int64_t id = 1) {
        open_recovery(failed, id);
        ask(name, id);
    }
    void ask(const std::string& name, int64_t id = 1) {
        write(store::AddRecoveryStep{{.uid = "uid-" + std::to_string(id),
                                      .message = "promote " + name,
                                      .deed = "promote " + at(name).text()}});
        (void)server(name).request_promotion();
    }

    void end() {
        for (const auto& c : checkers_)
            c->at_end();
    }
    /// Names of those who spoke.
    std::set<std::string> speakers() const {
        std::set<std::string> names;
        for (const auto& v : violations_)
            names.insert(v.checker);
        return names;
    }
    std::string texts() const {
        std::string all;
        for (const auto& v : violations_)
            all += v.checker + ": " + v.text + "\n";
        return all;
    }

  private:
    WorldPtr world_;
    Story story_;
    Truth truth_;
    std::vector<Violation> violations_;
    std::vector<std::unique_ptr<Checker>> checkers_;
};

using Speakers = std::set<std::string>;

/// p with s1 and s2, a client, and no manager; everybody streams.
Watched by_hand(const std::function<void(World&)>& prepare = {}) {
    auto world = three_servers();
    world->client();
    if (prepare) prepare(*world);
    world->run_for(seconds(1));
    return Watched(std::move(world));
}

TEST(Checkers, NamesAndPropertiesAreThere) {
    std::set<std::string_view> names;
    for (const auto& info : checkers()) {
        names.insert(info.name);
        EXPECT_TRUE(info.property.ends_with(".")) << info.name;
    }
    EXPECT_EQ(names.size(), checkers().size()) << "names are unique";
}

TEST(Checkers, AreSilentThroughAHealthyFailover) {
    auto world = three_nodes();
    Watched watched(std::move(world));
    watched.run_for(seconds(5));
    watched.server("p").kill();
    watched.run_for(seconds(20));
    watched.server("p").start();
    watched.run_for(seconds(10));
    watched.end();
    EXPECT_EQ(watched->promotions(), 1);
    EXPECT_EQ(watched.texts(), "") << watched->trace().text();
}

TEST(Checkers, PromotionWhileThePrimaryLives) {
    auto watched = by_hand();
    watched.run_for(seconds(5));
    watched.promote("p", "s1");
    EXPECT_EQ(watched.speakers(), (Speakers{"no_false_failover", "one_history"})) << watched.texts();
}

TEST(Checkers, ReplicaReceivesAndClientsAreCutOff) {
    auto watched = by_hand();
    watched->network().set("client", "p", Link::silent);
    watched->network().set("manager", "p", Link::silent);
    watched->links_changed();
    watched.run_for(seconds(5));
    watched.promote("p", "s1");
    EXPECT_EQ(watched.speakers(), Speakers{"one_history"}) << watched.texts();
}

TEST(Checkers, PrimaryTellsTheManagerThatItIsFull) {
    auto watched = by_hand();
    watched.server("p").exhaust_connections(true);
    for (const auto* s : {"s1", "s2"})
        watched->network().set("p", s, Link::silent);
    watched->links_changed();
    watched.run_for(seconds(5));
    watched.promote("p", "s1");
    EXPECT_EQ(watched.speakers(), Speakers{"no_false_failover"}) << watched.texts();
}

/// The manager looks once a second: between two looks it cannot know that a lock ended.
TEST(Checkers, LockThatKeptLooksWaitingHasEnded) {
    const auto promoted_after = [](Duration since) {
        auto watched = by_hand();
        watched.server("p").block_looks(true);
        for (const auto* s : {"s1", "s2"})
            watched->network().set("p", s, Link::silent);
        watched->links_changed();
        watched.run_for(seconds(5));
        watched.server("p").block_looks(false);
        watched.run_for(since);
        watched.promote("p", "s1");
        return watched.speakers();
    };
    EXPECT_EQ(promoted_after(milliseconds(100)), Speakers{});
    EXPECT_EQ(promoted_after(seconds(5)), Speakers{"no_false_failover"});
}

TEST(Checkers, PrimaryIsInCrashRecovery) {
    auto watched = by_hand([](World& w) { w["p"].pace.crash_recovery = {seconds(5), seconds(6)}; });
    watched.run_for(seconds(5));
    watched.server("p").crash_backend();
    watched.run_for(milliseconds(300));
    watched.promote("p", "s1");
    EXPECT_EQ(watched.speakers(), Speakers{"no_false_failover"}) << watched.texts();
}

TEST(Checkers, SecondOneIsAskedWhileTheFirstMayStillDoIt) {
    auto watched = by_hand();
    watched.run_for(seconds(5));
    watched.server("s1").stall_promotions(true);
    watched.server("p").kill();
    watched.run_for(seconds(1));
    watched.promote("p", "s1");
    watched.run_for(milliseconds(200));
    EXPECT_EQ(watched.speakers(), Speakers{}) << watched.texts();
    watched.ask("s2");
    EXPECT_EQ(watched.speakers(), Speakers{"one_history"}) << watched.texts();
}

TEST(Checkers, PromotedOneLacksRowsThatAnotherReceived) {
    auto watched = by_hand();
    watched.run_for(seconds(5));
    watched->network().set("p", "s1", Link::silent);
    watched->links_changed();
    watched.run_for(seconds(1));
    watched.server("p").kill();
    watched.run_for(seconds(1));
    watched.promote("p", "s1");
    watched.run_for(seconds(1));
    EXPECT_EQ(watched.speakers(), Speakers{"no_lost_rows"}) << watched.texts();
}

TEST(Checkers, ConfirmedRowsAreLost) {
    auto watched = by_hand([](World& w) { w["p"].settings.synchronous_standby_names = "ANY 1 (s1, s2)"; });
    watched.run_for(seconds(5));
    watched->network().set("p", "s1", Link::silent);
    watched->links_changed();
    watched.run_for(seconds(1));
    // Nobody can ask s2, which confirmed them: for confirmed rows that is no excuse.
    for (const auto* s : {"p", "s2"})
        watched.server(s).kill();
    watched.run_for(seconds(1));
    watched.promote("p", "s1");
    watched.run_for(seconds(1));
    EXPECT_EQ(watched.speakers(), Speakers{"no_lost_rows"}) << watched.texts();
}

TEST(Checkers, AsynchronousRowsThatOnlyADeadStandbyHad) {
    auto watched = by_hand();
    watched.run_for(seconds(5));
    watched->network().set("p", "s1", Link::silent);
    watched->links_changed();
    watched.run_for(seconds(1));
    for (const auto* s : {"p", "s2"})
        watched.server(s).kill();
    watched.run_for(seconds(1));
    watched.promote("p", "s1");
    watched.run_for(seconds(1));
    EXPECT_EQ(watched.speakers(), Speakers{}) << watched.texts();
}

TEST(Checkers, PromotionThatNoJournalTells) {
    auto watched = by_hand();
    watched.run_for(seconds(5));
    watched.server("p").kill();
    watched.run_for(seconds(1));
    watched.open_recovery("p");
    (void)watched.server("s1").request_promotion();
    EXPECT_EQ(watched.speakers(), Speakers{"explained"}) << watched.texts();
}

TEST(Checkers, DeedWithoutAReason) {
    auto watched = by_hand();
    watched.server("s2").follow({.upstream = at("s1")}, [](const auto&) {});
    EXPECT_EQ(watched.speakers(), Speakers{"explained"}) << watched.texts();
}

TEST(Checkers, TwoRecoveriesAtOnce) {
    auto watched = by_hand();
    watched.open_recovery("p", 1);
    watched.open_recovery("p", 2);
    EXPECT_EQ(watched.speakers(), Speakers{"one_recovery_at_a_time"}) << watched.texts();
}

TEST(Checkers, BlockPeriodIsNotHonoured) {
    auto watched = by_hand();
    auto first = watched.open_recovery("p", 1);
    first.state = store::RecoveryState::failed;
    watched.write(store::PutRecovery{first});
    watched.run_for(seconds(30));
    auto second = first;
    second.id = 2;
    second.state = store::RecoveryState::running;
    second.forced = true;
    watched.write(store::PutRecovery{second});
    EXPECT_EQ(watched.speakers(), Speakers{}) << "an operator's own\n" << watched.texts();
    second.state = store::RecoveryState::failed;
    second.in_active_period = false;
    watched.write(store::PutRecovery{second});
    auto third = first;
    third.id = 3;
    third.state = store::RecoveryState::running;
    watched.write(store::PutRecovery{third});
    EXPECT_EQ(watched.speakers(), Speakers{"one_recovery_at_a_time"}) << watched.texts();
}

TEST(Checkers, PromotionIsAskedForAgainAndAgain) {
    auto watched = by_hand();
    watched.run_for(seconds(5));
    watched.server("s1").stall_promotions(true);
    watched.server("p").kill();
    watched.run_for(seconds(1));
    watched.promote("p", "s1");
    for (int i = 0; i < 60; ++i) {
        watched->run_for(milliseconds(10));
        (void)watched.server("s1").request_promotion();
    }
    EXPECT_EQ(watched.speakers(), Speakers{"one_recovery_at_a_time"}) << watched.texts();
}

TEST(Checkers, StandbyThatNobodyLeadsBack) {
    auto world = three_nodes(R"({"RecoverMasterClusterFilters": ["other"]})");
    Watched watched(std::move(world));
    watched.server("s1").hang();
    watched.run_for(seconds(5));
    watched.end();
    EXPECT_EQ(watched.speakers(), Speakers{}) << "it is down, and said to be\n" << watched.texts();
    watched.server("s1").resume();
    watched.server("s1").conninfo.hosts = {at("s2")};
    watched.server("s1").settings.primary_slot_name = "none";
    watched.server("s1").restart();
    watched.run_for(seconds(5));
    watched.end();
    EXPECT_EQ(watched.speakers(), Speakers{"converges"}) << watched.texts();
}

TEST(Checkers, JournalThatGrows) {
    auto watched = by_hand();
    const auto r = watched.open_recovery("p");
    for (int i = 0; i < 300; ++i)
        watched.write(store::AddRecoveryStep{{.uid = r.uid, .message = "again"}});
    EXPECT_EQ(watched.speakers(), Speakers{"bounded"}) << watched.texts();
}

/// Two more sessions of the manager's on p, beside those that it has.
class TwoSessions {
  public:
    explicit TwoSessions(Server& p) : network_(1), process_(network_.scheduler) {
        network_.servers[p.key()] = &p;
        for (auto& session : sessions_) {
            session = std::make_shared<Connection>(network_, process_, "manager", p.key());
            spawn(process_.executor(), open(session));
        }
        network_.scheduler.run_for(seconds(1));
    }

  private:
    static Task<void> open(ConnectionPtr session) {
        const auto done = co_await session->open(MonoTime(seconds(2)));
        EXPECT_TRUE(done);
    }

    Ground network_;  ///< of their own: they stay whatever the world does
    Process process_;
    std::array<ConnectionPtr, 2> sessions_;
};

TEST(Checkers, SessionsThatStay) {
    for (const bool stay : {true, false}) {
        Watched watched(three_nodes(R"({"RecoverMasterClusterFilters": ["other"]})"));
        watched.run_for(seconds(5));
        const TwoSessions more(watched.server("p"));
        ASSERT_GE(watched.server("p").sessions_of("manager"), 3U);
        watched.run_for(stay ? seconds(5) : milliseconds(100));
        watched.end();
        EXPECT_EQ(watched.speakers(), stay ? Speakers{"bounded"} : Speakers{}) << watched.texts();
    }
}

}  // namespace
}  // namespace baton::sim
