#pragma once

#include <filesystem>
#include <string>

#include "store/rows.h"
#include "store/sqlite.h"

namespace baton::store {

/// Held while a manager uses the file: an advisory lock on "<path>.lock", which holds the process id. The
/// lock ends with the process, however it ends; the lock file stays.
class FileLock {
  public:
    static Result<FileLock> take(const std::filesystem::path& database);
    FileLock(FileLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    FileLock& operator=(FileLock&&) = delete;
    ~FileLock();

  private:
    explicit FileLock(int fd) : fd_(fd) {}
    int fd_;
};

/// A database that was found good, ready for writing, and what it holds.
struct OpenFile {
    FileLock lock;  ///< first: let go after the database is closed
    Database db;
    State state;
    Changes dropped;  ///< rows that are over today's limits, to be removed from the file
};

/// Creates the file if there is none. Every check happens before anything opens the file for writing.
Result<OpenFile> open_file(const std::filesystem::path& path, const Limits& limits);

}  // namespace baton::store
