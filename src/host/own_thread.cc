#include "host/own_thread.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <thread>

namespace baton::host {
namespace {

/// Rung by the thread. It never touches the loop, which may have gone by then.
struct Bell {
    Bell() : fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
    ~Bell() {
        if (fd >= 0) ::close(fd);
    }
    Bell(const Bell&) = delete;
    Bell& operator=(const Bell&) = delete;
    void ring() const {
        const uint64_t one = 1;
        [[maybe_unused]] const auto written = ::write(fd, &one, sizeof one);
    }
    int fd;
};

}  // namespace

Task<void> run_apart(Clock& clock, std::function<void()> work) {
    const auto bell = std::make_shared<Bell>();
    const int watched = bell->fd < 0 ? -1 : ::fcntl(bell->fd, F_DUPFD_CLOEXEC, 3);
    if (watched < 0) {  // no descriptors left: better late than never
        work();
        co_return;
    }
    asio::posix::stream_descriptor rung(clock.executor(), watched);
    std::thread([bell, work = std::move(work)] {
        work();
        bell->ring();
    }).detach();
    boost::system::error_code ignored;
    co_await rung.async_wait(asio::posix::stream_descriptor::wait_read,
                             asio::redirect_error(asio::use_awaitable, ignored));
}

}  // namespace baton::host
