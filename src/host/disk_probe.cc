#include "host/disk_probe.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <random>

namespace baton::host {
namespace {

using topology::DiskHealth;

constexpr size_t probe_bytes = 64UL * 1024;

/// Other bytes each time: a file system that compresses or finds duplicates has to write them, too.
const std::string& probe_content() {
    thread_local std::string content(probe_bytes, '\0');
    thread_local std::minstd_rand random{std::random_device{}()};
    for (size_t i = 0; i < content.size(); ++i)
        content[i] = static_cast<char>(random());
    return content;
}

/// 0, or the error.
int write_probe(int fd) {
    const auto& content = probe_content();
    for (size_t done = 0; done < content.size();) {
        const auto n = ::write(fd, content.data() + done, content.size() - done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return n == 0 ? ENOSPC : errno;
        done += static_cast<size_t>(n);
    }
    return ::fdatasync(fd) == 0 ? 0 : errno;
}

int try_to_write(const std::string& path) {
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return errno;
    int error = write_probe(fd);
    if (::ftruncate(fd, 0) != 0 && error == 0) error = errno;
    if (::close(fd) != 0 && error == 0) error = errno;
    return error;
}

bool is_there(const std::string& path) {
    struct ::stat found{};
    return ::stat(path.c_str(), &found) == 0;
}

/// statvfs of the directory or of what would hold it.
void measure(std::string directory, DiskLook& look) {
    struct ::statvfs found{};
    while (::statvfs(directory.c_str(), &found) != 0) {
        const auto slash = directory.rfind('/');
        if (errno != ENOENT || slash == std::string::npos || slash == 0) return;
        directory.resize(slash);
    }
    look.total_bytes = static_cast<int64_t>(found.f_blocks) * static_cast<int64_t>(found.f_frsize);
    look.free_bytes = static_cast<int64_t>(found.f_bavail) * static_cast<int64_t>(found.f_frsize);
}

bool lies_apart(const std::string& data, const std::string& wal) {
    struct ::stat first{}, second{};
    return ::stat(data.c_str(), &first) == 0 && ::stat(wal.c_str(), &second) == 0 &&
           first.st_dev != second.st_dev;
}

}  // namespace

DiskHealth disk_health_of(int error_number) {
    switch (error_number) {
        case 0:
            return DiskHealth::good;
        case ENOSPC:
        case EDQUOT:
            return DiskHealth::full;
        case EROFS:
            return DiskHealth::read_only;
        case ENOENT:
        case ENOTDIR:
            return DiskHealth::unknown;
        default:
            return DiskHealth::failing;
    }
}

DiskLook look_at_disk(const std::string& directory, bool is_wal) {
    DiskLook look;
    measure(directory, look);
    const bool in_use =
        is_wal ? is_there(directory) : is_there(directory + "/PG_VERSION") || is_there(directory + "/global");
    const int error = in_use ? try_to_write(directory + "/" + std::string(probe_file)) : ENOENT;
    look.health = disk_health_of(error);
    if (error != 0) look.detail = std::strerror(error);
    look.wal_apart = !is_wal && in_use && lies_apart(directory, directory + "/pg_wal");
    return look;
}

}  // namespace baton::host
