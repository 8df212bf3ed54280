#include "plan/choice.h"

namespace baton::plan {
namespace {

using topology::DiskHealth;
using topology::Host;
using topology::ServerState;

auto host(const std::function<void(Host&)>& change) {
    return [change](topology::Instance& i, auto&) { change(*i.host); };
}

TEST(ByAgent, what_its_agent_holds_against_a_standby) {
    const auto s1 = [] { return dead_primary().on("s1").agent(); };
    const auto ahead = [](World world) { return world.received("0/6000000"); };
    const auto clone = host([](Host& h) { h.job = topology::Job{.verb = "clone", .phase = "copying"}; });
    const auto half = host([](Host& h) { h.quarantine = "the rewind was interrupted"; });
    const auto fenced = host([](Host& h) { h.hold = topology::Hold::fenced; });
    const Case cases[] = {
        {"nothing", s1(), "s1; s2:lower-preference s3:lower-preference"},
        {"25: a full disk", s1().disk(DiskHealth::full), "s2; s1:disk-trouble s3:lower-preference"},
        {"a disk that hangs", s1().disk(DiskHealth::hung), "s2; s1:disk-trouble s3:lower-preference"},
        {"nearly full is no trouble yet", s1().disk(DiskHealth::good, seconds(9), 99),
         "s1; s2:lower-preference s3:lower-preference"},
        {"its agent is away: the disk may be well again", s1().disk(DiskHealth::full).blind(),
         "s1; s2:lower-preference s3:lower-preference"},
        {"25: what it has received is not thrown away", ahead(s1().disk(DiskHealth::full)),
         "s2 from s1; s1:disk-trouble s3:lower-preference"},
        {"79: quarantined", s1().with(half), "s2; s1:quarantined s3:lower-preference"},
        {"79: and it stays so without its agent", s1().with(half).blind(),
         "s2; s1:quarantined s3:lower-preference"},
        {"79: whatever the operator says",
         s1().with(half),
         "nobody; s1:quarantined s2:not-requested s3:not-requested",
         {},
         "s1",
         true},
        {"82: it is being cloned", s1().with(clone), "s2; s1:being-rebuilt s3:lower-preference"},
        {"82: its WAL is nobody's", ahead(s1().with(clone)), "s2; s1:being-rebuilt s3:lower-preference"},
        {"82: that is the reason, though it does not answer", s1().with(clone).down(),
         "s2; s1:being-rebuilt s3:lower-preference"},
        {"held", s1().with(fenced), "s2; s1:held s3:lower-preference"},
    };
    check(cases);
}

/// Scenario 18: power fails everywhere, and of the primary nobody has heard since.
TEST(ByAgent, a_primary_that_nobody_met_since_their_own_start_is_waited_for) {
    const auto away = [](topology::Instance&, topology::Observation& o) { o.received_since_start = false; };
    const auto world = [&](bool agents) {
        auto w = dead_primary().never_seen();
        for (const auto* name : {"s1", "s2", "s3"}) {
            w.on(name).with(away);
            if (agents) w.agent();
        }
        w.on("p").never_seen();
        return w;
    };
    const auto refused = "nobody; s1:disconnected-too-long s2:disconnected-too-long s3:disconnected-too-long";
    const auto first = "s1; s2:lower-preference s3:lower-preference";
    const Case cases[] = {
        {"it may come back", world(true), refused},
        {"its agent keeps it down: it can be started", world(true).on("p").agent(ServerState::down), refused},
        {"19: there is nothing to come back", world(true).on("p").agent(ServerState::no_data), first},
        {"an operator knows better", world(true), first, {}, "", true},
        {"without agents nobody starts it", world(false), first},
        {"18: commits waited for a standby", world(true).on("s2").synchronous("ANY 1 (s1, s2, s3)"), first},
        {"one met it", world(true).on("s3").with([](auto&, auto& o) { o.received_since_start = true; }),
         first},
    };
    check(cases);
}

/// The new timeline of one that was left at the fork gets the number of the one that is left out: the failed
/// primary must be known to be down, and its agent's word is as good as a refusal.
TEST(ByAgent, a_primary_that_is_kept_down_is_proven_dead) {
    const auto world = [] {
        return make_cluster()
            .primary("old")
            .primary("p")
            .timeline(2)
            .history(2, "1\t0/5000000\tr\n")
            .standby("s1", "old")
            .not_streaming()
            .dies("p", Reach::silent);
    };
    EXPECT_EQ(choose(world()).chosen, std::nullopt);
    EXPECT_EQ(choose(world().agent(ServerState::down, milliseconds(20))).chosen, key("s1"));
}

}  // namespace
}  // namespace baton::plan
