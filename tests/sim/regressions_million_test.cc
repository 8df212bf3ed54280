// What a million stories found in the end, as short as they could be made. See regressions.h.
#include "tests/sim/regressions.h"

namespace baton::sim {
namespace {

Layout::Member must_not(Layout::Member m) {
    m.rule = "must_not";
    return m;
}

/// Seeds 677069, 719110, 988043 and 710137. After a restart of the manager a standby that it knew by its name
/// was found by its address, too, and counted twice: the rule must_not held for the name only.
TEST(Regressions, KnownByNameAndFoundByAddress) {
    auto killed =
        story(677069, {standby("s1"), must_not(standby("s2"))}, milliseconds(100), 60, 18787.2,
              {fault(FaultKind::kill, 36.1, 9364.8, "s2"), fault(FaultKind::kill_manager, 7636, 778.7, {}),
               fault(FaultKind::kill, 14512.9, 23.6, "primary")});
    killed.layout.segment_copy = milliseconds(228);
    killed.layout.retry_interval_ms = 5000;
    expect_no_violation(killed);
    auto lossy = story(
        719110, {without_slot(must_not(standby("s1")))}, milliseconds(20), 10, 19254,
        {fault(FaultKind::kill_manager, 1237.4, 6478, {}), fault(FaultKind::loss, 7071.5, 0, "s1", "manager"),
         fault(FaultKind::isolate, 10182.1, 0, "primary")});
    lossy.faults[1].amount = 5;
    lossy.layout.retry_interval_ms = 5000;
    lossy.operator_rejoins = false;
    expect_no_violation(lossy);
    auto slow = story(
        988043, {must_not(standby("s1"))}, milliseconds(100), 10, 14155.2,
        {fault(FaultKind::slow, 598.2, 0, "s1", "manager"), fault(FaultKind::kill_manager, 723, 8.6, {}),
         fault(FaultKind::kill, 5350.3, 15.1, "primary")});
    slow.faults[0].amount = 400;
    configure(slow, pre_and_post_hooks);
    slow.layout.retry_interval_ms = 500;
    expect_no_violation(slow);
    auto counted = story(710137, {standby("s1"), standby("s2")}, milliseconds(100), 4, 15069.4,
                         {fault(FaultKind::kill_manager, 36.9, 4253.1, {}),
                          between({"s2", "s1"}, fault(FaultKind::partition, 3474.2, 0, {})),
                          fault(FaultKind::shut_down, 9353.1, 0, "s1")});
    counted.layout.retry_interval_ms = 5000;
    expect_no_violation(counted);
}

/// Seeds 196857 and 895351. A candidate was to catch up from the standby below it when the primary came back:
/// the two streamed from each other for ever.
TEST(Regressions, CatchingUpWasGivenUpInACircle) {
    auto all = story(196857, {standby("s1"), standby("s2", "s1")}, milliseconds(100), 4, 5538.6,
                     {fault(FaultKind::kill, 0, 0, "primary"),
                      after(Trigger::promotion, fault(FaultKind::kill, 28.1, 0, "candidate"))});
    all.layout.synchronous = "ANY 2 (p, s1, s2)";
    all.layout.retry_interval_ms = 5000;
    expect_no_violation(all);
    auto one = story(895351, {standby("s1"), without_slot(standby("s2", "s1"))}, milliseconds(100), 4, 4489.6,
                     {fault(FaultKind::kill, 0, 0, "primary"),
                      after(Trigger::promotion, fault(FaultKind::kill, 13.2, 0, "candidate"))});
    one.layout.synchronous = "ANY 1 (p, s1, s2)";
    one.layout.retry_interval_ms = 5000;
    expect_no_violation(one);
}

/// Seed 771456. A primary with FIRST was out of sight for long when it lost the slot of its synchronous
/// standby and went on with the next one.
TEST(Regressions, PrimaryWentOnWithTheNextOneOutOfSight) {
    auto s = story(771456, {standby("s1"), standby("s2")}, seconds(10), 3600, 14978.1,
                   {fault(FaultKind::cut, 69.4, 0, "primary", "manager"),
                    fault(FaultKind::lose_slot, 4818.4, 114.9, "primary", "s1"),
                    fault(FaultKind::kill, 7472, 7.3, "s2")});
    s.layout.synchronous = "FIRST 1 (p, s1, s2)";
    s.layout.segment_copy = milliseconds(186);
    s.layout.retry_interval_ms = 5000;
    s.layout.receiver_timeout_ms = 5000;
    expect_no_violation(s);
}

/// Seed 348755. The same where its standby was out of its sight, too: nobody can know.
TEST(Regressions, PrimaryWentOnOutOfEverybodysSight) {
    auto s = story(
        348755, {standby("s1"), standby("s2"), standby("s3")}, milliseconds(20), 3600, 14084.3,
        {between({"client", "s3", "manager", "s1", "s2", "p"}, fault(FaultKind::ring, 4794.6, 7693.4, {})),
         fault(FaultKind::lose_slot, 8280.2, 6.6, "primary", "s1")});
    s.layout.synchronous = "FIRST 1 (p, s1, s2, s3)";
    s.layout.retry_interval_ms = 5000;
    s.layout.receiver_timeout_ms = 5000;
    expect_no_violation(s);
}

/// Seed 983508. Behind a firewall that answered in its place a candidate had been promoted; the failover of
/// the one that replaced it begins no second history.
TEST(Regressions, TwoHistoriesHadPartedBefore) {
    auto s = story(
        983508, {without_slot(standby("s1")), standby("s2"), standby("s3")}, milliseconds(20), 10, 12379.4,
        {fault(FaultKind::kill, 98.4, 0, "primary"),
         after(Trigger::recovery,
               between({"s3", "manager", "s1"}, fault(FaultKind::reject_some, 4.3, 1000.7, "candidate"))),
         fault(FaultKind::kill, 9077.7, 0, "primary")});
    s.layout.segment_copy = milliseconds(144);
    s.layout.retry_interval_ms = 5000;
    expect_no_violation(s);
}

/// Seed 715467. The port of a candidate that had died was behind a flapping link in the moment in which it
/// was looked at once more, and nobody else was asked.
TEST(Regressions, DeadCandidateBehindAFlappingLink) {
    auto s = story(715467, {standby("s1"), standby("s2"), standby("s3")}, milliseconds(20), 4, 10851,
                   {after(Trigger::promotion, fault(FaultKind::cut, 3.5, 0, "s2", "manager")),
                    fault(FaultKind::kill, 2755.2, 0, "primary"),
                    after(Trigger::recovery, fault(FaultKind::kill, 1.8, 0, "candidate")),
                    fault(FaultKind::flap, 5672, 279.3, "s1", "manager"),
                    after(Trigger::promotion, fault(FaultKind::loss, 0.1, 0, "candidate", "manager"))});
    s.faults[3].amount = 1500;
    s.faults[4].amount = 5;
    s.layout.segment_copy = milliseconds(140);
    s.layout.retry_interval_ms = 5000;
    s.operator_rejoins = false;
    expect_no_violation(s);
}

}  // namespace
}  // namespace baton::sim
