#include "host/tools.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "base/run.h"
#include "host/deed_journal.h"
#include "host/files.h"

namespace baton::host {
namespace {

namespace fs = std::filesystem;

/// Runs `sh -c script` as a tool; `act` is called at the first progress.
Result<ToolOutput> run_script(const std::string& script, Duration limit,
                              const std::function<void(Tools&, JobControl&)>& act = nullptr) {
    return run_task<Result<ToolOutput>>([&](Clock& clock) -> Task<Result<ToolOutput>> {
        const auto processes = make_process_runner(clock);
        InstanceOptions options;
        options.bin_directory = "/bin";
        JobControl control(clock.now() + limit, [](const agent::Job&) {});
        Tools tools(clock, *processes, options, control);
        const Tools::Watch watch{"copying", [&](const CopyProgress&) {
                                     if (act) act(tools, control);
                                 }};
        co_return co_await tools.run("sh", {"-c", script}, watch);
    });
}

constexpr auto forever = "echo '1/100 kB (1%)'; sleep 60";

TEST(Tools, AProgramThatFailsIsAResult) {
    const auto done = run_script("echo \"$LC_ALL\"; echo why >&2; exit 3", seconds(20));
    ASSERT_TRUE(done);
    EXPECT_FALSE(done->ok);
    EXPECT_EQ(done->exit_code, 3);
    EXPECT_EQ(done->text, "C\nwhy\n");
}

TEST(Tools, EndsForEachOfItsReasons) {
    const auto began = std::chrono::steady_clock::now();
    const auto cancelled =
        run_script(forever, seconds(60), [](Tools&, JobControl& control) { control.cancel(); });
    EXPECT_EQ(cancelled.error().kind, ErrorKind::cancelled);
    const auto ended = run_script(forever, seconds(60), [](Tools& tools, JobControl&) {
        tools.end_program({ErrorKind::io, "no room", "", ""});
    });
    EXPECT_EQ(ended.error().message, "no room");
    EXPECT_EQ(run_script(forever, milliseconds(200)).error().kind, ErrorKind::timeout);
    EXPECT_EQ(run_script(forever, seconds(0)).error().kind, ErrorKind::timeout);
    EXPECT_LT(std::chrono::steady_clock::now() - began, seconds(30));
}

TEST(Tools, ThePasswordIsInNoArgument) {
    const auto file = testing::TempDir() + "baton-pass-" + std::to_string(getpid());
    {
        auto safe = SafeConninfo::make(*Conninfo::parse("user=u password='se cret' host=h"), file);
        ASSERT_TRUE(safe);
        EXPECT_EQ(safe->text(), "user=u host=h passfile=" + file);
        EXPECT_EQ(*read_whole(file), "*:*:*:*:se cret\n");
        EXPECT_EQ(mode_of(file), 0600);
        const auto moved = std::move(*safe);
        EXPECT_TRUE(fs::exists(file));
    }
    EXPECT_FALSE(fs::exists(file));
    EXPECT_EQ(SafeConninfo::make(*Conninfo::parse("user=u"), file)->text(), "user=u");
    EXPECT_FALSE(fs::exists(file));
}

TEST(Tools, RemovesNothingButWhatItIsTold) {
    std::string root = testing::TempDir() + "baton-tools-XXXXXX";
    ASSERT_NE(mkdtemp(root.data()), nullptr);
    fs::create_directories(root + "/a/b");
    fs::create_directories(root + "/c");
    fs::create_directory_symlink(root + "/c", root + "/a/link");
    run_task<bool>([&](Clock& clock) -> Task<bool> {
        const auto processes = make_process_runner(clock);
        const InstanceOptions options;
        JobControl control(clock.now() + seconds(20), [](const agent::Job&) {});
        Tools tools(clock, *processes, options, control);
        EXPECT_TRUE(co_await tools.remove({root + "/a", root + "/missing", "", "/", "relative"}));
        EXPECT_TRUE(co_await tools.remove({}));
        co_return true;
    });
    EXPECT_FALSE(fs::exists(root + "/a"));
    EXPECT_TRUE(fs::exists(root + "/c"));
    fs::remove_all(root);
}

}  // namespace
}  // namespace baton::host
