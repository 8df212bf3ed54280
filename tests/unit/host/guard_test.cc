#include "host/guard_support.h"

namespace baton::host {
namespace {

// ---- death

TEST(Guard, EndsOrphansBeforeItSaysDown) {
    Fixture f;
    f.sees(running(), 0s);
    EXPECT_EQ(f.guard.state(), ServerState::running);
    const auto died = f.sees(orphans(), 20s);
    EXPECT_TRUE(died.kill);
    EXPECT_EQ(f.guard.state(), ServerState::stopping);
    const auto gone = f.sees(none(), 20s + 2ms);
    EXPECT_TRUE(gone.say);
    EXPECT_EQ(f.guard.state(), ServerState::down);
    EXPECT_EQ(f.guard.kept().hold, Hold::down);
}

TEST(Guard, WhoIsKilledAndKeptByADiskIsDownAndIsNotStarted) {
    Fixture f;
    f.sees(running(), 0s);
    f.after(f.guard.fence("by order of a manager", t0 + 20s), 20s);
    const auto left = f.sees({.data = true, .stuck = true}, 20s + 200ms);
    EXPECT_THAT(left.why, HasSubstr("in the kernel"));
    EXPECT_EQ(f.guard.state(), ServerState::down);
    for (const auto verb : {Verb::start, Verb::make_standby, Verb::rewind, Verb::clone}) {
        const auto taken = f.guard.accepts({.verb = verb, .upstream = other}, t0 + 21s);
        ASSERT_FALSE(taken);
        EXPECT_EQ(taken.error().kind, ErrorKind::conflict);
        EXPECT_THAT(taken.error().message, HasSubstr("disk"));
    }
    f.sees(none(), 22s);
    EXPECT_TRUE(f.guard.accepts({.verb = Verb::make_standby, .upstream = other}, t0 + 22s));
}

TEST(Guard, SaysDownOnlyWhenThePromiseIsOnDisk) {
    Fixture f;
    f.sees(running(), 0s);
    f.disk_works = false;
    const auto gone = f.sees(none(), 20s);
    EXPECT_TRUE(gone.save);
    EXPECT_EQ(f.guard.state(), ServerState::stopping);
    EXPECT_EQ(f.guard.status(t0 + 20s).hold, Hold::none);
    const auto saved = f.guard.saved(f.guard.version(), t0 + 21s);
    EXPECT_TRUE(saved.say);
    EXPECT_EQ(f.guard.state(), ServerState::down);
    EXPECT_EQ(f.guard.status(t0 + 21s).hold, Hold::down);
}

struct DownCase {
    const char* name;
    uint64_t epoch;
    bool standby;
    Hold hold;
};

class GuardDown : public testing::TestWithParam<DownCase> {};

TEST_P(GuardDown, HoldsWhatAManagerMayReplace) {
    Fixture f({}, GetParam().epoch);
    f.sees(running(GetParam().standby), 0s);
    f.sees(none(GetParam().standby), 20s);
    EXPECT_EQ(f.guard.state(), ServerState::down);
    EXPECT_EQ(f.guard.kept().hold, GetParam().hold);
}

INSTANTIATE_TEST_SUITE_P(Cases, GuardDown,
                         testing::Values(DownCase{"primary", 5, false, Hold::down},
                                         DownCase{"standby", 5, true, Hold::none},
                                         DownCase{"no_manager_ever", 0, false, Hold::none}),
                         [](const auto& p) { return p.param.name; });

TEST(Guard, AnEmptyDirectoryIsNoDownServer) {
    Fixture f;
    f.sees({}, 0s);
    EXPECT_EQ(f.guard.state(), ServerState::no_data);
    EXPECT_EQ(f.guard.kept().hold, Hold::none);
}

TEST(Guard, MeetingAManagerHoldsWhatIsDown) {
    Fixture f({}, 0);
    f.sees(none(), 0s);
    const auto met = f.guard.heard_epoch(1, t0 + 1s);
    EXPECT_TRUE(met.save);
    EXPECT_EQ(f.guard.kept().hold, Hold::down);
    EXPECT_NE(f.guard.state(), ServerState::running);
}

TEST(Guard, KillsWhatSomebodyElseStarts) {
    for (const auto& kept : {Kept{.hold = Hold::down}, Kept{.hold = Hold::fenced},
                             Kept{.quarantine = "a rewind from db2:5432 was interrupted"}}) {
        Fixture f(kept);
        f.sees(none(true), 0s);
        const auto started = f.sees(running(true), 1s);
        EXPECT_TRUE(started.kill);
        EXPECT_EQ(f.guard.state(), ServerState::stopping);
        EXPECT_LE(f.guard.wake_at(), t0 + 1s + 20ms);
        EXPECT_TRUE(f.ticks(1s + 20ms).kill);
    }
}

TEST(Guard, AJobHasTheDirectoryForItself) {
    Fixture f({.hold = Hold::down});
    f.sees(none(), 0s);
    f.after(f.guard.begin(Deed::job, t0 + 1s), 1s);
    const auto a = f.after(f.guard.quarantine("a rewind was interrupted", t0 + 1s), 1s);
    EXPECT_FALSE(a.kill);
    EXPECT_EQ(f.guard.state(), ServerState::down);
    EXPECT_EQ(f.guard.status(t0 + 1s).quarantine, "a rewind was interrupted");
}

// ---- starts

TEST(Guard, AnOrderedStartLiftsTheHoldOnlyForItself) {
    Fixture f({.hold = Hold::down});
    f.sees(none(), 0s);
    const auto begun = f.after(f.guard.begin(Deed::start, t0 + 1s), 1s);
    EXPECT_TRUE(begun.save);
    EXPECT_EQ(f.guard.state(), ServerState::starting);
    EXPECT_FALSE(f.sees(running(), 2s).kill);
    f.after(f.guard.end(t0 + 2s), 2s);
    EXPECT_EQ(f.guard.state(), ServerState::running);
    EXPECT_EQ(f.guard.kept().hold, Hold::none);
}

TEST(Guard, AFailedStartIsHeldAgain) {
    Fixture f({.hold = Hold::down});
    f.sees(none(), 0s);
    f.after(f.guard.begin(Deed::start, t0), 0s);
    f.guard.start_failed("FATAL: out of disk", t0 + 1s);
    f.after(f.guard.end(t0 + 1s), 1s);
    EXPECT_EQ(f.guard.kept().hold, Hold::down);
    EXPECT_EQ(f.guard.state(), ServerState::down);
    EXPECT_EQ(f.guard.status(t0 + 1s).crashes, 1);
    EXPECT_EQ(f.guard.status(t0 + 1s).last_failure, "FATAL: out of disk");
}

TEST(Guard, CountsDeathsSoonAfterAStartAndForgetsThem) {
    Fixture f({}, 0);
    f.sees(none(), 0s);
    for (int i = 1; i <= 3; ++i) {
        f.sees(running(), i * 20s);
        f.sees(none(), i * 20s + 3s);
        EXPECT_EQ(f.guard.status(t0).crashes, i);
    }
    agent::Order start{.verb = Verb::start};
    const auto refused = f.guard.accepts(start, t0 + 70s);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, ErrorKind::refused_by_policy);
    f.sees(running(), 80s);
    EXPECT_EQ(f.guard.wake_at(), t0 + 90s);
    f.ticks(90s);
    EXPECT_EQ(f.guard.status(t0 + 90s).crashes, 0);
}

TEST(Guard, AStopByAPersonIsNoCrash) {
    Fixture f({}, 0);
    f.sees(none(), 0s);
    f.sees(running(), 1s);
    auto stopping = running();
    stopping.phase = Phase::stopping;
    f.sees(stopping, 2s);
    EXPECT_EQ(f.guard.state(), ServerState::stopping);
    f.sees(none(), 3s);
    EXPECT_EQ(f.guard.status(t0).crashes, 0);
}

// ---- hung

TEST(Guard, StoppedProcessesAreHungAfterASecond) {
    Fixture f;
    f.sees(running(true), 0s);
    auto stopped = running(true);
    stopped.stopped = true;
    f.sees(stopped, 1s);
    EXPECT_EQ(f.guard.state(), ServerState::running);
    EXPECT_TRUE(f.sees(stopped, 2s).say);
    EXPECT_EQ(f.guard.state(), ServerState::hung);
    f.sees(running(true), 3s);
    EXPECT_EQ(f.guard.state(), ServerState::running);
}

TEST(Guard, ASilentPostmasterIsHungAtItsDeadline) {
    Fixture f;
    f.sees(running(), 0s);
    f.guard.probed(false, t0 + 1s, t0 + 4s);
    EXPECT_EQ(f.guard.state(), ServerState::hung);
    f.guard.probed(true, t0 + 4s, t0 + 4s);
    EXPECT_EQ(f.guard.state(), ServerState::running);
}

// ---- the lease

TEST(Guard, AHeldLeaseLetsItRun) {
    Fixture f;
    f.leased(0s);
    const auto a = f.ticks(1s);
    EXPECT_FALSE(a.quit || a.kill || a.freeze);
    EXPECT_EQ(f.guard.acknowledged(), grant_of(1));
    EXPECT_EQ(f.guard.status(t0 + 1s).lease.held_by, "heartbeat");
}

TEST(Guard, AsksForVouchesBeforeItEnds) {
    Fixture f;
    f.leased(0s);
    EXPECT_EQ(f.guard.wake_at(), t0 + 1300ms);
    EXPECT_TRUE(f.ticks(1300ms).ask);
    EXPECT_FALSE(f.ticks(1310ms).ask);
    EXPECT_TRUE(f.ticks(1550ms).ask);
    f.guard.vouched(other, t0 + 1550ms, 1s, t0 + 1560ms);
    EXPECT_FALSE(f.ticks(2100ms).quit);
    EXPECT_EQ(f.guard.status(t0 + 2100ms).lease.held_by, "vouches");
}

TEST(Guard, AnEndedLeaseStopsItAtOnceAndKeepsItDown) {
    Fixture f;
    f.leased(0s);
    f.ticks(1300ms);
    f.ticks(1900ms);
    const auto ended = f.ticks(2s);
    EXPECT_TRUE(ended.quit);
    EXPECT_FALSE(ended.kill);
    EXPECT_EQ(f.guard.kept().hold, Hold::fenced);
    EXPECT_EQ(f.guard.wake_at(), t0 + 2100ms);
    EXPECT_TRUE(f.ticks(2100ms).kill);
    f.sees(none(), 2110ms);
    EXPECT_EQ(f.guard.state(), ServerState::down);
    EXPECT_EQ(f.guard.status(t0 + 3s).hold, Hold::fenced);
}

TEST(Guard, ALateEndCountsFromTheEndOfTheLease) {
    Fixture f;
    f.leased(0s);
    f.ticks(1300ms);
    f.ticks(1900ms);
    EXPECT_TRUE(f.ticks(2150ms).kill);
}

TEST(Guard, AStandbyIsBoundByNothing) {
    Fixture f;
    f.leased(0s);
    f.sees(none(true), 1s);
    f.sees(running(true), 1100ms);
    EXPECT_EQ(f.guard.acknowledged().epoch, 0U);
    const auto a = f.ticks(10s);
    EXPECT_FALSE(a.quit || a.kill || a.freeze);
    // … and what bound it before does not bind it after its promotion.
    f.sees(running(), 11s);
    EXPECT_FALSE(f.ticks(20s).quit);
}

TEST(Guard, WithNobodyToTakeOverNothingEnds) {
    Fixture f;
    f.sees(running(), 0s);
    f.hears(0s, grant_of(1, {}), 0s);
    EXPECT_FALSE(f.ticks(100s).quit);
    EXPECT_EQ(f.guard.status(t0 + 100s).lease.held_by, "nobody can take over");
}

TEST(Guard, ANewGrantIsInForceWhenItIsOnDisk) {
    Fixture f;
    f.leased(0s);
    f.disk_works = false;
    f.hears(500ms, grant_of(2, {}), 500ms);
    EXPECT_EQ(f.guard.grant(), grant_of(1));
    EXPECT_EQ(f.guard.acknowledged(), grant_of(1));
    // The old one is renewed by it all the same.
    f.ticks(1800ms);
    EXPECT_FALSE(f.ticks(2300ms).quit);
    f.guard.saved(f.guard.version(), t0 + 2400ms);
    EXPECT_EQ(f.guard.grant(), grant_of(2, {}));
    EXPECT_EQ(f.guard.acknowledged(), grant_of(2, {}));
    EXPECT_FALSE(f.ticks(60s).quit);
}

TEST(Guard, AnOlderManagerRenewsNothing) {
    Fixture f;
    f.leased(0s);
    f.guard.heard_epoch(6, t0 + 500ms);
    f.hears(1s, grant_of(9), 1s);
    EXPECT_EQ(f.guard.grant(), grant_of(1));
    f.ticks(1300ms);
    f.ticks(1800ms);
    EXPECT_TRUE(f.ticks(2s).quit);
}

// ---- waking up

TEST(Guard, AfterItsOwnStartItFreezesAndAsks) {
    Fixture f({.grant = grant_of(1)});
    const auto first = f.sees(running(), 10ms);
    EXPECT_TRUE(first.freeze);
    EXPECT_TRUE(first.ask);
    EXPECT_EQ(f.guard.state(), ServerState::running);
    const auto held = f.hears(20ms, grant_of(1), 40ms);
    EXPECT_TRUE(held.thaw);
    EXPECT_FALSE(f.guard.frozen());
}

TEST(Guard, AVouchOfEveryMemberThawsIt) {
    Fixture f({.grant = grant_of(1)});
    f.sees(running(), 10ms);
    EXPECT_TRUE(f.guard.vouched(other, t0 + 15ms, 1s, t0 + 20ms).thaw);
}

TEST(Guard, FrozenAndUnansweredItEnds) {
    Fixture f({.grant = grant_of(1)});
    f.sees(running(), 0ms);
    auto frozen = running();
    frozen.stopped = true;
    f.sees(frozen, 500ms);
    EXPECT_TRUE(f.ticks(600ms).ask);
    const auto ended = f.ticks(1s);
    EXPECT_FALSE(ended.quit);
    EXPECT_TRUE(ended.kill);
    EXPECT_EQ(f.guard.kept().hold, Hold::fenced);
}

TEST(Guard, FreezesWhenItWasAsleep) {
    Fixture f;
    f.leased(0s);
    EXPECT_TRUE(f.ticks(30s).freeze);
}

TEST(Guard, AnAnswerFromBeforeTheSleepDoesNotHelp) {
    Fixture f;
    f.leased(0s);
    const auto a = f.hears(500ms, grant_of(1), 30s);
    EXPECT_TRUE(a.freeze);
    EXPECT_TRUE(f.hears(30s, grant_of(1), 30s + 20ms).thaw);
}

// ---- promises

TEST(Guard, PromisesAsAStandbyOnly) {
    struct Case {
        const char* name;
        Sight sight;
        std::string system;
        bool promised;
    };
    for (const auto& c :
         {Case{"standby", running(true), "7", true}, Case{"stopped standby", none(true), "7", true},
          Case{"primary", running(), "7", false}, Case{"stopped primary", none(), "7", false},
          Case{"other cluster", running(true), "8", false}}) {
        Fixture f({.system_identifier = "7"});
        f.sees(c.sight, 0s);
        const auto answer = f.guard.asked_to_vouch(
            {.seq = 3, .primary = other, .member = self, .system_identifier = c.system, .span = 1s}, t0 + 1s);
        EXPECT_EQ(answer.promised, c.promised) << c.name << ": " << answer.reason;
        EXPECT_EQ(answer.seq, 3U);
    }
}

TEST(Guard, StandsClearWhenItsLastPromiseHasRunOutAndThatIsOnDisk) {
    Fixture f;
    f.sees(running(true), 0s);
    EXPECT_TRUE(f.guard.asked_to_vouch({.member = self, .span = 1s}, t0 + 2s).promised);
    const agent::Order promote{.verb = Verb::promote};
    EXPECT_FALSE(f.guard.accepts(promote, t0 + 3s));
    const auto cleared = f.guard.stand_clear(t0 + 3s);
    EXPECT_TRUE(cleared.save);
    EXPECT_FALSE(f.guard.cleared(t0 + 4s));
    f.guard.saved(f.guard.version(), t0 + 3100ms);
    EXPECT_FALSE(f.guard.cleared(t0 + 3200ms));
    EXPECT_TRUE(f.guard.cleared(t0 + 3250ms));
    EXPECT_TRUE(f.guard.accepts(promote, t0 + 3250ms));
    EXPECT_FALSE(f.guard.asked_to_vouch({.member = self, .span = 1s}, t0 + 4s).promised);
    // Its agent's restart changes nothing about that, but for what it may have promised just before.
    Guard again({.key = self}, f.guard.kept(), 5, t0 + 5s);
    again.saw(running(true), t0 + 5s);
    EXPECT_FALSE(again.asked_to_vouch({.member = self, .span = 1s}, t0 + 5s).promised);
    EXPECT_FALSE(again.cleared(t0 + 6s));
    EXPECT_TRUE(again.cleared(t0 + 6250ms));
}

// ---- orders

struct OrderCase {
    const char* name;
    Kept kept;
    Sight sight;
    agent::Order order;
    const char* refusal;  ///< "" = it is accepted
};

class GuardOrders : public testing::TestWithParam<OrderCase> {};

TEST_P(GuardOrders, AreAcceptedOrSayWhatToDo) {
    const auto& c = GetParam();
    Fixture f(c.kept);
    f.sees(c.sight, 0s);
    const auto result = f.guard.accepts(c.order, t0 + 5s);
    EXPECT_EQ(result.has_value(), std::string_view(c.refusal).empty());
    if (!result) EXPECT_THAT(result.error().text(), HasSubstr(c.refusal));
}

const Kept fenced{.hold = Hold::fenced, .hold_reason = "its lease ended"};
const Kept half{.quarantine = "a rewind from db2:5432 was interrupted"};

INSTANTIATE_TEST_SUITE_P(
    Cases, GuardOrders,
    testing::Values(
        OrderCase{"start_down", {.hold = Hold::down}, none(), {.verb = Verb::start}, ""},
        OrderCase{"start_running", {}, running(), {.verb = Verb::start}, "runs already"},
        OrderCase{"start_fenced", fenced, none(), {.verb = Verb::start}, "fenced (its lease ended)"},
        OrderCase{"restart_fenced", fenced, none(), {.verb = Verb::restart}, "fenced"},
        OrderCase{"start_half", half, none(), {.verb = Verb::start}, "quarantine"},
        OrderCase{"start_empty", {}, {}, {.verb = Verb::start}, "clone it first"},
        OrderCase{"standby_fenced", fenced, none(), {.verb = Verb::make_standby, .upstream = other}, ""},
        OrderCase{
            "standby_half", half, none(), {.verb = Verb::make_standby, .upstream = other}, "quarantine"},
        OrderCase{"standby_of_itself", {}, none(), {.verb = Verb::make_standby, .upstream = self}, "whom"},
        OrderCase{"rewind_half", half, none(), {.verb = Verb::rewind, .upstream = other}, ""},
        OrderCase{"rewind_primary", {}, running(), {.verb = Verb::rewind, .upstream = other}, "as a primary"},
        OrderCase{"rewind_empty", {}, {}, {.verb = Verb::rewind, .upstream = other}, "clone it"},
        OrderCase{"clone_empty", {}, {}, {.verb = Verb::clone, .upstream = other}, ""},
        OrderCase{"stop_how", {}, running(), {.verb = Verb::stop, .mode = "gently"}, "gently"},
        OrderCase{"promote_primary", {}, running(), {.verb = Verb::promote}, "primary already"},
        OrderCase{"promote_standby", {}, running(true), {.verb = Verb::promote}, ""},
        OrderCase{"promote_down", {}, none(true), {.verb = Verb::promote}, "does not run"},
        OrderCase{"reload_down", {}, none(), {.verb = Verb::reload}, "does not run"},
        OrderCase{"fence_anything", half, running(), {.verb = Verb::fence}, ""}),
    [](const auto& p) { return p.param.name; });

TEST(Guard, OneDeedAtATimeButAFenceGoesBetween) {
    Fixture f({.hold = Hold::down});
    f.sees(none(), 0s);
    f.after(f.guard.begin(Deed::start, t0), 0s);
    EXPECT_FALSE(f.guard.accepts({.verb = Verb::stop}, t0));
    EXPECT_TRUE(f.guard.accepts({.verb = Verb::fence}, t0));
    f.sees(running(), 1s);
    const auto fence = f.after(f.guard.fence("by order", t0 + 2s), 2s);
    EXPECT_TRUE(fence.quit);
    EXPECT_TRUE(f.ticks(2100ms).kill);
}

TEST(Guard, WhoStartsAHeldServerWhileItIsStoppedSeesItKilled) {
    Fixture f({.hold = Hold::fenced});
    f.sees(none(), 0s);
    f.after(f.guard.begin(Deed::stop, t0 + 1s), 1s);
    EXPECT_TRUE(f.sees(running(), 1100ms).kill);
    EXPECT_TRUE(f.ticks(1200ms).kill);
    f.sees(none(), 1300ms);
    EXPECT_EQ(f.guard.kept().hold, Hold::fenced);
}

TEST(Guard, AFenceEndsAStopThatHangs) {
    Fixture f;
    f.sees(running(), 0s);
    f.after(f.guard.begin(Deed::stop, t0 + 1s), 1s);
    EXPECT_FALSE(f.ticks(2s).kill);
    f.after(f.guard.fence("by order", t0 + 3s), 3s);
    EXPECT_TRUE(f.ticks(3100ms).kill);
}

TEST(Guard, ARoleLiftsEverything) {
    auto kept = half;
    kept.hold = Hold::fenced;
    kept.grant = grant_of(1);
    Fixture f(kept);
    f.sees(none(), 0s);
    f.after(f.guard.begin(Deed::start, t0), 0s);
    f.sees(none(true), 1s);
    f.after(f.guard.given_role(t0 + 1s), 1s);
    EXPECT_EQ(f.guard.kept().hold, Hold::none);
    EXPECT_EQ(f.guard.kept().quarantine, "");
    EXPECT_EQ(f.guard.kept().grant.epoch, 0U);
    EXPECT_FALSE(f.sees(running(true), 2s).kill);
}

TEST(Guard, AnotherClusterIsRefusedUntilItIsAdopted) {
    Fixture f({.system_identifier = "7"});
    const auto refused = f.guard.identified("8", false, t0);
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().text(), HasSubstr("--adopt"));
    EXPECT_TRUE(f.guard.identified("8", true, t0));
    EXPECT_EQ(f.guard.kept().system_identifier, "8");
}

}  // namespace
}  // namespace baton::host
