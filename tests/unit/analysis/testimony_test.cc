#include <gtest/gtest.h>

#include "analysis/problem.h"
#include "topology/world.h"

namespace baton::analysis {
namespace {

using sample::key;
using sample::make_cluster;
using sample::now;
using sample::World;
using topology::Reach;
using topology::Receiver;

/// The primary p is suspect for 12 ms; the last failed attempt to reach it began 6 ms ago. s was asked 2 ms
/// ago.
World suspicion() {
    return make_cluster().primary("p").standby("s").on("p").down(Reach::silent).on("s");
}

TEST(Testimony, follows_from_what_the_standby_saw_and_when) {
    struct {
        const char* name;
        World world;
        Testimony expected;
    } const cases[] = {
        {"no receiver", suspicion().not_streaming(), Testimony::agrees},
        {"receiver waits", suspicion().with([](auto&, auto& o) { o.receiver->status = "waiting"; }),
         Testimony::agrees},
        {"streams from another server", suspicion().with([](auto& i, auto&) { i.upstream = key("x"); }),
         Testimony::agrees},
        {"message after the last attempt began", suspicion().last_message(milliseconds(5)),
         Testimony::vetoes},
        {"message just before it", suspicion().last_message(milliseconds(7)), Testimony::undecided},
        {"message at its very start", suspicion().last_message(milliseconds(6)), Testimony::undecided},
        {"idle for half a minute", suspicion().last_message(seconds(30)), Testimony::undecided},
        {"age of the message unknown",
         suspicion().with([](auto&, auto& o) { o.receiver->last_message_age.reset(); }),
         Testimony::undecided},
        {"asked before the suspicion, answered after it began",
         suspicion().not_streaming().with([](auto&, auto& o) { o.asked_at = now - milliseconds(13); }),
         Testimony::unheard},
        {"asked before the suspicion", suspicion().not_asked_since(), Testimony::unheard},
        {"lost its receiver, but was asked before", suspicion().not_streaming().not_asked_since(),
         Testimony::unheard},
        {"unreachable itself", suspicion().down(), Testimony::unheard},
        {"never seen", suspicion().never_seen(), Testimony::unheard},
        {"blind", suspicion().not_streaming().with([](auto&, auto& o) { o.can_see_all = false; }),
         Testimony::unheard},
    };
    for (const auto& c : cases) {
        const auto cluster = c.world.build();
        EXPECT_EQ(testimony(*cluster.find(key("s")), *cluster.find(key("p"))), c.expected) << c.name;
    }
}

TEST(Testimony, knows_the_primary_by_its_other_names) {
    auto world = suspicion().last_message(milliseconds(1)).with([](auto& i, auto&) {
        i.upstream = {"10.0.0.1", 5432};
    });
    world.on("p").with([](auto& i, auto&) { i.aliases = {{"10.0.0.1", 5432}}; });
    const auto cluster = world.build();
    EXPECT_EQ(testimony(*cluster.find(key("s")), *cluster.find(key("p"))), Testimony::vetoes);
}

}  // namespace
}  // namespace baton::analysis
