#include "host/postgres.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/text.h"
#include "fleet/fake_clock.h"
#include "host/supervisor.h"

namespace baton::host {
namespace {

namespace fs = std::filesystem;
using fleet::testing::FakeClock;
using testing::ElementsAre;
using testing::HasSubstr;

/// Notes what it is asked to run, and gives the next answer.
class Runner final : public ProcessRunner {
  public:
    Task<Result<ProcessResult>> run(ProcessSpec spec) override {
        all.push_back(join(spec.argv, " "));
        auto result = answers.empty() ? ProcessResult{} : answers.front();
        if (!answers.empty()) answers.erase(answers.begin());
        co_return result;
    }
    std::vector<std::string> all;
    std::vector<ProcessResult> answers;
};

class PostgresTest : public testing::Test {
  protected:
    PostgresTest() {
        std::string path = testing::TempDir() + "baton-postgres-XXXXXX";
        options.data_directory = mkdtemp(path.data());
        options.key = {"db1", 5432};
        options.bin_directory = "/bin-of-15";
    }
    ~PostgresTest() override { fs::remove_all(options.data_directory); }

    Postgres make() { return {clock, runner, options, "/log"}; }
    std::string file(const std::string& name) const { return options.data_directory + "/" + name; }
    template <class T>
    T finish(Task<T> task) {
        std::optional<T> result;
        spawn(clock.executor(), [](Task<T> t, std::optional<T>& out) -> Task<void> {
            out = co_await std::move(t);
        }(std::move(task), result));
        for (int i = 0; i < 2000 && !result; ++i)
            clock.advance(milliseconds(5));
        return std::move(*result);
    }
    std::string started() {
        auto postgres = make();
        EXPECT_TRUE(finish(postgres.start()));
        return runner.all.back();
    }

    FakeClock clock;
    Runner runner;
    InstanceOptions options;
};

TEST_F(PostgresTest, StartsBySomebodyElsesProgram) {
    const auto& data = options.data_directory;
    EXPECT_EQ(started(), "/bin-of-15/pg_ctl start -W -s -D " + data + " -l /log");
    options.config_file = "/etc/pg.conf";
    options.start_options = "-c port=1";
    EXPECT_EQ(started(), "/bin-of-15/pg_ctl start -W -s -D " + data +
                             " -l /log -o -c config_file='/etc/pg.conf' -c port=1");
    options.control = Control::pg_ctlcluster;
    options.cluster_name = "15/main";
    EXPECT_EQ(started(), "pg_ctlcluster --skip-systemctl-redirect -o -c port=1 15 main start");
    options.control = Control::systemd;
    options.systemd_unit = "postgresql@15-main";
    EXPECT_EQ(started(), "systemctl --no-ask-password --no-block start postgresql@15-main");
}

TEST_F(PostgresTest, TellsSystemdThatAStopIsMeant) {
    options.control = Control::systemd;
    options.systemd_unit = "pg";
    auto postgres = make();
    EXPECT_TRUE(finish(postgres.stop("fast")));
    EXPECT_THAT(runner.all, ElementsAre("systemctl --no-ask-password --no-block stop pg"));
}

TEST_F(PostgresTest, SaysTheServersWordAndNotTheProgramsAroundIt) {
    auto postgres = make();
    runner.answers = {{.exit_code = 1,
                       .output = "Error: pg_ctl exited with status 1:\n2026-01-01 UTC [7] LOG:  starting\n"
                                 "2026-01-01 UTC [7] FATAL:  lock file exists\npg_ctl: could not start\n"}};
    const auto failed = finish(postgres.start());
    ASSERT_FALSE(failed);
    EXPECT_THAT(failed.error().message,
                HasSubstr("exit code 1): 2026-01-01 UTC [7] FATAL:  lock file exists"));
}

/// Nobody has waited for it, as where the init process takes its time.
TEST_F(PostgresTest, TakesAwayTheLockOfADeadOneWhosePidFileIsGone) {
    const auto dead = ::fork();
    if (dead == 0) ::_exit(0);
    siginfo_t info{};
    ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(dead), &info, WEXITED | WNOWAIT), 0);
    const auto lines = std::to_string(dead) + "\n" + options.data_directory + "\n1\n5432\n" +
                       options.data_directory + "\n\n";
    std::ofstream(file("postmaster.pid")) << lines;
    std::ofstream(file(".s.PGSQL.5432.lock")) << lines;
    auto postgres = make();
    EXPECT_FALSE(postgres.look().postmaster);
    fs::remove(file("postmaster.pid"));  // as a rewind does
    EXPECT_FALSE(postgres.look().postmaster);
    EXPECT_TRUE(finish(postgres.start()));
    EXPECT_FALSE(fs::exists(file(".s.PGSQL.5432.lock")));
    ::waitpid(dead, nullptr, 0);
}

TEST(Supervisor, SaysWhatOfTheUnitIsInTheWay) {
    struct Case {
        const char* shown;
        const char* expected;
    };
    const Case cases[] = {
        {"LoadState=loaded\nRestart=no\n", ""},
        {"LoadState=loaded\nRestart=always\n", "Restart=always"},
        {"Restart=on-failure\nLoadState=loaded\n", "Restart=on-failure"},
        {"LoadState=not-found\nRestart=no\n", "not-found"},
        {"", ""},
    };
    for (const auto& c : cases) {
        const auto said = unit_in_the_way("pg", c.shown);
        if (*c.expected == '\0') {
            EXPECT_EQ(said, "") << c.shown;
        } else {
            EXPECT_THAT(said, HasSubstr(c.expected)) << c.shown;
        }
    }
}

TEST(Supervisor, KnowsHowAUnitFares) {
    EXPECT_EQ(unit_state("ActiveState=failed\nResult=start-limit-hit\n"), "failed (start-limit-hit)");
    EXPECT_EQ(unit_state("ActiveState=active\nResult=success\n"), "active");
    EXPECT_EQ(unit_state("nonsense"), "");
    EXPECT_TRUE(unit_begins("ActiveState=activating\nJob=\n"));
    EXPECT_TRUE(unit_begins("ActiveState=inactive\nJob=17\n"));
    EXPECT_FALSE(unit_begins("ActiveState=failed\nJob=\n"));
}

TEST(Supervisor, ReadsStartConf) {
    EXPECT_EQ(start_conf_in_the_way("15/main", "# auto, manual or disabled\nauto\n"), "");
    EXPECT_EQ(start_conf_in_the_way("15/main", "manual\n"), "");
    EXPECT_THAT(start_conf_in_the_way("15/main", "# x\n disabled # why\n"), HasSubstr("disabled"));
}

}  // namespace
}  // namespace baton::host
