// Starts that a manager orders, promises to peers, and who must not run meanwhile.
#include "host/guard_support.h"

namespace baton::host {
namespace {

TEST(Guard, WhoIsStartedAsksThoseWhoCouldHaveBeenPromoted) {
    Fixture f({.hold = Hold::down, .grant = grant_of(1)});
    f.sees(none(), 0s);
    EXPECT_FALSE(f.guard.lease_holds(t0 + 5s));
    EXPECT_TRUE(f.after(f.guard.begin(Deed::start, t0 + 5s), 5s).ask);
    EXPECT_FALSE(f.guard.ask_for_lease(t0 + 5100ms).ask) << "not too often";
    EXPECT_TRUE(f.guard.ask_for_lease(t0 + 5300ms).ask);
    f.after(f.guard.vouched(other, t0 + 5300ms, 1s, t0 + 5310ms), 5310ms);
    EXPECT_TRUE(f.guard.lease_holds(t0 + 5310ms));
    EXPECT_FALSE(f.sees(running(), 5500ms).quit);
    EXPECT_EQ(f.guard.status(t0 + 5500ms).lease.held_by, "vouches");
    for (auto at = 5600ms; at < 6300ms; at += 100ms)
        EXPECT_FALSE(f.ticks(at).quit);
    EXPECT_TRUE(f.ticks(6300ms).quit) << "nobody vouched again";
}

TEST(Guard, WhoIsStartedAsAStandbyOrWithoutALeaseNeedsNobody) {
    Fixture standby({.grant = grant_of(1)});
    standby.sees(none(true), 0s);
    EXPECT_TRUE(standby.guard.lease_holds(t0 + 5s));
    Fixture unbound({.hold = Hold::down});
    unbound.sees(none(), 0s);
    EXPECT_TRUE(unbound.guard.lease_holds(t0 + 5s));
    EXPECT_FALSE(unbound.after(unbound.guard.begin(Deed::start, t0 + 5s), 5s).ask);
}

TEST(Guard, WhomAnOrderLetGoMayBeStartedByAnybody) {
    Fixture f({.hold = Hold::fenced});
    f.sees(none(), 0s);
    f.after(f.guard.let_go(t0 + 1s), 1s);
    f.sees(none(), 2s);
    EXPECT_EQ(f.guard.kept().hold, Hold::none) << "that it is down is no news";
    EXPECT_EQ(f.guard.status(t0 + 2s).hold, Hold::none);
    EXPECT_FALSE(f.sees(running(), 3s).kill);
    f.sees(none(), 4s);
    EXPECT_EQ(f.guard.kept().hold, Hold::down) << "its next death is one like any other";
}

TEST(Guard, WhoWasLetGoAndIsNotStartedAfterAllIsHeldAgain) {
    Fixture f({.hold = Hold::fenced, .grant = grant_of(1)});
    f.sees(none(), 0s);
    f.after(f.guard.let_go(t0 + 1s), 1s);
    f.after(f.guard.begin(Deed::start, t0 + 1s), 1s);
    f.after(f.guard.end(t0 + 4s), 4s);
    EXPECT_EQ(f.guard.kept().hold, Hold::down);
}

/// What a manager takes for "a primary runs that asks it": never of a server that is no standby.
TEST(Guard, OnlyAStandbyIsSaidToVouch) {
    const agent::Vouch question{.primary = other, .member = self, .span = 1s};
    Fixture f;
    EXPECT_FALSE(f.guard.status(t0).vouches) << "nobody has looked";
    f.sees(running(true), 0s);
    EXPECT_TRUE(f.guard.status(t0 + 100ms).vouches) << "what it promised before its restart is not known";
    EXPECT_FALSE(f.guard.status(t0 + 1250ms).vouches);
    ASSERT_TRUE(f.guard.asked_to_vouch(question, t0 + 5s).promised);
    EXPECT_TRUE(f.guard.status(t0 + 6249ms).vouches) << "as long as the promise and what stopping takes";
    EXPECT_FALSE(f.guard.status(t0 + 6250ms).vouches);
    ASSERT_TRUE(f.guard.asked_to_vouch(question, t0 + 7s).promised);
    f.sees(running(), 7100ms);
    EXPECT_FALSE(f.guard.status(t0 + 7100ms).vouches) << "it leads now";
}

TEST(Guard, WhoStandsClearVouchesUntilItsLastPromiseHasRunOut) {
    const agent::Vouch question{.primary = other, .member = self, .span = 1s};
    Fixture f;
    f.sees(running(true), 0s);
    ASSERT_TRUE(f.guard.asked_to_vouch(question, t0 + 5s).promised);
    f.after(f.guard.stand_clear(t0 + 5100ms), 5100ms);
    EXPECT_FALSE(f.guard.asked_to_vouch(question, t0 + 5200ms).promised);
    EXPECT_TRUE(f.guard.status(t0 + 6200ms).vouches);
    EXPECT_FALSE(f.guard.status(t0 + 6300ms).vouches);
}

TEST(Guard, NobodyRunsInADirectoryThatIsBeingRewound) {
    Fixture f({.hold = Hold::fenced});
    f.sees(none(), 0s);
    f.after(f.guard.begin(Deed::job, t0 + 1s), 1s);
    const auto killed = f.guard.intruded();
    EXPECT_TRUE(killed.kill);
    EXPECT_THAT(killed.why, HasSubstr("while it is being rewound"));
    EXPECT_EQ(f.guard.kept().hold, Hold::fenced);
}

}  // namespace
}  // namespace baton::host
