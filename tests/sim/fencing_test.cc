// One primary at any time, with agents beside the servers (docs/fencing.md).
#include "fake_agents.h"
#include "scenario.h"

namespace baton::sim {
namespace {

using agent::Hold;
using agent::Verb;

/// Whenever anything changes: how many take writes?
class OneWriter final : public Watcher {
  public:
    explicit OneWriter(World& world) : world_(world) { world.watch(*this); }
    void changed() override { most_ = std::max(most_, world_.writable().size()); }
    size_t most() const { return most_; }

  private:
    World& world_;
    size_t most_ = 0;
};

/// p with s1 and s2, an agent beside each of `guarded`; the lease is on where all have one.
struct Scene {
    explicit Scene(const std::string& config = recovers_all,
                   const std::vector<std::string>& guarded = {"p", "s1", "s2"})
        : world(three_servers(config)), agents(*world), one(*world) {
        for (const auto& name : guarded)
            agents.beside(name);
        agents.begin();
        sim::begin(*world);
        world->run_for(seconds(3));
    }
    World& operator*() { return *world; }
    Server& server(const std::string& name) { return (*world)[name]; }
    std::string text() const { return world->trace().text(); }
    bool audited(const std::string& type, const std::string& part) const {
        return std::ranges::any_of(world->store().state().audit, [&](const auto& entry) {
            return entry.second.type == type && entry.second.message.contains(part);
        });
    }
    void restart_manager() {
        world->kill_manager();
        agents.new_manager();
        world->start_manager();
    }

    WorldPtr world;
    FakeAgents agents;
    OneWriter one;
};

TEST(Fencing, ALeaseIsOnWhereAllThatCouldTakeOverHaveAgents) {
    Scene all;
    EXPECT_TRUE(all.agents.lease_on("p")) << all.text();
    EXPECT_EQ(all.agents.promotable("p"), (std::set<std::string>{"s1", "s2"}));
    ASSERT_EQ(all.world->store().state().guards.size(), 1U);
    const auto& guard = all.world->store().state().guards.begin()->second;
    EXPECT_TRUE(guard.on && guard.certain);
    EXPECT_EQ(guard.members.size(), 2U);
    Scene some(recovers_all, {"p", "s1"});
    EXPECT_FALSE(some.agents.lease_on("p")) << some.text();
}

TEST(Fencing, AnAgentThatIsAwayForLongEndsTheLeaseOrTheMembership) {
    Scene scene;
    scene.agents.alive("s2", false);
    scene.world->run_for(seconds(8));
    EXPECT_TRUE(scene.agents.lease_on("p")) << "agents are restarted\n" << scene.text();
    scene.world->run_for(seconds(6));
    EXPECT_FALSE(scene.agents.lease_on("p")) << "s2 could be promoted, and nobody would vouch for p there";
    scene.server("s2").kill();
    scene.world->run_for(seconds(3));
    EXPECT_TRUE(scene.agents.lease_on("p")) << scene.text();
    EXPECT_EQ(scene.agents.promotable("p"), (std::set<std::string>{"s1"}));
    EXPECT_EQ(scene.one.most(), 1U);
}

TEST(Fencing, DeathByTheWordOfTheAgentIsActedOnAtOnce) {
    Scene scene;
    const auto died = scene.world->now();
    scene.server("p").kill();
    ASSERT_TRUE(scene.world->run_until([&] { return scene.world->promotions() == 1; }, seconds(5)))
        << scene.text();
    EXPECT_LT(scene.world->now() - died, milliseconds(400)) << scene.text();
    scene.world->run_for(seconds(5));
    EXPECT_EQ(scene.agents.hold("p"), Hold::fenced) << "not only kept down\n" << scene.text();
    EXPECT_EQ(scene.one.most(), 1U);
    EXPECT_FALSE(scene.world->recovery_open());
}

TEST(Fencing, ASilentHostIsReplacedWhenItsLeaseHasEnded) {
    Scene scene;
    scene.world->network().isolate("p");
    scene.world->links_changed();
    const auto began = scene.world->now();
    ASSERT_TRUE(scene.world->run_until([&] { return scene.world->promotions() == 1; }, seconds(10)))
        << scene.text();
    EXPECT_LT(scene.world->now() - began, milliseconds(3500)) << scene.text();
    EXPECT_EQ(scene.agents.hold("p"), Hold::fenced);
    scene.world->run_for(seconds(10));
    EXPECT_EQ(scene.one.most(), 1U) << scene.text();
    EXPECT_TRUE(scene.world->trace().contains("the lease of p:5432 has ended")) << scene.text();
    scene.world->heal();
    scene.world->run_for(seconds(10));
    EXPECT_EQ(scene.one.most(), 1U) << scene.text();
}

TEST(Fencing, CutOffFromTheManagerAloneItIsLeftAlone) {
    Scene scene;
    scene.world->network().set("p", "manager", Link::silent);
    scene.world->links_changed();
    scene.world->run_for(seconds(30));
    EXPECT_EQ(scene.world->promotions(), 0) << scene.text();
    EXPECT_TRUE(scene.server("p").accepts_writes()) << scene.text();
}

TEST(Fencing, AnOutageOfTheManagerStopsNobody) {
    Scene scene;
    scene.world->kill_manager();
    scene.agents.new_manager();
    scene.world->run_for(seconds(60));
    EXPECT_TRUE(scene.server("p").accepts_writes()) << scene.text();
    scene.world->start_manager();
    scene.world->run_for(seconds(10));
    EXPECT_TRUE(scene.agents.lease_on("p"));
    EXPECT_TRUE(scene.server("p").accepts_writes()) << scene.text();
}

TEST(Fencing, ARestartedManagerWaitsForALeaseThatItNeverAnswered) {
    for (const auto wait : {0, 300, 1000, 2000}) {
        Scene scene;
        scene.world->network().isolate("p");
        scene.world->links_changed();
        scene.world->run_for(milliseconds(wait));
        scene.restart_manager();
        scene.world->run_for(seconds(30));
        EXPECT_EQ(scene.world->promotions(), 1) << wait << "\n" << scene.text();
        EXPECT_EQ(scene.one.most(), 1U) << wait << "\n" << scene.text();
    }
}

TEST(Fencing, WhoMayBeVouchedForIsStoppedBeforeAnybodyIsPromoted) {
    // The manager and the standbys' servers have lost it, their agents have not.
    Scene scene;
    scene.agents.talk_always();
    scene.world->network().isolate("p");
    scene.world->links_changed();
    scene.world->run_for(milliseconds(2400));
    EXPECT_TRUE(scene.server("p").accepts_writes()) << "its peers vouch\n" << scene.text();
    scene.world->run_for(seconds(10));
    EXPECT_EQ(scene.world->promotions(), 1) << scene.text();
    EXPECT_EQ(scene.agents.hold("p"), Hold::fenced) << scene.text();
    EXPECT_EQ(scene.one.most(), 1U) << scene.text();
}

TEST(Fencing, AHungServerIsEndedByItsAgentFirst) {
    Scene scene;
    scene.server("p").hang();
    ASSERT_TRUE(scene.world->run_until([&] { return scene.world->promotions() == 1; }, seconds(15)))
        << scene.text();
    EXPECT_GE(scene.agents.orders("p", Verb::fence), 1U) << scene.text();
    EXPECT_FALSE(scene.server("p").listens());
    scene.world->run_for(seconds(5));
    EXPECT_EQ(scene.one.most(), 1U) << scene.text();
}

TEST(Fencing, TheEndOfWhoWasFencedIsNoNewDetection) {
    for (const bool in_vain : {false, true}) {
        Scene scene(recovers_all_and(R"("OnFailureDetectionProcesses": ["detected {failureType}"])"));
        if (in_vain) {
            for (const auto* name : {"s1", "s2"})
                scene.server(name).forbidden.insert("promote");
        }
        scene.server("p").hang();
        scene.world->run_for(seconds(15));
        EXPECT_EQ(scene.world->promotions(), in_vain ? 0 : 1) << scene.text();
        EXPECT_EQ(scene.agents.orders("p", Verb::fence), 1U) << scene.text();
        size_t hung = 0;
        for (const auto& ran : scene.world->hooks_run()) {
            EXPECT_THAT(ran.command, testing::Not(testing::HasSubstr("Dead"))) << scene.text();
            hung += ran.command == "detected HungPrimary" ? 1 : 0;
        }
        EXPECT_EQ(hung, 1U) << scene.text();
    }
}

TEST(Fencing, WhoCannotBeStoppedIsNotReplaced) {
    Scene scene(recovers_all, {"p", "s1"});
    scene.agents.disobeys("p");
    scene.server("p").hang();
    scene.world->run_for(seconds(25));
    EXPECT_EQ(scene.world->promotions(), 0) << scene.text();
    EXPECT_LE(scene.world->disk().recoveries.size(), 2U) << scene.text();
    EXPECT_EQ(scene.agents.orders("p", Verb::start), 0U) << scene.text();
}

TEST(Fencing, WhoWasStoppedInVainIsStartedAgain) {
    Scene scene;
    for (const auto* name : {"s1", "s2"})
        scene.server(name).forbidden.insert("promote");
    scene.server("p").hang();
    scene.world->run_for(seconds(15));
    EXPECT_EQ(scene.world->promotions(), 0);
    EXPECT_EQ(scene.agents.orders("p", Verb::fence), 1U) << scene.text();
    EXPECT_TRUE(scene.server("p").accepts_writes()) << scene.text();
    EXPECT_TRUE(scene.audited("start", "nobody was promoted")) << scene.text();
    scene.world->run_for(seconds(10));
    EXPECT_TRUE(scene.agents.lease_on("p"));
    EXPECT_TRUE(scene.server("p").accepts_writes()) << scene.text();
}

TEST(Fencing, WhomItsAgentWasNotToldOfIsNotPromoted) {
    Scene scene;
    scene.agents.alive("s2", false);
    scene.server("s2").kill();
    scene.world->run_for(seconds(20));
    ASSERT_EQ(scene.agents.promotable("p"), (std::set<std::string>{"s1"})) << scene.text();
    scene.world->network().isolate("p");
    scene.world->network().isolate("s1");
    scene.world->links_changed();
    scene.agents.alive("s2", true);
    scene.agents.forget_holds("s2");
    scene.server("s2").start();
    scene.world->run_for(seconds(30));
    EXPECT_EQ(scene.world->promotions(), 0) << scene.text();
    EXPECT_EQ(scene.one.most(), 1U);
}

TEST(Fencing, ABlockedFailoverCostsARestart) {
    Scene scene(R"({"RecoverMasterClusterFilters": ["other"]})");
    scene.server("p").kill();
    scene.world->run_for(seconds(15));
    EXPECT_EQ(scene.world->promotions(), 0);
    EXPECT_TRUE(scene.server("p").accepts_writes()) << scene.text();
    EXPECT_TRUE(scene.audited("start", "RecoverMasterClusterFilters")) << scene.text();
}

TEST(Fencing, AFormerPrimaryIsEndedWhenItsAgentConnects) {
    Scene scene(recovers_all, {"p"});
    scene.agents.alive("p", false);
    scene.world->run_for(seconds(3));
    scene.server("p").power_off();
    ASSERT_TRUE(scene.world->run_until([&] { return scene.world->promotions() == 1; }, seconds(10)))
        << scene.text();
    scene.world->run_for(seconds(5));
    scene.agents.forget_holds("p");
    scene.server("p").power_on();
    scene.world->run_for(seconds(1));
    scene.agents.alive("p", true);
    scene.world->run_for(seconds(2));
    EXPECT_FALSE(scene.server("p").listens()) << scene.text();
    EXPECT_EQ(scene.agents.hold("p"), Hold::fenced);
    EXPECT_TRUE(scene.audited("fence", "former primary")) << scene.text();
}

}  // namespace
}  // namespace baton::sim
