#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <set>

#include "base/async.h"

namespace baton::fleet::testing {

/// A clock that stands still until it is moved.
class FakeClock : public Clock {
  public:
    MonoTime now() const override { return now_; }
    WallTime wall() const override {
        return WallTime{} + std::chrono::floor<std::chrono::microseconds>(now_ - MonoTime{});
    }
    std::string boot() const override { return "fake"; }
    std::unique_ptr<Timer> make_timer() override { return std::make_unique<FakeTimer>(*this); }
    asio::any_io_executor executor() override { return io_.get_executor(); }

    /// Runs what is ready.
    void settle() {
        io_.restart();
        io_.poll();
    }
    /// Timers ring on their way, in their order.
    void advance(Duration by) {
        const auto until = now_ + by;
        settle();
        while (true) {
            FakeTimer* next = nullptr;
            for (auto* timer : waiting_) {
                if (timer->due <= until && (!next || timer->due < next->due)) next = timer;
            }
            if (!next) break;
            now_ = std::max(now_, next->due);
            waiting_.erase(next);
            next->ring(true);
            settle();
        }
        now_ = until;
    }

  private:
    struct FakeTimer final : Timer {
        explicit FakeTimer(FakeClock& c) : clock(c), timer(c.io_) {}
        ~FakeTimer() override { clock.waiting_.erase(this); }
        Task<bool> wait_until(MonoTime when) override {
            if (when <= clock.now_) co_return true;
            due = when;
            came = false;
            clock.waiting_.insert(this);
            timer.expires_at(asio::steady_timer::time_point::max());
            boost::system::error_code ignored;
            co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
            co_return came;
        }
        void cancel() override {
            if (clock.waiting_.erase(this) > 0) ring(false);
        }
        void ring(bool by_time) {
            came = by_time;
            timer.cancel();
        }
        FakeClock& clock;
        asio::steady_timer timer;
        MonoTime due{};
        bool came = false;
    };

    asio::io_context io_{1};
    MonoTime now_{seconds(1000)};
    std::set<FakeTimer*> waiting_;
};

}  // namespace baton::fleet::testing
