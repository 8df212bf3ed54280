#include "agent/lease.h"

#include <gtest/gtest.h>

namespace baton::agent {
namespace {

const InstanceKey x{"x", 5432};
const InstanceKey y{"y", 5432};

MonoTime at(int64_t ms) {
    return MonoTime(seconds(1000)) + milliseconds(ms);
}

Grant grant_of(uint64_t number, const std::vector<InstanceKey>& members, bool on = true, uint64_t epoch = 1) {
    Grant g{.epoch = epoch, .number = number, .on = on, .lease = milliseconds(2000), .promotable = {}};
    for (const auto& key : members)
        g.promotable.push_back({key, key.host + ":3002"});
    return g;
}

LeaseHolder holder(const Grant& grant, int64_t sent_ms) {
    LeaseHolder h;
    EXPECT_TRUE(h.answered(at(sent_ms), grant));
    return h;
}

TEST(LeaseHolder, NothingBindsWithoutALeaseOrWithoutASuccessor) {
    EXPECT_EQ(LeaseHolder{}.verdict(at(0)).deed, LeaseDeed::run);
    EXPECT_EQ(holder(grant_of(1, {x}, false), 0).verdict(at(60000)).deed, LeaseDeed::run);
    const auto alone = holder(grant_of(1, {}), 0).verdict(at(60000));
    EXPECT_EQ(alone.deed, LeaseDeed::run);
    EXPECT_EQ(alone.held_by, "nobody can take over");
}

TEST(LeaseHolder, TheHeartbeatHoldsItFromWhenItWasSent) {
    const auto h = holder(grant_of(1, {x}), 0);
    struct {
        int64_t ms;
        LeaseDeed deed;
    } const cases[] = {{0, LeaseDeed::run},    {1299, LeaseDeed::run},  {1300, LeaseDeed::ask},
                       {1999, LeaseDeed::ask}, {2000, LeaseDeed::stop}, {9000, LeaseDeed::stop}};
    for (const auto& c : cases)
        EXPECT_EQ(h.verdict(at(c.ms)).deed, c.deed) << c.ms;
    EXPECT_EQ(h.verdict(at(0)).look_again, at(1300));
    EXPECT_EQ(h.verdict(at(1300)).look_again, at(1550));
    EXPECT_EQ(h.verdict(at(1900)).look_again, at(2000));
}

TEST(LeaseHolder, VouchesHoldItOnlyIfEverybodyVouches) {
    auto h = holder(grant_of(1, {x, y}), 0);
    h.vouched(x, at(1800), vouch_span);
    EXPECT_EQ(h.verdict(at(2100)).deed, LeaseDeed::stop);
    h.vouched(y, at(1900), vouch_span);
    const auto held = h.verdict(at(2050));
    EXPECT_EQ(held.held_by, "vouches");
    EXPECT_EQ(held.until, at(2800));
    EXPECT_EQ(h.verdict(at(2800)).deed, LeaseDeed::stop);
}

TEST(LeaseHolder, ALongerPromiseThanAnybodyGivesDoesNotCount) {
    auto h = holder(grant_of(1, {x}), 0);
    h.vouched(x, at(1900), milliseconds(60000));
    EXPECT_EQ(h.verdict(at(2000)).until, at(2900));
}

TEST(LeaseHolder, OlderGrantsAndOlderManagersRenewNothing) {
    auto h = holder(grant_of(3, {x}), 0);
    EXPECT_FALSE(h.answered(at(1000), grant_of(2, {x, y})));
    EXPECT_EQ(h.verdict(at(0)).until, at(2000));
    h.heard_epoch(5);
    EXPECT_FALSE(h.answered(at(1000), grant_of(4, {x})));
    EXPECT_EQ(h.verdict(at(0)).until, at(2000));
    EXPECT_TRUE(h.answered(at(1000), grant_of(1, {x, y}, true, 5)));
    EXPECT_EQ(h.verdict(at(0)).until, at(3000));
    EXPECT_EQ(h.grant().promotable.size(), 2U);
}

TEST(LeaseHolder, AfterARestartNothingHoldsItNotEvenAYoungClock) {
    LeaseHolder h;
    h.restore(grant_of(4, {x}), 7);
    for (const auto now : {MonoTime{}, MonoTime(milliseconds(500)), at(0)})
        EXPECT_EQ(h.verdict(now).deed, LeaseDeed::stop);
    EXPECT_FALSE(h.answered(at(0), grant_of(5, {x}, true, 6)));
    EXPECT_TRUE(h.answered(at(0), grant_of(1, {x}, true, 7)));
    EXPECT_EQ(h.verdict(at(0)).deed, LeaseDeed::run);
}

TEST(LeaseHolder, AnAnswerThatComesLateRenewsNoMoreThanItWould) {
    auto h = holder(grant_of(1, {x}), 500);
    EXPECT_TRUE(h.answered(at(0), grant_of(1, {x})));
    EXPECT_EQ(h.verdict(at(600)).until, at(2500));
}

TEST(Voucher, PromisesCountLongerWhereTheyWereGiven) {
    Voucher v;
    EXPECT_FALSE(v.promise(at(0), vouch_span));
    EXPECT_EQ(v.stand_clear(at(100)), at(1250));
    EXPECT_TRUE(v.promise(at(200), vouch_span));
    EXPECT_FALSE(v.free(at(1249)));
    EXPECT_TRUE(v.free(at(1250)));
    EXPECT_EQ(v.stand_clear(at(1300)), at(1300));
}

TEST(Voucher, NobodyPromisesMoreThanARestartRemembers) {
    Voucher v;
    EXPECT_TRUE(v.promise(at(0), vouch_span + milliseconds(1)));
    Voucher restarted;
    restarted.started(at(0));
    EXPECT_EQ(restarted.stand_clear(at(0)), at(0) + vouch_span + stop_margin);
}

TEST(Voucher, StandsClearOverARestartAndNotForEver) {
    Voucher v;
    v.stand_clear(at(0));
    Voucher restarted;
    restarted.started(at(100));
    restarted.restore_clear(v.clear_until());
    EXPECT_TRUE(restarted.promise(at(200), vouch_span));
    EXPECT_FALSE(restarted.free(at(200)));
    EXPECT_TRUE(restarted.free(at(1350)));
    EXPECT_FALSE(restarted.promise(at(0) + clear_span, vouch_span));
    v.vouch_again();
    EXPECT_FALSE(v.promise(at(10), vouch_span));
    EXPECT_FALSE(v.free(at(99999)));
}

TEST(GrantLog, CountsOnWhatMayBeInForce) {
    GrantLog log;
    EXPECT_FALSE(log.on());
    EXPECT_FALSE(log.heard());
    log.sent(grant_of(1, {x}));
    EXPECT_TRUE(log.on());
    EXPECT_FALSE(log.certain());
    log.acknowledged(grant_of(1, {x}));
    EXPECT_TRUE(log.certain());
    EXPECT_EQ(log.pending(), 0U);
    log.sent(grant_of(2, {x, y}));
    log.sent(grant_of(2, {x, y}));
    EXPECT_EQ(log.pending(), 1U);
    EXPECT_TRUE(log.promotable(x));
    EXPECT_FALSE(log.promotable(y)) << "not by the one that was acknowledged";
    log.sent(grant_of(3, {y}));
    EXPECT_FALSE(log.promotable(x));
    log.acknowledged(grant_of(2, {x, y}));
    EXPECT_TRUE(log.promotable(y));
    EXPECT_FALSE(log.promotable(x)) << "it may have left L";
    log.acknowledged(grant_of(3, {y}));
    log.sent(grant_of(4, {}, false));
    EXPECT_TRUE(log.on());
    EXPECT_FALSE(log.certain());
    log.acknowledged(grant_of(4, {}, false));
    EXPECT_FALSE(log.on());
}

TEST(GrantLog, TheLongestLeaseCounts) {
    GrantLog log;
    auto longer = grant_of(1, {x});
    longer.lease = milliseconds(9000);
    log.acknowledged(longer);
    log.sent(grant_of(2, {x}));
    EXPECT_EQ(log.lease(), milliseconds(9000));
    log.acknowledged(grant_of(2, {x}));
    EXPECT_EQ(log.lease(), milliseconds(2000));
}

TEST(GrantLog, AnAgentThatForgotWhatItHadIsNotTakenAtItsOldWord) {
    GrantLog log;
    log.acknowledged(grant_of(5, {x}));
    log.acknowledged(Grant{});
    EXPECT_TRUE(log.on());
    EXPECT_FALSE(log.certain());
}

TEST(Standoff, WaitsForTheLeaseUnlessTheServerIsDead) {
    LeaseView view{.on = true,
                   .confirmed_dead = false,
                   .lease = milliseconds(2000),
                   .promotable = true,
                   .answered = at(0)};
    const auto waits = standoff(view, x, at(100));
    ASSERT_TRUE(waits);
    EXPECT_EQ(waits->until, at(2350));
    EXPECT_TRUE(standoff(view, x, at(2349)));
    EXPECT_FALSE(standoff(view, x, at(2350)));
    view.promotable = false;
    const auto never = standoff(view, x, at(99999));
    ASSERT_TRUE(never);
    EXPECT_FALSE(never->until);
    view.confirmed_dead = true;
    EXPECT_FALSE(standoff(view, x, at(0)));
    EXPECT_FALSE(standoff({.on = false, .promotable = false}, x, at(0)));
}

/// Two clocks that are wrong by one per cent each, and a server that takes stop_margin to end.
TEST(Standoff, TheMarginHasRoomForBothClocksAndForStopping) {
    for (const auto lease : {2000, 3000, 5000, 10000, 60000}) {
        const double ends = static_cast<double>(lease) / 0.99 + static_cast<double>(stop_margin.count());
        const double waited = static_cast<double>(to_ms(lease_and_margin(milliseconds(lease)))) / 1.01;
        EXPECT_LT(ends, waited) << lease;
        EXPECT_GE(to_ms(lease_and_margin(milliseconds(lease))), lease * 11 / 10);
    }
    const double held = static_cast<double>(vouch_span.count()) / 0.99;
    const double promised = static_cast<double>((vouch_span + stop_margin).count()) / 1.01;
    EXPECT_LT(held + static_cast<double>(kill_after.count()), promised);
}

}  // namespace
}  // namespace baton::agent
