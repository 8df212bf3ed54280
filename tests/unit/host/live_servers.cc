#include "host/live_servers.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <thread>

#include "base/text.h"
#include "host/files.h"

namespace baton::host::live {
namespace {

void become_server_user() {
    const auto* user = server_user();
    if (user == nullptr) return;
    if (setgroups(0, nullptr) != 0 || setgid(user->pw_gid) != 0 || setuid(user->pw_uid) != 0) _exit(126);
    setenv("HOME", "/nonexistent", 1);
}

void must(const std::vector<std::string>& words) {
    std::string output;
    if (run_as_server_user(words, &output) != 0) throw std::runtime_error(words[0] + ": " + output);
}

void append(const std::string& path, const std::string& text) {
    std::ofstream(path, std::ios::app) << text;
}

/// So far in this test.
int failures() {
    const auto* result = testing::UnitTest::GetInstance()->current_test_info()->result();
    int count = 0;
    for (int i = 0; i < result->total_part_count(); ++i)
        count += result->GetTestPartResult(i).failed() ? 1 : 0;
    return count;
}

/// Where nobody reaps orphans, the server takes its killed predecessor for a living one.
void drop_locks_of_the_dead(const std::string& data, const std::string& socket_lock) {
    for (const auto& lock : {data + "/postmaster.pid", socket_lock}) {
        const auto text = read_whole(lock);
        const auto file = text ? parse_pid_file(*text) : std::nullopt;
        std::error_code ec;
        if (file && std::filesystem::read_symlink(fmt::format("/proc/{}/cwd", file->pid), ec).empty())
            unlink(lock.c_str());
    }
}

constexpr std::string_view roles =
    "CREATE ROLE repl LOGIN REPLICATION PASSWORD E're:pl\\\\ ''x'''; CREATE ROLE rewinder LOGIN PASSWORD "
    "'rew'; GRANT EXECUTE ON FUNCTION pg_catalog.pg_ls_dir(text, boolean, boolean), "
    "pg_catalog.pg_stat_file(text, boolean), pg_catalog.pg_read_binary_file(text), "
    "pg_catalog.pg_read_binary_file(text, bigint, bigint, boolean) TO rewinder; "
    "CREATE TABLE t AS SELECT generate_series(1, 50000) i; "
    "SELECT pg_create_physical_replication_slot('b', true)";

}  // namespace

pid_t begin_as_server_user(const std::function<void()>& body) {
    const pid_t child = fork();
    if (child != 0) return child;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    become_server_user();
    const int before = failures();
    body();
    _exit(failures() > before ? 1 : 0);
}

int wait_for(pid_t child) {
    int status = 0;
    waitpid(child, &status, 0);
    return status;
}

bool wait_until(const std::function<bool()>& done, int limit_ms) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(limit_ms);
    while (!done()) {
        if (std::chrono::steady_clock::now() > end) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return true;
}

int run_as_server_user(const std::vector<std::string>& words, std::string* output) {
    std::string path = testing::TempDir() + "baton-output-XXXXXX";
    const int out = mkostemp(path.data(), O_CLOEXEC);
    const pid_t child = fork();
    if (child == 0) {
        become_server_user();
        dup2(out, 1);
        dup2(out, 2);
        dup2(open("/dev/null", O_RDONLY), 0);
        if (chdir("/") != 0) _exit(126);
        std::vector<char*> arguments;
        for (const auto& word : words)
            arguments.push_back(const_cast<char*>(word.c_str()));
        arguments.push_back(nullptr);
        execvp(arguments[0], arguments.data());
        _exit(127);
    }
    const int status = wait_for(child);
    close(out);
    if (output != nullptr) *output += read_whole(path).value_or("");
    unlink(path.c_str());
    return status;
}

Pair::Pair(const std::string& settings) : port_a_(free_port()), port_b_(free_port()) {
    std::string path = testing::TempDir() + "baton-host-XXXXXX";
    if (mkdtemp(path.data()) == nullptr) throw std::runtime_error("mkdtemp");
    directory_ = path;
    const auto* user = server_user();
    if (user != nullptr && chown(directory_.c_str(), user->pw_uid, user->pw_gid) != 0)
        throw std::runtime_error("chown");
    must({"mkdir", "-m", "700", state_directory()});
    must({programs() + "/initdb", "-D", data('a'), "-U", "postgres", "-A", "trust", "--locale=C",
          "--no-sync"});
    append(data('a') + "/postgresql.conf",
           fmt::format("port = {}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '{}'\n"
                       "fsync = off\nshared_buffers = 16MB\nwal_keep_size = 64MB\nmax_wal_size = 1GB\n"
                       "wal_log_hints = on\ncluster_name = 'a'\nwal_retrieve_retry_interval = 100ms\n{}",
                       port_a_, directory_, settings));
    std::ofstream(data('a') + "/pg_hba.conf")
        << "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
           "host replication all 127.0.0.1/32 scram-sha-256\n";
    if (!start('a')) throw std::runtime_error("a does not start");
    sql('a', std::string(roles));
    must({"env", "PGPASSWORD=re:pl\\ 'x'", programs() + "/pg_basebackup", "-D", data('b'), "-d",
          fmt::format("host=127.0.0.1 port={} user=repl application_name=b", port_a_), "-R", "-X", "stream",
          "-S", "b", "-c", "fast", "--no-sync"});
    append(data('b') + "/postgresql.conf", fmt::format("port = {}\ncluster_name = 'b'\n", port_b_));
    if (!start('b') || !wait_until([this] { return streams('b'); })) throw std::runtime_error("no standby");
}

Pair::~Pair() {
    for (const char name : {'a', 'b'})
        crash(name);
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
}

InstanceOptions Pair::options(char name) const {
    InstanceOptions out;
    out.key = {"127.0.0.1", port(name)};
    out.data_directory = data(name);
    out.bin_directory = programs();
    out.replication_conninfo = "user=repl password='re:pl\\\\ \\'x\\''";
    out.rewind_conninfo = "user=rewinder password=rew dbname=postgres";
    return out;
}

bool Pair::start(char name) const {
    drop_locks_of_the_dead(data(name), fmt::format("{}/.s.PGSQL.{}.lock", directory_, port(name)));
    return run_as_server_user({programs() + "/pg_ctl", "-D", data(name), "-w", "-t", "60", "-l",
                               data(name) + ".log", "start"}) == 0;
}

void Pair::stop(char name, const std::string& mode) const {
    run_as_server_user({programs() + "/pg_ctl", "-D", data(name), "-w", "-m", mode, "stop"});
}

void Pair::crash(char name) const {
    const auto text = read_whole(data(name) + "/postmaster.pid");
    const auto file = text ? parse_pid_file(*text) : std::nullopt;
    if (!file) return;
    const auto children =
        split(trim(read_whole(fmt::format("/proc/{0}/task/{0}/children", file->pid)).value_or("")), ' ');
    kill(file->pid, SIGKILL);
    for (const auto& child : children) {
        if (const auto pid = parse_int(child)) kill(static_cast<pid_t>(*pid), SIGKILL);
    }
    wait_until([&] { return !std::filesystem::exists(fmt::format("/proc/{}/cwd", file->pid)); });
}

bool Pair::promote(char name) const {
    return run_as_server_user({programs() + "/pg_ctl", "-D", data(name), "-w", "promote"}) == 0;
}

std::string Pair::sql(char name, const std::string& statement) const {
    std::string output;
    run_as_server_user({programs() + "/psql", "-XAtq", "-h", directory_, "-p", std::to_string(port(name)),
                        "-U", "postgres", "-c", statement, "postgres"},
                       &output);
    return std::string(trim(output));
}

void Pair::make_standby(char name, char upstream) const {
    const auto conninfo = fmt::format("{} host=127.0.0.1 port={} application_name={}",
                                      options(name).replication_conninfo, port(upstream), name);
    as_server_user([&] {
        const auto path = data(name) + "/postgresql.auto.conf";
        const auto text = with_setting(read_whole(path).value_or(""), "primary_conninfo", conninfo);
        EXPECT_TRUE(write_durably(path, with_setting(text, "primary_slot_name", "")));
    });
}

bool Pair::streams(char name) const {
    return sql(name, "SELECT status FROM pg_stat_wal_receiver") == "streaming";
}

void Pair::part_ways() const {
    stop('b', "fast");
    sql('a', "INSERT INTO t SELECT -i FROM generate_series(1, 1000) i");
    stop('a', "fast");
    // Out of sight of each other: "b" is promoted without what "a" wrote last.
    ASSERT_TRUE(start('b'));
    ASSERT_TRUE(promote('b'));
    sql('b', "CHECKPOINT; INSERT INTO t SELECT i FROM generate_series(100001, 130000) i");
    ASSERT_TRUE(start('a'));
    sql('a', "INSERT INTO t SELECT -i FROM generate_series(2001, 3000) i");
    crash('a');
}

}  // namespace baton::host::live
