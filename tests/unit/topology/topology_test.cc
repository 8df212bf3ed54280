#include "topology/topology.h"

#include <gtest/gtest.h>

#include "topology/world.h"

namespace baton::topology {
namespace {

using baton::sample::key;
using baton::sample::make_cluster;
using baton::sample::system_id;

TEST(PromotionRule, reads_back_its_own_names) {
    using enum PromotionRule;
    for (const auto rule : {must, prefer, neutral, prefer_not, must_not}) {
        EXPECT_EQ(parse_promotion_rule(to_string(rule)), rule);
    }
    EXPECT_EQ(parse_promotion_rule("Must"), std::nullopt);
    EXPECT_EQ(parse_promotion_rule(""), std::nullopt);
}

TEST(Cluster, finds_a_server_by_any_proven_name) {
    const auto cluster = make_cluster()
                             .primary("p")
                             .with([](Instance& i, Observation&) { i.aliases = {{"10.0.0.1", 5432}}; })
                             .standby("s")
                             .build();
    EXPECT_EQ(cluster.find({"10.0.0.1", 5432})->key, key("p"));
    EXPECT_EQ(cluster.find({"10.0.0.1", 5433}), nullptr);
}

TEST(Cluster, leads_who_has_the_highest_timeline) {
    struct {
        std::string_view name;
        sample::World world;
        std::string_view leader;
    } const cases[] = {
        {"only one", make_cluster().primary("a").standby("b"), "a"},
        {"stale one answers, the new one does not",
         make_cluster().primary("a").primary("b").timeline(2).down(), "b"},
        {"same timeline: who answers", make_cluster().primary("a").down().primary("b"), "b"},
        {"same timeline, both answer: who has replicas",
         make_cluster().primary("b").primary("a").standby("s", "a"), "a"},
    };
    for (const auto& c : cases) {
        const auto cluster = c.world.build();
        ASSERT_NE(cluster.primary(), nullptr) << c.name;
        EXPECT_EQ(cluster.primary()->key.host, c.leader) << c.name;
    }
    EXPECT_EQ(make_cluster().standby("s", "x").build().primary(), nullptr);
}

TEST(Cluster, of_two_primaries_one_leads_before_the_other) {
    const auto two = [] { return make_cluster().primary("a").primary("b"); };
    const struct {
        const char* name;
        sample::World world;
        const char* first;  ///< "": neither
    } cases[] = {
        {"alike", two(), ""},
        {"the higher timeline", two().timeline(2), "b"},
        {"though it does not answer", two().timeline(2).down(), "b"},
        {"though the other is followed", two().timeline(2).standby("s", "a"), "b"},
        {"the one that answers", two().down(), "a"},
        {"though the other is followed", two().standby("s", "b").on("b").down(), "a"},
        {"the one that is followed", two().standby("s", "b"), "b"},
        {"both are followed", two().standby("s", "b").standby("t", "a").standby("u", "a"), ""},
        {"neither answers: the one that is followed",
         two().standby("s", "a").on("a").down().on("b").down(Reach::silent), "a"},
        {"one was never seen", two().on("a").never_seen(), "b"},
        {"though the other does not answer", two().down().on("a").never_seen(), "b"},
        {"neither was ever seen: the one that answers", two().never_seen().on("a").down().never_seen(), "b"},
    };
    for (const auto& c : cases) {
        const auto cluster = c.world.build();
        const auto &a = *cluster.find(key("a")), &b = *cluster.find(key("b"));
        EXPECT_EQ(leads_before(a, b), std::string_view(c.first) == "a") << c.name;
        EXPECT_EQ(leads_before(b, a), std::string_view(c.first) == "b") << c.name;
        EXPECT_FALSE(leads_before(a, a) || leads_before(b, b)) << c.name;
    }
}

TEST(Cluster, knows_who_is_below_whom) {
    const auto cluster = make_cluster()
                             .primary("p")
                             .standby("s1")
                             .standby("s2", "s1")
                             .standby("s3", "s2")
                             .standby("t")
                             .build();
    EXPECT_TRUE(cluster.is_below(key("s3"), key("p")));
    EXPECT_TRUE(cluster.is_below(key("s3"), key("s1")));
    EXPECT_TRUE(cluster.is_below(key("s3"), key("s3")));
    EXPECT_FALSE(cluster.is_below(key("s1"), key("s3")));
    EXPECT_FALSE(cluster.is_below(key("t"), key("s1")));
    EXPECT_FALSE(cluster.is_below(key("nobody"), key("p")));
    EXPECT_EQ(cluster.replicas_of(key("p")).size(), 2U);
}

TEST(Cluster, a_circle_of_standbys_does_not_hang) {
    const auto cluster = make_cluster().standby("a", "b").standby("b", "a").standby("c", "c").build();
    EXPECT_TRUE(cluster.is_below(key("a"), key("b")));
    EXPECT_FALSE(cluster.is_below(key("a"), key("c")));
    EXPECT_FALSE(cluster.is_below(key("c"), key("a")));
}

Topology one_cluster() {
    auto cluster = std::make_shared<Cluster>(
        make_cluster()
            .primary("p")
            .with([](Instance& i, Observation&) { i.aliases = {{"10.0.0.1", 5432}}; })
            .standby("s")
            .build());
    cluster->alias = "shop";
    Topology topology;
    topology.clusters.emplace(system_id, cluster);
    for (const auto& k : {key("p"), key("s"), InstanceKey{"10.0.0.1", 5432}})
        topology.cluster_of.emplace(k, system_id);
    for (const auto* name : {"p:5432", "old:5432", "shop", "shop.example.com"})
        topology.names.emplace(name, system_id);
    return topology;
}

TEST(Topology, finds_a_cluster_by_every_hint_that_people_use) {
    const auto topology = one_cluster();
    for (const auto& hint :
         {system_id, std::string("p:5432"), std::string("old:5432"), std::string("old"), std::string("shop"),
          std::string("shop.example.com"), std::string("s:5432"), std::string("s"), std::string("S:5432"),
          std::string("10.0.0.1"), std::string("10.0.0.1:5432")}) {
        EXPECT_NE(topology.find_cluster(hint, 5432), nullptr) << hint;
    }
    for (const auto* hint : {"", "nobody", "p:5433", "p:x", "shop2"}) {
        EXPECT_EQ(topology.find_cluster(hint, 5432), nullptr) << hint;
    }
    EXPECT_EQ(topology.find_cluster("s"), nullptr) << "no default port, so a bare host says too little";
}

TEST(Topology, finds_an_instance_by_alias_and_counts) {
    const auto topology = one_cluster();
    EXPECT_EQ(topology.find_instance({"10.0.0.1", 5432})->key, key("p"));
    EXPECT_EQ(topology.find_instance(key("x")), nullptr);
    EXPECT_EQ(topology.instance_count(), 2U);
    EXPECT_EQ(topology.cluster("x"), nullptr);
}

}  // namespace
}  // namespace baton::topology
