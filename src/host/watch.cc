#include "host/watch.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/async.h"

namespace baton::host {
namespace {

namespace posix = asio::posix;

constexpr uint32_t of_files = IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_MOVED_FROM | IN_CLOSE_WRITE;
constexpr uint32_t of_itself = IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;

}  // namespace

/// One postmaster's pidfd.
struct Watch::Ends {
    Ends(const asio::any_io_executor& executor, int fd, std::function<void()> call)
        : descriptor(executor, fd), stirred(std::move(call)) {}
    posix::stream_descriptor descriptor;
    std::function<void()> stirred;

    static Task<void> wait(std::shared_ptr<Ends> self) {
        boost::system::error_code ec;
        co_await self->descriptor.async_wait(posix::stream_descriptor::wait_read,
                                             asio::redirect_error(asio::use_awaitable, ec));
        if (!ec && self->stirred) self->stirred();
    }
};

/// One data directory's inotify descriptor.
struct Watch::Files {
    Files(const asio::any_io_executor& executor, int fd, std::function<void()> call)
        : descriptor(executor, fd), stirred(std::move(call)) {}
    posix::stream_descriptor descriptor;
    std::function<void()> stirred;
    bool lost = false;  ///< the directory was removed or moved: this one is of no more use

    void take(std::string_view bytes) {
        bool news = false;
        while (bytes.size() >= sizeof(inotify_event)) {
            inotify_event event{};
            std::copy_n(bytes.data(), sizeof event, reinterpret_cast<char*>(&event));
            const auto* name = bytes.data() + sizeof event;
            const std::string_view file(name, strnlen(name, event.len));
            bytes.remove_prefix(std::min(bytes.size(), sizeof event + event.len));
            lost = lost || (event.mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED)) != 0;
            news = news || lost || file == "postmaster.pid" || file == "standby.signal";
        }
        if (news && stirred) stirred();
    }
    static Task<void> read(std::shared_ptr<Files> self) {
        alignas(inotify_event) std::array<char, 4096> buffer{};
        while (!self->lost) {
            boost::system::error_code ec;
            const auto n = co_await self->descriptor.async_read_some(
                asio::buffer(buffer), asio::redirect_error(asio::use_awaitable, ec));
            if (ec) co_return;
            self->take({buffer.data(), n});
        }
    }
};

Watch::Watch(Clock& clock, std::string directory, std::function<void()> stirred)
    : clock_(clock), directory_(std::move(directory)), stirred_(std::move(stirred)) {}

Watch::~Watch() {
    follow_nobody();
    if (files_) {
        files_->stirred = nullptr;
        files_->descriptor.close();
    }
}

void Watch::follow_nobody() {
    pid_ = 0;
    if (!ends_) return;
    ends_->stirred = nullptr;
    ends_->descriptor.close();
    ends_.reset();
}

void Watch::follow(int pid, int pidfd) {
    follow_nobody();
    if (pidfd < 0) return;
    pid_ = pid;
    ends_ = std::make_shared<Ends>(clock_.executor(), pidfd, stirred_);
    spawn(clock_.executor(), Ends::wait(ends_));
}

void Watch::refresh() {
    if (files_ && !files_->lost) return;
    files_.reset();
    const int fd = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (fd < 0) return;
    if (::inotify_add_watch(fd, directory_.c_str(), of_files | of_itself) < 0) {
        ::close(fd);
        return;
    }
    files_ = std::make_shared<Files>(clock_.executor(), fd, stirred_);
    spawn(clock_.executor(), Files::read(files_));
}

}  // namespace baton::host
