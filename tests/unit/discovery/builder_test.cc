#include "discovery/builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "support.h"

namespace baton::discovery {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using topology::Lsn;

struct Builder {
    std::vector<Member> members;
    store::State record;
    std::function<std::string(const topology::Cluster&)> suggest_alias;

    std::shared_ptr<const topology::Cluster> build() const {
        std::vector<const Member*> pointers;
        for (const auto& m : members)
            pointers.push_back(&m);
        return build_cluster({.id = system_id,
                              .members = pointers,
                              .record = &record,
                              .history = nullptr,
                              .annotate = {},
                              .suggest_alias = suggest_alias,
                              .now = MonoTime(seconds(100)),
                              .wall = WallTime(seconds(1'767'225'600))});
    }
    void remember(const topology::Cluster& cluster) {
        record.clusters[cluster.id] = {.id = cluster.id,
                                       .name = cluster.name,
                                       .former_names = cluster.former_names,
                                       .alias = record.clusters[cluster.id].alias,
                                       .domain = cluster.domain};
    }
};

std::vector<std::string> order(const topology::Cluster& cluster) {
    std::vector<std::string> all;
    for (const auto& i : cluster.instances)
        all.push_back(i->key.host + "/" + std::to_string(i->depth));
    return all;
}

TEST(BuildCluster, TreeDepthAndOrder) {
    Builder b;
    b.members = {standby(at("z"), at("m")), standby(at("m"), at("p")), standby(at("a"), at("p")),
                 primary(at("p"))};
    const auto cluster = b.build();
    EXPECT_THAT(order(*cluster), ElementsAre("p/0", "a/1", "m/1", "z/2"));
    EXPECT_THAT(cluster->find(at("p"))->downstream, ElementsAre(at("a"), at("m")));
    EXPECT_THAT(cluster->find(at("m"))->downstream, ElementsAre(at("z")));
    EXPECT_TRUE(cluster->find(at("z"))->upstream_known);
}

TEST(BuildCluster, DoesNotDependOnTheOrderOfItsMembers) {
    Builder b;
    b.members = {primary(at("p")), standby(at("a"), at("p")), standby(at("m"), at("p")),
                 standby(at("z"), at("m"))};
    const auto expected = order(*b.build());
    std::ranges::sort(b.members, {}, &Member::key);
    do {
        EXPECT_EQ(order(*b.build()), expected);
    } while (std::ranges::next_permutation(b.members, {}, &Member::key).found);
}

TEST(BuildCluster, CirclesEnd) {
    Builder b;
    b.members = {standby(at("a"), at("b")), standby(at("b"), at("a")), standby(at("c"), at("c"))};
    const auto cluster = b.build();
    EXPECT_EQ(cluster->instances.size(), 3U);
    EXPECT_THAT(cluster->find(at("c"))->downstream, IsEmpty());
}

TEST(BuildCluster, AnEdgeByAnotherNameIsTheSameEdge) {
    Builder b;
    b.members = {primary(at("p")), standby(at("s"), at("10.0.0.1"))};
    b.members[0].aliases = {at("10.0.0.1"), at("p.example.org")};
    const auto cluster = b.build();
    EXPECT_EQ(cluster->find(at("s"))->upstream, at("p"));
    EXPECT_THAT(cluster->find(at("p"))->downstream, ElementsAre(at("s")));
    EXPECT_EQ(cluster->find(at("p.example.org")), cluster->find(at("p")));
}

TEST(BuildCluster, AnUnknownUpstreamIsShownAndNotInvented) {
    Builder b;
    b.members = {standby(at("s"), at("elsewhere"))};
    const auto cluster = b.build();
    EXPECT_EQ(cluster->find(at("s"))->upstream, at("elsewhere"));
    EXPECT_FALSE(cluster->find(at("s"))->upstream_known);
    EXPECT_EQ(cluster->instances.size(), 1U);
}

TEST(BuildCluster, TheEdgeStaysWhenTheReceiverIsGone) {
    Builder b;
    b.members = {primary(at("p")), standby(at("s"), at("p"))};
    auto seen = *b.members[1].seen;
    seen.receiver.reset();
    b.members[1].seen = std::make_shared<const Observation>(seen);
    EXPECT_THAT(b.build()->find(at("p"))->downstream, ElementsAre(at("s")));
}

/// A standby that lists these hosts and looks for the primary itself; it followed `edge` and streams no more.
Member seeker(const char* name, const char* edge, std::vector<topology::InstanceKey> hosts) {
    auto member = standby(at(name), at(edge));
    auto seen = *member.seen;
    seen.receiver.reset();
    seen.upstream = {.hosts = std::move(hosts), .target_session_attrs = "read-write"};
    member.seen = std::make_shared<const Observation>(seen);
    return member;
}

Member primary_on(const char* name, topology::Timeline timeline, topology::Reach reach) {
    auto member = primary(at(name));
    auto seen = *member.seen;
    seen.timeline = timeline;
    member.seen = std::make_shared<const Observation>(seen);
    member.health.reach = reach;
    return member;
}

TEST(BuildCluster, OneThatLooksForThePrimaryItselfBelongsBelowTheOneThatItWillFind) {
    using enum topology::Reach;
    const auto both = std::vector{at("p"), at("q")};
    struct Case {
        const char* what;
        std::vector<Member> members;
        const char* expected;
    };
    const Case cases[] = {
        {"p is dead and nobody replaced it", {primary_on("p", 1, refused), seeker("s", "p", both)}, "p"},
        {"q replaced it",
         {primary_on("p", 1, refused), primary_on("q", 2, answering), seeker("s", "p", both)},
         "q"},
        {"p became a standby of q",
         {standby(at("p"), at("q")), primary_on("q", 2, answering), seeker("s", "p", both)},
         "q"},
        {"p writes, too: it may find either",
         {primary_on("p", 1, answering), primary_on("q", 2, answering), seeker("s", "p", both)},
         "p"},
        {"q is older than the dead p",
         {primary_on("p", 2, refused), primary_on("q", 1, answering), seeker("s", "p", both)},
         "p"},
        {"it does not list q",
         {primary_on("p", 1, refused), primary_on("q", 2, answering), seeker("s", "p", {at("p"), at("r")})},
         "p"},
    };
    for (const auto& c : cases) {
        Builder b;
        b.members = c.members;
        const auto cluster = b.build();
        EXPECT_EQ(cluster->find(at("s"))->upstream, at(c.expected)) << c.what;
        EXPECT_THAT(cluster->find(at(c.expected))->downstream, testing::Contains(at("s"))) << c.what;
    }
}

TEST(BuildCluster, APrimaryHasNoUpstreamWhateverIsRemembered) {
    Builder b;
    b.members = {primary(at("p"))};
    b.members[0].edge = at("old");
    EXPECT_EQ(b.build()->find(at("p"))->upstream, std::nullopt);
}

// ---- names

TEST(ClusterNames, AreThePrimarysAndStayWhileItIsAway) {
    Builder b;
    b.members = {standby(at("a"), at("p")), primary(at("p"))};
    auto cluster = b.build();
    EXPECT_EQ(cluster->name, "p:5432");
    EXPECT_EQ(cluster->alias, "p:5432") << "without an alias the name stands in";
    b.remember(*cluster);
    b.members.pop_back();
    cluster = b.build();
    EXPECT_EQ(cluster->name, "p:5432");
    EXPECT_THAT(cluster->former_names, IsEmpty());
}

TEST(ClusterNames, FormerOnesAreKeptOnceAndLastFirstOut) {
    Builder b;
    b.members = {primary(at("p"))};
    b.remember(*b.build());
    for (const auto* name : {"q", "r", "p", "q"}) {
        b.members = {primary(at(name))};
        b.remember(*b.build());
    }
    const auto cluster = b.build();
    EXPECT_EQ(cluster->name, "q:5432");
    EXPECT_THAT(cluster->former_names, ElementsAre("r:5432", "p:5432"));
}

TEST(ClusterNames, BeforeAnyPrimaryWasKnownTheFirstMembers) {
    Builder b;
    b.members = {standby(at("b"), at("x")), standby(at("a"), at("x"))};
    EXPECT_EQ(b.build()->name, "a:5432");
}

TEST(ClusterNames, AliasOfAnOperatorBeatsTheSuggestion) {
    Builder b;
    b.members = {primary(at("p"))};
    b.suggest_alias = [](const topology::Cluster& c) { return "alias-of-" + c.name; };
    EXPECT_EQ(b.build()->alias, "alias-of-p:5432");
    b.record.clusters[system_id] = {.id = system_id, .name = "p:5432", .alias = "shop"};
    EXPECT_EQ(b.build()->alias, "shop");
}

TEST(ClusterNames, OfTwoPrimariesTheHigherTimelineLeads) {
    Builder b;
    auto old = observed(topology::Role::primary);
    auto young = observed(topology::Role::primary);
    young.timeline = 2;
    b.members = {member(at("a"), old), member(at("b"), young)};
    EXPECT_EQ(b.build()->name, "b:5432");
}

// ---- what operators said

TEST(BuildCluster, CarriesTheRecordAndForgetsWhatIsOver) {
    const WallTime now(seconds(1'767'225'600));
    Builder b;
    b.members = {primary(at("p")), standby(at("s"), at("p"))};
    b.record.downtimes[at("p")] = {.owner = "ann", .reason = "disk", .begins = now, .ends = now + seconds(1)};
    b.record.downtimes[at("s")] = {.owner = "ann", .reason = "old", .begins = {}, .ends = now};
    b.record.maintenance[1] = {.id = 1, .key = at("s"), .span = {.owner = "bob", .ends = now + seconds(1)}};
    b.record.promotion_rules[at("s")] = {
        .key = at("s"), .rule = topology::PromotionRule::prefer, .expires = now + seconds(1)};
    b.record.promotion_rules[at("p")] = {
        .key = at("p"), .rule = topology::PromotionRule::must_not, .expires = now};
    b.record.tags[at("s")] = {{"role", "reporting"}, {"zone", ""}};
    const auto cluster = b.build();
    const auto* p = cluster->find(at("p"));
    const auto* s = cluster->find(at("s"));
    EXPECT_EQ(p->downtime->owner, "ann");
    EXPECT_FALSE(s->downtime);
    EXPECT_EQ(s->maintenance->owner, "bob");
    EXPECT_EQ(s->promotion_rule, topology::PromotionRule::prefer);
    EXPECT_TRUE(s->is_candidate);
    EXPECT_EQ(p->promotion_rule, topology::PromotionRule::neutral);
    EXPECT_FALSE(p->is_candidate);
    EXPECT_THAT(s->tags, ElementsAre(topology::Tag{"role", "reporting"}, topology::Tag{"zone", ""}));
}

// ---- lag

struct LagCase {
    const char* what;
    uint64_t received, replayed, latest_end;  ///< latest_end 0: no receiver
    std::optional<uint64_t> primary_written;
    bool primary_asked_before;
    std::optional<milliseconds> last_replayed_age;
    std::optional<uint64_t> receive_bytes, replay_bytes;
    std::optional<int64_t> lag_seconds;
};

TEST(MeasureLag, Table) {
    const LagCase cases[] = {
        {"idle and caught up: 0, however old the last transaction is", 500, 500, 500, 500, true,
         milliseconds(3'600'000), 0, 0, 0},
        {"idle since a restart: no transaction ever replayed", 500, 500, 500, 500, true, std::nullopt, 0, 0,
         0},
        {"behind in replay only", 500, 300, 500, 500, true, milliseconds(7200), 0, 200, 7},
        {"behind in both", 300, 200, 300, 500, true, milliseconds(2500), 200, 300, 2},
        {"the primary was asked later: what it wrote meanwhile is no lag", 500, 500, 500, 900, false,
         milliseconds(10), 0, 0, 0},
        {"the sender announced more than arrived", 400, 400, 600, 100, true, milliseconds(1500), 200, 200, 1},
        {"no receiver: against what the primary had", 400, 400, 0, 900, false, milliseconds(90'000), 500, 500,
         90},
        {"no receiver, but it has all", 900, 900, 0, 900, false, milliseconds(90'000), 0, 0, 0},
        {"nobody to compare with", 400, 400, 0, std::nullopt, false, milliseconds(5), std::nullopt,
         std::nullopt, std::nullopt},
        {"primary unknown, the sender says all arrived", 400, 300, 400, std::nullopt, false,
         milliseconds(4000), 0, 100, 4},
        {"a little in flight, and nothing was ever replayed to tell an age by", 500, 300, 500, 500, true,
         std::nullopt, 0, 200, 0},
    };
    for (const auto& c : cases) {
        auto s = standby_of(at("p"));
        s.received = Lsn{c.received};
        s.replayed = Lsn{c.replayed};
        s.last_replayed_age = c.last_replayed_age;
        if (c.latest_end == 0) {
            s.receiver.reset();
        } else {
            s.receiver->latest_end = Lsn{c.latest_end};
        }
        auto p = observed(topology::Role::primary);
        p.written = Lsn{c.primary_written.value_or(0)};
        p.answered_at =
            c.primary_asked_before ? s.asked_at - milliseconds(1) : s.answered_at + milliseconds(1);
        const auto lag = measure_lag(s, c.primary_written ? &p : nullptr);
        EXPECT_EQ(lag.receive_bytes, c.receive_bytes) << c.what;
        EXPECT_EQ(lag.replay_bytes, c.replay_bytes) << c.what;
        EXPECT_EQ(lag.seconds, c.lag_seconds) << c.what;
    }
}

TEST(MeasureLag, LagsNoLongerThanItHasBeenSeenBehind) {
    auto s = standby_of(at("p"));
    s.received = Lsn{500};
    s.replayed = Lsn{300};
    s.receiver->latest_end = Lsn{500};
    s.last_replayed_age = milliseconds(3'600'000);
    EXPECT_EQ(measure_lag(s, nullptr, milliseconds(1200)).seconds, 1) << "an hour without commits is no lag";
    EXPECT_EQ(measure_lag(s, nullptr).seconds, 3600);
}

TEST(MeasureLag, APrimaryOfAnOlderTimelineIsNoMeasure) {
    auto s = standby_of(at("p"));
    s.timeline = 2;
    s.received = s.replayed = Lsn{100};
    s.receiver->latest_end = Lsn{100};
    auto p = observed(topology::Role::primary);
    p.written = Lsn{900};
    p.answered_at = s.asked_at - milliseconds(1);
    EXPECT_EQ(measure_lag(s, &p).receive_bytes, 0U);
}

TEST(BuildCluster, ThePrimaryItselfIsNeverBehind) {
    Builder b;
    b.members = {primary(at("p"))};
    EXPECT_EQ(b.build()->find(at("p"))->lag.seconds, 0);
}

// ---- identity

TEST(ServerIdentity, IsStartTimePortDirectoryAndSystem) {
    auto a = observed(topology::Role::primary);
    a.started_at_us = 7;
    a.port = 5432;
    a.data_directory = "/data";
    auto b = a;
    EXPECT_EQ(server_id(a), server_id(b));
    b.started_at_us = 8;
    EXPECT_NE(server_id(a), server_id(b));
    b = a;
    b.port = 5433;
    EXPECT_NE(server_id(a), server_id(b));
    b = a;
    b.data_directory = "/other";
    EXPECT_NE(server_id(a), server_id(b));
}

}  // namespace
}  // namespace baton::discovery
