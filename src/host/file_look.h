#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/time.h"

namespace baton::host {

/// The small files of a data directory that tell what it is.
struct SmallFiles {
    bool version = true;  ///< PG_VERSION
    bool control = true;  ///< global/pg_control, and it is not empty
    bool standby_signal = false;
    std::optional<std::string> postmaster_pid;
    bool operator==(const SmallFiles&) const = default;
};
/// Blocks for as long as the disk does.
SmallFiles read_small_files(const std::string& directory);

/// Reads them on a thread of its own: who guards a server must go on when its disk hangs.
class FileLook {
  public:
    using Read = std::function<SmallFiles()>;

    /// `patience`: a disk that takes longer hangs.
    FileLook(Read read, Duration patience);
    /// Waits for nobody: the thread ends when its look does.
    ~FileLook();
    FileLook(const FileLook&) = delete;
    FileLook& operator=(const FileLook&) = delete;

    /// As they are; as they were, while the disk hangs (no file can change then). Blocks for `patience` at
    /// most, and once for each hang. From one thread.
    const SmallFiles& look();

  private:
    /// Kept by both sides.
    struct Shared {
        std::mutex lock;
        std::condition_variable wake, done;
        uint64_t wanted = 0;  ///< looks asked for
        uint64_t ended = 0;
        bool over = false;
        SmallFiles result;
    };
    static void work(const std::shared_ptr<Shared>& shared, const Read& read);

    Duration patience_;
    std::shared_ptr<Shared> shared_;
    SmallFiles last_;
};

}  // namespace baton::host
