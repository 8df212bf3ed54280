// Stories in which a server was promoted beside another one that led or had been asked.
#include "regressions.h"

namespace baton::sim {
namespace {

/// Seed 25504. A candidate refused connections behind a firewall, and somebody else was promoted while a
/// standby still received from it.
TEST(Regressions, CandidateRefusesThoughItsStandbyReceives) {
    auto s =
        story(25504, {standby("s1"), standby("s2"), standby("s3", "s1")}, milliseconds(100), 3600, 8638.4,
              {fault(FaultKind::isolate, 1065.3, 0, "primary"),
               after(Trigger::recovery, fault(FaultKind::reject, 19, 2440.5, "candidate", "manager"))});
    s.layout.retry_interval_ms = 500;
    s.operator_rejoins = false;
    expect_no_violation(s);
}

/// Seed 27868. A candidate that had refused connections behind a firewall was passed over though it
/// answered again.
TEST(Regressions, CandidateThatRefusedAnswersAgain) {
    auto s = story(
        27868, {standby("s1"), standby("s2")}, milliseconds(20), 10, 7820.2,
        {fault(FaultKind::isolate, 849.8, 5600, "primary"),
         between({"manager"}, after(Trigger::recovery, fault(FaultKind::reject_some, 4.8, 2192.8, "s2")))});
    s.layout.standbys[0].rule = "prefer_not";
    s.layout.segment_copy = milliseconds(278);
    expect_no_violation(s);
}

/// Seed 40003. A manager that was restarted, and had never seen the primary, promoted a diverged standby
/// beside the candidate that had been asked before.
TEST(Regressions, DivergedStandbyInPlaceOfOneThatWasAsked) {
    auto s = story(40003, {standby("s1"), diverged(standby("s2"))}, milliseconds(20), 4, 7299.5,
                   {fault(FaultKind::kill, 0, 0, "primary"),
                    after(Trigger::promotion, fault(FaultKind::kill_manager, 41.8, 5.7, {})),
                    after(Trigger::promotion, fault(FaultKind::cut, 9, 5586.1, "candidate", "manager"))});
    s.layout.retry_interval_ms = 500;
    configure(s, R"("PromotionTimeoutSeconds": 3)");
    expect_no_violation(s);
}

/// Seed 49576. A manager that came back with a record of before the failover promoted a diverged standby
/// beside the leader.
TEST(Regressions, OldRecordAndADivergedStandby) {
    auto s = story(
        49576, {standby("s1"), standby("s2"), standby("s3"), without_slot(diverged(standby("s4")))},
        milliseconds(5), 3600, 17508.5,
        {fault(FaultKind::kill, 2375.4, 0, "primary"), fault(FaultKind::kill_manager_old, 4298, 6.8, {})});
    s.layout.segment_copy = milliseconds(239);
    expect_no_violation(s);
}

/// Seed 78098. A manager that came back with an old record in the middle of a recovery promoted a diverged
/// standby beside the one that this recovery had promoted.
TEST(Regressions, OldRecordWithinARecovery) {
    auto s = story(78098, {standby("s1"), diverged(standby("s2"))}, milliseconds(20), 10, 19746.6,
                   {fault(FaultKind::kill, 5254.8, 0, "primary"),
                    after_steps(169, fault(FaultKind::kill_manager_old, 0, 8.5, {}))});
    s.layout.retry_interval_ms = 500;
    s.layout.segment_copy = milliseconds(165);
    configure(s, pre_and_post_hooks);
    s.operator_rejoins = false;
    expect_no_violation(s);
}

/// Seed 85591. As the story before, with a primary that had vanished without a refusal.
TEST(Regressions, OldRecordAndAPrimaryOutOfSight) {
    auto s = story(85591, {standby("s1"), diverged(standby("s2"))}, milliseconds(500), 10, 9763.7,
                   {fault(FaultKind::power_off, 262.2, 9273.4, "primary"),
                    after(Trigger::recovery, fault(FaultKind::kill_manager_old, 4.6, 6.2, {}))});
    s.layout.retry_interval_ms = 500;
    s.layout.segment_copy = milliseconds(120);
    s.operator_rejoins = false;
    expect_no_violation(s);
}

/// Seed 85027. A manager with an old record promoted a second standby beside a new primary that lived and
/// refused its logins.
TEST(Regressions, OldRecordAndALeaderThatRefusesLogins) {
    auto s = story(85027, {standby("s1"), standby("s2")}, milliseconds(100), 10, 21785.3,
                   {after_steps(261, fault(FaultKind::kill_manager_old, 0, 32.3, {})),
                    after(Trigger::promoted, fault(FaultKind::refuse_logins, 4.8, 0, "primary")),
                    fault(FaultKind::kill, 15680.8, 4972.8, "primary")});
    s.layout.segment_copy = milliseconds(163);
    expect_no_violation(s);
}

/// Seed 194735. The failure was over, and a moment later, since it had just been judged, somebody else was
/// asked.
TEST(Regressions, FailureIsOverWhenTheCandidateIsPassedOver) {
    expect_no_violation(
        story(194735, {standby("s1"), standby("s2")}, milliseconds(20), 10, 9417.7,
              {fault(FaultKind::kill, 1455.1, 56.2, "primary"),
               after(Trigger::promotion, fault(FaultKind::hang, 1.8, 5725.4, "primary")),
               after(Trigger::recovery, fault(FaultKind::power_off, 36.7, 0, "candidate")),
               after(Trigger::recovery, fault(FaultKind::reject, 6.5, 0, "candidate", "manager"))}));
}

/// Seed 286514. A slot was lost just before its receiver was made to reconnect, and could not come back.
TEST(Regressions, SlotIsLostBeforeAReceiverMustReconnect) {
    auto s = story(286514, {standby("s1")}, seconds(10), 4, 22682.2,
                   {fault(FaultKind::reject, 1469.3, 0, "primary", "manager"),
                    fault(FaultKind::lose_slot, 13367.7, 1592.1, "primary", "s1")});
    s.layout.segment_copy = milliseconds(233);
    expect_no_violation(s);
}

/// Seed 538289. A new primary that hung refused behind a firewall for a moment, and was replaced when it no
/// longer did.
TEST(Regressions, SuccessorRefusedLongAgo) {
    auto s = story(538289, {standby("s1"), without_slot(standby("s2"))}, milliseconds(20), 3600, 14125.6,
                   {fault(FaultKind::power_off, 627.3, 0, "primary"),
                    fault(FaultKind::reject, 3954.4, 415.6, "s1", "manager"),
                    after(Trigger::promotion, fault(FaultKind::hang, 34.9, 2604.9, "primary"))});
    s.layout.segment_copy = milliseconds(210);
    s.layout.router = true;
    s.operator_rejoins = false;
    expect_no_violation(s);
}

/// Seed 417708. The primary lost the slot of its synchronous standby and went on with the next one, and both
/// were out of sight at once.
TEST(Regressions, PrimaryWentOnWithTheNextOneAtOnce) {
    auto s = story(417708, {standby("s1"), without_slot(standby("s2"))}, milliseconds(5), 3600, 7105.7,
                   {fault(FaultKind::lose_slot, 718.4, 2591.1, "primary", "s1"),
                    between({"p", "client", "s2"}, fault(FaultKind::partition, 794.6, 5950.6, {}))});
    s.layout.synchronous = "FIRST 1 (p, s1, s2)";
    s.layout.segment_copy = milliseconds(13);
    s.layout.retry_interval_ms = 5000;
    s.operator_rejoins = false;
    expect_no_violation(s);
}

/// Seed 459790. The one that confirmed was away, and one that had left long before was compared with nobody.
TEST(Regressions, TheOneThatConfirmedIsStillStarting) {
    auto s = story(
        459790, {standby("s1"), standby("s2"), standby("s3", "s2")}, milliseconds(100), 4, 11156.1,
        {fault(FaultKind::power_off, 1223.3, 9440.4, "s2"), fault(FaultKind::kill, 4924.4, 5300.5, "s1"),
         fault(FaultKind::power_off, 8894, 0, "primary")});
    s.layout.synchronous = "ANY 1 (p, s1, s2, s3)";
    s.layout.several_hosts = true;
    s.layout.retry_interval_ms = 5000;
    expect_no_violation(s);
}

/// Seeds 448200 and 464367. A manager that was restarted while the standbys were away for a moment promoted
/// nobody, since it had not seen them stream.
TEST(Regressions, RestartedWhileStandbysWereAway) {
    auto killed =
        story(448200, {standby("s1")}, milliseconds(5), 3600, 14286.2,
              {fault(FaultKind::kill_manager, 1412.4, 119.2, {}), fault(FaultKind::kill, 1528.5, 0, "s1"),
               fault(FaultKind::kill, 5667.8, 0, "primary")});
    configure(killed, pre_and_post_hooks);
    killed.former_returns = false;
    killed.layout.retry_interval_ms = 500;
    expect_no_violation(killed);
    auto crashed = story(464367, {standby("s1")}, milliseconds(20), 3600, 13455.7,
                         {fault(FaultKind::kill_manager, 2230.5, 3507.9, {}),
                          fault(FaultKind::crash_backend, 4580.7, 5.6, "primary"),
                          fault(FaultKind::power_off, 6439.1, 0, "primary")});
    crashed.former_returns = false;
    crashed.layout.retry_interval_ms = 5000;
    expect_no_violation(crashed);
}

}  // namespace
}  // namespace baton::sim
