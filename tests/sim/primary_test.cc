#include "scenario.h"

namespace baton::sim {
namespace {

TEST(PrimaryFaults, Scenario1PostmasterKilled) {
    auto world = three_nodes();
    (*world)["p"].kill();
    world->run_for(seconds(10));
    expect_healthy(*world, {"s1", "s2"});
    expect_golden(*world, "01_postmaster_killed");
}

}  // namespace
}  // namespace baton::sim
