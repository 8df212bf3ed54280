#include "analysis/evidence.h"

#include <gtest/gtest.h>

#include "topology/world.h"

namespace baton::analysis {
namespace {

using sample::key;
using sample::make_cluster;
using sample::World;
using topology::Reach;

/// old was primary on timeline 1; a and b were promoted, to timeline 2 unless a word says otherwise.
World replaced() {
    return make_cluster().primary("old").primary("a").timeline(2).primary("b").timeline(2);
}

TEST(Successor, is_the_one_that_leads) {
    const auto unseen = [](topology::Timeline timeline) {
        return make_cluster()
            .primary("old")
            .never_seen()
            .standby("s", "old")
            .timeline(timeline)
            .primary("a")
            .timeline(2);
    };
    const struct {
        const char* name;
        World world;
        const char* successor;  ///< "": nobody
    } cases[] = {
        {"the higher number", replaced().on("b").timeline(3), "b"},
        {"though it does not answer", replaced().on("b").timeline(3).down(), "b"},
        {"one number: the one that answers", replaced().on("a").down(), "b"},
        {"one number, the other order", replaced().on("b").down(), "a"},
        {"one number: the one that is followed", replaced().standby("s", "b"), "b"},
        {"one number, followed, the other order", replaced().standby("s", "a"), "a"},
        {"to answer counts more than to be followed", replaced().standby("s", "a").on("a").down(), "b"},
        {"one number, neither answers: the one that is followed",
         replaced().standby("s", "b").on("a").down().on("b").down(Reach::silent), "b"},
        {"nobody on a higher one", make_cluster().primary("old").primary("a"), ""},
        {"only on a lower one", make_cluster().primary("old").timeline(3).primary("a").timeline(2), ""},
        {"nobody else", make_cluster().primary("old").standby("s"), ""},
        {"the higher one was never seen", make_cluster().primary("old").primary("a").timeline(2).never_seen(),
         ""},
        {"never seen: its standbys are on an earlier timeline", unseen(1), "a"},
        {"never seen: its standbys are on that timeline", unseen(2), ""},
    };
    for (const auto& c : cases) {
        const auto cluster = c.world.build();
        const auto* successor = successor_of(cluster, *cluster.find(key("old")));
        EXPECT_EQ(successor == nullptr ? "" : successor->key.host, c.successor) << c.name;
        if (successor != nullptr) EXPECT_EQ(successor, cluster.primary()) << c.name << ": one view of it";
    }
}

}  // namespace
}  // namespace baton::analysis
