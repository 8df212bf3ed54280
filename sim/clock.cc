#include "sim/clock.h"

#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstdio>
#include <cstdlib>

namespace baton::sim {
namespace {

/// A world in which this much happens at one moment goes round in a circle.
constexpr uint64_t most_steps_at_one_moment = 1'000'000;
/// 2026-01-01T00:00:00Z
constexpr WallTime first_day{seconds(1'767'225'600)};

}  // namespace

class VirtualTimer final : public Timer {
  public:
    VirtualTimer(Scheduler& scheduler, Process& process) : scheduler_(scheduler), process_(process) {}
    ~VirtualTimer() override { scheduler_.cancel(key_); }

    Task<bool> wait_until(MonoTime when) override {
        return asio::async_initiate<const asio::use_awaitable_t<>, void(bool)>(
            [this, when](auto handler) { key_ = scheduler_.add(when, &process_, std::move(handler)); },
            asio::use_awaitable);
    }
    void cancel() override { scheduler_.cancel(key_); }

  private:
    Scheduler& scheduler_;
    Process& process_;
    Scheduler::Key key_{};
};

void Scheduler::at(MonoTime when, std::function<void()> action) {
    add(when, nullptr, [action = std::move(action)](bool) { action(); });
}

Scheduler::Key Scheduler::add(MonoTime when, Process* owner, std::move_only_function<void(bool)> complete) {
    const Key key{std::max(when, now_), next_id_++};
    events_.emplace(key, Event{owner, std::move(complete)});
    return key;
}

void Scheduler::cancel(const Key& key) {
    auto node = events_.extract(key);
    if (!node || node.mapped().owner == nullptr) return;
    asio::post(node.mapped().owner->executor(),
               [complete = std::move(node.mapped().complete)]() mutable { complete(false); });
}

void Scheduler::leave(Process* process) {
    std::erase(processes_, process);
    std::vector<Event> dropped;
    for (auto at = events_.begin(); at != events_.end();) {
        if (at->second.owner != process) {
            ++at;
            continue;
        }
        dropped.push_back(std::move(at->second));
        at = events_.erase(at);
    }
}

bool Scheduler::run_ready() {
    for (size_t i = 0; i < processes_.size(); ++i) {
        if (processes_[i]->io_->poll_one() > 0) return true;
    }
    return false;
}

bool Scheduler::step(MonoTime deadline) {
    ++steps_;
    if (++steps_at_this_moment_ > most_steps_at_one_moment) {
        std::fprintf(stderr, "the simulated world goes round in a circle at %lld us\n",
                     static_cast<long long>(to_us(now_.time_since_epoch())));
        std::abort();
    }
    if (run_ready()) return true;
    if (events_.empty() || events_.begin()->first.first > deadline) return false;
    auto node = events_.extract(events_.begin());
    if (node.key().first != now_) steps_at_this_moment_ = 0;
    now_ = node.key().first;
    auto& event = node.mapped();
    if (event.owner == nullptr) {
        event.complete(true);
    } else {
        asio::post(event.owner->executor(),
                   [complete = std::move(event.complete)]() mutable { complete(true); });
    }
    return true;
}

bool Scheduler::run_until(const std::function<bool()>& done, MonoTime deadline) {
    for (;;) {
        if (done()) return true;
        if (!step(deadline)) break;
    }
    if (deadline != MonoTime::max()) now_ = std::max(now_, deadline);
    return done();
}

void Scheduler::run_for(Duration time) {
    run_until([] { return false; }, now_ + time);
}

Process::Process(Scheduler& scheduler)
    : scheduler_(scheduler), io_(std::make_unique<asio::io_context>(1)), work_(asio::make_work_guard(*io_)) {
    scheduler_.join(this);
}

void Process::kill() {
    if (!io_) return;
    scheduler_.leave(this);
    work_.reset();
    io_.reset();
}

WallTime Process::wall() const {
    return first_day + std::chrono::floor<std::chrono::microseconds>(now().time_since_epoch());
}

std::unique_ptr<Timer> Process::make_timer() {
    return std::make_unique<VirtualTimer>(scheduler_, *this);
}

}  // namespace baton::sim
