#include <gtest/gtest.h>

#include "v1_harness.h"

namespace baton::http {
namespace {

using namespace baton::http::testing;

std::string tree(V1World& world, const std::string& route) {
    return std::string(world.json(route + "/shop").at("Details").as_string());
}

std::vector<topology::Instance> cascade() {
    auto db2 = sample_standby("db2:5432");
    auto db10 = sample_standby("db10:5432", "db2:5432");
    db10.depth = 2;
    db10.lag.seconds = 120;
    db2.tags = {{"role", "reporting"}, {"backup", ""}};
    return {sample_primary(), db2, sample_standby("db3:5432"), db10};
}

TEST(V1TopologyText, Plain) {
    V1World world;
    EXPECT_EQ(world.message("topology/shop"), "Topology for cluster db1:5432");
    EXPECT_EQ(tree(world, "topology"),
              "db1:5432   [0s,ok,15.18,rw,>>]\n"
              "+ db2:5432 [0s,ok,15.18,ro,>>]\n"
              "+ db3:5432 [0s,ok,15.18,ro,>>]");
}

TEST(V1TopologyText, Cascade) {
    V1World world;
    world.set_instances(cascade());
    EXPECT_EQ(tree(world, "topology"),
              "db1:5432      [0s,ok,15.18,rw,>>]\n"
              "+ db2:5432    [0s,ok,15.18,ro,>>]\n"
              "  + db10:5432 [120s,lag,15.18,ro,>>]\n"
              "+ db3:5432    [0s,ok,15.18,ro,>>]");
}

TEST(V1TopologyText, Tabulated) {
    V1World world;
    world.set_instances(cascade());
    EXPECT_EQ(tree(world, "topology-tabulated"),
              "db1:5432     |  0s|ok |15.18|rw||>>\n"
              "+ db2:5432   |  0s|ok |15.18|ro||>>\n"
              "  + db10:5432|120s|lag|15.18|ro||>>\n"
              "+ db3:5432   |  0s|ok |15.18|ro||>>");
}

TEST(V1TopologyText, Tags) {
    V1World world;
    world.set_instances(cascade());
    EXPECT_EQ(tree(world, "topology-tags"),
              "db1:5432      [0s,ok,15.18,rw,>>] []\n"
              "+ db2:5432    [0s,ok,15.18,ro,>>] [backup,role=reporting]\n"
              "  + db10:5432 [120s,lag,15.18,ro,>>] []\n"
              "+ db3:5432    [0s,ok,15.18,ro,>>] []");
}

TEST(V1TopologyText, WhatIsWrongShows) {
    V1World world;
    auto primary = sample_primary();
    primary.health.reach = topology::Reach::refused;
    auto silent = sample_standby("db2:5432");
    silent.health.last_attempt = sample_now - seconds(30);
    auto lost = sample_standby("db3:5432");
    auto seen = *lost.seen;
    seen.receiver.reset();
    lost.seen = std::make_shared<const topology::Observation>(seen);
    lost.downtime = topology::Downtime{"ops", "test", sample_wall - seconds(1), sample_wall + seconds(60)};
    world.set_instances({primary, silent, lost});
    EXPECT_EQ(tree(world, "topology"),
              "db1:5432   [unknown,invalid,15.18,rw,>>]\n"
              "- db2:5432 [unknown,unchecked,15.18,ro,>>]\n"
              "- db3:5432 [null,nonreplicating,15.18,ro,>>,downtimed]");
}

TEST(V1TopologyText, RingAndOrphanAreStillShown) {
    V1World world;
    world.set_instances({sample_primary(), sample_standby("db2:5432", "db3:5432"),
                         sample_standby("db3:5432", "db2:5432"), sample_standby("db4:5432", "gone:5432")});
    EXPECT_EQ(tree(world, "topology"),
              "db1:5432   [0s,ok,15.18,rw,>>]\n"
              "db4:5432   [0s,ok,15.18,ro,>>]\n"
              "db2:5432   [0s,ok,15.18,ro,>>]\n"
              "+ db3:5432 [0s,ok,15.18,ro,>>]");
}

}  // namespace
}  // namespace baton::http
