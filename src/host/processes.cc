#include "host/processes.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/shm.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <set>
#include <string_view>

#include "base/text.h"

namespace baton::host {
namespace {

std::string read_link(const std::string& path) {
    char target[4096];
    const auto n = ::readlink(path.c_str(), target, sizeof target);
    return n > 0 ? std::string(target, static_cast<size_t>(n)) : std::string();
}

std::string without_deleted(std::string path) {
    constexpr std::string_view mark = " (deleted)";
    if (path.ends_with(mark)) path.resize(path.size() - mark.size());
    return path;
}

/// The program, whatever the process calls itself: a person's shell in the data directory is none of ours.
bool is_server_program(const std::string& path) {
    const auto name = std::string_view(path).substr(path.rfind('/') + 1);
    return name == "postgres" || name == "postmaster" || name.starts_with("postgres-");
}

}  // namespace

std::optional<ProcessStat> process_stat(pid_t pid) {
    constexpr int fields_between = 19;  // the state is field 3, the start field 22 (proc(5))
    char text[1024];
    std::snprintf(text, sizeof text, "/proc/%d/stat", pid);
    const int fd = ::open(text, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return std::nullopt;
    const auto n = ::read(fd, text, sizeof text);
    ::close(fd);
    std::string_view rest(text, n > 0 ? static_cast<size_t>(n) : 0);
    // The name may hold blanks and brackets.
    rest.remove_prefix(std::min(rest.size(), rest.rfind(')') + 2));
    if (rest.empty()) return std::nullopt;
    ProcessStat stat{.state = rest[0]};
    for (int i = 0; i < fields_between; ++i)
        rest.remove_prefix(std::min(rest.size(), rest.find(' ') + 1));
    stat.start = parse_uint(rest.substr(0, rest.find(' '))).value_or(0);
    return stat;
}

bool says_doomed(std::string_view status) {
    constexpr uint64_t kill_bit = uint64_t{1} << (SIGKILL - 1);
    bool waits = false;
    uint64_t pending = 0;
    for (const auto& line : split(status, '\n')) {
        const auto value =
            std::string(trim(std::string_view(line).substr(std::min(line.size(), line.find(':') + 1))));
        if (line.starts_with("State:")) waits = value.starts_with('D');
        if (line.starts_with("SigPnd:") || line.starts_with("ShdPnd:"))
            pending |= std::strtoull(value.c_str(), nullptr, 16);
    }
    return waits && (pending & kill_bit) != 0;
}

bool is_doomed(pid_t pid) {
    char text[4096];
    std::snprintf(text, sizeof text, "/proc/%d/status", pid);
    const int fd = ::open(text, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    const auto n = ::read(fd, text, sizeof text);
    ::close(fd);
    return n > 0 && says_doomed({text, static_cast<size_t>(n)});
}

bool works_in(pid_t pid, const std::string& directory) {
    const auto base = "/proc/" + std::to_string(pid);
    if (without_deleted(read_link(base + "/cwd")) != directory) return false;
    if (!is_server_program(without_deleted(read_link(base + "/exe")))) return false;
    const auto stat = process_stat(pid);
    return stat && !stat->dead();
}

std::vector<pid_t> working_in(const std::string& directory) {
    std::vector<pid_t> found;
    const std::unique_ptr<DIR, decltype([](DIR* d) { ::closedir(d); })> proc(::opendir("/proc"));
    if (!proc) return found;
    while (const auto* entry = ::readdir(proc.get())) {
        const auto pid = parse_uint(entry->d_name);
        if (pid && works_in(static_cast<pid_t>(*pid), directory)) found.push_back(static_cast<pid_t>(*pid));
    }
    return found;
}

bool is_postmaster(pid_t pid) {
    constexpr std::string_view title = "postgres: ";
    const int fd = ::open(("/proc/" + std::to_string(pid) + "/cmdline").c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    char name[title.size()];
    const auto n = ::read(fd, name, sizeof name);
    ::close(fd);
    return n > 0 && std::string_view(name, static_cast<size_t>(n)) != title;
}

size_t signal_all(const std::string& directory, int signal) {
    constexpr int most_rounds = 8;
    std::set<pid_t> sent;
    for (int round = 0; round < most_rounds; ++round) {
        const auto before = sent.size();
        for (const auto pid : working_in(directory)) {
            if (sent.insert(pid).second) ::kill(pid, signal);
        }
        if (sent.size() == before) break;
    }
    return sent.size();
}

uint64_t attached_to(int id, int key) {
    shmid_ds segment{};
    if (::shmctl(id, IPC_STAT, &segment) != 0 || segment.shm_perm.__key != key) return 0;
    return segment.shm_nattch;
}

}  // namespace baton::host
