// Stories with host agents that went wrong once.
#include "regressions.h"

namespace baton::sim {
namespace {

/// `drift_ppm`: of the clocks of their hosts.
Story guarded(Story s, int drift_ppm = 0) {
    s.layout.agents = true;
    s.layout.agent_drift_ppm = drift_ppm;
    s.layout.retry_interval_ms = 5000;
    s.operator_rejoins = false;
    return s;
}

Layout::Member replays_late(Layout::Member m, int ms) {
    m.replay_takes = milliseconds(ms);
    return m;
}

/// Seed 60. The manager that had asked s1 to promote itself was killed and lost its record, while the agent
/// of the former primary, which it never saw, kept that down.
TEST(RegressionsWithAgents, FormerPrimaryOfALostRecordIsFoundByRegistration) {
    auto s = guarded(story(60, {standby("s1"), replays_late(standby("s2"), 955)}, milliseconds(5), 4, 24667.5,
                           {fault(FaultKind::crash_backend, 1263.5, 2813.9, "s1"),
                            after_steps(315, fault(FaultKind::kill_manager, 0, 670.9, {})),
                            fault(FaultKind::crash_backend, 3848.1, 0, "s1"),
                            fault(FaultKind::may_not_follow, 8184.5, 2065.7, "s1"),
                            after_steps(144, fault(FaultKind::kill_manager_lost, 0, 9520.7, {})),
                            fault(FaultKind::power_off, 12075.4, 9544.6, "primary")}),
                     100);
    s.layout.receiver_timeout_ms = 5000;
    s.layout.manager_drift_ppm = 91;
    expect_no_violation(s);
}

/// Seed 241. A smart shutdown of the primary took its time, and ended when the manager had lost its record.
TEST(RegressionsWithAgents, PrimaryOfALostRecordWasShutDownInOrder) {
    auto s = guarded(story(241, {standby("s1"), standby("s2")}, milliseconds(500), 3600, 13061.7,
                           {fault(FaultKind::shut_down, 362.5, 5865.5, "primary"),
                            fault(FaultKind::kill_manager_lost, 6449.3, 1490.8, {})}));
    s.layout.synchronous = "ANY 1 (p, s1, s2)";
    s.layout.receiver_timeout_ms = 5000;
    s.layout.segment_copy = milliseconds(267);
    expect_no_violation(s);
}

/// Seed 423. Its lease ended while there was no manager; the next one began with nothing.
TEST(RegressionsWithAgents, PrimaryOfALostRecordWasFencedByItsLease) {
    auto s = guarded(story(423, {standby("s1")}, milliseconds(100), 3600, 14190.2,
                           {fault(FaultKind::kill_manager_lost, 532.6, 2515, {}),
                            between({"p"}, fault(FaultKind::partition, 803.1, 0, {})),
                            fault(FaultKind::kill_manager, 3137.9, 2768.4, {}),
                            fault(FaultKind::isolate, 6783.3, 3396, "primary"),
                            fault(FaultKind::may_not_follow, 8596.9, 0, "s1"),
                            fault(FaultKind::shut_down, 12349.1, 0, "s1"),
                            fault(FaultKind::cut_agent, 4520.6, 0, "primary")}),
                     100);
    s.layout.router = true;
    s.layout.segment_copy = milliseconds(129);
    expect_no_violation(s);
}

/// Seed 1110. The same after an isolation that ended just before the manager did.
TEST(RegressionsWithAgents, ManagerLostItsRecordJustAfterALeaseHadEnded) {
    auto s = guarded(story(1110, {standby("s1")}, milliseconds(100), 10, 19279.8,
                           {fault(FaultKind::power_off, 1093.1, 644.9, "s1"),
                            fault(FaultKind::isolate, 8725.2, 2352.3, "primary"),
                            fault(FaultKind::kill_manager_lost, 11169, 2812.4, {})}),
                     100);
    s.layout.synchronous = "*";
    s.layout.receiver_timeout_ms = 5000;
    s.layout.segment_copy = milliseconds(160);
    expect_no_violation(s);
}

/// Seed 1886. It died while there was no manager; one of its standbys must never lead.
TEST(RegressionsWithAgents, PrimaryDiedWhileThereWasNoManager) {
    auto last = replays_late(standby("s4"), 1438);
    last.rule = "must_not";
    auto s = guarded(story(
        1886, {standby("s1"), standby("s2"), standby("s3"), last}, milliseconds(100), 60, 16684.8,
        {fault(FaultKind::crash_backend, 1149.8, 9709.7, "primary"),
         fault(FaultKind::kill_manager_lost, 2712.1, 0, {}), fault(FaultKind::isolate, 4849.2, 8666, "s2"),
         fault(FaultKind::kill, 5409.2, 1901.7, "primary")}));
    expect_no_violation(s);
}

/// Seed 5391. While the candidate waited for a promise to run out the old primary was back for a moment, and
/// sent more to others than to the candidate.
TEST(RegressionsWithAgents, OthersGotOnWhileTheCandidateHadToWait) {
    auto s = guarded(story(5391, {standby("s1"), replays_late(standby("s2"), 1196), standby("s3")},
                           milliseconds(5), 4, 8884.9,
                           {fault(FaultKind::hang, 77.4, 5013.2, "primary"),
                            fault(FaultKind::cut_agent, 152.8, 6168.3, "primary"),
                            after(Trigger::promotion, fault(FaultKind::freeze_agent, 202.3, 9313.9, "s3"))}),
                     2000);
    s.layout.synchronous = "FIRST 1 (p, s1, s2, s3)";
    s.layout.retry_interval_ms = 500;
    s.layout.receiver_timeout_ms = 5000;
    s.layout.router = true;
    expect_no_violation(s);
}

/// Seed 1452. The manager was killed when it had asked s1 to lead, and s1 led, and died before the manager
/// was back. The former primary was started again, and what s1 had acknowledged was lost.
TEST(RegressionsWithAgents, WhoWasAskedHadLedAndDied) {
    auto s = guarded(story(1452, {standby("s1"), standby("s2")}, seconds(10), 3600, 15906.9,
                           {fault(FaultKind::power_off, 61.7, 430.8, "primary"),
                            after(Trigger::promoted, fault(FaultKind::hang, 1454.1, 1853.1, "primary")),
                            after_steps(118, fault(FaultKind::kill_manager, 0, 5484, {})),
                            fault(FaultKind::kill, 6090.6, 3906.8, "primary"),
                            fault(FaultKind::cut_agent, 1104.6, 1028.7, "primary"),
                            fault(FaultKind::disk_hung, 1500.7, 7237, "primary")}),
                     2000);
    s.layout.synchronous = "ANY 1 (p, s1, s2)";
    s.layout.segment_copy = milliseconds(28);
    s.layout.manager_drift_ppm = -157;
    expect_no_violation(s);
}

/// Seed 6967. The one that was asked led behind a firewall that refused in its place.
TEST(RegressionsWithAgents, WhoWasAskedLedBehindAFirewall) {
    auto s = guarded(
        story(6967, {standby("s1"), standby("s2", "s1")}, milliseconds(100), 60, 13376.7,
              {fault(FaultKind::kill, 898.6, 313.8, "primary"),
               after(Trigger::promotion, between({"s1", "router", "manager", "p"},
                                                 fault(FaultKind::reject_some, 4.5, 8261.1, "candidate"))),
               fault(FaultKind::reject, 1805.1, 8539.4, "s2", "p"),
               fault(FaultKind::kill_agent, 3041, 643.8, "primary")}),
        2000);
    s.layout.router = true;
    s.layout.receiver_timeout_ms = 5000;
    s.layout.segment_copy = milliseconds(46);
    expect_no_violation(s);
}

/// Seed 6355. Somebody started a former primary in the middle of its rewind.
TEST(RegressionsWithAgents, StartedWhileItWasRewound) {
    auto s = guarded(story(
        6355, {replays_late(standby("s1"), 897), standby("s2"), standby("s3")}, milliseconds(20), 3600, 9270,
        {fault(FaultKind::kill, 0, 0, "primary"),
         after(Trigger::promotion, fault(FaultKind::hang, 1.6, 13971.7, "candidate", "manager")),
         fault(FaultKind::disk_hung, 965.6, 1610, "primary")}));
    s.layout.receiver_timeout_ms = 5000;
    s.layout.segment_copy = milliseconds(29);
    configure(s, pre_and_post_hooks);
    expect_no_violation(s);
}

}  // namespace
}  // namespace baton::sim
