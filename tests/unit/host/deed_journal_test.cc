#include "host/deed_journal.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "host/clone_layout.h"
#include "host/files.h"
#include "host/own_files.h"
#include "host/swap.h"

namespace baton::host {
namespace {

namespace fs = std::filesystem;

class Deeds : public testing::Test {
  protected:
    void SetUp() override {
        std::string path = testing::TempDir() + "baton-deeds-XXXXXX";
        ASSERT_NE(mkdtemp(path.data()), nullptr);
        root_ = path;
    }
    void TearDown() override { fs::remove_all(root_); }
    std::string at(const std::string& name) const { return root_ + "/" + name; }
    void make(const std::string& name, const std::string& text = "") const {
        fs::create_directories(fs::path(at(name)).parent_path());
        std::ofstream(at(name)) << text;
    }
    std::string read(const std::string& name) const { return read_whole(at(name)).value_or("-"); }

    std::string root_;
};

TEST_F(Deeds, TheJournalIsReadAsItWasWritten) {
    const DeedRoom room(at("state"), {"db1", 5432});
    EXPECT_EQ(room.read(), std::nullopt);
    Deed deed;
    deed.phase = DeedPhase::swapping;
    deed.upstream = "db2:5432";
    deed.data = "/d \"x\"";
    deed.mode = 0750;
    deed.damaged = true;
    deed.fresh = "/d.clone";
    deed.old = "/d.old-1";
    deed.fresh_paths = {"/t.baton-1", "/w"};
    deed.old_paths = {"/t"};
    ASSERT_TRUE(room.write(deed));
    EXPECT_EQ(room.read(), deed);
    EXPECT_EQ(DeedRoom(at("state"), {"db1", 5433}).read(), std::nullopt);
    room.clear();
    EXPECT_EQ(room.read(), std::nullopt);
}

TEST_F(Deeds, AJournalThatCannotBeReadIsARewindInTheMiddle) {
    for (const std::string text : {"", "{}", "[]", "{\"phase\":\"dancing\"}", "{\"phase\":1}"}) {
        EXPECT_FALSE(parse_deed(text)) << text;
        make("state/deeds/db1_5432/deed.json", text);
        const auto deed = DeedRoom(at("state"), {"db1", 5432}).read();
        ASSERT_TRUE(deed);
        EXPECT_TRUE(deed->broken());
    }
}

TEST_F(Deeds, WhatAFinishedDeedLeavesIsRemembered) {
    const DeedRoom room(at("state"), {"db1", 5432});
    Deed deed;
    deed.phase = DeedPhase::swapping;
    ASSERT_TRUE(room.write(deed));
    room.close(deed);
    EXPECT_EQ(room.read(), std::nullopt);
    deed.old = "/d.old-1";
    deed.damaged = true;
    room.close(deed);
    EXPECT_EQ(room.read()->phase, DeedPhase::swapped);
    EXPECT_FALSE(room.read()->broken());
    EXPECT_EQ(leftovers_of({.phase = DeedPhase::copying,
                            .data = "/d",
                            .fresh = "/d.clone",
                            .fresh_paths = {"/t"},
                            .old_paths = {"/o"}}),
              (std::vector<std::string>{"/o", "/d.clone", "/t"}));
    EXPECT_TRUE(leftovers_of({.phase = DeedPhase::copying, .data = "/d", .fresh = "/d"}).empty())
        << "never the data directory itself";
    EXPECT_TRUE(leftovers_of({.phase = DeedPhase::rewinding, .data = "/d"}).empty());
}

TEST_F(Deeds, TheSealKeepsTheServerOut) {
    make("d/PG_VERSION");
    ::chmod(at("d").c_str(), 0750);
    seal(at("d"));
    EXPECT_EQ(mode_of(at("d")), 0751);
    unseal(at("d"), 0750);
    EXPECT_EQ(mode_of(at("d")), 0750);
    seal(at("d"));
    unseal(at("d"), 0);
    EXPECT_EQ(mode_of(at("d")), 0750);
    seal(at("nowhere"));
    EXPECT_EQ(mode_of(at("nowhere")), 0);
}

TEST(Swap, EachStepFollowsFromWhatIsThere) {
    struct Case {
        SwapSight sight;
        bool had_data;
        SwapStep step;
    };
    const std::vector<Case> cases = {
        {{.data = true, .fresh = true, .old = false}, true, SwapStep::set_aside},
        {{.data = false, .fresh = true, .old = true}, true, SwapStep::move_in},
        {{.data = true, .fresh = false, .old = true}, true, SwapStep::done},
        {{.data = false, .fresh = true, .old = false}, false, SwapStep::move_in},
        {{.data = true, .fresh = false, .old = false}, false, SwapStep::done},
        {{.data = true, .fresh = false, .old = false}, true, SwapStep::lost},
        {{.data = false, .fresh = false, .old = true}, true, SwapStep::put_back},
        {{.data = false, .fresh = false, .old = false}, true, SwapStep::lost},
    };
    for (const auto& c : cases)
        EXPECT_EQ(next_swap_step(c.sight, c.had_data), c.step)
            << c.sight.data << c.sight.fresh << c.sight.old << c.had_data;
}

TEST_F(Deeds, ASwapThatIsInterruptedAnywhereGoesOn) {
    for (const bool had_data : {true, false}) {
        for (int crash_at = 0; crash_at <= 3; ++crash_at) {
            fs::remove_all(root_);
            fs::create_directories(root_);
            Deed deed;
            deed.data = at("d");
            deed.fresh = at("d.clone");
            deed.old = had_data ? at("d.old-1") : "";
            deed.mode = had_data ? 0700 : 0;
            if (had_data) make("d/name", "old");
            make("d.clone/name", "new");
            int steps = 0;
            const auto crashed = swap_directories(deed, [&](SwapStep) { return steps++ < crash_at; });
            // Whatever is at the place of the data directory is whole: the old one, the new one, or nothing.
            EXPECT_TRUE(!fs::exists(at("d")) || read("d/name") == "old" || read("d/name") == "new");
            const auto done = swap_directories(deed);
            ASSERT_TRUE(done) << done.error().text();
            EXPECT_EQ(read("d/name"), "new");
            EXPECT_EQ(fs::exists(at("d.clone")), false);
            EXPECT_EQ(fs::exists(at("d.old-1")), had_data);
            EXPECT_TRUE(swap_directories(deed)) << "again is nothing";
            EXPECT_EQ(crashed.has_value(), crash_at >= (had_data ? 2 : 1));
        }
    }
}

TEST_F(Deeds, ALostCopyBringsTheOldOneBack) {
    make("d.old-1/name", "old");
    Deed deed;
    deed.data = at("d");
    deed.fresh = at("d.clone");
    deed.old = at("d.old-1");
    deed.mode = 0700;
    EXPECT_EQ(swap_directories(deed).error().kind, ErrorKind::not_found);
    EXPECT_EQ(read("d/name"), "old");
}

TEST(OwnFiles, WhatIsTheNodesOwn) {
    for (const std::string own : {"postgresql.conf", "postgresql.auto.conf", "pg_hba.conf", "pg_ident.conf",
                                  "server.crt", "server.key", "conf.d/10-memory.conf", "certs/ca.pem"})
        EXPECT_TRUE(is_own_file(own)) << own;
    for (const std::string other :
         {"PG_VERSION", "postmaster.pid", "backup_label", "standby.signal", "pg_wal", "pg_internal.init",
          "base/1/1259", "global/pg_control", "log/postgresql.conf", "server.log", "pg_wal/x.conf",
          ".baton-probe", "postgresql.auto.conf.tmp", "core.123"})
        EXPECT_FALSE(is_own_file(other)) << other;
}

TEST_F(Deeds, OwnFilesAreKeptAndComeBack) {
    make("d/postgresql.conf", "port = 1\n");
    make("d/server.key", "mine");
    ::chmod(at("d/server.key").c_str(), 0600);
    make("d/conf.d/10.conf", "a = 1\n");
    make("d/PG_VERSION", "15");
    make("d/base/1/2", "data");
    make("elsewhere", "rules");
    make("wal/1");
    fs::create_symlink(at("elsewhere"), at("d/pg_hba.conf"));
    fs::create_directory_symlink(at("wal"), at("d/pg_wal"));
    fs::create_directory_symlink(at("wal"), at("d/linked"));
    const auto kept = keep_own_files(at("d"), at("own"));
    ASSERT_TRUE(kept) << kept.error().text();
    EXPECT_EQ(*kept, 4);
    make("s/postgresql.conf", "port = 2\n");
    make("s/conf.d/20-theirs.conf", "b = 2\n");
    make("s/pg_hba.conf", "theirs");
    make("s/PG_VERSION", "theirs");
    for (int i = 0; i < 2; ++i)
        ASSERT_TRUE(put_own_files(at("own"), at("s")));
    EXPECT_EQ(read("s/postgresql.conf"), "port = 1\n");
    EXPECT_EQ(read("s/server.key"), "mine");
    EXPECT_EQ(mode_of(at("s/server.key")), 0600);
    EXPECT_EQ(read("s/conf.d/10.conf"), "a = 1\n");
    EXPECT_FALSE(fs::exists(at("s/conf.d/20-theirs.conf"))) << "an included file would still count";
    EXPECT_EQ(fs::read_symlink(at("s/pg_hba.conf")), at("elsewhere"));
    EXPECT_EQ(read("s/PG_VERSION"), "theirs");
    EXPECT_FALSE(fs::exists(at("s/linked")));
    EXPECT_EQ(read("elsewhere"), "rules");
}

TEST_F(Deeds, PlacesOfTablespacesAndWal) {
    EXPECT_EQ(without_clone_suffix("/ts/a.baton-3"), "/ts/a");
    EXPECT_EQ(without_clone_suffix("/wal/baton-12"), "/wal");
    for (const std::string same : {"/ts/a", "/ts/a.baton-x", "/ts/baton-", "/urbaton-3", "baton-1"})
        EXPECT_EQ(without_clone_suffix(same), same);
    make("d/PG_VERSION", "15\n");
    make("ts.baton-1/PG_15_2022/5/1");
    make("ts.baton-1/PG_14_2021/5/1");
    make("wal/1");
    fs::create_directories(at("d/pg_tblspc"));
    fs::create_directory_symlink(at("ts.baton-1"), at("d/pg_tblspc/16400"));
    fs::create_directory_symlink("../wal", at("d/pg_wal"));
    const auto own = layout_of(at("d"));
    EXPECT_EQ(own.major, 15);
    EXPECT_EQ(own.wal, at("wal"));
    EXPECT_EQ(own.tablespaces, (std::vector<Tablespace>{{"16400", at("ts.baton-1")}}));
    const auto plan =
        plan_outside(own, parse_tablespaces("16400|/src/ts\n16500|" + at("new") + "\nERROR: x|y\n"));
    EXPECT_EQ(plan.arguments,
              (std::vector<std::string>{"--waldir=" + at("wal.baton-1"),
                                        "--tablespace-mapping=/src/ts=" + at("ts.baton-2"),
                                        "--tablespace-mapping=" + at("new") + "=" + at("new.baton-1")}));
    EXPECT_EQ(plan.old_paths, (std::vector<std::string>{at("wal"), at("ts.baton-1/PG_15_2022")}));
    EXPECT_EQ(plan.fresh_paths.size(), 3U);
    EXPECT_TRUE(plan_outside(layout_of(at("nowhere")), {}).arguments.empty());
}

}  // namespace
}  // namespace baton::host
