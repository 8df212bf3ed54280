#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/clock.h"
#include "host/disk_probe.h"

namespace baton::host {

/// One directory, looked at by a thread of its own, which may hang in the look for ever. All calls from one
/// thread, which is never blocked.
class DiskWatch {
  public:
    using Look = std::function<DiskLook()>;

    /// `hung_after`: a look that takes longer is `hung`.
    DiskWatch(std::string path, Look look, Duration hung_after);
    /// Waits for nobody: the thread ends when its look does.
    ~DiskWatch();
    DiskWatch(const DiskWatch&) = delete;
    DiskWatch& operator=(const DiskWatch&) = delete;

    /// Begins a look, unless one is under way.
    void look_now(MonoTime now);
    /// As it is known at `now`; nothing before the first look has ended or hung.
    std::optional<topology::Disk> disk(MonoTime now);
    bool wal_apart() const { return last_.wal_apart; }
    /// When the look that is under way is one that hangs; nothing while none is.
    std::optional<MonoTime> hangs_at() const {
        if (wanted_ <= ended_) return std::nullopt;
        return asked_ + hung_after_ + milliseconds(1);
    }

  private:
    /// Kept by both sides.
    struct Shared {
        std::mutex lock;
        std::condition_variable wake;
        uint64_t wanted = 0;  ///< looks asked for
        uint64_t ended = 0;
        bool over = false;
        DiskLook result;
    };
    static void work(const std::shared_ptr<Shared>& shared, const Look& look);
    void take(MonoTime now);
    void become(topology::DiskHealth health, MonoTime now);

    std::string path_;
    Duration hung_after_;
    std::shared_ptr<Shared> shared_;
    uint64_t wanted_ = 0;
    uint64_t ended_ = 0;
    MonoTime asked_{};
    DiskLook last_;
    topology::DiskHealth health_ = topology::DiskHealth::unknown;
    bool known_ = false;
    MonoTime since_{};
};

}  // namespace baton::host
