#pragma once

#include <gtest/gtest.h>

#include <span>
#include <string>

#include "plan/plan.h"
#include "topology/world.h"

/// Who is chosen in a small cluster whose primary p has failed, in words.
namespace baton::plan {

using sample::key;
using sample::lsn;
using sample::make_cluster;
using sample::now;
using sample::World;
using topology::Observation;
using topology::PromotionRule;
using topology::Reach;

/// p died; s1, s2 and s3 followed it and have the same WAL.
inline World dead_primary() {
    return make_cluster().primary("p").standby("s1").standby("s2").standby("s3").dies("p");
}

inline Choice choose(const World& world, const Policy& policy = {}, const char* requested = "",
                     bool forced = false) {
    std::optional<InstanceKey> wanted;
    if (*requested != '\0') wanted = key(requested);
    return choose_candidate(world.build(), key("p"), policy, wanted, forced, now);
}

/// "s2 from s1; s1:lower-preference s3:less-advanced"
inline std::string summary(const Choice& choice) {
    std::string text = choice.chosen ? choice.chosen->host : "nobody";
    if (choice.donor) text += " from " + choice.donor->host;
    text += ";";
    for (const auto& r : choice.rejected)
        text += " " + r.instance.host + ":" + std::string(to_string(r.reason));
    return text;
}

struct Case {
    const char* name;
    World world;
    const char* expected;
    Policy policy = {};
    const char* requested = "";
    bool forced = false;
};

inline void check(std::span<const Case> cases) {
    for (const auto& c : cases) {
        const auto choice = choose(c.world, c.policy, c.requested, c.forced);
        EXPECT_EQ(summary(choice), c.expected) << c.name;
        EXPECT_FALSE(choice.why.empty()) << c.name;
        for (const auto& r : choice.rejected)
            EXPECT_FALSE(r.detail.empty()) << c.name << ": " << r.instance.text();
    }
}

}  // namespace baton::plan
