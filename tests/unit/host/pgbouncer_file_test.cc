#include "host/pgbouncer_file.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "host/files.h"

namespace baton::host {
namespace {

const topology::InstanceKey target{"db2.example", 6543};

TEST(PgBouncerFile, OnlyHostAndPortChange) {
    struct Case {
        std::string before, after;
    };
    const std::vector<Case> cases = {
        {"app = host=db1 port=5432\n", "app = host=db2.example port=6543\n"},
        {"app=port=5432 host=db1", "app=port=6543 host=db2.example"},
        {"app = host=db1", "app = port=6543 host=db2.example"},
        {"app =\n", "app = host=db2.example port=6543\n"},
        {"app = dbname=x user=u\r\n", "app = host=db2.example port=6543 dbname=x user=u\r\n"},
        {"  app\t=\thost = 'a b'  port = '5''4'   pool_size=7 \n",
         "  app\t=\thost = db2.example  port = 6543   pool_size=7 \n"},
        {"\"my app\" = host=db1 port=1 connect_query='select ''host=x port=3'''\n",
         "\"my app\" = host=db2.example port=6543 connect_query='select ''host=x port=3'''\n"},
        {"* = HOST=db1,db3 PORT=1 password='host=no'\n",
         "* = HOST=db2.example PORT=6543 password='host=no'\n"},
        {"; app = host=old\n# x = host=old\n\n[databases]\na = host=db1 port=2\n[pgbouncer]\nlisten_port = "
         "6432\n"
         "host = 3\n[Databases]\nb = host=z port=1\n",
         "; app = host=old\n# x = host=old\n\n[databases]\na = host=db2.example port=6543\n[pgbouncer]\n"
         "listen_port = 6432\nhost = 3\n[Databases]\nb = host=db2.example port=6543\n"},
        {"%include other.ini\na = host=db1 port=2", "%include other.ini\na = host=db2.example port=6543"},
    };
    for (const auto& c : cases) {
        const auto done = retarget(c.before, {}, target);
        ASSERT_TRUE(done) << c.before << done.error().text();
        EXPECT_EQ(done->text, c.after);
        EXPECT_EQ(retarget(c.after, {}, target)->text, c.after) << "the second time changes nothing";
    }
}

TEST(PgBouncerFile, OnlyTheDatabasesThatWereNamed) {
    const std::string text = "a = host=db1 port=1\nb = host=db1 port=1\n";
    const auto done = retarget(text, {"b"}, target);
    ASSERT_TRUE(done);
    EXPECT_EQ(done->text, "a = host=db1 port=1\nb = host=db2.example port=6543\n");
    EXPECT_EQ(done->databases, std::vector<std::string>{"b"});
    const auto missing = retarget(text, {"b", "c"}, target);
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().kind, ErrorKind::not_found);
    EXPECT_NE(missing.error().message.find("c"), std::string::npos);
}

TEST(PgBouncerFile, WhatCannotBeDone) {
    EXPECT_EQ(retarget("[pgbouncer]\nx = y\n", {}, target).error().kind, ErrorKind::not_found);
    EXPECT_EQ(retarget("", {}, target).error().kind, ErrorKind::not_found);
    EXPECT_EQ(retarget("a = \n", {}, {"db 2", 1}).error().kind, ErrorKind::invalid_argument);
    EXPECT_EQ(retarget("a = \n", {}, {"db2\nb = x", 1}).error().kind, ErrorKind::invalid_argument);
    EXPECT_EQ(retarget("a = \n", {}, {"db2", 0}).error().kind, ErrorKind::invalid_argument);
}

class Files : public testing::Test {
  protected:
    void SetUp() override {
        std::string path = testing::TempDir() + "baton-pgbouncer-XXXXXX";
        ASSERT_NE(mkdtemp(path.data()), nullptr);
        directory_ = path;
        std::ofstream(ini()) << "a = host=db1 port=1\n";
    }
    void TearDown() override { std::filesystem::remove_all(directory_); }
    std::string ini() const { return directory_ + "/databases.ini"; }
    std::string pid_file() const { return directory_ + "/pid"; }

    std::string directory_;
};

/// Waits for one SIGHUP under the name of a PgBouncer; 0 = it came.
pid_t fake_pooler(int ready) {
    const pid_t child = fork();
    if (child != 0) return child;
    sigset_t wanted;
    sigemptyset(&wanted);
    sigaddset(&wanted, SIGHUP);
    sigprocmask(SIG_BLOCK, &wanted, nullptr);
    prctl(PR_SET_NAME, "pgbouncer");
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (write(ready, "x", 1) != 1) _exit(2);
    int got = 0;
    _exit(sigwait(&wanted, &got) == 0 && got == SIGHUP ? 0 : 1);
}

TEST_F(Files, IsRewrittenAndThePoolerIsTold) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    const pid_t child = fake_pooler(ends[1]);
    char byte = 0;
    ASSERT_EQ(read(ends[0], &byte, 1), 1);
    std::ofstream(pid_file()) << child << "\n";
    const auto done = retarget_file(ini(), pid_file(), {}, target);
    int status = -1;
    if (!done) kill(child, SIGKILL);
    waitpid(child, &status, 0);
    close(ends[0]);
    close(ends[1]);
    ASSERT_TRUE(done) << done.error().text();
    EXPECT_EQ(*done, "a to db2.example:6543");
    EXPECT_EQ(status, 0);
    EXPECT_EQ(*read_whole(ini()), "a = host=db2.example port=6543\n");
}

TEST_F(Files, SomebodyElsesProcessIsNotSignalled) {
    std::ofstream(pid_file()) << getpid() << "\n";
    const auto done = retarget_file(ini(), pid_file(), {}, target);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().kind, ErrorKind::io);
    EXPECT_EQ(*read_whole(ini()), "a = host=db2.example port=6543\n") << "it holds for the next start";
}

}  // namespace
}  // namespace baton::host
