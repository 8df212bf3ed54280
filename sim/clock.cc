#include "sim/clock.h"

#include <algorithm>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstdio>
#include <cstdlib>

namespace baton::sim {
namespace {

/// A world in which this much happens at one moment goes round in a circle.
constexpr uint64_t most_steps_at_one_moment = 1'000'000;
/// 2026-01-01T00:00:00Z
constexpr WallTime first_day{seconds(1'767'225'600)};
constexpr int64_t million = 1'000'000;

/// `time` as a clock measures it that gains `ppm`.
Duration gained(Duration time, int64_t ppm) {
    return time + Duration(time.count() / million * ppm + time.count() % million * ppm / million);
}

}  // namespace

class VirtualTimer final : public Timer {
  public:
    VirtualTimer(Scheduler& scheduler, Process& process) : scheduler_(scheduler), process_(process) {}
    ~VirtualTimer() override { scheduler_.cancel(key_); }

    Task<bool> wait_until(MonoTime when) override {
        return asio::async_initiate<const asio::use_awaitable_t<>, void(bool)>(
            [this, when](auto handler) {
                key_ = scheduler_.add(process_.world_time(when), &process_);
                auto& slot = scheduler_.slot_of(key_);
                slot.due = when;
                slot.action.emplace(std::move(handler));
            },
            asio::use_awaitable);
    }
    void cancel() override { scheduler_.cancel(key_); }

  private:
    Scheduler& scheduler_;
    Process& process_;
    Scheduler::Key key_{};
};

/// Lets a handler wait for its turn in the queue of its process, or runs it at once within another of the
/// same process, as an event loop does.
class Process::Executor {
  public:
    Executor(Process& process, bool never_at_once) : process_(&process), never_at_once_(never_at_once) {}

    template <class F>
    void execute(F f) const {
        if (!process_->alive_) return;
        if (process_->running_ && !never_at_once_) {
            f();
        } else {
            process_->post(Action(std::move(f)), true);
        }
    }
    asio::execution_context& query(asio::execution::context_t) const noexcept { return *process_->context_; }
    asio::execution::blocking_t query(asio::execution::blocking_t) const noexcept {
        if (never_at_once_) return asio::execution::blocking.never;
        return asio::execution::blocking.possibly;
    }
    Executor require(asio::execution::blocking_t::never_t) const { return {*process_, true}; }
    Executor require(asio::execution::blocking_t::possibly_t) const { return {*process_, false}; }
    bool operator==(const Executor&) const noexcept = default;

  private:
    Process* process_;
    bool never_at_once_;
};

void Scheduler::put(size_t at, const Entry& entry) {
    heap_[at] = entry;
    slot_of({0, entry.slot}).place = static_cast<uint32_t>(at);
}

void Scheduler::rise(size_t at, const Entry& entry) {
    while (at > 0) {
        const size_t above = (at - 1) / 4;
        if (!entry.before(heap_[above])) break;
        put(at, heap_[above]);
        at = above;
    }
    put(at, entry);
}

void Scheduler::sink(size_t at, const Entry& entry) {
    for (;;) {
        const size_t first = at * 4 + 1;
        if (first >= heap_.size()) break;
        size_t least = first;
        for (size_t i = first + 1; i < std::min(first + 4, heap_.size()); ++i) {
            if (heap_[i].before(heap_[least])) least = i;
        }
        if (entry.before(heap_[least])) break;
        put(at, heap_[least]);
        at = least;
    }
    put(at, entry);
}

void Scheduler::push(const Entry& entry) {
    heap_.push_back(entry);
    rise(heap_.size() - 1, entry);
}

void Scheduler::take_out(size_t at) {
    const auto last = heap_.back();
    heap_.pop_back();
    if (at == heap_.size()) return;
    if (at > 0 && last.before(heap_[(at - 1) / 4])) {
        rise(at, last);
    } else {
        sink(at, last);
    }
}

Scheduler::Key Scheduler::add(MonoTime when, Process* owner) {
    if (free_.empty()) {
        const auto first = static_cast<uint32_t>(blocks_.size()) * slots_of_a_block;
        blocks_.push_back(std::make_unique<Slot[]>(slots_of_a_block));
        for (uint32_t i = slots_of_a_block; i > 0; --i)
            free_.push_back(first + i - 1);
    }
    const Key key{next_id_++, free_.back()};
    free_.pop_back();
    auto& slot = slot_of(key);
    slot.id = key.id;
    slot.owner = owner;
    push({std::max(when, now_), key.id, key.slot});
    return key;
}

void Scheduler::release(Slot& slot, uint32_t index) {
    slot.id = 0;
    slot.action.reset();
    free_.push_back(index);
}

void Scheduler::cancel(const Key& key) {
    if (key.id == 0 || slot_of(key).id != key.id) return;
    auto& slot = slot_of(key);
    take_out(slot.place);
    slot.owner->post(std::move(slot.action), false);
    release(slot, key.slot);
}

void Scheduler::leave(Process* process) {
    std::erase(processes_, process);
    std::vector<Action> dropped;
    for (uint32_t index = 0; index < blocks_.size() * slots_of_a_block; ++index) {
        auto& slot = slot_of({0, index});
        if (slot.id == 0 || slot.owner != process) continue;
        take_out(slot.place);
        dropped.push_back(std::move(slot.action));
        release(slot, index);
    }
}

bool Scheduler::run_ready() {
    for (auto* process : processes_) {
        if (process->run_one()) return true;
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
    if (!at_steps_.empty() && at_steps_.begin()->first <= steps_) {
        at_steps_.extract(at_steps_.begin()).mapped()();
        return true;
    }
    if (run_ready()) return true;
    if (heap_.empty() || heap_.front().when > deadline) return false;
    const auto entry = heap_.front();
    take_out(0);
    if (entry.when != now_) steps_at_this_moment_ = 0;
    now_ = entry.when;
    run(entry);
    return true;
}

void Scheduler::run(const Entry& entry) {
    auto& slot = slot_of({entry.id, entry.slot});
    if (slot.owner == nullptr) {
        slot.action();
        release(slot, entry.slot);
    } else if (slot.owner->now() < slot.due) {
        // Its clock has been slowed down since.
        push({std::max(slot.owner->world_time(slot.due), now_ + Duration(1)), entry.id, entry.slot});
    } else {
        slot.owner->post(std::move(slot.action), true);
        release(slot, entry.slot);
    }
}

size_t Scheduler::pending(const Process& process) const {
    size_t sum = 0;
    for (const auto& block : blocks_) {
        for (uint32_t i = 0; i < slots_of_a_block; ++i)
            sum += block[i].id != 0 && block[i].owner == &process;
    }
    return sum;
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

Process::Process(Scheduler& scheduler, ClockSetting setting)
    : scheduler_(scheduler),
      setting_(setting),
      plain_(setting.drift_ppm == 0 && setting.uptime == Duration{}) {
    own_since_ = MonoTime(setting.uptime);
    scheduler_.join(this);
}

void Process::kill() {
    if (!std::exchange(alive_, false)) return;
    scheduler_.leave(this);
    // What is destroyed may hold the last of others.
    while (!ready_.empty()) {
        const auto gone = std::move(ready_.front());
        ready_.pop_front();
    }
    context_.reset();
}

bool Process::run_one() {
    if (frozen_ || ready_.empty()) return false;
    auto next = std::move(ready_.front());
    ready_.pop_front();
    running_ = true;
    next.action(next.came);
    next.action.reset();
    running_ = false;
    return true;
}

MonoTime Process::own_time(MonoTime world) const {
    return own_since_ + gained(world - since_, setting_.drift_ppm);
}

MonoTime Process::world_time(MonoTime own) const {
    if (plain_ || own == MonoTime::max()) return own;
    const auto ahead = (own - own_since_).count();
    const auto rate = million + setting_.drift_ppm;
    auto world = since_ + Duration(ahead / rate * million + ahead % rate * million / rate);
    while (own_time(world) < own)
        world += Duration(1);
    return world;
}

void Process::set_drift(int drift_ppm, int wall_drift_ppm) {
    const auto world = scheduler_.now();
    own_since_ = own_time(world);
    wall_since_ += gained(world - since_, setting_.wall_drift_ppm);
    since_ = world;
    setting_.drift_ppm = drift_ppm;
    setting_.wall_drift_ppm = wall_drift_ppm;
    plain_ = drift_ppm == 0 && own_since_ == since_;
}

WallTime Process::wall() const {
    const auto passed = wall_since_ + gained(scheduler_.now() - since_, setting_.wall_drift_ppm);
    return first_day + std::chrono::floor<std::chrono::microseconds>(passed + setting_.wall_ahead);
}

std::unique_ptr<Timer> Process::make_timer() {
    return std::make_unique<VirtualTimer>(scheduler_, *this);
}

asio::any_io_executor Process::executor() {
    return Executor(*this, false);
}

}  // namespace baton::sim
