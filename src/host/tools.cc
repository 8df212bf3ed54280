#include "host/tools.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "base/text.h"
#include "host/files.h"

namespace baton::host {
namespace {

namespace fs = std::filesystem;

/// Runs without a connection that was lost silently, too: keepalives are libpq's default, connecting is not
/// limited by default.
constexpr std::string_view connect_timeout_s = "10";

bool works_on(const std::vector<std::string>& words, const std::vector<std::string>& paths) {
    if (words.empty()) return false;
    const auto name = words[0].substr(words[0].rfind('/') + 1);
    if (name != "pg_rewind" && name != "pg_basebackup" && name != "rm") return false;
    return std::ranges::any_of(words, [&](const std::string& word) {
        return std::ranges::any_of(paths, [&](const std::string& path) {
            return !path.empty() && (word == path || word.ends_with("=" + path));
        });
    });
}

/// Processes of ours that work on one of the paths.
std::vector<pid_t> strays_on(const std::vector<std::string>& paths) {
    std::vector<pid_t> found;
    std::error_code ec;
    for (const auto& entry : fs::directory_iterator("/proc", ec)) {
        const auto pid = parse_int(entry.path().filename().string());
        struct ::stat owner{};
        if (!pid || ::stat(entry.path().c_str(), &owner) != 0 || owner.st_uid != ::geteuid()) continue;
        const auto line = read_whole(entry.path().string() + "/cmdline");
        if (line && works_on(split(*line, '\0'), paths)) found.push_back(static_cast<pid_t>(*pid));
    }
    return found;
}

}  // namespace

Result<void> Tools::may_go_on() const {
    if (control_.cancelled()) return fail(ErrorKind::cancelled, "cancelled");
    if (clock_.now() >= control_.deadline()) return fail(ErrorKind::timeout, "the deadline has passed");
    return {};
}

void Tools::report(std::string phase) const {
    agent::Job job;
    job.phase = std::move(phase);
    control_.report(job);
}

void Tools::end_program(Error why) {
    if (group_ <= 0) return;
    ended_ = std::move(why);
    ::kill(-group_, SIGKILL);
}

Task<Result<void>> Tools::remove(std::vector<std::string> paths) {
    std::vector<std::string> arguments = {"-rf", "--"};
    for (auto& path : paths) {
        if (path.size() > 1 && path.starts_with('/')) arguments.push_back(std::move(path));
    }
    if (arguments.size() == 2) co_return Result<void>{};
    const auto done = co_await run("rm", std::move(arguments));
    if (!done) co_return std::unexpected(done.error());
    if (!done->ok) co_return fail(ErrorKind::io, "cannot be removed: " + printable(trim(done->text)));
    co_return Result<void>{};
}

Task<Result<ToolOutput>> Tools::run(std::string program, std::vector<std::string> arguments, Watch watch) {
    if (auto go = may_go_on(); !go) co_return std::unexpected(go.error());
    CopyRate rate;
    OutputLines lines([&](const CopyProgress& seen) {
        agent::Job job;
        job.phase = watch.phase;
        job.done_bytes = seen.done_bytes;
        job.total_bytes = std::max(seen.done_bytes, seen.total_bytes);
        job.bytes_per_second = rate.add(clock_.now(), seen.done_bytes);
        control_.report(job);
        if (watch.progress) watch.progress(seen);
    });
    ProcessSpec spec;
    const bool of_postgresql = program != "rm";
    spec.argv = {of_postgresql ? instance_.bin_directory + "/" + program : program};
    spec.argv.insert(spec.argv.end(), arguments.begin(), arguments.end());
    spec.environment = {{"LC_ALL", "C"}, {"PGCONNECT_TIMEOUT", std::string(connect_timeout_s)}};
    spec.timeout = control_.deadline() - clock_.now();
    spec.on_output = [&lines](std::string_view piece) { lines.add(piece); };
    spec.on_started = [this](int group) {
        group_ = group;
        control_.on_cancel([group] { ::kill(-group, SIGKILL); });
    };
    ended_.reset();
    const auto done = co_await processes_.run(std::move(spec));
    group_ = 0;
    control_.on_cancel(nullptr);
    if (!done) co_return std::unexpected(done.error());
    if (ended_) co_return std::unexpected(*ended_);
    if (auto go = may_go_on(); !go && !done->ok()) co_return std::unexpected(go.error());
    if (done->timed_out) co_return fail(ErrorKind::timeout, program + " was not ready within the deadline");
    lines.finish();
    co_return ToolOutput{done->ok(), done->exit_code, std::move(lines), done->output};
}

Task<Result<std::vector<std::string>>> Tools::query(std::string conninfo, std::string sql) {
    const auto done =
        co_await run("psql", {"-X", "-A", "-t", "-q", "-w", "-F", "|", "-d", std::move(conninfo), "-c", sql});
    if (!done) co_return std::unexpected(done.error());
    if (!done->ok) co_return std::unexpected(why_query_failed(done->lines));
    const auto text = trim(done->text);
    co_return split(text.substr(0, text.find('\n')), '|');
}

Result<SafeConninfo> SafeConninfo::make(Conninfo conninfo, const std::string& pass_file) {
    const auto password = conninfo.take_password();
    if (password.empty()) return SafeConninfo(conninfo.text(), "");
    if (auto written = write_durably(pass_file, password_line(password)); !written)
        return std::unexpected(written.error());
    conninfo.set("passfile", pass_file);
    return SafeConninfo(conninfo.text(), pass_file);
}

SafeConninfo::SafeConninfo(SafeConninfo&& other) noexcept
    : text_(std::move(other.text_)), pass_file_(std::exchange(other.pass_file_, {})) {}

SafeConninfo::~SafeConninfo() {
    if (!pass_file_.empty()) ::unlink(pass_file_.c_str());
}

void end_strays(const std::vector<std::string>& paths) {
    for (int round = 0; round < 20; ++round) {
        const auto found = strays_on(paths);
        if (found.empty()) return;
        // Each of our programs leads a group of its own; what it has started belongs to that.
        for (const auto pid : found) {
            if (::getpgid(pid) == pid) ::kill(-pid, SIGKILL);
            ::kill(pid, SIGKILL);
        }
        std::this_thread::sleep_for(milliseconds(50));
    }
}

std::optional<Space> space_of(const std::string& path) {
    struct ::statvfs found{};
    if (::statvfs(path.c_str(), &found) != 0) return std::nullopt;
    const auto block = static_cast<int64_t>(found.f_frsize);
    return Space{static_cast<int64_t>(found.f_bavail) * block, static_cast<int64_t>(found.f_blocks) * block};
}

std::string bytes_text(int64_t bytes) {
    constexpr std::array units{"kB", "MB", "GB", "TB", "PB"};
    if (bytes < 1000) return fmt::format("{} bytes", bytes);
    double value = static_cast<double>(bytes);
    size_t unit = 0;
    for (value /= 1000; value >= 1000 && unit + 1 < units.size(); ++unit)
        value /= 1000;
    return fmt::format("{:.{}f} {}", value, value < 10 ? 1 : 0, units[unit]);
}

}  // namespace baton::host
