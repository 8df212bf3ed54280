#include "engine/live_server.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace baton::live {
namespace {

constexpr const char* role_sql =
    "CREATE ROLE mgr LOGIN REPLICATION PASSWORD 'mgr-pass'\n"
    "CREATE ROLE plain LOGIN\n"
    "CREATE ROLE repl LOGIN REPLICATION PASSWORD 're pl''pass'\n"
    "GRANT pg_monitor, pg_signal_backend TO mgr\n"
    "GRANT EXECUTE ON FUNCTION pg_catalog.pg_promote(boolean, integer) TO mgr\n"
    "GRANT EXECUTE ON FUNCTION pg_catalog.pg_reload_conf() TO mgr\n";
constexpr const char* parameter_sql =
    "GRANT ALTER SYSTEM ON PARAMETER primary_conninfo, primary_slot_name, synchronous_standby_names TO mgr\n";
constexpr const char* access_rules =
    "local all all trust\n"
    "host all postgres,plain 127.0.0.1/32 trust\n"
    "host all mgr 127.0.0.1/32 scram-sha-256\n"
    "host replication mgr,repl 127.0.0.1/32 scram-sha-256\n";

/// Starts a program as the servers' user, output to `log`; returns its id.
pid_t start_program(const std::vector<std::string>& words, const std::string& log,
                    const std::string& input = "/dev/null") {
    const auto* user = server_user();
    const pid_t parent = getpid();
    const pid_t child = fork();
    if (child != 0) return child;
    if (user != nullptr &&
        (setgroups(0, nullptr) != 0 || setgid(user->pw_gid) != 0 || setuid(user->pw_uid) != 0))
        _exit(126);
    prctl(PR_SET_PDEATHSIG, SIGKILL);  // a test that crashes leaves no server behind
    if (getppid() != parent) _exit(126);
    setsid();
    const int in = open(input.c_str(), O_RDONLY);
    const int out = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (in < 0 || out < 0 || chdir("/") != 0) _exit(126);
    dup2(in, 0);
    dup2(out, 1);
    dup2(out, 2);
    std::vector<char*> arguments;
    for (const auto& word : words)
        arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    execvp(arguments[0], arguments.data());
    _exit(127);
}

void run_program(const std::vector<std::string>& words, const std::string& log,
                 const std::string& input = "/dev/null") {
    int status = 0;
    waitpid(start_program(words, log, input), &status, 0);
    if (status != 0) throw std::runtime_error(fmt::format("{}: status {}, see {}", words[0], status, log));
}

void write_file(const std::string& path, const std::string& text, bool append = false) {
    std::ofstream(path, append ? std::ios::app : std::ios::trunc) << text;
    const auto* user = server_user();
    if (user != nullptr && chown(path.c_str(), user->pw_uid, user->pw_gid) != 0)
        throw std::runtime_error("chown " + path);
}

std::string quoted(const std::string& value) {
    std::string out = "'";
    for (const char c : value)
        out.append(c == '\'' || c == '\\' ? 2 : 1, c);
    return out + "'";
}

std::vector<pid_t> children_of(pid_t pid) {
    std::ifstream in(fmt::format("/proc/{}/task/{}/children", pid, pid));
    return {std::istream_iterator<pid_t>(in), {}};
}

}  // namespace

bool Loop::run_until(const std::function<bool()>& done, milliseconds limit) {
    const auto end = std::chrono::steady_clock::now() + limit;
    io.restart();
    while (!done() && std::chrono::steady_clock::now() < end)
        io.run_one_until(end);
    return done();
}

Home::Home() {
    std::string path = "/tmp/baton-engine-XXXXXX";
    if (mkdtemp(path.data()) == nullptr) throw std::runtime_error("mkdtemp");
    path_ = path;
    const auto* user = server_user();
    if (user != nullptr && chown(path_.c_str(), user->pw_uid, user->pw_gid) != 0)
        throw std::runtime_error("chown");
    const auto data = path_ + "/template", log = path_ + "/log";
    run_program({programs() + "/initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8",
                 "--locale=C", "-k", "--no-sync"},
                log);
    std::ifstream version(data + "/PG_VERSION");
    int major = 0;
    version >> major;
    write_file(path_ + "/roles.sql", std::string(role_sql) + (major >= 15 ? parameter_sql : ""));
    run_program({programs() + "/postgres", "--single", "-D", data, "-F", "-c", "max_connections=20", "-c",
                 "max_wal_senders=8", "-c", "wal_log_hints=on", "postgres"},
                log, path_ + "/roles.sql");
    write_file(data + "/pg_hba.conf", access_rules);
}

Home::~Home() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

Server::Server(Home& home, std::string name, std::map<std::string, std::string> settings)
    : data_(home.path() + "/" + name), name_(std::move(name)), port_(free_port()) {
    run_program({"cp", "-a", home.path() + "/template", data_}, home.path() + "/log");
    std::map<std::string, std::string> all = {{"port", std::to_string(port_)},
                                              {"listen_addresses", "127.0.0.1"},
                                              {"unix_socket_directories", home.path()},
                                              {"cluster_name", name_},
                                              {"fsync", "off"},
                                              {"shared_buffers", "16MB"},
                                              {"max_connections", "20"},
                                              {"max_wal_senders", "8"},
                                              {"wal_log_hints", "on"}};
    for (auto& [key, value] : settings)
        all[key] = value;
    std::string text;
    for (const auto& [key, value] : all)
        text += fmt::format("{} = {}\n", key, quoted(value));
    write_file(data_ + "/postgresql.conf", text);
}

Server::~Server() {
    if (pid_ == 0) return;
    signal_all(SIGKILL);
    waitpid(pid_, nullptr, 0);
}

void Server::become_standby(const std::string& conninfo, const std::string& slot) {
    write_file(data_ + "/standby.signal", "");
    write_file(data_ + "/postgresql.auto.conf", fmt::format("primary_conninfo = {}\nprimary_slot_name = {}\n",
                                                            quoted(conninfo), quoted(slot)));
}

bool Server::enable_tls() {
    if (!std::filesystem::exists("/usr/bin/openssl")) return false;
    run_program({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                 "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2", "-keyout",
                 data_ + "/server.key", "-out", certificate()},
                data_ + ".log");
    write_file(data_ + "/postgresql.conf", "ssl = on\n", true);
    return true;
}

void Server::start() {
    pid_ = start_program({programs() + "/postgres", "-D", data_}, data_ + ".log");
}

void Server::signal(int number) const {
    kill(pid_, number);
}

void Server::signal_all(int number) const {
    const auto children = children_of(pid_);
    kill(pid_, number);
    for (const auto child : children)
        kill(child, number);
}

void Server::kill_and_reap() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = 0;
}

std::string Server::log() const {
    std::ostringstream text;
    text << std::ifstream(data_ + ".log").rdbuf();
    return text.str();
}

engine::postgresql::Login login_as(std::string user, std::string password) {
    engine::postgresql::Login login;
    login.user = std::move(user);
    login.password = std::move(password);
    return login;
}

std::string conninfo_to(const Server& server, const std::string& application_name) {
    return fmt::format(
        "user=repl password='re pl\\'pass' host=127.0.0.1 port={} application_name={} sslmode=disable",
        server.key().port, application_name);
}

engine::ObservationPtr look_until(Loop& loop, engine::Probe& probe,
                                  const std::function<bool(const engine::Observation&)>& wanted,
                                  milliseconds limit) {
    const auto end = loop.in(limit);
    while (loop.clock->now() < end) {
        const auto seen = loop.run(probe.look(loop.in(milliseconds(2000))));
        if (seen && wanted(**seen)) return *seen;
        loop.run([](Clock& clock) -> Task<int> {
            co_await clock.sleep_for(milliseconds(5));
            co_return 0;
        }(*loop.clock));
    }
    return nullptr;
}

engine::ObservationPtr look_until_up(Loop& loop, engine::Probe& probe) {
    return look_until(loop, probe, [](const auto&) { return true; });
}

}  // namespace baton::live
