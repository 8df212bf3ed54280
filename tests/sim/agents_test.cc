// Real agents' guards beside the servers, over the modelled network: who may run, and who may be promoted.
#include "sim/agents.h"

#include <fmt/format.h>

#include "scenario.h"
#include "sim/campaign.h"

namespace baton::sim {
namespace {

using topology::Hold;

/// What clients were told, by server and in order.
class Acknowledged final : public Watcher {
  public:
    explicit Acknowledged(World& world) : world_(world) { world.watch(*this); }
    void acknowledged(const Server& s, const Row& /*row*/, bool /*by_standbys*/) override {
        auto& span = spans_.try_emplace(s.key().host, world_.now(), world_.now()).first->second;
        span.second = world_.now();
    }
    void lease_ended(const Server& s) override { ended_.insert(s.key().host); }
    /// `a` had confirmed its last commit when `b` confirmed its first.
    bool in_turn(const std::string& a, const std::string& b) const {
        return !spans_.contains(b) || spans_.at(a).second < spans_.at(b).first;
    }
    bool lease_ended_of(const std::string& name) const { return ended_.contains(name); }

  private:
    World& world_;
    std::map<std::string, std::pair<MonoTime, MonoTime>> spans_;
    std::set<std::string> ended_;
};

struct Guarded {
    explicit Guarded(uint64_t seed = 1, int drift_ppm = 500)
        : world(three_servers(recovers_all, seed)), agents(world->guard_hosts(drift_ppm)), told(*world) {
        sim::begin(*world);
        world->run_for(seconds(5));
    }
    Server& server(const std::string& name) { return (*world)[name]; }
    std::string text() const { return world->trace().text(); }
    bool lease_on() { return agents.kept(server("p")).grant.on; }
    bool promoted(Duration within) {
        return world->run_until([this] { return world->promotions() > 0; }, within);
    }
    std::string successor() {
        for (const auto* name : {"s1", "s2"}) {
            if (!server(name).in_recovery()) return name;
        }
        return "nobody";
    }
    void cut(const std::string& a, const std::string& b) {
        world->network().set(a, b, Link::silent);
        world->links_changed();
    }
    void mend(const std::string& a, const std::string& b) {
        world->network().set(a, b, Link::up);
        world->links_changed();
    }
    std::string lease_held_by() {
        auto* agent = agents.agent_of(server("p"));
        return agent == nullptr ? "" : agent->lease().held_by;
    }

    WorldPtr world;
    HostAgents& agents;
    Acknowledged told;
};

TEST(HostAgents, TheLeaseIsOnSoonAfterTheBeginning) {
    Guarded g;
    EXPECT_TRUE(g.lease_on()) << g.text();
    EXPECT_EQ(g.agents.kept(g.server("p")).grant.promotable.size(), 2U);
    g.world->run_for(seconds(60));
    EXPECT_TRUE(g.server("p").accepts_writes()) << g.text();
    EXPECT_EQ(g.world->promotions(), 0) << g.text();
}

TEST(HostAgents, DeathIsToldAtOnce) {
    Guarded g;
    g.server("p").kill();
    ASSERT_TRUE(g.promoted(milliseconds(700))) << g.text();
    g.world->run_for(seconds(20));
    EXPECT_TRUE(g.told.in_turn("p", g.successor())) << g.text();
    EXPECT_EQ(g.world->writable().size(), 1U) << g.text();
}

TEST(HostAgents, AHungServerIsEndedAndReplaced) {
    Guarded g;
    g.server("p").hang();
    ASSERT_TRUE(g.promoted(seconds(12))) << g.text();
    EXPECT_FALSE(g.server("p").hung()) << "it was killed\n" << g.text();
    g.world->run_for(seconds(10));
    EXPECT_TRUE(g.told.in_turn("p", g.successor())) << g.text();
}

TEST(HostAgents, AnAgentThatIsKilledHarmsNobody) {
    Guarded g;
    g.agents.kill("p", true);
    g.world->run_for(seconds(20));
    EXPECT_EQ(g.world->promotions(), 0) << g.text();
    EXPECT_TRUE(g.server("p").accepts_writes()) << g.text();
    EXPECT_TRUE(g.lease_on());
    EXPECT_FALSE(g.told.lease_ended_of("p")) << g.text();
}

TEST(HostAgents, AStoppedAgentIsNoReasonToFailOver) {
    Guarded g;
    g.agents.freeze("p", true);
    g.world->run_for(seconds(60));
    EXPECT_EQ(g.world->promotions(), 0) << g.text();
    EXPECT_TRUE(g.server("p").accepts_writes()) << g.text();
    g.agents.freeze("p", false);
    g.world->run_for(seconds(5));
    EXPECT_EQ(g.world->promotions(), 0) << g.text();
    EXPECT_TRUE(g.server("p").accepts_writes()) << "it asked first\n" << g.text();
}

TEST(HostAgents, AHostWithoutPowerIsReplacedWithinFiveSeconds) {
    Guarded g;
    g.server("p").power_off();
    ASSERT_TRUE(g.promoted(seconds(5))) << g.text();
    g.world->run_for(seconds(5));
    g.world->network().set_host("p", true);
    g.agents.power_is_back("p");
    g.server("p").start();
    g.world->run_for(seconds(20));
    EXPECT_TRUE(g.told.in_turn("p", g.successor())) << g.text();
}

TEST(HostAgents, AHostThatWasPausedDoesNotGoOnWriting) {
    for (const int pause_ms : {5000, 15000}) {
        Guarded g;
        g.world->network().set_host("p", false);
        g.agents.freeze("p", true);
        g.server("p").hang();
        g.world->links_changed();
        g.world->run_for(milliseconds(pause_ms));
        g.world->network().set_host("p", true);
        g.agents.freeze("p", false);
        g.server("p").resume();
        g.world->links_changed();
        g.world->run_for(seconds(20));
        EXPECT_EQ(g.world->writable().size(), 1U) << pause_ms << "\n" << g.text();
    }
}

TEST(HostAgents, CutOffFromTheManagerItsPeersVouch) {
    Guarded g;
    g.cut("p", "manager");
    g.world->run_for(seconds(60));
    EXPECT_EQ(g.world->promotions(), 0) << g.text();
    EXPECT_TRUE(g.server("p").accepts_writes()) << g.text();
    EXPECT_FALSE(g.told.lease_ended_of("p"));
}

TEST(HostAgents, OnlyItsAgentIsCutOffFromTheManager) {
    Guarded g;
    g.agents.cut("p", true);
    g.world->run_for(seconds(60));
    EXPECT_EQ(g.world->promotions(), 0) << g.text();
    EXPECT_TRUE(g.server("p").accepts_writes()) << g.text();
}

TEST(HostAgents, CutOffFromManagerAndStandbysItStopsFirst) {
    for (uint64_t seed = 1; seed <= 40; ++seed) {
        Guarded g(seed, 9000);
        for (const auto* other : {"manager", "s1", "s2"})
            g.cut("p", other);
        ASSERT_TRUE(g.promoted(seconds(10))) << seed << "\n" << g.text();
        EXPECT_FALSE(g.server("p").accepts_writes()) << seed << "\n" << g.text();
        EXPECT_TRUE(g.told.lease_ended_of("p")) << seed << "\n" << g.text();
        g.world->run_for(seconds(10));
        EXPECT_TRUE(g.told.in_turn("p", g.successor())) << seed << "\n" << g.text();
    }
}

/// Behind what TCP sends again after 200, 400, 800, 1600 ms the first heartbeat would come too late.
TEST(HostAgents, AfterACutTheFirstPacketWaitsForNoBackoff) {
    for (uint64_t seed = 1; seed <= 20; ++seed) {
        Guarded g(seed);
        g.cut("p", "manager");
        g.world->run_for(milliseconds(3300));
        g.mend("p", "manager");
        g.world->run_for(milliseconds(150));
        EXPECT_EQ(g.lease_held_by(), "heartbeat") << seed << "\n" << g.text();
        EXPECT_FALSE(g.told.lease_ended_of("p")) << seed << "\n" << g.text();
        g.world->run_for(seconds(10));
        EXPECT_EQ(g.world->promotions(), 0) << seed << "\n" << g.text();
        EXPECT_EQ(g.lease_held_by(), "heartbeat") << seed << "\n" << g.text();
    }
}

/// A lease of 2 s is counted from a heartbeat that left up to half a second before the cut.
TEST(HostAgents, ACutOfLessThanALeaseAndAHeartbeatEndsNoLease) {
    int ended = 0;
    for (uint64_t seed = 1; seed <= 40; ++seed) {
        Guarded g(seed);
        g.world->run_for(milliseconds(seed * 37 % 500));
        for (const auto* other : {"manager", "s1", "s2"})
            g.cut("p", other);
        g.world->run_for(milliseconds(1450));
        for (const auto* other : {"manager", "s1", "s2"})
            g.mend("p", other);
        g.world->run_for(seconds(10));
        ended += g.told.lease_ended_of("p") ? 1 : 0;
        EXPECT_EQ(g.world->writable().size(), 1U) << seed << "\n" << g.text();
    }
    EXPECT_LE(ended, 1);
}

TEST(HostAgents, CutOffFromClientsAloneItIsLeftAlone) {
    Guarded g;
    g.cut("p", "client");
    g.world->run_for(seconds(30));
    EXPECT_EQ(g.world->promotions(), 0) << g.text();
    EXPECT_TRUE(g.server("p").accepts_writes()) << g.text();
}

TEST(HostAgents, AManagerOnTheSideOfThePrimaryDoesNothing) {
    Guarded g;
    for (const auto* standby : {"s1", "s2"}) {
        g.cut("p", standby);
        g.cut("manager", standby);
    }
    g.world->run_for(seconds(30));
    EXPECT_EQ(g.world->promotions(), 0) << g.text();
    EXPECT_TRUE(g.server("p").accepts_writes()) << g.text();
}

TEST(HostAgents, WallClocksTakeNoPart) {
    Guarded g;
    for (int i = 0; i < 6; ++i) {
        g.world->jump_wall(seconds(i % 2 == 0 ? 3600 : -3600));
        g.world->run_for(seconds(10));
    }
    EXPECT_EQ(g.world->promotions(), 0) << g.text();
    EXPECT_TRUE(g.server("p").accepts_writes()) << g.text();
    EXPECT_FALSE(g.told.lease_ended_of("p"));
}

TEST(HostAgents, WithoutAManagerStandbysVouch) {
    Guarded g;
    g.world->kill_manager();
    g.world->run_for(seconds(60));
    EXPECT_TRUE(g.server("p").accepts_writes()) << g.text();
    g.world->start_manager();
    g.world->run_for(seconds(10));
    EXPECT_TRUE(g.server("p").accepts_writes()) << g.text();
    EXPECT_TRUE(g.lease_on());
}

/// Neither a manager nor a standby was there to renew it, and nobody was there to replace the server either.
TEST(HostAgents, WhoseLeaseEndedInVainIsStartedAgain) {
    Guarded g;
    g.world->kill_manager();
    for (const auto* s : {"s1", "s2"})
        g.cut("p", s);
    g.world->run_for(seconds(10));
    ASSERT_TRUE(g.told.lease_ended_of("p")) << g.text();
    for (const auto* s : {"s1", "s2"})
        g.world->network().set("p", s, Link::up);
    g.world->links_changed();
    g.world->start_manager();
    g.world->run_for(seconds(30));
    EXPECT_EQ(g.world->writable().size(), 1U) << g.text();
}

TEST(HostAgents, WhoIsHeldDoesNotRunWhoeverStartsIt) {
    Guarded g;
    g.server("p").kill();
    ASSERT_TRUE(g.promoted(seconds(2))) << g.text();
    g.agents.kill("p", false);
    g.server("p").start();
    g.agents.start("p");
    g.world->run_for(milliseconds(300));
    EXPECT_FALSE(g.server("p").accepts_writes()) << g.text();
    g.world->run_for(seconds(20));
    EXPECT_EQ(g.world->writable().size(), 1U) << g.text();
}

TEST(HostAgents, WhoHangsInItsPromotionIsEndedAndAnotherOneLeads) {
    Guarded g;
    g.server("s1").stall_promotions(true);
    g.server("p").kill();
    ASSERT_TRUE(g.promoted(seconds(60))) << g.text();
    EXPECT_EQ(g.successor(), "s2") << g.text();
    g.server("s1").stall_promotions(false);
    g.world->run_for(seconds(30));
    EXPECT_EQ(g.world->writable().size(), 1U) << g.text();
    EXPECT_TRUE(g.server("s1").in_recovery()) << g.text();
    EXPECT_TRUE(g.server("s1").listens()) << "it is back below the new one\n" << g.text();
}

TEST(HostAgents, TheOnlyOneThatMayYetLeadIsNotEnded) {
    Guarded g;
    for (const auto* name : {"s1", "s2"})
        g.server(name).stall_promotions(true);
    g.server("s2").kill();
    g.agents.kill("s2", false);
    g.server("p").kill();
    g.agents.kill("p", false);
    g.world->run_for(seconds(50));
    EXPECT_TRUE(g.server("s1").listens()) << g.text();
}

TEST(StoriesWithAgents, TheSameSeedTwice) {
    for (uint64_t seed = 1; seed < 8; ++seed) {
        const auto a = run(draw_story_with_agents(seed));
        const auto b = run(draw_story_with_agents(seed));
        EXPECT_EQ(a.hash, b.hash) << "seed " << seed;
        EXPECT_EQ(a.steps, b.steps) << "seed " << seed;
    }
}

TEST(StoriesWithAgents, TheirFaultsAreDrawnThereOnly) {
    std::set<FaultKind> without, with;
    for (uint64_t seed = 1; seed <= 600; ++seed) {
        for (const auto& f : draw_story(seed).faults)
            without.insert(f.kind);
        for (const auto& f : draw_story_with_agents(seed).faults)
            with.insert(f.kind);
    }
    for (const auto& row : faults()) {
        EXPECT_TRUE(with.contains(row.kind)) << row.name;
        EXPECT_EQ(without.contains(row.kind), row.weight > 0) << row.name;
    }
}

}  // namespace
}  // namespace baton::sim
