#include "host/remnants.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/async.h"
#include "fleet/fake_clock.h"

namespace baton::host {
namespace {

namespace fs = std::filesystem;
using fleet::testing::FakeClock;
using testing::Contains;

class Remnants : public testing::Test {
  protected:
    Remnants() {
        std::string path = testing::TempDir() + "baton-remnants-XXXXXX";
        options.data_directory = mkdtemp(path.data());
        options.key = {"db1", 6000};
    }
    ~Remnants() override { fs::remove_all(options.data_directory); }
    std::string file(const std::string& name) const { return options.data_directory + "/" + name; }
    void write(const std::string& name, const std::string& text) const { std::ofstream(file(name)) << text; }
    void begin() { spawn(clock.executor(), drop_empty_locks(clock, lock_files_of(options, last))); }

    FakeClock clock;
    InstanceOptions options;
    std::optional<PidFile> last;
};

TEST_F(Remnants, AreRemovedWhenTheyStayEmpty) {
    write("postgresql.conf", "unix_socket_directories = '/nowhere, " + options.data_directory + "'\n");
    write("postmaster.pid", "");
    write(".s.PGSQL.6000.lock", "");
    write(".s.PGSQL.6001.lock", "");
    begin();
    clock.advance(milliseconds(400));
    EXPECT_TRUE(fs::exists(file("postmaster.pid"))) << "it may be written at this moment";
    clock.advance(milliseconds(200));
    EXPECT_FALSE(fs::exists(file("postmaster.pid")));
    EXPECT_FALSE(fs::exists(file(".s.PGSQL.6000.lock")));
    EXPECT_TRUE(fs::exists(file(".s.PGSQL.6001.lock"))) << "that is of another server";
}

TEST_F(Remnants, AServerThatWritesItsOwnKeepsThem) {
    write("postmaster.pid", "");
    begin();
    write("postmaster.pid", "77\n");
    clock.advance(milliseconds(600));
    EXPECT_TRUE(fs::exists(file("postmaster.pid")));
}

TEST_F(Remnants, AreLookedForWhereTheServerWasAndWillBe) {
    EXPECT_THAT(lock_files_of(options, last), Contains("/var/run/postgresql/.s.PGSQL.6000.lock"));
    write("postgresql.conf", "port = 5433\nunix_socket_directories = '/one'\n");
    EXPECT_THAT(lock_files_of(options, last), Contains("/one/.s.PGSQL.5433.lock"));
    write("postgresql.auto.conf", "unix_socket_directories = '/two'\n");
    last = PidFile{};
    last->port = 5434;
    last->socket_directory = "/three";
    EXPECT_THAT(lock_files_of(options, last), Contains("/two/.s.PGSQL.5434.lock"));
    EXPECT_THAT(lock_files_of(options, last), Contains("/three/.s.PGSQL.5434.lock"));
}

}  // namespace
}  // namespace baton::host
