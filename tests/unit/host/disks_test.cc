#include "host/disks.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <future>

#include "base/run.h"
#include "host/disk_watch.h"

namespace baton::host {
namespace {

namespace fs = std::filesystem;
using topology::DiskHealth;

TEST(DiskProbe, ErrorsAreToldApart) {
    EXPECT_EQ(disk_health_of(0), DiskHealth::good);
    EXPECT_EQ(disk_health_of(ENOSPC), DiskHealth::full);
    EXPECT_EQ(disk_health_of(EDQUOT), DiskHealth::full);
    EXPECT_EQ(disk_health_of(EROFS), DiskHealth::read_only);
    EXPECT_EQ(disk_health_of(EIO), DiskHealth::failing);
    EXPECT_EQ(disk_health_of(EACCES), DiskHealth::failing);
    EXPECT_EQ(disk_health_of(ENOENT), DiskHealth::unknown);
}

class Directory : public testing::Test {
  protected:
    void SetUp() override {
        std::string path = testing::TempDir() + "baton-disks-XXXXXX";
        ASSERT_NE(mkdtemp(path.data()), nullptr);
        path_ = path;
    }
    void TearDown() override { fs::remove_all(path_); }
    std::string path_;
};

TEST_F(Directory, AWriteThatWorksLeavesAnEmptyFile) {
    EXPECT_EQ(look_at_disk(path_, false).health, DiskHealth::unknown);
    EXPECT_TRUE(fs::is_empty(path_)) << "initdb wants it so";
    std::ofstream(path_ + "/PG_VERSION") << "15\n";
    const auto look = look_at_disk(path_, false);
    EXPECT_EQ(look.health, DiskHealth::good);
    EXPECT_EQ(look.detail, "");
    EXPECT_GT(look.total_bytes, look.free_bytes);
    EXPECT_GT(look.free_bytes, 0);
    EXPECT_FALSE(look.wal_apart);
    EXPECT_EQ(fs::file_size(path_ + "/.baton-probe"), 0U);
    EXPECT_EQ(look_at_disk(path_ + "/missing/deeper", false).health, DiskHealth::unknown);
    EXPECT_EQ(look_at_disk(path_ + "/missing/deeper", false).total_bytes, look.total_bytes);
}

TEST_F(Directory, WalMayLieApart) {
    if (!fs::is_directory("/dev/shm")) GTEST_SKIP();
    std::ofstream(path_ + "/PG_VERSION") << "15\n";
    fs::create_directory_symlink("/dev/shm", path_ + "/pg_wal");
    EXPECT_TRUE(look_at_disk(path_, false).wal_apart);
}

TEST(DiskWatch, AWriteThatHangsIsNoticedAndForgotten) {
    std::promise<void> release;
    std::shared_future<void> released = release.get_future().share();
    std::atomic<int> looks = 0;
    DiskWatch watch(
        "/d",
        [released, &looks] {
            ++looks;
            released.wait();
            DiskLook look;
            look.health = DiskHealth::good;
            look.free_bytes = 7;
            return look;
        },
        seconds(3));
    MonoTime now{seconds(100)};
    EXPECT_EQ(watch.disk(now), std::nullopt);
    watch.look_now(now);
    EXPECT_EQ(watch.disk(now + seconds(3)), std::nullopt);
    for (int i = 1; i <= 4; ++i)
        watch.look_now(now + seconds(i));
    const auto hung = watch.disk(now + seconds(4));
    ASSERT_TRUE(hung);
    EXPECT_EQ(hung->health, DiskHealth::hung);
    EXPECT_EQ(hung->since, seconds(4));
    EXPECT_NE(hung->detail.find("4 s"), std::string::npos);
    release.set_value();
    now += seconds(5);
    for (int i = 0; i < 5000 && watch.disk(now)->health != DiskHealth::good; ++i)
        std::this_thread::sleep_for(milliseconds(1));
    const auto good = watch.disk(now + seconds(1));
    EXPECT_EQ(good->health, DiskHealth::good);
    EXPECT_EQ(good->free_bytes, 7);
    EXPECT_EQ(good->since, seconds(1));
    EXPECT_EQ(looks, 1) << "one at a time";
}

TEST(DiskWatch, AHangingThreadHoldsNobodyUp) {
    auto never = std::make_shared<std::promise<void>>();
    {
        DiskWatch watch(
            "/d",
            [future = never->get_future().share()] {
                future.wait();
                return DiskLook{};
            },
            seconds(3));
        watch.look_now(MonoTime{seconds(1)});
    }
    never->set_value();
}

TEST_F(Directory, ChangesAreTold) {
    std::ofstream(path_ + "/PG_VERSION") << "15\n";
    InstanceOptions options;
    options.data_directory = path_;
    run_task<bool>([&](Clock& clock) -> Task<bool> {
        const auto disks = make_disks(clock, {options});
        EXPECT_EQ(disks->data(0), std::nullopt);
        Signal told(clock);
        disks->start([&] { told.notify(); });
        EXPECT_TRUE(co_await told.wait_until(clock.now() + seconds(20)));
        EXPECT_EQ(disks->data(0)->health, DiskHealth::good);
        EXPECT_EQ(disks->data(0)->path, path_);
        EXPECT_EQ(disks->wal(0), std::nullopt);
        EXPECT_EQ(disks->data(1), std::nullopt);
        fs::remove_all(path_ + "/PG_VERSION");
        EXPECT_TRUE(co_await told.wait_until(clock.now() + seconds(20)));
        EXPECT_EQ(disks->data(0)->health, DiskHealth::unknown);
        co_return true;
    });
}

}  // namespace
}  // namespace baton::host
