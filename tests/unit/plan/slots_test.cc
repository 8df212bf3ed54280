#include "plan/slots.h"

#include <gmock/gmock.h>

#include "topology/world.h"

namespace baton::plan {
namespace {

using sample::key;
using sample::lsn;
using sample::make_cluster;
using sample::World;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;
using topology::Observation;
using topology::Slot;

constexpr const char* far = "4/0";

/// p leads; s1 and s2 stream through slots of their own names.
World streaming() {
    const auto place = [](World& w, const char* name) { w.standby(name).slot(name).received(far); };
    auto world = make_cluster().primary("p").written(far).with([](auto&, Observation& o) {
        o.slots = {{.name = "s1", .active = true}, {.name = "s2", .active = true}};
        o.settings.max_replication_slots = 10;
    });
    place(world, "s1");
    place(world, "s2");
    return world;
}

KnownSlot known(const char* holder, const char* name) {
    return {key(holder), name, key(name)};
}

/// What streaming() has when all is made.
std::set<KnownSlot> everything() {
    return {known("p", "s1"),  known("p", "s2"), known("s1", "p"),
            known("s1", "s2"), known("s2", "p"), known("s2", "s1")};
}

World& holds(World& world, const char* holder, std::vector<Slot> slots) {
    return world.on(holder).with([=](auto&, Observation& o) { o.slots = slots; });
}

World complete() {
    auto world = streaming();
    holds(world, "s1", {{.name = "p", .restart = lsn("3/F0000000")}, {.name = "s2", .restart = lsn(far)}});
    holds(world, "s2", {{.name = "p", .restart = lsn("3/F0000000")}, {.name = "s1", .restart = lsn(far)}});
    return world;
}

std::vector<std::string> upkeep(const World& world, std::set<KnownSlot> slots,
                                std::map<std::string, Duration> gone = {}, Duration ttl = seconds(1800)) {
    static constexpr const char* words[] = {"know", "create", "advance", "drop", "forget"};
    const auto cluster = world.build();
    std::vector<std::string> lines;
    const SlotUpkeep how{.known = std::move(slots),
                         .gone_for = [&](const InstanceKey& k) { return gone[k.host]; },
                         .member_ttl = ttl};
    for (const auto& d : plan_slot_upkeep(cluster, how)) {
        lines.push_back(std::string(words[static_cast<int>(d.kind)]) + " " + d.slot.name + " on " +
                        d.slot.holder.host + (d.to ? " to " + d.to.text() : "") +
                        (d.why.empty() ? "" : ": " + d.why));
    }
    return lines;
}

TEST(Slots, of_everybody_are_made_wherever_somebody_may_lead) {
    EXPECT_THAT(upkeep(streaming(), {}),
                UnorderedElementsAre("know s1 on p", "know s2 on p", "create p on s1", "create s2 on s1",
                                     "create p on s2", "create s1 on s2"));
    EXPECT_THAT(upkeep(complete(), everything()), IsEmpty());
}

TEST(Slots, are_not_made_where_nobody_leads_or_for_whom_needs_none) {
    auto world = streaming();
    world.on("s1").rule(topology::PromotionRule::must_not).on("s2").slot("");
    EXPECT_THAT(upkeep(world, everything()), UnorderedElementsAre("forget p on s1", "forget s2 on s1",
                                                                  "create p on s2", "create s1 on s2"));
    auto full = streaming();
    full.on("s1").with([](auto&, Observation& o) { o.settings.max_replication_slots = 1; });
    EXPECT_THAT(upkeep(full, everything()),
                UnorderedElementsAre("create p on s1", "create p on s2", "create s1 on s2"))
        << "there is room for one";
}

TEST(Slots, are_moved_to_what_their_member_has) {
    auto world = complete();
    holds(world, "s1",
          {{.name = "p", .restart = lsn("3/10000000")}, {.name = "s2", .restart = lsn("3/FE000000")}});
    EXPECT_THAT(upkeep(world, everything()),
                ElementsAre("advance p on s1 to 3/C0000000", "advance s2 on s1 to 4/0"))
        << "that of the primary keeps what a rewind needs";
    // Never past what the holder has replayed, and a little is not worth it.
    world.on("s1").received("3/FF000000");
    EXPECT_THAT(upkeep(world, everything()),
                ElementsAre("advance p on s1 to 3/BF000000", "advance s2 on s1 to 3/FF000000"));
    world.on("s1").received("3/FE800000");
    EXPECT_THAT(upkeep(world, everything()), ElementsAre("advance p on s1 to 3/BE800000"));
}

TEST(Slots, stay_for_a_member_of_whom_nothing_is_known) {
    const auto old = lsn("1/0");
    const auto behind = [&] {
        auto world = complete();
        holds(world, "s1", {{.name = "p", .restart = lsn("3/F0000000")}, {.name = "s2", .restart = old}});
        return world;
    };
    EXPECT_THAT(upkeep(behind(), everything()), ElementsAre("advance s2 on s1 to 4/0"));
    auto silent = behind();
    silent.on("s2").down();
    EXPECT_THAT(upkeep(silent, everything()), IsEmpty());
    auto diverged = behind();
    diverged.on("p").timeline(2).history(2, "1\t3/0\tx\n").on("s1").timeline(2);
    EXPECT_THAT(upkeep(diverged, everything()), IsEmpty()) << "s2 is past the fork";
    auto in_use = behind();
    holds(in_use, "s1",
          {{.name = "p", .restart = lsn("3/F0000000")}, {.name = "s2", .active = true, .restart = old}});
    EXPECT_THAT(upkeep(in_use, everything()), IsEmpty());
}

TEST(Slots, that_nobody_made_for_a_member_are_left_alone) {
    auto world = complete();
    auto slots = everything();
    slots.erase(known("s1", "s2"));
    holds(world, "s1", {{.name = "p", .restart = lsn("3/F0000000")}, {.name = "s2", .restart = lsn("1/0")}});
    EXPECT_THAT(upkeep(world, slots), IsEmpty());
    holds(world, "s1", {{.name = "p", .physical = false}, {.name = "s2", .restart = lsn(far)}});
    EXPECT_THAT(upkeep(world, everything()), IsEmpty()) << "a logical slot of that name";
}

TEST(Slots, of_a_member_that_is_gone_are_dropped_in_time) {
    auto world = complete();
    world.on("s2").down();
    holds(world, "p", {{.name = "s1", .active = true}, {.name = "s2", .restart = lsn("1/0")}});
    EXPECT_THAT(upkeep(world, everything(), {{"s2", seconds(1799)}}), IsEmpty());
    EXPECT_THAT(
        upkeep(world, everything(), {{"s2", seconds(1800)}}),
        UnorderedElementsAre("drop s2 on p: s2:5432 has not been seen for 30 min (MemberSlotTTLSeconds)",
                             "drop s2 on s1: s2:5432 has not been seen for 30 min (MemberSlotTTLSeconds)"));
    EXPECT_THAT(upkeep(world, everything(), {{"s2", seconds(9999)}}, seconds(0)), IsEmpty())
        << "0 keeps them";
    auto back = complete();
    EXPECT_THAT(upkeep(back, everything(), {{"s2", seconds(9999)}}), ElementsAre(HasSubstr("drop s2 on s1")))
        << "the one in use stays";
}

TEST(Slots, give_way_before_they_fill_the_disk) {
    const auto disk = [](World& world, int64_t free, bool connected = true) {
        world.on("p").with([=](topology::Instance& i, auto&) {
            i.host =
                topology::Host{.connected = connected,
                               .data_disk = topology::Disk{.total_bytes = 100L << 30, .free_bytes = free}};
        });
    };
    auto world = complete();
    world.on("s2").down();
    holds(
        world, "p",
        {{.name = "s1", .active = true, .restart = lsn("0/1000000")}, {.name = "s2", .restart = lsn("1/0")}});
    disk(world, 11L << 30);
    EXPECT_THAT(upkeep(world, everything()), IsEmpty());
    disk(world, 9L << 30);
    EXPECT_THAT(
        upkeep(world, everything()),
        ElementsAre("drop s2 on p: p:5432 has 9.0 GiB of 100.0 GiB left for WAL, and the slot of s2:5432, "
                    "which does not stream, holds back 12.0 GiB"));
    auto unheard = world;
    disk(unheard, 9L << 30, false);
    EXPECT_THAT(upkeep(unheard, everything()), IsEmpty()) << "what it said may be old";
    auto slots = everything();
    slots.erase(known("p", "s2"));
    EXPECT_THAT(upkeep(world, slots), IsEmpty()) << "nobody knows whose it is";
    holds(world, "p", {{.name = "s1", .active = true}});
    EXPECT_THAT(upkeep(world, everything()), IsEmpty()) << "and none is made on such a disk";
}

TEST(Slots, that_lost_their_wal_are_made_anew) {
    auto world = complete();
    holds(world, "s1", {{.name = "p", .restart = lsn("3/F0000000")}, {.name = "s2", .wal_status = "lost"}});
    EXPECT_THAT(upkeep(world, everything()), ElementsAre(HasSubstr("drop s2 on s1: it has lost WAL")));
    holds(world, "s1", {{.name = "p", .restart = lsn("3/F0000000")}});
    EXPECT_THAT(upkeep(world, everything()), ElementsAre("create s2 on s1"));
}

TEST(Slots, of_holders_that_are_forgotten_are_forgotten) {
    auto slots = everything();
    slots.insert(known("gone", "s1"));
    EXPECT_THAT(upkeep(complete(), slots), ElementsAre("forget s1 on gone"));
    slots.erase(known("gone", "s1"));
    slots.insert(known("s1", "gone"));
    EXPECT_THAT(upkeep(complete(), slots), ElementsAre("forget gone on s1"));
}

TEST(Slots, are_named_after_one_member_each) {
    auto world = streaming();
    for (const auto* name : {"p", "s1", "s2"})
        world.on(name).with([](auto&, Observation& o) { o.settings.cluster_name = "15/main"; });
    const auto cluster = world.build();
    EXPECT_EQ(member_slot(cluster, *cluster.find(key("s1"))), "s1") << "the one that it uses";
    EXPECT_EQ(member_slot(cluster, *cluster.find(key("p"))), "15_main");
    auto others = world;
    others.on("s1").slot("").on("s2").slot("");
    const auto alike = others.build();
    EXPECT_EQ(member_slot(alike, *alike.find(key("p"))), "p_5432");
}

}  // namespace
}  // namespace baton::plan
