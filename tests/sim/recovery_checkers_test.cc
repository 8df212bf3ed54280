// The checkers of how a recovery leads standbys and how it ends, and the table of defects that names
// checkers.
#include "base/defect.h"
#include "scenario.h"
#include "sim/checkers/checker.h"

namespace baton::sim {
namespace {

/// p with s1 and s2, a manager that may not recover anything, and one checker.
class Watched {
  public:
    explicit Watched(std::string_view name)
        : world_(three_nodes(R"({"ProviderType": "postgresql"})")), truth_(*world_, "client") {
        world_->watch(truth_);
        const auto info = std::ranges::find(checkers(), name, &CheckerInfo::name);
        checker_ = info->make({*world_, truth_, story_, violations_});
        world_->watch(*checker_);
    }
    World* operator->() { return world_.get(); }
    Server& server(const std::string& name) { return (*world_)[name]; }
    void run_for(Duration time) {
        for (const auto until = world_->now() + time; world_->now() < until;) {
            world_->run_for(milliseconds(100));
            checker_->look();
        }
    }
    void follow(const std::string& standby, const std::string& upstream) {
        server(standby).follow({.upstream = at(upstream)}, [](const auto&) {});
        run_for(milliseconds(100));
    }
    void write(store::Recovery r) { checker_->journalled(store::PutRecovery{std::move(r)}); }
    const std::vector<Violation>& violations() const { return violations_; }
    Checker& checker() { return *checker_; }

  private:
    WorldPtr world_;
    Story story_;
    Truth truth_;
    std::vector<Violation> violations_;
    std::unique_ptr<Checker> checker_;
};

store::Recovery recovery_of_p() {
    return {.id = 1, .uid = "uid-1", .code = "DeadPrimary", .kind = "primary", .failed = at("p")};
}

TEST(Moves, AStandbyPastTheForkIsNotLedToTheNewPrimary) {
    Watched world("moves");
    world->network().set("p", "s1", Link::silent);
    world.run_for(seconds(2));
    ASSERT_TRUE(world.server("s1").request_promotion());
    world.run_for(seconds(1));
    world->network().heal();
    world.server("p").kill();
    world.run_for(seconds(5));
    world.follow("s2", "s1");
    ASSERT_EQ(world.violations().size(), 1U) << world->trace().text();
    EXPECT_EQ(world.violations()[0].text, "s2:5432 is led to s1:5432, whose history is another");
}

TEST(Moves, OneThatCanFollowIs) {
    Watched world("moves");
    world.server("p").kill();
    world.run_for(seconds(1));
    ASSERT_TRUE(world.server("s1").request_promotion());
    world.run_for(seconds(5));
    world.follow("s2", "s1");
    EXPECT_TRUE(world.violations().empty()) << world.violations()[0].text;
}

TEST(Outcomes, ASuccessWithoutAPromotionIsNone) {
    Watched world("outcomes");
    auto r = recovery_of_p();
    world.write(r);
    r.state = store::RecoveryState::succeeded;
    r.successor = at("s1");
    world.write(r);
    ASSERT_EQ(world.violations().size(), 1U);
    EXPECT_EQ(world.violations()[0].text,
              "the recovery of p:5432 has succeeded, and s1:5432 was never promoted");
}

TEST(Outcomes, NobodyGivesUpWhileSomebodyCouldBePromoted) {
    for (const bool delayed : {false, true}) {
        Watched world("outcomes");
        world.run_for(seconds(5));
        for (const auto* name : {"s1", "s2"})
            world.server(name).settings.recovery_min_apply_delay_ms = delayed ? 1000 : 0;
        world.server("p").kill();
        auto r = recovery_of_p();
        world.write(r);
        world.run_for(seconds(3));
        r.state = store::RecoveryState::failed;
        world.write(r);
        EXPECT_EQ(world.violations().size(), delayed ? 0U : 2U) << "delayed: " << delayed;
    }
}

TEST(Outcomes, TheNewPrimaryWaitsForNobodyWhoIsNotThere) {
    for (const auto* names : {"ANY 2 (p, s1, s2)", "ANY 1 (p, s1, s2)"}) {
        Watched world("outcomes");
        world.server("s1").settings.synchronous_standby_names = names;
        world.server("p").kill();
        world.run_for(seconds(10));
        auto r = recovery_of_p();
        world.write(r);
        ASSERT_TRUE(world.server("s1").request_promotion());
        world.run_for(seconds(1));
        r.state = store::RecoveryState::succeeded;
        r.successor = at("s1");
        world.write(r);
        EXPECT_EQ(world.violations().size(), names[4] == '2' ? 1U : 0U) << names;
    }
}

/// Commits of the new primary wait for s2.
TEST(Outcomes, OnlyAStandbyThatStreamsOrMayComeIsThere) {
    const struct {
        const char* name;
        bool follows, full, diverged;
        size_t violations;
    } cases[] = {
        {"streams", true, false, false, 0},
        {"streams, and lets nobody else in", true, true, false, 0},
        {"lets nobody in", false, true, false, 1},
        {"may come", false, false, false, 0},
        {"serves, and has another history", false, false, true, 1},
    };
    for (const auto& c : cases) {
        Watched world("outcomes");
        auto &s1 = world.server("s1"), &s2 = world.server("s2");
        s1.settings.synchronous_standby_names = "ANY 1 (p, s2)";
        world.server("p").kill();
        world.run_for(seconds(1));
        if (c.diverged) s2.become_diverged(1 << 20);
        ASSERT_TRUE(s1.request_promotion());
        s1.create_slot("s2_slot", [](const auto&) {});
        world.run_for(seconds(1));
        if (c.follows) world.follow("s2", "s1");
        world.run_for(seconds(5));
        ASSERT_EQ(s2.receives_from() == &s1, c.follows) << c.name << "\n" << world->trace().text();
        s2.exhaust_connections(c.full);
        world.run_for(seconds(10));
        auto r = recovery_of_p();
        world.write(r);
        world.run_for(seconds(1));
        r.state = store::RecoveryState::succeeded;
        r.successor = at("s1");
        world.write(r);
        EXPECT_EQ(world.violations().size(), c.violations) << c.name << "\n" << world->trace().text();
    }
}

/// Whoever was sent a request may have promoted itself: beside it nobody can be promoted while it lives.
TEST(Outcomes, ARequestThatNeverArrivedExcuses) {
    const struct {
        const char* name;
        bool sent, dies;
        size_t violations;
    } cases[] = {
        {"nobody was asked", false, false, 2},
        {"s1 was asked", true, false, 0},
        {"s1 was asked, and is dead", true, true, 1},
    };
    for (const auto& c : cases) {
        Watched world("outcomes");
        world.run_for(seconds(5));
        world.server("p").kill();
        auto r = recovery_of_p();
        world.write(r);
        world.run_for(seconds(1));
        if (c.sent) world.checker().promotion_sent(world.server("s1"));
        if (c.dies) world.server("s1").kill();
        world.run_for(seconds(3));
        r.state = store::RecoveryState::failed;
        world.write(r);
        EXPECT_EQ(world.violations().size(), c.violations) << c.name;
    }
}

TEST(Defects, AreExpectedByACheckerThatExists) {
    for (const auto& d : defects()) {
        const bool known = std::ranges::find(checkers(), d.seen_by, &CheckerInfo::name) != checkers().end();
        const bool told = known || d.seen_by == "settle";
        EXPECT_TRUE(told) << d.name << " is to be noticed by " << d.seen_by;
    }
}

}  // namespace
}  // namespace baton::sim
