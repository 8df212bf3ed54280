#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

#include "plan/choice.h"

namespace baton::plan {
namespace {

using ::testing::HasSubstr;

TEST(ChooseCandidate, orders_by_wal_then_preference_then_place_then_name) {
    const Case cases[] = {
        {"71: all equal, by name", dead_primary(), "s1; s2:lower-preference s3:lower-preference"},
        {"most WAL received", dead_primary().on("s3").received("0/5000001"),
         "s3; s1:less-advanced s2:less-advanced"},
        {"58: received counts, not replayed",
         dead_primary().on("s2").with([](auto&, Observation& o) { o.received = lsn("0/6000000"); }),
         "s2; s1:less-advanced s3:less-advanced"},
        {"equal WAL: rule", dead_primary().on("s3").rule(PromotionRule::prefer),
         "s3; s1:lower-preference s2:lower-preference"},
        {"must before prefer",
         dead_primary().on("s2").rule(PromotionRule::prefer).on("s3").rule(PromotionRule::must),
         "s3; s1:lower-preference s2:lower-preference"},
        {"prefer_not comes last", dead_primary().on("s1").rule(PromotionRule::prefer_not),
         "s2; s1:lower-preference s3:lower-preference"},
        {"rule before place",
         dead_primary()
             .place("b")
             .on("p")
             .place("a")
             .on("s3")
             .place("b")
             .rule(PromotionRule::prefer)
             .on("s2")
             .place("a"),
         "s3; s1:lower-preference s2:lower-preference"},
        {"same data centre", dead_primary().on("p").place("a").on("s1").place("b").on("s2").place("a"),
         "s2; s1:lower-preference s3:lower-preference"},
        {"same region",
         dead_primary()
             .on("p")
             .place("a", "eu")
             .on("s1")
             .place("b", "us")
             .on("s2")
             .place("c", "us")
             .on("s3")
             .place("d", "eu"),
         "s3; s1:lower-preference s2:lower-preference"},
        {"a newer minor version comes last",
         dead_primary().on("s1").with([](auto&, Observation& o) { o.version_num = 150019; }),
         "s2; s1:lower-preference s3:lower-preference"},
        {"the name decides in the end, not the order of discovery",
         make_cluster().primary("p").standby("s2").standby("s1").dies("p"), "s1; s2:lower-preference"},
    };
    check(cases);
}

TEST(ChooseCandidate, never_throws_received_wal_away_for_a_preference) {
    const Case cases[] = {
        {"a preferred one catches up first",
         dead_primary().on("s1").received("0/6000000").on("s3").rule(PromotionRule::prefer),
         "s3 from s1; s1:lower-preference s2:lower-preference"},
        {"as advanced: nothing to catch up", dead_primary().on("s3").rule(PromotionRule::prefer),
         "s3; s1:lower-preference s2:lower-preference"},
        {"among preferred ones, the most advanced",
         dead_primary()
             .on("s1")
             .received("0/6000000")
             .on("s2")
             .rule(PromotionRule::prefer)
             .on("s3")
             .rule(PromotionRule::prefer)
             .received("0/5500000"),
         "s3 from s1; s1:lower-preference s2:less-advanced"},
        {"a place is not worth a detour",
         dead_primary().on("p").place("a").on("s1").place("b").received("0/6000000").on("s2").place("a"),
         "s1; s2:less-advanced s3:less-advanced"},
        {"prefer_not is avoided by a detour",
         dead_primary().on("s1").received("0/6000000").rule(PromotionRule::prefer_not),
         "s2 from s1; s1:lower-preference s3:lower-preference"},
        {"must_not has the most", dead_primary().on("s1").received("0/6000000").rule(PromotionRule::must_not),
         "s2 from s1; s1:must-not s3:lower-preference"},
        {"60: a delayed one is a donor", dead_primary().on("s1").received("0/6000000").delayed(),
         "s2 from s1; s1:delayed s3:lower-preference"},
        {"59: a paused one is a donor", dead_primary().on("s1").received("0/6000000").paused(),
         "s2 from s1; s1:replay-paused s3:lower-preference"},
        {"a diverged one is not", dead_primary().on("s1").received("0/6000000").timeline(2),
         "s2; s1:foreign-timeline s3:lower-preference"},
        {"72: an unreachable one is not", dead_primary().on("s1").received("0/6000000").down(),
         "s2; s1:unreachable s3:lower-preference"},
        {"requested and behind",
         dead_primary().on("s1").received("0/6000000"),
         "s2 from s1; s1:not-requested s3:not-requested",
         {},
         "s2"},
    };
    check(cases);
}

TEST(ChooseCandidate, rejects_with_a_reason) {
    const auto slot_lost = [](auto&, Observation& o) { o.slots = {{.name = "s1", .wal_status = "lost"}}; };
    const auto s1 = [](auto change) { return dead_primary().on("s1").with(change); };
    const auto came_late = [&](int watched_ms, int replayed_ms) {
        return s1([=](auto& i, Observation& o) {
            i.streamed_until.reset();
            i.stopped_by = now - milliseconds(watched_ms);
            o.last_replayed_age = milliseconds(replayed_ms);
        });
    };
    const Case cases[] = {
        {"unreachable", dead_primary().on("s1").down(), "s2; s1:unreachable s3:lower-preference"},
        {"not asked since the suspicion", dead_primary().on("s1").not_asked_since(),
         "s2; s1:unreachable s3:lower-preference"},
        {"does not let us in", dead_primary().on("s1").down(Reach::not_permitted),
         "s2; s1:not-permitted s3:lower-preference"},
        {"promoted already", s1([](auto&, Observation& o) { o.role = topology::Role::primary; }),
         "s2; s1:not-a-standby s3:lower-preference"},
        {"another system", s1([](auto&, Observation& o) { o.system_identifier = "1"; }),
         "s2; s1:foreign-system s3:lower-preference"},
        {"73: another timeline", dead_primary().on("s1").timeline(2),
         "s2; s1:foreign-timeline s3:lower-preference"},
        {"75: past a fork",
         make_cluster()
             .primary("p")
             .timeline(2)
             .history(2, "1\t0/4000000\tr\n")
             .standby("s1")
             .standby("s2")
             .timeline(2)
             .dies("p"),
         "s2; s1:diverged"},
        {"still on the old timeline",
         make_cluster()
             .primary("p")
             .timeline(2)
             .history(2, "1\t0/5000000\tr\n")
             .standby("s1")
             .standby("s2")
             .timeline(2)
             .dies("p"),
         "s2; s1:foreign-timeline"},
        {"59: paused", dead_primary().on("s1").paused(), "s2; s1:replay-paused s3:lower-preference"},
        {"60: delayed", dead_primary().on("s1").delayed(), "s2; s1:delayed s3:lower-preference"},
        {"must_not", dead_primary().on("s1").rule(PromotionRule::must_not),
         "s2; s1:must-not s3:lower-preference"},
        {"downtimed", dead_primary().on("s1").downtimed(), "s2; s1:downtimed s3:lower-preference"},
        {"in maintenance", dead_primary().on("s1").in_maintenance(),
         "s2; s1:in-maintenance s3:lower-preference"},
        {"ignored",
         dead_primary(),
         "s2; s1:ignored-by-filter s3:lower-preference",
         {.ignored_for_promotion = [](const InstanceKey& k) { return k.host == "s1"; }}},
        {"67: its slot lost WAL",
         dead_primary().on("s1").slot("s1").received("0/4000000").on("p").with(slot_lost),
         "s2; s1:slot-wal-lost s3:lower-preference"},
        {"67: its slot lost WAL, and it has everything",
         dead_primary().on("s1").slot("s1").on("p").with(slot_lost),
         "s1; s2:lower-preference s3:lower-preference"},
        {"76: not streaming for too long", dead_primary().on("s1").not_streaming(seconds(313)),
         "s2; s1:disconnected-too-long s3:lower-preference"},
        {"not streaming for as long as is allowed",
         dead_primary().on("s1").not_streaming(seconds(300) + milliseconds(12)),
         "s1; s2:lower-preference s3:lower-preference"},
        {"not streaming for a while", dead_primary().on("s1").not_streaming(seconds(299)),
         "s1; s2:lower-preference s3:lower-preference"},
        {"66: never seen streaming while the primary answered",
         s1([](auto& i, auto&) { i.streamed_until.reset(); }),
         "s2; s1:disconnected-too-long s3:lower-preference"},
        {"66: this manager came a moment ago, and it was there not long before", came_late(700, 3000),
         "s1; s2:lower-preference s3:lower-preference"},
        {"66: watched in vain for too long", came_late(400'000, 3000),
         "s2; s1:disconnected-too-long s3:lower-preference"},
        {"66: what it replayed last is old", came_late(700, 3'600'000),
         "s2; s1:disconnected-too-long s3:lower-preference"},
        {"another major version", s1([](auto&, Observation& o) { o.version_num = 140012; }),
         "s2; s1:older-major-version s3:lower-preference"},
        {"other data centre",
         dead_primary().on("p").place("a").on("s1").place("b").on("s2").place("a"),
         "s2; s1:other-data-center s3:lower-preference",
         {.prevent_cross_data_center = true}},
        {"other region",
         dead_primary().on("p").place("a", "x").on("s1").place("b", "y"),
         "s2; s1:other-region s3:lower-preference",
         {.prevent_cross_region = true}},
        {"a cascaded one while direct ones are there", dead_primary().standby("c", "s1").not_streaming(),
         "s1; c:other-upstream s2:lower-preference s3:lower-preference"},
        {"below another primary", dead_primary().primary("q").standby("t", "q"),
         "s1; q:not-a-standby s2:lower-preference s3:lower-preference t:other-upstream"},
    };
    check(cases);
}

TEST(ChooseCandidate, promotes_nobody_rather_than_the_wrong_one) {
    const auto all = [](auto change) {
        return dead_primary().on("s1").with(change).on("s2").with(change).on("s3").with(change);
    };
    const Case cases[] = {
        {"81: all must_not", all([](auto& i, auto&) { i.promotion_rule = PromotionRule::must_not; }),
         "nobody; s1:must-not s2:must-not s3:must-not"},
        {"no standby", make_cluster().primary("p").down(), "nobody;"},
        {"too far behind",
         dead_primary().on("p").written("0/5000401"),
         "nobody; s1:too-far-behind s2:too-far-behind s3:too-far-behind",
         {.maximum_lag_bytes = 1024}},
        {"just within the limit",
         dead_primary().on("p").written("0/5000400"),
         "s1; s2:lower-preference s3:lower-preference",
         {.maximum_lag_bytes = 1024}},
        {"76: the only one is days old",
         make_cluster().primary("p").standby("s").not_streaming(seconds(3 * 86400 + 60)).on("p").down(),
         "nobody; s:disconnected-too-long"},
        {"requested one is unknown",
         dead_primary(),
         "nobody; s1:not-requested s2:not-requested s3:not-requested",
         {},
         "x"},
        {"requested one is dead",
         dead_primary().on("s1").down(),
         "nobody; s1:unreachable s2:not-requested s3:not-requested",
         {},
         "s1"},
    };
    check(cases);
}

TEST(ChooseCandidate, prefers_catching_up_to_the_limit_of_the_most_advanced) {
    const auto world = dead_primary()
                           .on("p")
                           .written("0/5000400")
                           .on("s1")
                           .received("0/5000300")
                           .on("s2")
                           .received("0/4000000")
                           .rule(PromotionRule::must);
    const auto choice = choose(world, {.maximum_lag_bytes = 1024});
    EXPECT_EQ(summary(choice), "s2 from s1; s1:lower-preference s3:lower-preference");
    EXPECT_EQ(choice.bytes_behind, 0x100U) << "counted after the catching up";
}

TEST(ChooseCandidate, a_cascaded_standby_steps_in_when_no_direct_one_can) {
    const auto world = make_cluster()
                           .primary("p")
                           .standby("s")
                           .standby("c", "s")
                           .dies("p")
                           .on("s")
                           .down()
                           .on("c")
                           .not_streaming();
    EXPECT_EQ(summary(choose(world)), "c; s:unreachable");
}

TEST(ChooseCandidate, obeys_a_request_within_the_rules) {
    const Case cases[] = {
        {"the wanted one", dead_primary(), "s3; s1:not-requested s2:not-requested", {}, "s3"},
        {"a cascaded one, by name",
         dead_primary().standby("c", "s1"),
         "c; s1:not-requested s2:not-requested s3:not-requested",
         {},
         "c"},
        {"59: a paused one, by name",
         dead_primary().on("s3").paused(),
         "s3; s1:not-requested s2:not-requested",
         {},
         "s3"},
        {"must_not stands",
         dead_primary().on("s3").rule(PromotionRule::must_not),
         "nobody; s1:not-requested s2:not-requested s3:must-not",
         {},
         "s3"},
        {"60: delayed stands",
         dead_primary().on("s3").delayed(),
         "nobody; s1:not-requested s2:not-requested s3:delayed",
         {},
         "s3"},
    };
    check(cases);
}

TEST(ChooseCandidate, force_lifts_the_limits_and_never_the_facts) {
    const Policy strict{.maximum_lag_bytes = 1, .prevent_cross_data_center = true};
    const Case cases[] = {
        {"must_not",
         dead_primary().on("s1").rule(PromotionRule::must_not),
         "s1; s2:not-requested s3:not-requested",
         {},
         "s1",
         true},
        {"76: days old",
         dead_primary().on("s1").not_streaming(seconds(3 * 86400 + 60)),
         "s1; s2:not-requested s3:not-requested",
         {},
         "s1",
         true},
        {"limits", dead_primary().on("p").written("0/9000000").place("a").on("s1").place("b"),
         "s1; s2:not-requested s3:not-requested", strict, "s1", true},
        {"another system",
         dead_primary().on("s1").with([](auto&, Observation& o) { o.system_identifier = "1"; }),
         "nobody; s1:foreign-system s2:not-requested s3:not-requested",
         {},
         "s1",
         true},
        {"not a standby",
         dead_primary().on("s1").with([](auto&, Observation& o) { o.role = topology::Role::primary; }),
         "nobody; s1:not-a-standby s2:not-requested s3:not-requested",
         {},
         "s1",
         true},
        {"unreachable",
         dead_primary().on("s1").down(),
         "nobody; s1:unreachable s2:not-requested s3:not-requested",
         {},
         "s1",
         true},
        {"a later timeline cannot take WAL of an earlier one",
         dead_primary().on("s1").timeline(2).on("s2").received("0/6000000"),
         "s1; s2:not-requested s3:not-requested",
         {},
         "s1",
         true},
        {"without a name the order stays",
         dead_primary().on("s1").rule(PromotionRule::must_not),
         "s2; s1:lower-preference s3:lower-preference",
         {},
         "",
         true},
    };
    check(cases);
    const auto choice =
        choose(dead_primary().on("p").written("0/9000000").on("s1").not_streaming(seconds(3 * 86400 + 60)),
               strict, "s1", true);
    EXPECT_THAT(choice.why, HasSubstr("forced although it had not been streaming for 3 d"));
    EXPECT_THAT(choice.why, HasSubstr("forced past the limit of 1 byte"));
}

World synchronous(const char* names) {
    return dead_primary().on("p").synchronous(names);
}

TEST(ChooseCandidate, a_synchronous_cluster_promotes_only_who_has_every_commit) {
    const Case cases[] = {
        {"the synchronous one",
         synchronous("FIRST 1 (s2, s3)").sender("s1").sender("s2", "sync").sender("s3", "potential"),
         "s2; s1:not-synchronous s3:not-synchronous"},
        {"members of the quorum",
         synchronous("ANY 1 (s2, s3)").sender("s1").sender("s2", "quorum").sender("s3", "quorum"),
         "s2; s1:not-synchronous s3:lower-preference"},
        {"it first takes what an asynchronous one has more",
         synchronous("FIRST 1 (s2)").sender("s1").sender("s2", "sync").on("s1").received("0/6000000"),
         "s2 from s1; s1:not-synchronous s3:not-synchronous"},
        {"the synchronous one is gone", synchronous("s2").sender("s2", "sync").on("s2").down(),
         "nobody; s1:not-synchronous s2:unreachable s3:not-synchronous"},
        {"the same, forced",
         synchronous("s2").sender("s2", "sync").on("s2").down(),
         "s1; s2:unreachable s3:lower-preference",
         {},
         "",
         true},
        {"commits did not wait", synchronous("s2").sender("s2", "sync").with([](auto&, Observation& o) {
             o.settings.synchronous_commit = "local";
         }),
         "s1; s2:lower-preference s3:lower-preference"},
    };
    check(cases);
}

TEST(ChooseCandidate, scenario_72_waits_when_a_quorum_cannot_prove_that_nothing_is_missing) {
    auto world = synchronous("ANY 1 (s1, s2)").sender("s1", "quorum").sender("s2", "quorum");
    EXPECT_EQ(choose(world).why.find("may be missing"), std::string::npos);
    const auto in_doubt = choose(World(world).on("s2").down());
    EXPECT_FALSE(in_doubt.chosen);
    EXPECT_THAT(in_doubt.why, HasSubstr("only 1 of the 2 members of the quorum are left"));
    const auto forced = choose(World(world).on("s2").down(), {}, "s1", true);
    EXPECT_TRUE(forced.chosen);
    EXPECT_THAT(forced.why, HasSubstr("only 1 of the 2 members of the quorum are left"));
    auto two = synchronous("ANY 2 (s1, s2, s3)")
                   .sender("s1", "quorum")
                   .sender("s2", "quorum")
                   .sender("s3", "quorum");
    EXPECT_EQ(choose(World(two).on("s3").down()).why.find("may be missing"), std::string::npos)
        << "2 of 3 intersect every pair";
}

TEST(ChooseCandidate, works_for_a_manager_that_started_after_the_death) {
    const auto restarted = [] {
        auto world = dead_primary().never_seen();
        for (const auto* s : {"s1", "s2", "s3"})
            world.on(s).with([](auto& i, auto&) { i.streamed_until.reset(); });
        return world.on("p").never_seen();
    };
    const auto age = [](Duration d) {
        return
            [d](auto&, Observation& o) { o.last_replayed_age = std::chrono::duration_cast<milliseconds>(d); };
    };
    EXPECT_EQ(summary(choose(restarted())), "s1; s2:lower-preference s3:lower-preference");
    EXPECT_EQ(summary(choose(restarted().on("s1").with(age(seconds(10))))),
              "s1; s2:lower-preference s3:lower-preference");
    EXPECT_EQ(summary(choose(restarted().on("s1").with(age(seconds(3 * 86400))))),
              "s2; s1:disconnected-too-long s3:lower-preference")
        << "76: a days-old one cannot hide behind the restart";
    const auto fork_at = [](const char* lsn) { return std::string("1\t") + lsn + "\tpromoted\n"; };
    const auto newer = [&] { return restarted().on("s2").timeline(2).on("s3").timeline(2); };
    EXPECT_EQ(summary(choose(newer().history(2, fork_at("0/5000000")))),
              "s2; s1:foreign-timeline s3:lower-preference")
        << "the newest timeline among the standbys counts, where the others are behind it";
    EXPECT_EQ(summary(choose(newer().history(2, fork_at("0/4000000")))),
              "nobody; s1:foreign-timeline s2:foreign-timeline s3:foreign-timeline")
        << "s1 went on past the fork: one of the branches is a mistake, and nobody can say which";
    EXPECT_EQ(summary(choose(newer())), "nobody; s1:foreign-timeline s2:foreign-timeline s3:foreign-timeline")
        << "where the fork is not known, neither";
    EXPECT_EQ(summary(choose(newer(), {}, "s1", true)), "s1; s2:not-requested s3:not-requested")
        << "an operator says which";
    const auto leads_on = [](topology::Timeline timeline) {
        return [timeline](auto& i, Observation& o) {
            i.role = o.role = topology::Role::primary;
            i.upstream.reset();
            o.timeline = timeline;
        };
    };
    EXPECT_EQ(summary(choose(newer().on("s1").with(leads_on(2)))),
              "nobody; s1:not-a-standby s2:another-may-lead s3:another-may-lead")
        << "it may have replaced p long ago";
    EXPECT_EQ(summary(choose(newer().on("s1").with(leads_on(1)))), "s2; s1:not-a-standby s3:lower-preference")
        << "a former primary";
    EXPECT_EQ(summary(choose(restarted().on("s1").down(topology::Reach::not_permitted).never_seen())),
              "nobody; s1:not-permitted s2:another-may-lead s3:another-may-lead");
    EXPECT_EQ(summary(choose(restarted().on("s1").down(topology::Reach::silent).never_seen())),
              "s2; s1:unreachable s3:lower-preference");
}

TEST(ChooseCandidate, one_that_lost_a_primary_with_FIRST_out_of_sight_may_have_been_replaced_by_the_next) {
    const auto lost_within = [](Duration d) {
        return [d](auto& i, auto&) { i.stopped_by = *i.streamed_until + d; };
    };
    const auto world = [&](const char* rule, Duration unwatched, Reach s2, Reach p = Reach::refused,
                           bool both_listed = true) {
        auto w = make_cluster().primary("p").synchronous(rule).sender("s1", "sync");
        if (both_listed) w.sender("s2", "potential");
        w.standby("s1").standby("s2").dies("p", p);
        w.on("s1").with(lost_within(unwatched));
        return s2 == Reach::answering ? w : w.on("s2").down(s2);
    };
    const struct {
        const char* what;
        World world;
        const char* expected;
    } cases[] = {
        {"watched", world("FIRST 1 (s1, s2)", seconds(1), Reach::silent), "s1; s2:unreachable"},
        {"not watched", world("FIRST 1 (s1, s2)", seconds(20), Reach::silent),
         "nobody; s1:not-synchronous s2:unreachable"},
        {"the dead may have confirmed, too", world("s1, s2", seconds(20), Reach::refused),
         "nobody; s1:not-synchronous s2:unreachable"},
        {"nobody else could be next", world("FIRST 1 (s1)", seconds(20), Reach::silent),
         "s1; s2:unreachable"},
        {"the next one is there", world("FIRST 1 (s1, s2)", seconds(20), Reach::answering),
         "s1; s2:not-synchronous"},
        {"ended while the primary is only silent",
         world("FIRST 1 (s1, s2)", seconds(1), Reach::silent, Reach::silent),
         "nobody; s1:not-synchronous s2:unreachable"},
        {"we ended it ourselves",
         world("FIRST 1 (s1, s2)", seconds(1), Reach::silent, Reach::silent)
             .on("s1")
             .with([](auto& i, auto&) { i.testimony_held_until = *i.streamed_until + seconds(1); }),
         "s1; s2:unreachable"},
        {"the next one was not there either",
         world("FIRST 1 (s1, s2)", seconds(1), Reach::silent, Reach::silent, false), "s1; s2:unreachable"},
        {"never seen streaming",
         world("FIRST 1 (s1, s2)", seconds(1), Reach::silent).on("s1").with([](auto& i, Observation& o) {
             i.streamed_until.reset();
             i.stopped_by = now - seconds(1);
             o.last_replayed_age = milliseconds(3000);
         }),
         "nobody; s1:not-synchronous s2:unreachable"},
    };
    for (const auto& c : cases)
        EXPECT_EQ(summary(choose(c.world)), c.expected) << c.what;
}

TEST(ChooseCandidate, explains_itself_in_numbers) {
    const auto plain = choose(dead_primary().on("p").written("0/5000010").on("s2").received("0/4FFFFF0"));
    EXPECT_EQ(plain.why,
              "s1:5432 (neutral) has the most WAL, up to 0/5000000; 16 bytes behind the last known position "
              "of p:5432");
    EXPECT_EQ(plain.bytes_behind, 16U);
    EXPECT_EQ(plain.rejected.at(0).detail, "it has 16 bytes less WAL than s1:5432");
    EXPECT_EQ(plain.rejected.at(1).detail, "s1:5432 is as good and comes first by name");
    const auto near = choose(dead_primary()
                                 .on("p")
                                 .place("a", "x")
                                 .on("s1")
                                 .place("b", "x")
                                 .on("s2")
                                 .place("a", "x")
                                 .on("s3")
                                 .place("a", "x")
                                 .with([](auto&, Observation& o) {
                                     o.version_num = 150019;
                                     o.version = "15.19";
                                 }));
    EXPECT_EQ(near.rejected.at(0).detail, "s2:5432 is in the data centre of the failed primary");
    EXPECT_EQ(near.rejected.at(1).detail, "its version 15.19 is newer than 15.18 of s2:5432");
    const auto detour = choose(dead_primary().on("s2").received("0/4FFFFF0").rule(PromotionRule::must));
    EXPECT_EQ(detour.why,
              "s2:5432 (must) first streams the 16 bytes that it lacks from s1:5432; 0 bytes behind the last "
              "known position of p:5432");
    EXPECT_EQ(detour.rejected.at(0).detail, "its promotion rule is neutral, that of s2:5432 is must");
    const auto nobody = choose(make_cluster().primary("p").standby("s").paused().dies("p"));
    EXPECT_EQ(nobody.why,
              "nobody can be promoted in place of p:5432: s:5432: somebody paused its replay, 0 bytes are "
              "received and not replayed");
    EXPECT_EQ(choose(make_cluster().primary("p").down()).why,
              "nobody can be promoted in place of p:5432: it has no standby");
}

TEST(ChooseCandidate, finds_the_failed_one_by_an_alias) {
    const auto cluster =
        dead_primary().on("p").with([](auto& i, auto&) { i.aliases = {{"10.0.0.1", 5432}}; }).build();
    EXPECT_EQ(choose_candidate(cluster, {"10.0.0.1", 5432}, {}, std::nullopt, false, now).chosen, key("s1"));
}

/// The winner must be the same whatever the order of discovery, and taking a loser away must not change it.
TEST(ChooseCandidate, is_an_order) {
    std::mt19937 random(20260711);
    const auto one_of = [&](int n) { return std::uniform_int_distribution<>(0, n - 1)(random); };
    for (int round = 0; round < 2000; ++round) {
        auto world = make_cluster().primary("p").place("dc0", "r0");
        const int count = 2 + one_of(5);
        for (int i = 0; i < count; ++i) {
            world.standby("s" + std::to_string(i))
                .received(one_of(2) == 0 ? "0/5000000" : "0/400000" + std::to_string(one_of(4)))
                .rule(static_cast<PromotionRule>(one_of(5)))
                .place("dc" + std::to_string(one_of(2)), "r" + std::to_string(one_of(2)))
                .with([&](auto&, Observation& o) { o.version_num = 150018 + one_of(2); });
        }
        auto cluster = world.dies("p").build();
        const auto choice = choose_candidate(cluster, key("p"), {}, std::nullopt, false, now);
        std::ranges::shuffle(cluster.instances, random);
        const auto again = choose_candidate(cluster, key("p"), {}, std::nullopt, false, now);
        ASSERT_EQ(summary(choice), summary(again)) << "round " << round;
        ASSERT_EQ(choice.rejected.size() + (choice.chosen ? 1U : 0U), static_cast<size_t>(count))
            << "everybody has a verdict";
        if (!choice.chosen) continue;
        const auto loser = choice.rejected.empty() ? choice.chosen : choice.rejected.front().instance;
        if (loser == choice.chosen || loser == choice.donor) continue;
        const auto loser_version = cluster.find(*loser)->seen->version_num;
        std::erase_if(cluster.instances, [&](const auto& i) { return i->key == *loser; });
        const bool oldest_left = std::ranges::any_of(cluster.instances, [&](const auto& i) {
            return i->is_standby() && i->seen->version_num <= loser_version;
        });
        if (!oldest_left) continue;
        const auto fewer = choose_candidate(cluster, key("p"), {}, std::nullopt, false, now);
        ASSERT_EQ(fewer.chosen, choice.chosen) << "round " << round << ": " << summary(choice);
    }
}

/// Whatever is chosen ends with all the WAL that any answering standby of the right history has.
TEST(ChooseCandidate, loses_no_received_wal) {
    std::mt19937 random(7);
    const auto one_of = [&](int n) { return std::uniform_int_distribution<>(0, n - 1)(random); };
    for (int round = 0; round < 2000; ++round) {
        auto world = make_cluster().primary("p");
        for (int i = 0; i < 4; ++i) {
            world.standby("s" + std::to_string(i))
                .received("0/500000" + std::to_string(one_of(9)))
                .rule(static_cast<PromotionRule>(one_of(5)));
            if (one_of(4) == 0) world.paused();
            if (one_of(4) == 0) world.downtimed();
        }
        const auto cluster = world.dies("p").build();
        const auto choice = choose_candidate(cluster, key("p"), {}, std::nullopt, one_of(2) == 0, now);
        if (!choice.chosen) continue;
        Lsn most;
        for (const auto* s : cluster.replicas_of(key("p")))
            most = std::max(most, s->seen->received);
        ASSERT_EQ(cluster.find(choice.donor.value_or(*choice.chosen))->seen->received, most)
            << summary(choice);
    }
}

}  // namespace
}  // namespace baton::plan
