#include "base/subprocess.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "run.h"

namespace baton {
namespace {

ProcessSpec shell(const std::string& script) {
    return {.argv = {"sh", "-c", script}, .environment = {}};
}

Result<ProcessResult> run(ProcessSpec spec) {
    return run_task<Result<ProcessResult>>([spec](Clock& clock) -> Task<Result<ProcessResult>> {
        const auto runner = make_process_runner(clock);
        co_return co_await runner->run(spec);
    });
}

TEST(Subprocess, OutputAndErrorsInOneStream) {
    const auto done = run(shell("echo one; echo two >&2; printf three"));
    ASSERT_TRUE(done) << done.error().text();
    EXPECT_EQ(done->output, "one\ntwo\nthree");
    EXPECT_EQ(done->exit_code, 0);
    EXPECT_TRUE(done->ok());
    EXPECT_FALSE(done->truncated);
}

TEST(Subprocess, ExitCodes) {
    EXPECT_EQ(run(shell("exit 3"))->exit_code, 3);
    EXPECT_FALSE(run(shell("exit 3"))->ok());
    EXPECT_EQ(run(shell("kill -TERM $$"))->exit_code, 128 + SIGTERM);
    EXPECT_EQ(run(shell("kill -KILL $$"))->exit_code, 128 + SIGKILL);
}

TEST(Subprocess, CannotBeStarted) {
    const auto missing = run({.argv = {"/nonexistent/program"}, .environment = {}});
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().kind, ErrorKind::io);
    EXPECT_EQ(missing.error().who, "/nonexistent/program");
    EXPECT_EQ(run({}).error().kind, ErrorKind::invalid_argument);
}

TEST(Subprocess, OutputIsLimited) {
    auto spec = shell("head -c 300000 /dev/zero | tr '\\0' x; echo end");
    spec.output_limit = 1000;
    const auto done = run(spec);
    ASSERT_TRUE(done);
    EXPECT_EQ(done->output, std::string(1000, 'x'));
    EXPECT_TRUE(done->truncated);
    EXPECT_EQ(done->exit_code, 0) << "a limit on what is kept must not block the program";
}

TEST(Subprocess, OutputIsToldAsItComes) {
    auto spec = shell("echo one; echo two >&2; head -c 3000 /dev/zero");
    std::string told;
    spec.output_limit = 4;
    spec.on_output = [&](std::string_view piece) { told += piece; };
    const auto done = run(spec);
    ASSERT_TRUE(done);
    EXPECT_EQ(told, "one\ntwo\n" + std::string(3000, '\0'));
    EXPECT_EQ(done->output, "one\n");
}

TEST(Subprocess, MayBeEndedByItsGroup) {
    auto spec = shell("sleep 60 & wait");
    spec.on_started = [](int group) { ::kill(-group, SIGKILL); };
    const auto done = run(spec);
    ASSERT_TRUE(done);
    EXPECT_FALSE(done->timed_out);
    EXPECT_EQ(done->exit_code, 128 + SIGKILL);
}

TEST(Subprocess, DeadlineKillsTheWholeGroup) {
    const auto pids = testing::TempDir() + "baton-subprocess-" + std::to_string(getpid());
    auto spec = shell("sleep 60 & echo $! > " + pids + "; echo begun; sleep 60");
    spec.timeout = milliseconds(300);
    const auto began = std::chrono::steady_clock::now();
    const auto done = run(spec);
    ASSERT_TRUE(done);
    EXPECT_TRUE(done->timed_out);
    EXPECT_FALSE(done->ok());
    EXPECT_EQ(done->exit_code, 128 + SIGKILL);
    EXPECT_EQ(done->output, "begun\n");
    EXPECT_GE(done->took, milliseconds(300));
    EXPECT_LT(std::chrono::steady_clock::now() - began, seconds(20));
    pid_t child = 0;
    std::ifstream(pids) >> child;
    ASSERT_GT(child, 0);
    // An orphan of the group may stay a zombie until init reaps it; it runs no more.
    std::string state = "gone";
    std::ifstream stat("/proc/" + std::to_string(child) + "/stat");
    if (std::string line; std::getline(stat, line)) state = line.substr(line.rfind(')') + 2, 1);
    EXPECT_TRUE(state == "gone" || state == "Z" || state == "X") << state;
    unlink(pids.c_str());
}

TEST(Subprocess, BackgroundChildDoesNotHoldTheResult) {
    const auto began = std::chrono::steady_clock::now();
    const auto done = run(shell("echo before; sleep 30 & echo after"));
    ASSERT_TRUE(done);
    EXPECT_EQ(done->output, "before\nafter\n");
    EXPECT_LT(std::chrono::steady_clock::now() - began, seconds(20));
}

TEST(Subprocess, EnvironmentIsAddedToOurs) {
    ::setenv("BATON_TEST_OURS", "ours", 1);
    ::setenv("BATON_TEST_BOTH", "ours", 1);
    auto spec = shell("echo \"$BATON_TEST_OURS $BATON_TEST_BOTH $BATON_TEST_NEW\"");
    spec.environment = {
        {"BATON_TEST_BOTH", "first"}, {"BATON_TEST_BOTH", "later"}, {"BATON_TEST_NEW", "a b=c"}};
    EXPECT_EQ(run(spec)->output, "ours later a b=c\n");
}

TEST(Subprocess, InheritsNoDescriptors) {
    const int leaked = ::open("/dev/null", O_RDONLY);  // without O_CLOEXEC on purpose
    ASSERT_GE(leaked, 3);
    const auto done = run(shell("ls /proc/self/fd | sort -n | tr '\\n' ' '"));
    ::close(leaked);
    // 0, 1, 2, and the one with which ls reads the directory.
    EXPECT_EQ(done->output, "0 1 2 3 ");
}

TEST(Subprocess, StandardInputIsEmpty) {
    EXPECT_EQ(run(shell("cat; echo end"))->output, "end\n");
}

TEST(Subprocess, ArgumentsAreNotReadByAShell) {
    EXPECT_EQ(run({.argv = {"printf", "%s|", "a b", "$HOME", "*"}, .environment = {}})->output,
              "a b|$HOME|*|");
}

TEST(Subprocess, SignalsThatWeIgnoreWorkInTheProgram) {
    const auto before = ::signal(SIGPIPE, SIG_IGN);
    const auto done = run(shell("yes | head -n 1"));
    ::signal(SIGPIPE, before);
    EXPECT_EQ(done->output, "y\n");
}

}  // namespace
}  // namespace baton
