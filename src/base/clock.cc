#include "base/clock.h"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
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

class SystemClock final : public Clock {
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
