#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/text.h"
#include "store/file.h"

namespace baton::store {
namespace {

std::string holder_of(int fd) {
    char text[32] = {};
    const auto size = ::pread(fd, text, sizeof text - 1, 0);
    const auto pid = parse_int(trim({text, size > 0 ? static_cast<size_t>(size) : 0}));
    return pid ? fmt::format(" (process {})", *pid) : "";
}

}  // namespace

Result<FileLock> FileLock::take(const std::filesystem::path& database) {
    const auto path = database.string() + ".lock";
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail(ErrorKind::io, fmt::format("cannot create its lock file: {}", std::strerror(errno)),
                    path);
    FileLock lock(fd);
    if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK)
            return fail(ErrorKind::io, fmt::format("cannot lock: {}", std::strerror(errno)), path);
        return fail(ErrorKind::io,
                    fmt::format("another running manager{} uses this database; stop it, or give this one a "
                                "SQLite3DataFile of its own",
                                holder_of(fd)),
                    database.string());
    }
    const auto pid = fmt::format("{}\n", ::getpid());
    // The id is only there for the message above: the lock is good without it, even on a full disk.
    const bool written = ::ftruncate(fd, 0) == 0 && ::pwrite(fd, pid.data(), pid.size(), 0) > 0;
    (void)written;
    return lock;
}

FileLock::~FileLock() {
    if (fd_ >= 0) ::close(fd_);
}

}  // namespace baton::store
