// Stories in which the simulated world found a mistake of the manager's. Each is kept as it was when it
// failed: the drawing of stories may change, and the number of a seed with it.
#include "regressions.h"

namespace baton::sim {
namespace {

/// Seed 29. A standby that came back together with the replaced primary went on streaming from it.
TEST(Regressions, StandbyStaysWithAReplacedPrimary) {
    expect_no_violation(
        story(29, {standby("s1"), standby("s2")}, milliseconds(5), 10, 13672.2,
              {between({"client", "manager", "s2", "p"}, fault(FaultKind::partition, 273, 0, {})),
               after(Trigger::promoted, fault(FaultKind::power_off, 33.7, 45.8, "candidate")),
               fault(FaultKind::isolate, 7236.6, 0, "primary"),
               fault(FaultKind::break_dns, 7754.5, 357.7, "manager")}));
}

/// Seed 499. The slot could not be made on a server that hung, and the standby was led there all the same.
TEST(Regressions, SlotIsMissedOnAServerThatHangs) {
    auto s =
        story(499, {standby("s1"), standby("s2", "s1")}, milliseconds(100), 3600, 7540.7,
              {fault(FaultKind::hang, 255.3, 4556, "s1"), fault(FaultKind::hang, 3084.7, 169.4, "primary")});
    s.former_returns = false;
    expect_no_violation(s);
}

/// Seed 557. A candidate behind a firewall that rejects was taken for dead after it was asked to promote
/// itself, and the recovery said that nobody had been promoted.
TEST(Regressions, CandidateBehindAFirewall) {
    expect_no_violation(
        story(557, {standby("s1"), standby("s2")}, milliseconds(20), 60, 7090.8,
              {fault(FaultKind::hang, 96.1, 5371.2, "primary"),
               after(Trigger::promotion, fault(FaultKind::reject, 3.8, 0, "candidate", "manager")),
               after(Trigger::promoted, fault(FaultKind::cut, 40.3, 2857.3, "candidate", "manager"))}));
}

/// Seed 1058. The new primary died when slots were to be made on it, and nobody made them later.
TEST(Regressions, SlotIsMissedOnANewPrimaryThatDies) {
    auto s = story(1058, {standby("s1"), standby("s2")}, milliseconds(20), 3600, 8491.9,
                   {fault(FaultKind::kill, 885.2, 2386, "primary"),
                    after(Trigger::promoted, fault(FaultKind::kill, 1.4, 1102.7, "primary"))});
    s.layout.synchronous = "ANY 1 (p, s1, s2)";
    expect_no_violation(s);
}

/// Seed 2644, scenario 93. A wall clock that jumped by an hour ended the block period.
TEST(Regressions, WallClockEndsTheBlockPeriod) {
    auto jump = after(Trigger::promoted, fault(FaultKind::jump_wall, 2.2, 0, {}));
    jump.amount = 3600;
    expect_no_violation(story(
        2644, {standby("s1"), standby("s2", "s1")}, milliseconds(20), 3600, 9285.3,
        {fault(FaultKind::kill, 525.6, 18.2, "primary"), fault(FaultKind::kill, 3399.4, 20.1, "s1"), jump}));
}

/// Seed 4765, scenario 93. A wall clock that jumped by 400 days made the manager forget who was down.
TEST(Regressions, WallClockForgetsAServer) {
    auto jump = fault(FaultKind::jump_wall, 7241, 0, {});
    jump.amount = 86400 * 400;
    auto s = story(4765, {standby("s1")}, milliseconds(5), 3600, 14469.5,
                   {fault(FaultKind::kill, 7117.1, 0, "primary"), jump});
    s.layout.retry_interval_ms = 500;
    s.operator_rejoins = false;
    expect_no_violation(s);
}

/// The candidate cannot be reached; when it and the primary are back, it must not be promoted any more.
TEST(Regressions, CandidateIsPromotedWhenThePrimaryIsBack) {
    expect_no_violation(story(5848, {standby("s1"), standby("s2")}, milliseconds(20), 3600, 20000,
                              {fault(FaultKind::power_off, 100, 5200, "primary"),
                               after(Trigger::recovery, fault(FaultKind::cut, 0, 4000, "s1", "manager")),
                               after(Trigger::recovery, fault(FaultKind::cut, 0, 4000, "s2", "manager"))}));
}

}  // namespace
}  // namespace baton::sim
