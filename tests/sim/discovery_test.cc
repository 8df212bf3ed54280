// What the manager finds from a few seeds, and under which names.
#include "scenario.h"

namespace baton::sim {
namespace {

using testing::ElementsAre;

std::string seeds(const std::string& list, const std::string& more = {}) {
    return recovers_all_and("\"DiscoverySeeds\": [" + list + "]" + more);
}

/// "name/depth" of all instances of all clusters, by cluster, depth and key.
std::vector<std::string> tree(World& world) {
    std::vector<std::string> all;
    for (const auto& [id, cluster] : world.manager().view()->topology->clusters) {
        for (const auto& i : cluster->instances)
            all.push_back(i->key.text() + "/" + std::to_string(i->depth));
    }
    return all;
}

/// Standbys name themselves host:port, as advised.
void name_themselves(World& world, const std::vector<std::string>& names) {
    for (const auto& name : names)
        world[name].conninfo.application_name = world[name].key().text();
}

TEST(Discovery, DownwardsFromThePrimary) {
    World world(1, seeds(R"("p")"));
    world.primary("p");
    world.standby("a");
    world.standby("b", "a", 5440);
    name_themselves(world, {"a", "b"});
    begin(world, true);
    EXPECT_THAT(tree(world), ElementsAre("p:5432/0", "a:5432/1", "b:5440/2"));
}

TEST(Discovery, UpwardsFromALeafAndDownAgain) {
    World world(1, seeds(R"("c")"));
    world.primary("p");
    world.standby("a");
    world.standby("b", "a");
    world.standby("c", "b");
    world.standby("d");
    name_themselves(world, {"d"});
    begin(world, true);
    EXPECT_THAT(tree(world), ElementsAre("p:5432/0", "a:5432/1", "d:5432/1", "b:5432/2", "c:5432/3"));
}

TEST(Discovery, OfAPrimaryThatIsGoneTheTreeStays) {
    World world(1, seeds(R"("p")"));
    world.primary("p");
    world.standby("a");
    world.standby("b");
    name_themselves(world, {"a", "b"});
    begin(world, true);
    world["a"].forbidden = world["b"].forbidden = {"promote"};
    world["p"].kill();
    world.run_for(seconds(20));
    EXPECT_THAT(tree(world), ElementsAre("p:5432/0", "a:5432/1", "b:5432/1"));
}

TEST(Discovery, OneServerByTwoNamesIsOneInstance) {
    World world(1, seeds(R"("p", "vip", "a", "b", "10.0.0.12")"));
    world.primary("p");
    world.standby("a");
    world.standby("b");
    world.alias("p", "vip");
    begin(world, true);
    EXPECT_EQ(tree(world).size(), 3U);
    const auto topology = world.manager().view()->topology;
    EXPECT_EQ(topology->find_instance({"vip", 5432})->key, topology->find_instance(at("p"))->key);
    EXPECT_EQ(topology->find_instance({"10.0.0.12", 5432})->key, topology->find_instance(at("a"))->key);
}

TEST(Discovery, StandbysThatFollowAnAddressFollowTheServer) {
    World world(1, seeds(R"("p", "10.0.0.11", "a")"));
    world.primary("p");
    world.standby("a").conninfo.hosts = {{"10.0.0.11", 5432}};
    begin(world, true);
    const auto topology = world.manager().view()->topology;
    EXPECT_EQ(topology->find_instance(at("a"))->upstream, topology->find_instance(at("p"))->key);
    EXPECT_EQ(tree(world).size(), 2U);
    world["p"].kill();
    world.run_for(seconds(5));
    EXPECT_TRUE(world["a"].accepts_writes()) << world.trace().text();
}

TEST(Discovery, StandbysOnOtherPorts) {
    World world(1, seeds(R"("p", "a")", R"(, "DiscoveryPortCandidates": ["5440", "5441"])"));
    world.primary("p");
    world.standby("a", {}, 5441);
    world.start_manager();
    EXPECT_TRUE(world.settle()) << world.trace().text();
    EXPECT_THAT(tree(world), ElementsAre("p:5432/0", "10.0.0.12:5441/1"));
}

TEST(Discovery, ANameThatLeadsNowhereIsFollowedByTheAddress) {
    World world(1, seeds(R"("p")"));
    world.primary("p");
    world.standby("a").conninfo.application_name = "rack:7";
    begin(world, true);
    EXPECT_THAT(tree(world), ElementsAre("p:5432/0", "10.0.0.12:5432/1"));
}

TEST(Discovery, FiltersLeaveOut) {
    World world(1, seeds(R"("p")", R"(, "DiscoveryIgnoreReplicaHostnameFilters": ["^10[.]", "^cdc"])"));
    world.primary("p");
    world.standby("a");
    world.standby("cdc");
    name_themselves(world, {"a", "cdc"});
    world.start_manager();
    world.run_for(seconds(20));
    EXPECT_THAT(tree(world), ElementsAre("p:5432/0", "a:5432/1"));
}

TEST(Discovery, TwoSystemsAreTwoClustersAndFailOverApart) {
    World world(1, seeds(R"("p", "q")"));
    world.primary("p");
    world.standby("a");
    world.primary("q", "7300000000000000002");
    world.standby("b", "q");
    name_themselves(world, {"a", "b"});
    begin(world, true);
    EXPECT_THAT(tree(world), ElementsAre("p:5432/0", "a:5432/1", "q:5432/0", "b:5432/1"));
    world["p"].kill();
    world["q"].kill();
    world.run_for(seconds(5));
    EXPECT_EQ(world.writable(), (std::vector<std::string>{"a", "b"})) << world.trace().text();
    EXPECT_EQ(world.promotions(), 2);
}

TEST(Discovery, KnowsEverybodyAfterARestartBeforeItAskedThem) {
    auto world = three_servers();
    begin(*world, true);
    world->kill_manager();
    (*world)["p"].kill();
    world->start_manager();
    world->run_for(milliseconds(50));
    EXPECT_THAT(tree(*world), ElementsAre("p:5432/0", "s1:5432/1", "s2:5432/1"));
}

TEST(Discovery, TheClusterKeepsItsFormerNames) {
    auto world = three_servers();
    begin(*world, true);
    (*world)["p"].kill();
    world->run_for(seconds(5));
    const auto topology = world->manager().view()->topology;
    const auto cluster = topology->find_cluster("p:5432");
    ASSERT_TRUE(cluster);
    EXPECT_EQ(cluster->name, "s1:5432");
    EXPECT_THAT(cluster->former_names, ElementsAre("p:5432"));
}

TEST(Discovery, AServerThatWasReplacedUnderItsNameIsAnotherServer) {
    auto world = three_servers();
    begin(*world, true);
    (*world)["s2"].kill();
    world->run_for(seconds(2));
    (*world)["s2"].start();
    world->run_for(seconds(3));
    EXPECT_THAT(tree(*world), ElementsAre("p:5432/0", "s1:5432/1", "s2:5432/1"));
}

/// What standbys are judged by.
TEST(Discovery, TheHistoryOfTheLeaderStaysWhileAStalePrimaryAnswers) {
    auto world = three_servers(R"({"ProviderType": "postgresql"})");
    world->run_for(seconds(1));
    auto &p = (*world)["p"], &s1 = (*world)["s1"], &s2 = (*world)["s2"];
    p.kill();
    world->run_for(seconds(1));
    ASSERT_TRUE(s1.request_promotion());
    s1.create_slot("s2_slot", [](const auto&) {});
    world->run_for(seconds(1));
    s2.follow({.upstream = at("s1")}, [](const auto&) {});
    ASSERT_TRUE(world->run_until([&] { return s2.streaming() && s2.timeline() == 2; }, seconds(10)));
    ASSERT_TRUE(s2.request_promotion());
    world->run_for(seconds(1));
    ASSERT_EQ(world->writable(), (std::vector<std::string>{"s1", "s2"}));
    ASSERT_EQ(s2.timeline(), 3U);
    world->start_manager();
    const auto read = [&]() -> topology::Timeline {
        const auto cluster = world->manager().view()->topology->find_cluster("s2:5432");
        return cluster && cluster->history ? cluster->history->timeline : 0;
    };
    ASSERT_TRUE(world->run_until([&] { return read() == 3; }, seconds(10))) << world->trace().text();
    EXPECT_FALSE(world->run_until([&] { return read() != 3; }, seconds(10)))
        << "ten polls of both, and now it is that of timeline " << read();
}

TEST(Discovery, ManagersThatSeeTheSameWorldShowTheSameTree) {
    std::vector<std::string> first;
    for (uint64_t seed = 1; seed <= 5; ++seed) {
        World world(seed, seeds(R"("p")"));
        world.primary("p");
        for (const auto* name : {"d", "b", "c", "a"})
            world.standby(name);
        name_themselves(world, {"d", "b", "c", "a"});
        begin(world, true);
        if (first.empty()) first = tree(world);
        EXPECT_EQ(tree(world), first);
    }
}

}  // namespace
}  // namespace baton::sim
