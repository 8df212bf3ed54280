#include "host/file_look.h"

#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <thread>

#include "host/processes.h"

namespace baton::host {
namespace {

TEST(FileLook, AHangingDiskHoldsNobodyUp) {
    std::promise<void> answer;
    auto disk = answer.get_future().share();
    std::promise<void> asked;
    int looks = 0;
    FileLook files(
        [&] {
            ++looks;
            if (looks == 2) {
                asked.set_value();
                disk.wait();
            }
            return SmallFiles{.standby_signal = looks == 1,
                              .postmaster_pid = looks < 4 ? std::to_string(looks) : "3"};
        },
        milliseconds(50));
    const auto patient = [&](const std::string& wanted) {
        const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
        while (std::chrono::steady_clock::now() < until) {
            if (files.look().postmaster_pid == wanted) return true;
            std::this_thread::yield();
        }
        return false;
    };
    ASSERT_TRUE(patient("1"));
    EXPECT_EQ(files.look().postmaster_pid, "1");  // it hangs
    asked.get_future().wait();
    EXPECT_TRUE(files.look().standby_signal);
    EXPECT_EQ(files.look().postmaster_pid, "1");
    answer.set_value();
    EXPECT_TRUE(patient("3"));
}

TEST(FileLook, NothingKnownYetIsNoEmptyDirectory) {
    std::promise<void> answer;
    const auto disk = answer.get_future().share();
    {
        FileLook files(
            [disk] {
                disk.wait();
                return SmallFiles{.version = false, .control = false};
            },
            milliseconds(1));
        EXPECT_TRUE(files.look().version);
    }
    answer.set_value();
}

struct DoomCase {
    const char* name;
    const char* status;
    bool doomed;
};

TEST(Processes, OnesThatWereKilledAndWaitForADiskRunNoMore) {
    const DoomCase cases[] = {
        {"waits, killed",
         "Name:\tpostgres\nState:\tD (disk sleep)\nSigPnd:\t0000000000000100\nShdPnd:\t0000000000000000\n",
         true},
        {"killed as a whole",
         "State:\tD (disk sleep)\nSigPnd:\t0000000000000000\nShdPnd:\t0000000000000104\n", true},
        {"waits only", "State:\tD (disk sleep)\nSigPnd:\t0000000000000000\nShdPnd:\t0000000000000000\n",
         false},
        {"told to end, which it may ignore", "State:\tD (disk sleep)\nShdPnd:\t0000000000004006\n", false},
        {"runs yet", "State:\tR (running)\nShdPnd:\t0000000000000100\n", false},
        {"gone", "", false},
    };
    for (const auto& c : cases)
        EXPECT_EQ(says_doomed(c.status), c.doomed) << c.name;
}

}  // namespace
}  // namespace baton::host
