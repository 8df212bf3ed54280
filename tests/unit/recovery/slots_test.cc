#include "recovery/slots.h"

#include <gmock/gmock.h>

#include "fleet/fake_clock.h"
#include "recovery/fake_agents.h"

namespace baton::recovery::testing {
namespace {

using fleet::testing::FakeClock;
using sample::key;
using sample::lsn;
using sample::make_cluster;
using sample::World;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using topology::Observation;

World two() {
    auto world = make_cluster().primary("p").written("4/0").with(
        [](auto&, Observation& o) { o.slots = {{.name = "s", .active = true}}; });
    world.standby("s").slot("s").received("4/0");
    return world;
}

class SlotKeeperTest : public ::testing::Test {
  protected:
    ~SlotKeeperTest() override { keeper->stop(); }

    void connect(const char* name) {
        agents.seen[key(name)].connected = true;
        agents.seen[key(name)].status.key = key(name);
    }
    void look(const World& world) {
        clock.advance(seconds(5));
        keeper->consider(std::make_shared<topology::Cluster>(world.build()));
        clock.settle();
    }
    std::vector<std::string> remembered() const {
        std::vector<std::string> all;
        for (const auto& [id, slot] : store->state().member_slots)
            all.push_back(slot.name + " on " + slot.holder.host);
        return all;
    }

    /// Time goes on while one looks.
    struct MovingClock : FakeClock {
        MonoTime now() const override { return FakeClock::now() + std::chrono::microseconds(++looks); }
        mutable int64_t looks = 0;
    };

    MovingClock clock;
    Log log;
    FakeEngine engine{log};
    FakeAgents agents{log};
    std::unique_ptr<store::Store> store = store::make_memory_store(clock);
    std::shared_ptr<SlotKeeper> keeper = std::make_shared<SlotKeeper>(
        SlotKeeper::Means{.clock = clock, .engine = engine, .store = *store, .agents = agents},
        SlotOptions{});
};

TEST_F(SlotKeeperTest, works_only_where_every_member_that_answers_has_an_agent) {
    look(two());
    connect("p");
    look(two());
    EXPECT_THAT(log, IsEmpty());
    EXPECT_THAT(remembered(), IsEmpty());
    connect("s");
    look(two());
    EXPECT_THAT(log, ElementsAre("s: create-slot p"));
    EXPECT_THAT(remembered(), ElementsAre("s on p", "p on s"));
    // A member that died with its host stays a member.
    agents.seen.erase(key("s"));
    auto half = two();
    half.on("s").down();
    look(half);
    EXPECT_EQ(log.size(), 1U);
    EXPECT_EQ(remembered().size(), 2U);
}

TEST_F(SlotKeeperTest, works_everywhere_or_nowhere_if_told_so) {
    keeper->set_options({.where = SlotUpkeepWhere::nowhere});
    connect("p");
    connect("s");
    look(two());
    keeper->set_options({.manage = false});
    look(two());
    EXPECT_THAT(log, IsEmpty());
    agents.seen.clear();
    keeper->set_options({.where = SlotUpkeepWhere::everywhere});
    look(two());
    EXPECT_THAT(log, ElementsAre("s: create-slot p"));
}

TEST_F(SlotKeeperTest, moves_what_it_made) {
    keeper->set_options({.where = SlotUpkeepWhere::everywhere});
    look(two());
    auto later = two();
    later.on("s").with([](auto&, Observation& o) { o.slots = {{.name = "p", .restart = lsn("3/0")}}; });
    look(later);
    EXPECT_EQ(log.back(), "s: advance-slot p 3/C0000000");
}

TEST_F(SlotKeeperTest, drops_what_belongs_to_somebody_who_is_gone) {
    keeper->set_options({.where = SlotUpkeepWhere::everywhere, .member_ttl = seconds(60)});
    look(two());
    auto alone = two();
    alone.on("s").down().on("p").with(
        [](auto&, Observation& o) { o.slots = {{.name = "s", .restart = lsn("1/0")}}; });
    look(alone);
    EXPECT_EQ(log.size(), 1U);
    for (int i = 0; i < 12; ++i)
        look(alone);
    EXPECT_EQ(log.back(), "p: drop-slot s");
    EXPECT_THAT(remembered(), ElementsAre("p on s"));
    EXPECT_THAT(store->state().audit.rbegin()->second.message, HasSubstr("has not been seen for"));
}

TEST_F(SlotKeeperTest, counts_on_while_nothing_can_be_done) {
    keeper->set_options({.where = SlotUpkeepWhere::everywhere, .member_ttl = seconds(60)});
    look(two());
    auto alone = two();
    alone.on("s").down().on("p").with(
        [](auto&, Observation& o) { o.slots = {{.name = "s", .restart = lsn("1/0")}}; });
    auto nobody = alone;
    nobody.on("p").down();
    for (int i = 0; i < 12; ++i)
        look(nobody);
    look(alone);
    EXPECT_EQ(log.back(), "p: drop-slot s");
}

TEST_F(SlotKeeperTest, clears_what_a_former_primary_still_has) {
    keeper->set_options({.where = SlotUpkeepWhere::everywhere});
    auto world = two();
    const auto logical = [](auto&, Observation& o) {
        o.version_num = 170010;
        o.slots.push_back({.name = "cdc", .physical = false});
    };
    world.on("p").with(logical).on("s").with(logical).with([](auto&, Observation& o) {
        o.slots.push_back({.name = "of_its_own", .physical = false});
        o.slots.push_back({.name = "p"});
    });
    look(world);
    EXPECT_THAT(log, ElementsAre("s: drop-left-over cdc"));
    EXPECT_THAT(store->state().audit.rbegin()->second.message, HasSubstr("its time as a primary"));
    // A copy looks the same: it is asked now and then.
    for (int i = 0; i < 10; ++i)
        look(world);
    EXPECT_EQ(log.size(), 1U);
    for (int i = 0; i < 3; ++i)
        look(world);
    EXPECT_EQ(log.size(), 2U);
    // One that led in between has slots of its own again.
    auto turned = world;
    turned.on("s").with([](auto& i, auto&) { i.role = topology::Role::primary; });
    turned.on("p").with([](auto& i, auto&) { i.role = topology::Role::standby; });
    look(turned);
    EXPECT_EQ(log[2], "p: drop-left-over cdc");
    log.clear();
    look(world);
    EXPECT_THAT(log, ElementsAre("s: drop-left-over cdc"));
}

TEST_F(SlotKeeperTest, old_versions_make_no_copies) {
    keeper->set_options({.where = SlotUpkeepWhere::everywhere});
    auto world = two();
    const auto logical = [](auto&, Observation& o) {
        o.version_num = 160010;
        o.slots.push_back({.name = "cdc", .physical = false});
    };
    world.on("p").with(logical).on("s").with(logical);
    look(world);
    EXPECT_THAT(log, ElementsAre("s: create-slot p"));
}

TEST_F(SlotKeeperTest, does_not_insist_where_it_may_not) {
    keeper->set_options({.where = SlotUpkeepWhere::everywhere});
    engine.failures["create-slot"] = {ErrorKind::privilege, "ALTER ROLE baton REPLICATION", "s:5432",
                                      "42501"};
    look(two());
    for (int i = 0; i < 50; ++i)
        look(two());
    EXPECT_THAT(log, ElementsAre("s: create-slot p"));
    for (int i = 0; i < 15; ++i)
        look(two());
    EXPECT_EQ(log.size(), 2U);
}

TEST_F(SlotKeeperTest, a_slot_is_known_before_it_is_there) {
    keeper->set_options({.where = SlotUpkeepWhere::everywhere});
    engine.failures["create-slot"] = {ErrorKind::timeout, "no answer", "s:5432", {}};
    look(two());
    EXPECT_THAT(remembered(), ElementsAre("s on p", "p on s"));
}

}  // namespace
}  // namespace baton::recovery::testing
