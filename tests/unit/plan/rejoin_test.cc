#include "plan/rejoin.h"

#include <gtest/gtest.h>

#include <functional>

#include "topology/control_file.h"
#include "topology/world.h"

namespace baton::plan {
namespace {

using sample::key;
using sample::lsn;
using sample::make_cluster;
using sample::now;
using sample::World;
using topology::Hold;
using topology::ServerState;

/// s1 was promoted when old died: timeline 1 was left at 0/5000000.
World after_failover() {
    return make_cluster()
        .primary("s1")
        .timeline(2)
        .written("0/6000000")
        .standby("s2")
        .timeline(2)
        .primary("old")
        .down(topology::Reach::refused, seconds(20))
        .written("0/4FFFF00")
        .history(2, "1\t0/5000000\tno recovery target specified\n");
}

/// old's directory, after a crash.
Directory crashed() {
    return {.agent = true,
            .state = ServerState::down,
            .hold = Hold::down,
            .system_identifier = sample::system_id,
            .control_state = "in production",
            .timeline = 1,
            .checkpoint = lsn("0/4000000"),
            .rewindable = true};
}

Directory with(Directory d, const std::function<void(Directory&)>& change) {
    change(d);
    return d;
}

Directory stopped(const char* checkpoint) {
    auto d = crashed();
    d.control_state = "shut down";
    d.checkpoint = lsn(checkpoint);
    return d;
}

Directory running() {
    return with(crashed(), [](auto& d) {
        d.state = ServerState::running;
        d.hold = Hold::none;
        d.standby_signal = true;
        d.control_state = "in archive recovery";
    });
}

RejoinWish found(const char* end, int64_t commits) {
    return {.examined = true, .past = topology::WalPast{lsn(end), commits}};
}

RejoinWish wish(const std::function<void(RejoinWish&)>& change, RejoinWish w = {}) {
    change(w);
    return w;
}

Rejoin plan_of(const World& world, const char* who, const Directory& d, const RejoinWish& w = {}) {
    const auto cluster = world.build();
    const auto* i = cluster.find(key(who));
    return plan_rejoin(cluster, *i, d, w, now);
}

struct Case {
    const char* name;
    World world;
    const char* who;
    Directory dir;
    RejoinWish wish;
    const char* expected;   ///< "way[ upstream/slot][ !command]"
    const char* says = "";  ///< part of the reason
};

std::string summary(const Rejoin& r) {
    std::string text(to_string(r.way));
    if (r.upstream.valid()) text += " " + r.upstream.host + "/" + r.slot;
    if (r.keep_upstream) text += " kept";
    if (!r.allow.empty()) text += " !" + r.allow;
    return text;
}

void check(const std::vector<Case>& cases) {
    for (const auto& c : cases) {
        const auto r = plan_of(c.world, c.who, c.dir, c.wish);
        EXPECT_EQ(summary(r), c.expected) << c.name << ": " << r.why;
        EXPECT_NE(r.why.find(c.says), std::string::npos) << c.name << ": " << r.why;
        EXPECT_FALSE(r.why.empty()) << c.name;
    }
}

TEST(Rejoin, of_a_former_primary_depends_on_what_it_has_past_the_fork) {
    const auto world = after_failover();
    check({
        {"crashed: its agent is asked first", world, "old", crashed(), {}, "examine", "crashed"},
        {"the primary has all of it", world, "old", crashed(), found("0/5000000", 0), "start s1/old",
         "has all of it"},
        {"records, but no commit", world, "old", crashed(), found("0/5000100", 0), "rewind s1/old"},
        {"a commit that nobody else has", world, "old", crashed(), found("0/5000100", 1),
         "by-hand !baton rejoin old:5432 --force", "drops 256 bytes and 1 commit past the fork"},
        {"… which the operator drops", world, "old", crashed(),
         wish([](auto& w) { w.asked = w.force = true; }, found("0/5000100", 1)), "rewind s1/old"},
        {"… or has allowed for all times", world, "old", crashed(),
         wish([](auto& w) { w.may_drop_writes = true; }, found("0/5000100", 1)), "rewind s1/old"},
        {"its agent cannot tell", world, "old", crashed(), wish([](auto& w) { w.examined = true; }),
         "by-hand !baton rejoin old:5432 --force", "an unknown amount of WAL past the fork"},
        {"stopped before the fork",
         world,
         "old",
         stopped("0/4FFFF90"),
         {},
         "start s1/old",
         "stopped in order"},
        {"only the shutdown checkpoint is past the fork",
         world,
         "old",
         stopped("0/5000000"),
         {},
         "rewind s1/old",
         "only the checkpoint of its shutdown"},
        {"stopped past the fork", world, "old", stopped("0/5000200"), {}, "examine"},
        {"… and nothing was committed there", world, "old", stopped("0/5000200"), found("0/5000278", 0),
         "rewind s1/old"},
        {"… or something was", world, "old", stopped("0/5000200"), found("0/5000278", 2),
         "by-hand !baton rejoin old:5432 --force", "2 commits"},
    });
}

TEST(Rejoin, bytes_past_the_fork_are_those_that_would_be_lost) {
    const auto r = plan_of(after_failover(), "old", crashed(), found("0/5000100", 2));
    EXPECT_EQ(r.bytes_past, 256);
    EXPECT_EQ(r.commits_past, 2);
    EXPECT_EQ(r.fork, lsn("0/5000000"));
    EXPECT_EQ(r.timeline, 1U);
    // What the manager saw itself counts even where the agent could read less.
    const auto seen =
        plan_of(after_failover().on("old").written("0/5000400"), "old", crashed(), found("0/5000100", 2));
    EXPECT_EQ(seen.bytes_past, 1024);
}

TEST(Rejoin, what_cannot_be_rewound_is_made_anew) {
    const auto world = after_failover();
    const auto bare = with(crashed(), [](auto& d) { d.rewindable = false; });
    const auto broken =
        with(crashed(), [](auto& d) { d.quarantine = "rewind from s1:5432 was interrupted"; });
    const auto empty = with(crashed(), [](auto& d) {
        d.state = ServerState::no_data;
        d.system_identifier = d.control_state = "";
    });
    const auto lossless = found("0/5000100", 0);
    const auto rewind_only = [](auto& w) { w.policy = RejoinPolicy::rewind_only; };
    check({
        {"no hints, no checksums", world, "old", bare, lossless, "clone s1/old", "wal_log_hints"},
        {"… rewind-only", world, "old", bare, wish(rewind_only, lossless),
         "by-hand s1/old !baton reinit old:5432"},
        {"… and loses a commit: that comes first", world, "old", bare, found("0/5000100", 1),
         "by-hand !baton rejoin old:5432 --force"},
        {"a rewind failed", world, "old", crashed(), wish([](auto& w) { w.rewind_failed = true; }, lossless),
         "clone s1/old", "could not be rewound"},
        {"half-rewound: its agent knows whether that can go on",
         world,
         "old",
         broken,
         {},
         "rewind s1/old",
         "interrupted"},
        {"half-rewound for good", world, "old", broken, wish([](auto& w) { w.rewind_failed = true; }),
         "clone s1/old", "interrupted"},
        {"half-rewound for good, rewind-only", world, "old", broken,
         wish(rewind_only, wish([](auto& w) { w.rewind_failed = true; })),
         "by-hand s1/old !baton reinit old:5432"},
        {"directory lost", world, "old", empty, {}, "clone s1/old", "missing or empty"},
        {"directory lost, rewind-only", world, "old", empty, wish(rewind_only),
         "by-hand s1/old !baton reinit old:5432"},
        {"started in vain", world, "old", crashed(), wish([](auto& w) { w.cannot_catch_up = true; }),
         "clone s1/old", "could not be had"},
        {"asked for", world, "s2", running(), wish([](auto& w) { w.asked = w.anew = true; }), "clone s1/s2",
         "an operator"},
        {"asked for, from a standby", world, "old", crashed(), wish([](auto& w) {
             w.asked = w.anew = true;
             w.from = key("s2");
         }),
         "clone s2/old", "an operator"},
        {"from itself", world, "s2", running(), wish([](auto& w) {
             w.asked = w.anew = true;
             w.from = key("s2");
         }),
         "nothing", "itself"},
    });
}

TEST(Rejoin, a_damaged_directory_is_made_anew) {
    const auto world = after_failover();
    const auto damaged = with(crashed(), [](auto& d) {
        d.control_state = topology::damaged_directory;
        d.rewindable = false;
    });
    const auto standby = with(damaged, [](auto& d) { d.standby_signal = true; });
    check({
        {"30: a former primary is looked at first", world, "old", damaged, {}, "examine", ""},
        {"… with nothing past the fork", world, "old", damaged, found("0/4FFFF00", 0), "clone s1/old",
         "damaged"},
        {"… or nothing that was committed", world, "old", damaged, found("0/5000100", 0), "clone s1/old",
         "damaged"},
        {"… and never at the price of a commit", world, "old", damaged, found("0/5000100", 2),
         "by-hand !baton rejoin old:5432 --force"},
        {"30: a standby", world, "s2", standby, {}, "clone s1/s2", "damaged"},
        {"11: it was started, and its WAL is broken", world, "old", crashed(),
         wish([](auto& w) { w.damaged = true; }, found("0/4FFFF00", 0)), "clone s1/old", "damaged"},
    });
}

TEST(Rejoin, policy_manual_waits_for_the_command) {
    const auto world = after_failover();
    const auto manual = [](auto& w) { w.policy = RejoinPolicy::manual; };
    const auto asked = [](auto& w) {
        w.policy = RejoinPolicy::manual;
        w.asked = true;
    };
    check({
        {"start", world, "old", stopped("0/4FFFF90"), wish(manual), "by-hand s1/old !baton rejoin old:5432"},
        {"start by command", world, "old", stopped("0/4FFFF90"), wish(asked), "start s1/old"},
        {"rewind", world, "old", crashed(), wish(manual, found("0/5000100", 0)),
         "by-hand s1/old !baton rejoin old:5432"},
        {"rewind by command", world, "old", crashed(), wish(asked, found("0/5000100", 0)), "rewind s1/old"},
        {"rewind by command loses nothing unasked", world, "old", crashed(),
         wish(asked, found("0/5000100", 1)), "by-hand !baton rejoin old:5432 --force"},
    });
}

TEST(Rejoin, of_standbys) {
    const auto down = with(running(), [](auto& d) { d.state = ServerState::down; });
    const auto shut = with(down, [](auto& d) { d.control_state = "shut down in recovery"; });
    const auto unread = with(down, [](auto& d) { d.control_state.clear(); });
    const auto past = with(down, [](auto& d) { d.minimum_recovery_end = lsn("0/5000300"); });
    auto ahead = after_failover();
    ahead.on("s2")
        .timeline(1)
        .received("0/5000300")
        .not_streaming(seconds(20))
        .with([](auto& i, topology::Observation& o) {
            o.settings.recovery_target_timeline = "latest";
            i.stopped_by = now - seconds(20);
        });
    auto ahead_now = ahead;
    ahead_now.on("s2").with([](auto& i, auto&) { i.stopped_by = now - seconds(1); });
    auto lost = after_failover();
    lost.on("s2").slot("s2").not_streaming(seconds(20)).on("s1").with([](auto&, topology::Observation& o) {
        o.slots = {{.name = "s2", .wal_status = "lost"}};
    });
    auto lost_now = lost;
    lost_now.on("s2").not_streaming(seconds(1));
    // old is back before it, and follows s1 by now.
    const auto cascade = make_cluster().primary("s1").timeline(2).standby("old").standby("s3", "old");
    check({
        {"below a standby", cascade, "s3", down, {}, "start old/s3 kept"},
        {"it was below the one that was replaced", cascade, "s3", down,
         wish([](auto& w) { w.lost_in_recovery = true; }), "start s1/s3"},
        {"it streams", after_failover(), "s2", running(), {}, "nothing", "streams"},
        {"past the fork", ahead, "s2", running(), {}, "examine", "past the fork"},
        {"seen for a moment", ahead_now, "s2", running(), found("0/5000300", 0), "wait", "watched"},
        {"… without a commit", ahead, "s2", running(), found("0/5000300", 0), "rewind s1/s2"},
        {"… with one", ahead, "s2", running(), found("0/5000300", 1),
         "by-hand !baton rejoin s2:5432 --force"},
        {"its slot is lost", lost, "s2", running(), {}, "renew-slot s1/s2 kept", "has lost WAL"},
        {"its slot was lost just now", lost_now, "s2", running(), {}, "nothing"},
        {"a new slot was of no use", lost, "s2", running(), wish([](auto& w) { w.cannot_catch_up = true; }),
         "clone s1/s2"},
        {"it streams again", after_failover(), "s2", running(),
         wish([](auto& w) { w.cannot_catch_up = true; }), "nothing"},
        {"crashed", after_failover(), "s2", down, {}, "start s1/s2 kept", "does not run"},
        {"crashed past the fork", after_failover(), "s2", past, {}, "examine", "0/5000300"},
        {"stopped by somebody", after_failover(), "s2", shut, {}, "nothing", "somebody stopped it"},
        {"… or not: that is not known yet", after_failover(), "s2", unread, {}, "wait", "not known yet"},
        {"… and wanted back", after_failover(), "s2", shut, wish([](auto& w) { w.asked = true; }),
         "start s1/s2 kept"},
        {"… and left behind by a recovery", after_failover(), "s2", shut,
         wish([](auto& w) { w.lost_in_recovery = true; }), "start s1/s2 kept"},
        {"its upstream was replaced",
         after_failover().standby("s3", "old").timeline(1),
         "s3",
         down,
         {},
         "start s1/s3"},
    });
}

TEST(Rejoin, waits_for_what_must_be_known) {
    auto no_history = after_failover();
    no_history.history(3, "1\t0/5000000\tx\n2\t0/6000000\tx\n");
    auto other_branch = after_failover();
    other_branch.history(9, "7\t0/5000000\tx\n").on("s1").timeline(9);
    auto twins = after_failover();
    twins.on("old").timeline(2);
    const auto state = [](ServerState s) { return with(crashed(), [=](auto& d) { d.state = s; }); };
    const auto bad_disk = [](const Directory& dir) {
        return with(dir, [](auto& d) { d.disk_trouble = "read-only"; });
    };
    check({
        {"nobody leads", after_failover().dies("s1"), "old", crashed(), {}, "wait", "no primary"},
        {"the leader", after_failover(), "s1", running(), {}, "nothing", "leads"},
        {"no agent", after_failover(), "old", {}, {}, "wait", "no agent"},
        {"a job",
         after_failover(),
         "old",
         with(crashed(), [](auto& d) { d.job = "clone"; }),
         {},
         "wait",
         "at work"},
        {"no history yet", no_history, "old", crashed(), {}, "wait", "history"},
        {"starting", after_failover(), "old", state(ServerState::starting), {}, "wait", "starting"},
        {"hung", after_failover(), "old", state(ServerState::hung), {}, "wait", "hangs"},
        {"28, 29: its disk takes no writes", after_failover(), "old", bad_disk(crashed()),
         found("0/4FFFF00", 0), "wait", "read-only"},
        {"… nor a copy",
         after_failover(),
         "old",
         bad_disk(with(crashed(), [](auto& d) { d.state = ServerState::no_data; })),
         {},
         "wait",
         "read-only"},
        {"… unless somebody asks for it", after_failover(), "old", bad_disk(crashed()),
         wish([](auto& w) { w.asked = true; }, found("0/4FFFF00", 0)), "start s1/old", ""},
        {"… and one that runs is no worse for it",
         after_failover(),
         "s2",
         bad_disk(running()),
         {},
         "nothing",
         ""},
        {"a stale primary still runs", after_failover(), "old", state(ServerState::running), {}, "wait", ""},
        {"unreadable",
         after_failover(),
         "old",
         with(crashed(), [](auto& d) { d.system_identifier = ""; }),
         {},
         "by-hand !baton reinit old:5432",
         "control file"},
        {"another cluster's",
         after_failover(),
         "old",
         with(crashed(), [](auto& d) { d.system_identifier = "42"; }),
         {},
         "by-hand !baton reinit old:5432",
         "another cluster"},
        {"a twin of the primary",
         twins,
         "old",
         with(crashed(), [](auto& d) { d.timeline = 2; }),
         {},
         "by-hand !baton reinit old:5432",
         "two branches"},
        {"newer than the primary",
         after_failover(),
         "old",
         with(crashed(), [](auto& d) { d.timeline = 3; }),
         {},
         "wait",
         "older"},
        {"of no branch of the primary's",
         other_branch,
         "old",
         with(crashed(), [](auto& d) { d.timeline = 1; }),
         {},
         "by-hand !baton rejoin old:5432 --force",
         "not in the history"},
    });
}

/// Scenario 75: pg_rewind would take both branches for one, and PostgreSQL streams from the other one.
TEST(Rejoin, a_standby_on_another_branch_of_one_number_is_for_an_operator) {
    auto world = after_failover();
    world.on("s2").with([](topology::Instance& i, auto&) {
        i.history = std::make_shared<topology::TimelineHistory>(
            topology::parse_timeline_history(2, "1\t0/4000000\tx\n").value());
    });
    auto d = running();
    d.timeline = 2;
    EXPECT_EQ(plan_of(world, "s2", d).allow, "baton reinit s2:5432") << "while it streams";
    d.state = ServerState::down;
    EXPECT_EQ(plan_of(world, "s2", d).allow, "baton reinit s2:5432");
    const auto forced = wish([](auto& w) { w.asked = w.force = true; });
    EXPECT_EQ(plan_of(world, "s2", d, forced).way, RejoinWay::by_hand);
    world.on("s2").with([](topology::Instance& i, auto&) { i.history.reset(); });
    EXPECT_EQ(plan_of(world, "s2", d).way, RejoinWay::start);
}

/// Until its first checkpoint the control file of a promoted server names the timeline that it left.
TEST(Rejoin, believes_its_own_eyes_about_the_timeline) {
    auto world = after_failover();
    world.on("s1").timeline(3).history(3, "1\t0/3000000\tx\n2\t0/5000000\tx\n").on("old").timeline(2);
    const auto r = plan_of(world, "old", crashed());
    EXPECT_EQ(r.way, RejoinWay::examine) << r.why;
    EXPECT_EQ(r.timeline, 2U);
    EXPECT_EQ(r.fork, lsn("0/5000000"));
}

}  // namespace
}  // namespace baton::plan
