#include "scenario.h"

#include <spdlog/spdlog.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

namespace baton::sim {
namespace {

/// The core logs what it does; here the trace shows it.
[[maybe_unused]] const bool quiet = [] {
    spdlog::set_level(std::getenv("BATON_SIM_LOG") != nullptr ? spdlog::level::debug : spdlog::level::off);
    return true;
}();

}  // namespace

std::string recovers_all_and(const std::string& members) {
    auto text = recovers_all;
    text.insert(text.size() - 1, ", " + members);
    return text;
}

WorldPtr three_servers(const std::string& config, uint64_t seed) {
    auto world = std::make_unique<World>(seed, config);
    world->primary("p");
    world->standby("s1");
    world->standby("s2");
    return world;
}

void begin(World& world, bool idle) {
    if (!idle) world.client();
    world.start_manager();
    EXPECT_TRUE(world.settle()) << world.trace().text();
}

WorldPtr three_nodes(const std::string& config, uint64_t seed) {
    auto world = three_servers(config, seed);
    begin(*world);
    return world;
}

void expect_golden(World& world, const std::string& name) {
    const auto path = std::string(BATON_GOLDEN_DIR) + "/" + name + ".txt";
    if (std::getenv("BATON_UPDATE_GOLDEN") != nullptr) {
        std::ofstream(path) << world.trace().text();
        return;
    }
    std::ostringstream expected;
    expected << std::ifstream(path).rdbuf();
    EXPECT_EQ(world.trace().text(), expected.str()) << "golden timeline " << path;
}

void expect_healthy(World& world, const std::vector<std::string>& members) {
    const auto writable = world.writable();
    ASSERT_EQ(writable.size(), 1U) << world.trace().text();
    for (const auto& name : members) {
        auto& server = world[name];
        if (server.key().host == writable[0]) continue;
        EXPECT_TRUE(server.streaming()) << name << " does not stream\n" << world.trace().text();
        EXPECT_EQ(server.timeline(), world[writable[0]].timeline()) << name << "\n" << world.trace().text();
    }
    EXPECT_THAT(world.missing_on(writable[0]), testing::IsEmpty()) << world.trace().text();
    if (world.manager_runs()) EXPECT_FALSE(world.recovery_open()) << world.trace().text();
}

}  // namespace baton::sim
