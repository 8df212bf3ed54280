// Stories in which a recovery ended badly: standbys led wrongly or not at all, commits that waited,
// recoveries that never stopped.
#include "regressions.h"

namespace baton::sim {
namespace {

/// Seed 64944. A candidate was to fetch what it lacked from a standby that had diverged onto another
/// timeline of the same number.
TEST(Regressions, DonorOfAnotherBranchOfTheSameNumber) {
    auto s = story(64944, {standby("s1"), standby("s2"), without_slot(diverged(standby("s3", "s2")))},
                   milliseconds(20), 10, 12113.8,
                   {fault(FaultKind::kill, 491, 0, "primary"), fault(FaultKind::kill, 8209.9, 0, "primary")});
    s.layout.standbys[0].rule = "prefer_not";
    s.layout.segment_copy = milliseconds(45);
    expect_no_violation(s);
}

/// Seed 41631. A diverged standby was led to the new primary before the history of its timeline had been
/// read.
TEST(Regressions, LedBeforeTheHistoryWasRead) {
    auto s = story(
        41631, {without_slot(standby("s1")), standby("s2"), diverged(standby("s3"))}, milliseconds(5), 3600,
        11912.3,
        {fault(FaultKind::power_off, 185.4, 0, "primary"), fault(FaultKind::kill, 8201.4, 0, "primary")});
    s.layout.several_hosts = true;
    s.layout.retry_interval_ms = 500;
    s.former_returns = false;
    s.operator_rejoins = false;
    expect_no_violation(s);
}

/// Seed 27474. Two failures without a way out, with a leader that let nobody look, called each other up a
/// thousand times.
TEST(Regressions, HopelessFailuresCallEachOtherUp) {
    auto s = story(27474, {standby("s1"), standby("s2"), standby("s3"), standby("s4", "s1")}, milliseconds(5),
                   3600, 22454.3,
                   {fault(FaultKind::hang, 912.4, 0, "primary"),
                    after(Trigger::promoted, fault(FaultKind::kill_manager_old, 2.3, 142.7, {})),
                    fault(FaultKind::isolate, 13294, 2148.5, "primary"),
                    after(Trigger::promoted, fault(FaultKind::block_looks, 114.6, 0, "candidate"))});
    s.layout.segment_copy = milliseconds(213);
    expect_no_violation(s);
}

/// Seed 74240. A primary and an intermediate without a way out called each other's recovery up again and
/// again.
TEST(Regressions, HopelessIntermediateAndPrimary) {
    auto s =
        story(74240, {standby("s1"), standby("s2"), standby("s3"), diverged(standby("s4", "s2"))},
              milliseconds(20), 10, 9681.8,
              {fault(FaultKind::kill, 1377.4, 3192.4, "primary"), fault(FaultKind::hang, 2561.1, 0, "s2")});
    s.layout.standbys[0].apply_delay_ms = 2000;
    s.layout.synchronous = "FIRST 1 (p, s1, s2, s3, s4)";
    configure(s, pre_and_post_hooks);
    s.operator_rejoins = false;
    expect_no_violation(s);
}

/// Seed 41004. The check of a receiver kept its session open while it waited, and connections were scarce.
TEST(Regressions, SessionOfACheckStaysOpen) {
    auto s = story(41004, {standby("s1"), standby("s2")}, milliseconds(500), 10, 12144.4,
                   {fault(FaultKind::isolate, 261.8, 7500.9, "primary"),
                    after(Trigger::recovery, fault(FaultKind::kill_manager, 5, 4496.8, {})),
                    fault(FaultKind::fill_connections, 8163.6, 182.3, "s2")});
    s.layout.segment_copy = milliseconds(249);
    s.layout.manager_drift_ppm = -219;
    expect_no_violation(s);
}

/// Seed 47458. A standby that lists all hosts came back after the recovery and waited for the silent
/// primary that stands first.
TEST(Regressions, SilentHostStandsFirstInTheList) {
    auto s = story(47458, {without_slot(standby("s1")), standby("s2", "s1")}, milliseconds(100), 10, 5592.2,
                   {fault(FaultKind::power_off, 0, 0, "primary"),
                    after(Trigger::promotion, fault(FaultKind::kill, 11.7, 0, "candidate"))});
    s.layout.several_hosts = true;
    configure(s, pre_and_post_hooks);
    s.former_returns = false;
    expect_no_violation(s);
}

/// Seed 86380. A standby that lists all hosts was started anew during the recovery, and waited for a silent
/// host after it.
TEST(Regressions, SilentHostStandsFirstAfterARestart) {
    auto s = story(86380, {standby("s1"), standby("s2")}, milliseconds(20), 3600, 12744.9,
                   {fault(FaultKind::crash_backend, 1482.3, 5.7, "primary"),
                    fault(FaultKind::hang_postmaster, 6283.9, 0, "primary"),
                    fault(FaultKind::power_off, 11186, 0, "primary"),
                    after(Trigger::recovery, fault(FaultKind::kill, 0.8, 6.3, "s2"))});
    s.layout.several_hosts = true;
    s.layout.router = true;
    s.former_returns = false;
    s.operator_rejoins = false;
    expect_no_violation(s);
}

/// Seed 51154. The failure was said to be over though nobody had heard of the primary, only a witness was
/// unheard.
TEST(Regressions, UnheardWitnessEndsTheFailure) {
    auto s =
        story(51154, {without_slot(standby("s1")), standby("s2"), without_slot(standby("s3"))},
              milliseconds(100), 10, 13736.9,
              {fault(FaultKind::kill, 389, 4193.3, "primary"), fault(FaultKind::kill, 3327.5, 0, "primary"),
               between({"s1", "manager", "s2", "p", "s3", "router"}, fault(FaultKind::ring, 9475.6, 0, {}))});
    s.operator_rejoins = false;
    expect_no_violation(s);
}

/// Seed 24816. Commits of the new primary waited for a standby that had been counted on, and whose postmaster
/// was stopped.
TEST(Regressions, CommitsWaitThoughNobodyFollows) {
    auto s =
        story(24816, {standby("s1"), without_slot(standby("s2", "s1"))}, milliseconds(100), 3600, 16425.9,
              {fault(FaultKind::cut, 1265.7, 0, "primary", "manager"),
               between({"s2", "manager", "p", "client"}, fault(FaultKind::partition, 4277.9, 0, {})),
               fault(FaultKind::hang_postmaster, 9658.3, 8606.6, "s2")});
    s.layout.synchronous = "ANY 1 (p, s1, s2)";
    s.layout.retry_interval_ms = 500;
    s.layout.receiver_timeout_ms = 5000;
    s.operator_rejoins = false;
    expect_no_violation(s);
}

/// Seed 28567. Commits of the new primary waited for a diverged standby below it, which did not come.
TEST(Regressions, CommitsWaitForADivergedStandby) {
    auto s = story(28567, {standby("s1"), diverged(standby("s2", "s1"))}, milliseconds(5), 3600, 7496.8,
                   {fault(FaultKind::hang_postmaster, 980.8, 0, "s2"),
                    fault(FaultKind::power_off, 5089.9, 0, "primary")});
    s.layout.several_hosts = true;
    s.layout.synchronous = "ANY 1 (p, s1, s2)";
    s.operator_rejoins = false;
    expect_no_violation(s);
}

/// Seed 72206. Commits of the new primary waited for a standby that was full of connections and could not
/// be led.
TEST(Regressions, CommitsWaitForAStandbyThatCannotBeLed) {
    auto s = story(
        72206, {standby("s1"), standby("s2")}, milliseconds(20), 3600, 14127.3,
        {fault(FaultKind::fill_connections, 1462, 0, "s1"), fault(FaultKind::kill, 8496.2, 0, "primary")});
    s.layout.standbys[1].rule = "prefer";
    s.layout.synchronous = "ANY 1 (p, s1, s2)";
    s.layout.retry_interval_ms = 500;
    s.operator_rejoins = false;
    expect_no_violation(s);
}

/// Seed 89372. The new primary refused logins when synchronous_standby_names was to be emptied, and commits
/// waited for good.
TEST(Regressions, SettingIsNotEmptiedAtTheFirstTry) {
    auto s = story(89372, {without_slot(standby("s1"))}, milliseconds(20), 4, 6610.2,
                   {fault(FaultKind::kill, 195.3, 25.7, "primary"),
                    after(Trigger::promotion, fault(FaultKind::refuse_logins, 28.4, 6.6, "candidate"))});
    s.layout.synchronous = "FIRST 1 (p, s1)";
    s.layout.retry_interval_ms = 500;
    s.layout.segment_copy = milliseconds(295);
    expect_no_violation(s);
}

/// Seed 286079. The slot took six seconds to make; the standby streamed meanwhile from the former primary,
/// got past the fork, and was led to the new one as planned before.
TEST(Regressions, ASlotTookLongAndTheStandbyDivergedMeanwhile) {
    auto s = story(286079, {standby("s1"), standby("s2")}, seconds(10), 60, 12071.8,
                   {between({"manager", "s1", "client"}, fault(FaultKind::partition, 706.1, 3519.1, {})),
                    fault(FaultKind::slow, 4070.7, 4616.4, "primary", "manager")});
    s.faults[1].amount = 2000;
    s.layout.segment_copy = milliseconds(249);
    s.operator_rejoins = false;
    expect_no_violation(s);
}

/// Seed 294356. The slot could not be made for ten seconds, and the standby was led all the same.
TEST(Regressions, NobodyIsLedToASlotThatWasNotMade) {
    auto s = story(294356, {standby("s1"), standby("s2")}, seconds(10), 3600, 7384.5,
                   {fault(FaultKind::shut_down, 1429.2, 514.4, "primary"),
                    after(Trigger::recovery, fault(FaultKind::crash_backend, 15.8, 7.5, "s2")),
                    after(Trigger::promoted, fault(FaultKind::isolate, 35.7, 0, "candidate"))});
    s.layout.retry_interval_ms = 500;
    s.layout.segment_copy = milliseconds(289);
    expect_no_violation(s);
}

/// Seed 361737. A look at the only standby failed now and then, and the same block was told each time.
TEST(Regressions, BlockIsToldOnceWhileALinkFlaps) {
    auto s1 = standby("s1");
    s1.rule = "must_not";
    auto flap = fault(FaultKind::flap, 1259.5, 0, "s1", "manager");
    flap.amount = 100;
    auto s = story(361737, {s1}, milliseconds(5), 3600, 19344.1,
                   {fault(FaultKind::kill, 820.7, 0, "primary"), flap});
    s.layout.retry_interval_ms = 500;
    s.layout.router = true;
    s.layout.manager_drift_ppm = -424;
    s.layout.segment_copy = milliseconds(149);
    expect_no_violation(s);
}

/// Seed 262098. The slot of the only standby was lost, and the standby had everything all the same.
TEST(Regressions, SlotLostOfOneThatHasEverything) {
    auto s = story(262098, {standby("s1")}, seconds(10), 3600, 15981.6,
                   {fault(FaultKind::lose_slot, 5044.4, 1946.5, "primary", "s1"),
                    fault(FaultKind::kill, 7704.4, 8623.4, "primary")});
    s.former_returns = false;
    s.layout.retry_interval_ms = 5000;
    expect_no_violation(s);
}

/// Seed 399020. The slot of the only standby was lost, and it lacks what was written since.
TEST(Regressions, SlotLostOfTheOnlyStandby) {
    auto s = story(399020, {standby("s1")}, milliseconds(100), 3600, 10478.2,
                   {fault(FaultKind::lose_slot, 109.8, 2007.8, "primary", "s1"),
                    fault(FaultKind::shut_down, 2396.8, 0, "primary")});
    s.former_returns = false;
    s.layout.retry_interval_ms = 5000;
    expect_no_violation(s);
}

/// Seed 188621. The new primary refused a standby for a moment, and that went on to a silent host and stayed.
TEST(Regressions, SilentHostStandsBehindInTheList) {
    auto s = story(188621, {standby("s1"), standby("s2")}, milliseconds(100), 4, 5844.2,
                   {fault(FaultKind::power_off, 2370.2, 0, "primary"),
                    after(Trigger::promoted, fault(FaultKind::kill, 28, 9, "candidate"))});
    s.layout.several_hosts = true;
    s.former_returns = false;
    s.layout.retry_interval_ms = 500;
    expect_no_violation(s);
}

/// Seed 540910. Two were promoted apart from one point, and a standby that had only the number of the first
/// was led to the second.
TEST(Regressions, TwoPromotedFromOnePoint) {
    auto below = standby("s4", "s1");
    below.rule = "must_not";
    auto s = story(
        540910, {standby("s1"), standby("s2"), standby("s3"), below}, milliseconds(100), 3600, 14037.5,
        {fault(FaultKind::hang, 1444.5, 43.3, "primary"), fault(FaultKind::kill, 3099.9, 2145.8, "primary"),
         fault(FaultKind::kill, 3294.3, 0, "primary")});
    configure(s, pre_and_post_hooks);
    s.layout.several_hosts = true;
    s.layout.router = true;
    s.layout.retry_interval_ms = 500;
    expect_no_violation(s);
}

/// Seed 496137. A lock that had kept looks waiting ended between two polls, and nobody could know.
TEST(Regressions, LockEndedBetweenTwoPolls) {
    auto delayed = standby("s2", "s1");
    delayed.apply_delay_ms = 2000;
    auto first = standby("s1");
    first.rule = "prefer";
    auto s = story(496137, {first, delayed}, milliseconds(100), 10, 11422.5,
                   {fault(FaultKind::block_looks, 1028.1, 0, "primary"),
                    between({"client", "s1"}, fault(FaultKind::partition, 5382.5, 7027.7, {}))});
    s.layout.synchronous = "FIRST 1 (p, s1, s2)";
    s.layout.retry_interval_ms = 5000;
    s.layout.receiver_timeout_ms = 5000;
    expect_no_violation(s);
}

}  // namespace
}  // namespace baton::sim
