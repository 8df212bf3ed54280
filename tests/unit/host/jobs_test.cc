#include "host/jobs.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <fstream>

#include "base/run.h"
#include "host/deed_journal.h"
#include "host/files.h"
#include "host/live_servers.h"
#include "host/receiver.h"

namespace baton::host {
namespace {

namespace fs = std::filesystem;
using live::Pair;

/// What the agent under test was told, and how it ended; lives in the child that plays the agent.
struct Told {
    std::vector<agent::Job> jobs;
    JobEnd end;
};

agent::Order order_of(const Pair& pair, char upstream) {
    agent::Order order;
    order.upstream = {"127.0.0.1", pair.port(upstream)};
    return order;
}

/// The copy of a failed clone is removed behind it.
Task<void> end_of_upkeep(Clock& clock, std::string state, const InstanceOptions& options) {
    const DeedRoom room(state, options.key);
    const auto until = clock.now() + seconds(10);
    while (room.read() && !room.read()->fresh.empty() && clock.now() < until)
        co_await clock.sleep_for(milliseconds(10));
}

/// Does one deed as the agent of `name` would; in a child that may be killed.
Told act(const InstanceOptions& options, const std::string& state, const agent::Order& order, bool clone,
         const std::function<void(JobControl&, const agent::Job&)>& watch = nullptr) {
    return run_task<Told>([&](Clock& clock) -> Task<Told> {
        const auto processes = make_process_runner(clock);
        Told told;
        JobControl* self = nullptr;
        JobControl control(clock.now() + seconds(120), [&](const agent::Job& job) {
            told.jobs.push_back(job);
            if (watch) watch(*self, job);
        });
        self = &control;
        const auto jobs = make_jobs(clock, *processes, state);
        told.end = clone ? co_await jobs->clone(options, order, control)
                         : co_await jobs->rewind(options, order, control);
        if (told.end.error) co_await end_of_upkeep(clock, state, options);
        co_return told;
    });
}

std::optional<Deed> deed_of(const Pair& pair, char name) {
    return DeedRoom(pair.state_directory(), {"127.0.0.1", pair.port(name)}).read();
}

class HostJobs : public testing::Test {
  protected:
    void SetUp() override {
        if (live::programs().empty()) GTEST_SKIP() << "no PostgreSQL programs";
    }
    static std::string rows(const Pair& pair, char name) {
        return pair.sql(name, "SELECT count(*), sum(i) FROM t");
    }
    /// "a" follows "b" and has what it has; its own port and settings are its own.
    static void expect_a_follows_b(Pair& pair) {
        EXPECT_EQ(fs::status(pair.data('a')).permissions() & fs::perms::others_all, fs::perms::none);
        EXPECT_TRUE(fs::exists(pair.data('a') + "/standby.signal"));
        pair.make_standby('a', 'b');
        ASSERT_TRUE(pair.start('a')) << read_whole(pair.data('a') + ".log").value_or("");
        EXPECT_TRUE(live::wait_until([&] { return pair.streams('a'); }));
        EXPECT_TRUE(find_receiver(pair.data('a')));
        EXPECT_TRUE(live::wait_until([&] { return rows(pair, 'a') == rows(pair, 'b'); }))
            << rows(pair, 'a') << " " << rows(pair, 'b');
        EXPECT_EQ(pair.sql('a', "SHOW cluster_name"), "a");
        EXPECT_EQ(pair.sql('a', "SELECT count(*) FROM t WHERE i < 0"), "0");
    }
};

TEST_F(HostJobs, RewindBringsAnOldPrimaryBack) {
    Pair pair;
    pair.part_ways();
    std::ofstream(pair.data('a') + "/own.crt") << "certificate";
    EXPECT_EQ(live::as_server_user([&] {
                  const auto told =
                      act(pair.options('a'), pair.state_directory(), order_of(pair, 'b'), false);
                  ASSERT_FALSE(told.end.error) << told.end.error->text();
                  EXPECT_NE(told.end.detail.find("past the fork"), std::string::npos) << told.end.detail;
                  ASSERT_FALSE(told.jobs.empty());
                  EXPECT_GT(told.jobs.back().done_bytes, 0);
                  EXPECT_EQ(told.jobs.back().done_bytes, told.jobs.back().total_bytes);
              }),
              0);
    EXPECT_FALSE(deed_of(pair, 'a'));
    EXPECT_EQ(*read_whole(pair.data('a') + "/own.crt"), "certificate");
    expect_a_follows_b(pair);
}

TEST_F(HostJobs, WhatCannotBeRewoundIsLeftAsItWas) {
    Pair pair("wal_log_hints = off\n");
    pair.part_ways();
    EXPECT_EQ(live::as_server_user([&] {
                  auto told = act(pair.options('a'), pair.state_directory(), order_of(pair, 'b'), false);
                  ASSERT_TRUE(told.end.error);
                  EXPECT_EQ(told.end.error->kind, ErrorKind::unsupported);
                  EXPECT_TRUE(told.end.untouched);
                  auto nobody = pair.options('a');
                  nobody.rewind_conninfo.clear();
                  told = act(nobody, pair.state_directory(), order_of(pair, 'b'), false);
                  EXPECT_EQ(told.end.error->kind, ErrorKind::unsupported);
                  auto without = pair.options('a');
                  without.bin_directory = pair.directory();
                  told = act(without, pair.state_directory(), order_of(pair, 'b'), false);
                  EXPECT_EQ(told.end.error->kind, ErrorKind::unsupported);
                  EXPECT_TRUE(told.end.untouched);
              }),
              0);
    EXPECT_TRUE(pair.start('a')) << read_whole(pair.data('a') + ".log").value_or("");
}

TEST_F(HostJobs, ASourceThatIsAStandbyOrSilent) {
    Pair pair;
    pair.stop('a', "fast");
    EXPECT_EQ(live::as_server_user([&] {
                  auto options = pair.options('a');
                  auto told = act(options, pair.state_directory(), order_of(pair, 'b'), false);
                  ASSERT_TRUE(told.end.error);
                  EXPECT_EQ(told.end.error->kind, ErrorKind::conflict) << told.end.error->text();
                  EXPECT_TRUE(told.end.untouched);
                  told = act(options, pair.state_directory(), order_of(pair, 'a'), false);
                  EXPECT_EQ(told.end.error->kind, ErrorKind::refused) << told.end.error->text();
                  options.rewind_conninfo = "user=rewinder password=wrong";
                  told = act(options, pair.state_directory(), order_of(pair, 'b'), false);
                  EXPECT_EQ(told.end.error->kind, ErrorKind::authentication) << told.end.error->text();
                  EXPECT_EQ(told.end.error->text().find("wrong"), std::string::npos);
              }),
              0);
}

TEST_F(HostJobs, AnInterruptedRewindIsNeverStartedAndClonesInstead) {
    Pair pair;
    pair.part_ways();
    const auto agent = live::begin_as_server_user(
        [&] { act(pair.options('a'), pair.state_directory(), order_of(pair, 'b'), false); });
    ASSERT_TRUE(live::wait_until([&] {
        const auto deed = deed_of(pair, 'a');
        return deed && deed->phase == DeedPhase::rewinding && (deed->mode & 07) == 0 &&
               (mode_of(pair.data('a')) & 1) != 0;
    }));
    kill(agent, SIGKILL);
    live::wait_for(agent);
    const auto deed = deed_of(pair, 'a');
    ASSERT_TRUE(deed);
    ASSERT_EQ(deed->phase, DeedPhase::rewinding);
    EXPECT_FALSE(pair.start('a')) << "whoever tries";
    EXPECT_NE(read_whole(pair.data('a') + ".log")->find("invalid permissions"), std::string::npos);
    EXPECT_EQ(live::as_server_user([&] {
                  auto told = act(pair.options('a'), pair.state_directory(), order_of(pair, 'b'), false);
                  ASSERT_TRUE(told.end.error);
                  EXPECT_EQ(told.end.error->kind, ErrorKind::unsupported);
                  EXPECT_FALSE(told.end.untouched);
                  told = act(pair.options('a'), pair.state_directory(), order_of(pair, 'b'), true);
                  EXPECT_FALSE(told.end.error) << told.end.error->text();
              }),
              0);
    expect_a_follows_b(pair);
}

TEST_F(HostJobs, ACloneThatIsKilledLeavesTheOldOneAndMayBeRepeated) {
    Pair pair;
    pair.part_ways();
    auto slow = order_of(pair, 'b');
    slow.maximum_rate_kbps = 4096;
    const auto agent =
        live::begin_as_server_user([&] { act(pair.options('a'), pair.state_directory(), slow, true); });
    const auto half = pair.data('a') + ".clone";
    EXPECT_TRUE(live::wait_until([&] { return fs::exists(half + "/base/1"); }));
    kill(agent, SIGKILL);
    live::wait_for(agent);
    EXPECT_EQ(deed_of(pair, 'a')->phase, DeedPhase::copying);
    EXPECT_FALSE(fs::exists(half + "/global/pg_control")) << "comes last";
    EXPECT_TRUE(pair.start('a')) << "the old one is as it was";
    pair.stop('a', "fast");
    EXPECT_EQ(live::as_server_user([&] {
                  const auto told = act(pair.options('a'), pair.state_directory(), order_of(pair, 'b'), true);
                  ASSERT_FALSE(told.end.error) << told.end.error->text();
                  const auto& last = told.jobs.at(told.jobs.size() - 2);
                  EXPECT_GT(last.total_bytes, 1000000);
                  EXPECT_EQ(last.done_bytes, last.total_bytes);
              }),
              0);
    const auto deed = deed_of(pair, 'a');
    ASSERT_TRUE(deed);
    EXPECT_EQ(deed->phase, DeedPhase::swapped);
    EXPECT_TRUE(fs::exists(deed->old + "/PG_VERSION")) << "kept until the new one streams";
    expect_a_follows_b(pair);
    EXPECT_EQ(live::as_server_user([&] {
                  run_task<bool>([&](Clock& clock) -> Task<bool> {
                      const auto processes = make_process_runner(clock);
                      const auto jobs = make_jobs(clock, *processes, pair.state_directory());
                      jobs->tidy(pair.options('a'));
                      const auto until = clock.now() + seconds(20);
                      while (deed_of(pair, 'a') && clock.now() < until)
                          co_await clock.sleep_for(milliseconds(20));
                      co_return true;
                  });
              }),
              0);
    EXPECT_FALSE(deed_of(pair, 'a'));
    EXPECT_FALSE(fs::exists(deed->old));
}

TEST_F(HostJobs, ACopyThatNeverRanIsTakenAsItIsAndNotRecovered) {
    Pair pair;
    pair.part_ways();
    const auto control = [&] { return *read_whole(pair.data('a') + "/global/pg_control"); };
    EXPECT_EQ(live::as_server_user([&] {
                  const auto options = pair.options('a');
                  auto told = act(options, pair.state_directory(), order_of(pair, 'b'), true);
                  ASSERT_FALSE(told.end.error) << told.end.error->text();
                  const auto before = control();
                  told = act(options, pair.state_directory(), order_of(pair, 'b'), false);
                  ASSERT_TRUE(told.end.error);
                  EXPECT_EQ(told.end.error->kind, ErrorKind::unsupported) << told.end.error->text();
                  EXPECT_TRUE(told.end.untouched);
                  told = act(options, pair.state_directory(), order_of(pair, 'b'), true);
                  EXPECT_FALSE(told.end.error) << told.end.error->text();
                  EXPECT_EQ(control(), before) << "it was not copied again";
              }),
              0);
    EXPECT_EQ(deed_of(pair, 'a')->phase, DeedPhase::swapped);
    expect_a_follows_b(pair);
}

TEST_F(HostJobs, ACancelledCloneLeavesTheOldOne) {
    Pair pair;
    pair.part_ways();
    EXPECT_EQ(live::as_server_user([&] {
                  auto slow = order_of(pair, 'b');
                  slow.maximum_rate_kbps = 2048;
                  const auto told = act(pair.options('a'), pair.state_directory(), slow, true,
                                        [](JobControl& control, const agent::Job& job) {
                                            if (job.done_bytes > 0) control.cancel();
                                        });
                  ASSERT_TRUE(told.end.error);
                  EXPECT_EQ(told.end.error->kind, ErrorKind::cancelled);
                  EXPECT_TRUE(told.end.untouched);
              }),
              0);
    EXPECT_FALSE(fs::exists(pair.data('a') + ".clone"));
    EXPECT_FALSE(deed_of(pair, 'a'));
    EXPECT_TRUE(pair.start('a'));
}

TEST_F(HostJobs, ALostDataDirectoryIsClonedWithItsOwnSettings) {
    Pair pair;
    pair.part_ways();
    EXPECT_EQ(live::as_server_user([&] {
                  run_task<bool>([&](Clock& clock) -> Task<bool> {
                      const auto processes = make_process_runner(clock);
                      make_jobs(clock, *processes, pair.state_directory())->tidy(pair.options('a'));
                      co_await clock.sleep_for(milliseconds(200));
                      co_return true;
                  });
                  fs::remove_all(pair.data('a'));
                  const auto told = act(pair.options('a'), pair.state_directory(), order_of(pair, 'b'), true);
                  ASSERT_FALSE(told.end.error) << told.end.error->text();
              }),
              0);
    EXPECT_FALSE(deed_of(pair, 'a'));
    expect_a_follows_b(pair);
}

TEST_F(HostJobs, ACloneIntoTheEmptiedDirectory) {
    Pair pair;
    pair.part_ways();
    fs::create_directories(pair.directory() + "/wal");
    // The next clone finds tablespaces and WAL elsewhere, too.
    EXPECT_EQ(live::as_server_user([&] {
                  fs::create_directories(pair.directory() + "/space");
                  fs::create_directories(pair.directory() + "/wal2");
              }),
              0);
    fs::remove(pair.directory() + "/wal");
    pair.sql('b', "CREATE TABLESPACE s LOCATION '" + pair.directory() + "/space'");
    pair.sql('b', "CREATE TABLE in_space TABLESPACE s AS SELECT generate_series(1, 1000)");
    EXPECT_EQ(live::as_server_user([&] {
                  fs::rename(pair.data('a') + "/pg_wal", pair.directory() + "/wal");
                  fs::create_symlink(pair.directory() + "/wal", pair.data('a') + "/pg_wal");
                  const auto told = act(pair.options('a'), pair.state_directory(), order_of(pair, 'b'), true);
                  ASSERT_FALSE(told.end.error) << told.end.error->text();
              }),
              0);
    EXPECT_EQ(fs::read_symlink(pair.data('a') + "/pg_wal"), pair.directory() + "/wal.baton-1");
    expect_a_follows_b(pair);
    EXPECT_EQ(pair.sql('a', "SELECT count(*) FROM in_space"), "1000");
    EXPECT_EQ(pair.sql('a', "SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = 's'"),
              pair.directory() + "/space.baton-1");
}

}  // namespace
}  // namespace baton::host
