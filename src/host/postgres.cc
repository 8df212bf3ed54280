#include "host/postgres.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

#include "base/text.h"
#include "host/conninfo.h"
#include "host/probe.h"
#include "host/processes.h"
#include "host/remnants.h"
#include "host/supervisor.h"

namespace baton::host {
namespace {

constexpr std::string_view standby_signal_file = "/standby.signal";
/// Less than a lease is overdrawn by, more than a busy host takes to read a few bytes.
constexpr milliseconds disk_patience{200};
/// A stop does not wait for a manager of services that hangs.
constexpr seconds systemd_patience{2};

std::string real_path(const std::string& path) {
    std::error_code ec;
    const auto real = std::filesystem::weakly_canonical(path, ec);
    return ec ? path : real.string();
}

bool exists(const std::string& path) {
    return ::access(path.c_str(), F_OK) == 0;
}

/// What a program says when it fails, in one line: the server's own last word on it, where that is among it.
std::string in_one_line(const std::string& output) {
    std::string line(trim(output));
    for (const auto& one : split(output, '\n')) {
        if (one.contains("FATAL:") || one.contains("PANIC:")) line = trim(one);
    }
    std::ranges::replace(line, '\n', ' ');
    return printable(line, 500);
}

/// pg_ctlcluster has a log of its own.
std::string log_of(const InstanceOptions& options, std::string otherwise) {
    if (!options.log_file.empty() || options.control != Control::pg_ctlcluster) return otherwise;
    const auto link = fmt::format("/etc/postgresql/{}/log", options.cluster_name);
    if (exists(link)) return link;
    const auto parts = split(options.cluster_name, '/');
    return fmt::format("/var/log/postgresql/postgresql-{}-{}.log", parts[0], parts[1]);
}

}  // namespace

Postgres::Postgres(Clock& clock, ProcessRunner& processes, const InstanceOptions& options,
                   std::string log_file)
    : clock_(clock),
      processes_(processes),
      options_(options),
      directory_(real_path(options.data_directory)),
      log_file_(log_of(options, std::move(log_file))),
      files_(std::make_shared<FileLook>(
          [directory = options.data_directory] { return read_small_files(directory); }, disk_patience)) {}

// ---- looking

bool Postgres::doomed(int pid) {
    const auto stat = process_stat(pid);
    if (!stat) return false;
    if (doomed_.contains({pid, stat->start})) return true;
    const bool now = stat->state == 'D' && is_doomed(pid);
    if (now) doomed_.emplace(pid, stat->start);
    return now;
}

Sight Postgres::look() {
    Sight s;
    const auto& files = files_->look();
    s.data = files.version || files.control;
    s.standby_signal = files.standby_signal;
    damaged_ = s.data && !(files.version && files.control);
    pid_file_ = files.postmaster_pid ? parse_pid_file(*files.postmaster_pid) : std::nullopt;
    if (pid_file_) last_pid_file_ = pid_file_;
    const int pid = pid_file_ ? pid_file_->pid : 0;
    const auto stat = pid != 0 ? process_stat(pid) : std::nullopt;
    const bool alive = stat && !stat->dead() && !doomed(pid);
    // The id may have been given to somebody else since: its program and directory are looked at once, then
    // its start time tells.
    const bool known = alive && pid == known_pid_ && stat->start == known_start_;
    if (alive && (known || works_in(pid, directory_))) {
        known_pid_ = pid;
        known_start_ = stat->start;
        clean_for_.reset();
        s.postmaster = true;
        s.pid = pid;
        s.stopped = stat->stopped();
        s.phase = pid_file_->phase;
        s.started_at_us = pid_file_->started_s * 1'000'000;
        return s;
    }
    // One that has left no file (it was removed, or it has not written it yet) counts as well.
    if (known_pid_ == 0 && clean_for_ == pid) return s;
    auto found = working_in(directory_);
    const auto stuck = std::erase_if(found, [this](int one) { return doomed(one); });
    if (stuck == 0) doomed_.clear();
    s.stuck = stuck > 0;
    // It has not written its file yet, and is none of those that a dead one has left behind.
    if (const auto newborn = std::ranges::find_if(found, is_postmaster); newborn != found.end()) {
        known_pid_ = *newborn;
        known_start_ = process_stat(*newborn).value_or(ProcessStat{}).start;
        clean_for_.reset();
        s.postmaster = true;
        s.pid = *newborn;
        return s;
    }
    s.others = !found.empty();
    if (!s.others && pid_file_ && pid_file_->shared_memory_id)
        s.others = attached_to(*pid_file_->shared_memory_id, pid_file_->shared_memory_key) > stuck;
    if (!s.others) {
        known_pid_ = 0;
        if (s.stuck)
            clean_for_.reset();
        else
            clean_for_ = pid;
    }
    return s;
}

bool Postgres::intruded() {
    const auto& files = files_->look();
    const auto file = files.postmaster_pid ? parse_pid_file(*files.postmaster_pid) : std::nullopt;
    return file && !file->stand_alone && works_in(file->pid, directory_);
}

int Postgres::open_pidfd() const {
    return known_pid_ == 0 ? -1 : static_cast<int>(::syscall(SYS_pidfd_open, known_pid_, 0));
}

Task<Result<agent::ControlData>> Postgres::control_data() {
    const auto output = co_await run({program("pg_controldata"), options_.data_directory}, seconds(10));
    if (!output) co_return std::unexpected(output.error());
    auto data = parse_control_data(*output);
    if (!data) data.error().who = options_.data_directory;
    co_return data;
}

Task<Result<std::string>> Postgres::version() {
    const auto output = co_await run({program("pg_ctl"), "--version"}, seconds(10));
    if (!output) co_return std::unexpected(output.error());
    co_return version_of(*output);
}

Task<Result<void>> Postgres::probe(Duration limit) {
    if (!pid_file_ || pid_file_->port == 0)
        co_return fail(ErrorKind::not_found, "postmaster.pid names no port", options_.key.text());
    const auto& at =
        pid_file_->socket_directory.empty() ? pid_file_->listen_address : pid_file_->socket_directory;
    if (at.empty()) co_return fail(ErrorKind::not_found, "it listens nowhere", options_.key.text());
    co_return co_await probe_server(clock_, at, pid_file_->port, limit);
}

// ---- signals

size_t Postgres::signal_all(int signal) const {
    return host::signal_all(directory_, signal);
}

bool Postgres::signal_postmaster(int signal) const {
    const auto stat = known_pid_ == 0 ? std::nullopt : process_stat(known_pid_);
    if (!stat || stat->start != known_start_) return false;
    return ::kill(known_pid_, signal) == 0;
}

// ---- programs

std::string Postgres::program(std::string_view name) const {
    return fmt::format("{}/{}", options_.bin_directory, name);
}

Task<Result<std::string>> Postgres::run(std::vector<std::string> argv, Duration timeout) {
    const auto name = std::filesystem::path(argv[0]).filename().string();
    const auto done = co_await processes_.run(
        {.argv = std::move(argv), .environment = {{"LC_ALL", "C"}, {"PGDATA", ""}}, .timeout = timeout});
    if (!done) co_return std::unexpected(done.error());
    if (done->timed_out) {
        co_return fail(ErrorKind::timeout, fmt::format("{} has not ended within {} ms", name, to_ms(timeout)),
                       options_.key.text());
    }
    if (!done->ok()) {
        co_return fail(
            ErrorKind::io,
            fmt::format("{} failed (exit code {}): {}", name, done->exit_code, in_one_line(done->output)),
            options_.key.text());
    }
    co_return done->output;
}

std::vector<std::string> Postgres::start_arguments() const {
    switch (options_.control) {
        case Control::systemd:
            return {"systemctl", "--no-ask-password", "--no-block", "start", options_.systemd_unit};
        case Control::pg_ctlcluster: {
            const auto parts = split(options_.cluster_name, '/');
            std::vector<std::string> argv{"pg_ctlcluster", "--skip-systemctl-redirect"};
            if (!options_.start_options.empty()) argv.insert(argv.end(), {"-o", options_.start_options});
            argv.insert(argv.end(), {parts[0], parts[1], "start"});
            return argv;
        }
        case Control::pg_ctl:
            break;
    }
    auto options = options_.start_options;
    if (!options_.config_file.empty())
        options = fmt::format("-c config_file='{}' {}", options_.config_file, options);
    std::vector<std::string> argv{program("pg_ctl"),       "start", "-W",     "-s", "-D",
                                  options_.data_directory, "-l",    log_file_};
    if (!options.empty()) argv.insert(argv.end(), {"-o", options});
    return argv;
}

/// A postmaster that has died and that nobody has waited for counts as alive for PostgreSQL: an init process
/// that takes its time, or a container that has none. Precondition: no process of the directory is left.
Task<void> Postgres::bury() {
    constexpr milliseconds patience{3000};
    constexpr milliseconds pace{5};
    const auto until = clock_.now() + patience;
    // A rewind has taken the file away by now; the lock of its socket is still there.
    const auto file = last_pid_file_;
    if (!file) co_return;
    // One that was shut down in order has taken both away.
    const auto left_by_it = [&] {
        const auto stat = process_stat(file->pid);
        std::vector<std::string> locks;
        if (!stat || !stat->dead()) return locks;
        for (auto& lock : {options_.data_directory + "/postmaster.pid",
                           fmt::format("{}/.s.PGSQL.{}.lock", file->socket_directory, file->port)}) {
            const auto text = read_whole(lock, 16UL * 1024);
            const auto owner = text ? parse_pid_file(*text) : std::nullopt;
            if (owner && owner->pid == file->pid) locks.push_back(lock);
        }
        return locks;
    };
    while (!left_by_it().empty() && clock_.now() < until)
        co_await clock_.sleep_for(pace);
    for (const auto& lock : left_by_it())
        ::unlink(lock.c_str());
}

Task<Result<void>> Postgres::start() {
    clean_for_.reset();
    co_await bury();
    co_await drop_empty_locks(clock_, lock_files_of(options_, last_pid_file_));
    const auto done = co_await run(start_arguments(), options_.start_timeout);
    if (!done) co_return std::unexpected(done.error());
    co_return Result<void>{};
}

Task<Result<void>> Postgres::stop(const std::string& mode) {
    // The signals that pg_ctl sends, which then looks only every tenth of a second whether it is over.
    const int signal = mode == "smart" ? SIGTERM : mode == "immediate" ? SIGQUIT : SIGINT;
    // systemd shall know that it is meant. The signal does not wait for what the unit does to stop it, and
    // ends a server that was started without the unit, too.
    if (options_.control == Control::systemd) {
        const auto told =
            co_await run({"systemctl", "--no-ask-password", "--no-block", "stop", options_.systemd_unit},
                         systemd_patience);
        if (!told) spdlog::warn("{}: {}", options_.key.text(), told.error().message);
        if (!look().postmaster) co_return Result<void>{};
    }
    if (!signal_postmaster(signal))
        co_return fail(ErrorKind::conflict, "it does not run", options_.key.text());
    co_return Result<void>{};
}

Task<std::string> Postgres::in_the_way() {
    if (options_.control == Control::systemd) {
        const auto shown = co_await run(ask_unit(options_.systemd_unit), systemd_patience);
        co_return shown ? unit_in_the_way(options_.systemd_unit, *shown) : shown.error().message;
    }
    if (options_.control == Control::pg_ctlcluster) {
        const auto text = read_whole("/etc/postgresql/" + options_.cluster_name + "/start.conf", 16UL * 1024);
        if (text) co_return start_conf_in_the_way(options_.cluster_name, *text);
    }
    co_return "";
}

Task<bool> Postgres::begins_yet() {
    if (options_.control != Control::systemd) co_return false;
    const auto shown = co_await run(ask_unit(options_.systemd_unit), systemd_patience);
    co_return shown&& unit_begins(*shown);
}

Task<std::string> Postgres::why_down() {
    auto words = last_words();
    if (options_.control != Control::systemd) co_return words;
    const auto shown = co_await run(ask_unit(options_.systemd_unit), systemd_patience);
    const auto state = shown ? unit_state(*shown) : shown.error().message;
    if (state.empty()) co_return words;
    co_return fmt::format("systemd says of {}: {}{}{}", options_.systemd_unit, state,
                          words.empty() ? "" : "; ", words);
}

Task<Result<void>> Postgres::promote() {
    const auto done =
        co_await run({program("pg_ctl"), "promote", "-W", "-s", "-D", options_.data_directory}, seconds(10));
    if (!done) co_return std::unexpected(done.error());
    co_return Result<void>{};
}

Result<void> Postgres::reload() const {
    if (!signal_postmaster(SIGHUP)) return fail(ErrorKind::conflict, "it does not run", options_.key.text());
    return {};
}

// ---- files

Result<std::string> Postgres::old_conninfo() const {
    const auto inside = options_.data_directory + "/postgresql.conf";
    const auto outside = config_file_of(options_);
    for (const auto& file :
         {options_.data_directory + "/postgresql.auto.conf", outside.empty() ? inside : outside}) {
        const auto text = read_whole(file);
        if (!text && text.error().kind != ErrorKind::not_found) return std::unexpected(text.error());
        const auto value = text ? read_setting(*text, "primary_conninfo") : std::nullopt;
        if (value && !value->empty()) return *value;
    }
    if (options_.replication_conninfo.empty()) {
        return fail(ErrorKind::not_found,
                    "its directory has no primary_conninfo, and the agent's file no ReplicationConninfo: who "
                    "shall it log in as?",
                    options_.key.text());
    }
    return options_.replication_conninfo;
}

Result<void> Postgres::write_standby(const InstanceKey& upstream, const std::string& slot) const {
    const auto old = old_conninfo();
    if (!old) return std::unexpected(old.error());
    auto conninfo = Conninfo::parse(*old);
    if (!conninfo) return std::unexpected(conninfo.error());
    // An address left behind would win over the name.
    conninfo->remove("hostaddr");
    conninfo->set("host", upstream.host);
    conninfo->set("port", std::to_string(upstream.port));
    const auto file = options_.data_directory + "/postgresql.auto.conf";
    const auto text = read_whole(file);
    if (!text && text.error().kind != ErrorKind::not_found) return std::unexpected(text.error());
    auto fresh = with_setting(text.value_or(""), "primary_conninfo", conninfo->text());
    if (!slot.empty() || read_setting(fresh, "primary_slot_name"))
        fresh = with_setting(fresh, "primary_slot_name", slot);
    if (auto written = write_durably(file, fresh); !written) return written;
    const auto signal = options_.data_directory + std::string(standby_signal_file);
    return exists(signal) ? sync_directory(options_.data_directory) : write_durably(signal, "");
}

std::string Postgres::last_words() const {
    constexpr std::streamoff most = 2000;
    const int fd = ::open(log_file_.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return {};
    const auto size = ::lseek(fd, 0, SEEK_END);
    std::string text(static_cast<size_t>(std::min<off_t>(size, most)), '\0');
    const auto n = ::pread(fd, text.data(), text.size(), size - static_cast<off_t>(text.size()));
    ::close(fd);
    text.resize(n > 0 ? static_cast<size_t>(n) : 0);
    std::string wanted;
    for (const auto& line : split(text, '\n')) {
        if (line.contains("FATAL:") || line.contains("PANIC:")) wanted = line;
    }
    return printable(trim(wanted.empty() ? in_one_line(text) : wanted), 300);
}

}  // namespace baton::host
