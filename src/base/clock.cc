#include "base/clock.h"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <ctime>
#include <fstream>

namespace baton {
namespace {

class SystemTimer final : public Timer {
  public:
    explicit SystemTimer(const asio::any_io_executor& executor) : timer_(executor) {}

    Task<bool> wait_until(MonoTime when) override {
        timer_.expires_at(std::chrono::steady_clock::time_point(when.time_since_epoch()));
        boost::system::error_code ec;
        co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, ec));
        co_return !ec;
    }
    void cancel() override { timer_.cancel(); }

  private:
    asio::steady_timer timer_;
};

/// Linux gives each boot a name; elsewhere there is none.
std::string name_of_boot() {
    std::string name;
    std::ifstream("/proc/sys/kernel/random/boot_id") >> name;
    return name;
}

class SystemClock : public Clock {
  public:
    explicit SystemClock(asio::any_io_executor executor) : executor_(std::move(executor)) {}

    MonoTime now() const override { return MonoTime(std::chrono::steady_clock::now().time_since_epoch()); }
    WallTime wall() const override {
        return std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now());
    }
    std::unique_ptr<Timer> make_timer() override { return std::make_unique<SystemTimer>(executor_); }
    asio::any_io_executor executor() override { return executor_; }
    std::string boot() const override { return boot_; }

  private:
    asio::any_io_executor executor_;
    std::string boot_ = name_of_boot();
};

MonoTime boot_time() {
    timespec t{};
    ::clock_gettime(CLOCK_BOOTTIME, &t);
    return MonoTime(seconds(t.tv_sec) + std::chrono::nanoseconds(t.tv_nsec));
}

class BootTimer final : public Timer {
  public:
    explicit BootTimer(const asio::any_io_executor& executor) : timer_(executor) {}

    Task<bool> wait_until(MonoTime when) override {
        constexpr std::chrono::hours longest{1};
        cancelled_ = false;
        do {
            boost::system::error_code ec;
            timer_.expires_after(std::min<Duration>(when - boot_time(), longest));
            co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, ec));
        } while (!cancelled_ && boot_time() < when);
        co_return !cancelled_;
    }
    void cancel() override {
        cancelled_ = true;
        timer_.cancel();
    }

  private:
    asio::steady_timer timer_;
    bool cancelled_ = false;
};

class BootClock final : public SystemClock {
  public:
    using SystemClock::SystemClock;
    MonoTime now() const override { return boot_time(); }
    std::unique_ptr<Timer> make_timer() override { return std::make_unique<BootTimer>(executor()); }
};

}  // namespace

Task<void> Clock::sleep_for(Duration d) {
    return sleep_until(now() + d);
}

Task<void> Clock::sleep_until(MonoTime t) {
    const auto timer = make_timer();
    co_await timer->wait_until(t);
}

std::unique_ptr<Clock> make_system_clock(asio::any_io_executor executor) {
    return std::make_unique<SystemClock>(std::move(executor));
}

std::unique_ptr<Clock> make_boot_clock(asio::any_io_executor executor) {
    return std::make_unique<BootClock>(std::move(executor));
}

Task<bool> Signal::wait_until(MonoTime deadline) {
    if (!pending_) {
        waiting_ = true;
        co_await timer_->wait_until(deadline);
        waiting_ = false;
    }
    co_return std::exchange(pending_, false);
}

void Signal::notify() {
    pending_ = true;
    if (waiting_) timer_->cancel();
}

}  // namespace baton
