#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <memory>
#include <string>

#include "base/time.h"

namespace baton {

namespace asio = boost::asio;
template <class T>
using Task = asio::awaitable<T>;

/// One alarm. Used by one coroutine at a time, on the executor of the clock that made it.
class Timer {
  public:
    virtual ~Timer() = default;
    /// Waits until `when`; true when the time came, false when cancel() was called first.
    virtual Task<bool> wait_until(MonoTime when) = 0;
    /// Ends a wait that is under way; without one, nothing happens.
    virtual void cancel() = 0;
};

/// Time as an argument (rule 6 of the house). The real one reads the machine's clocks; the simulated world
/// has its own.
class Clock {
  public:
    virtual ~Clock() = default;
    virtual MonoTime now() const = 0;
    virtual WallTime wall() const = 0;
    /// Names what now() counts from: a later process for which it is the same text reads the same clock.
    /// Empty: not known.
    virtual std::string boot() const = 0;
    virtual std::unique_ptr<Timer> make_timer() = 0;
    virtual asio::any_io_executor executor() = 0;

    Task<void> sleep_for(Duration d);
    Task<void> sleep_until(MonoTime t);
};

/// The machine's clocks; timers run on `executor`.
std::unique_ptr<Clock> make_system_clock(asio::any_io_executor executor);
/// The same, but now() is CLOCK_BOOTTIME: it goes on while the machine is suspended. A timer that was due
/// meanwhile comes after the wake-up, late by at most what was left of it.
std::unique_ptr<Clock> make_boot_clock(asio::any_io_executor executor);

/// Something that one coroutine waits for and others announce. An announcement with nobody waiting is kept
/// for the next wait.
class Signal {
  public:
    explicit Signal(Clock& clock) : timer_(clock.make_timer()) {}
    /// True when notified, false when `deadline` came first.
    Task<bool> wait_until(MonoTime deadline);
    void notify();

  private:
    std::unique_ptr<Timer> timer_;
    bool pending_ = false;
    bool waiting_ = false;
};

}  // namespace baton
