#pragma once

#include <boost/asio/execution.hpp>
#include <boost/asio/execution_context.hpp>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "sim/action.h"

namespace baton::sim {

class Process;

/// Virtual time for the whole world, in one thread. Time stands still while any process has something ready
/// to run, then jumps to the next event; events of one moment come in the order in which they were asked for.
class Scheduler {
  public:
    MonoTime now() const { return now_; }
    /// Handlers and events that have run so far: the finest measure of where a run stands.
    uint64_t steps() const { return steps_; }
    template <class F>
    void at(MonoTime when, F&& action) {
        slot_of(add(when, nullptr)).action.emplace(std::forward<F>(action));
    }
    template <class F>
    void after(Duration wait, F&& action) {
        at(now_ + wait, std::forward<F>(action));
    }

    /// Timers of this process that have not come yet.
    size_t pending(const Process& process) const;
    /// When so many more steps have run.
    void after_steps(uint64_t count, std::function<void()> action) {
        at_steps_.emplace(steps_ + count, std::move(action));
    }

    /// Runs until `done` holds (looked at after every step) or virtual time gets to `deadline`; true if done.
    bool run_until(const std::function<bool()>& done, MonoTime deadline);
    void run_for(Duration time);

  private:
    friend class Process;
    friend class VirtualTimer;
    /// Where an event is kept; `id` tells whether it is still the same.
    struct Key {
        uint64_t id = 0;
        uint32_t slot = 0;
    };
    struct Slot {
        uint64_t id = 0;           ///< 0: free
        uint32_t place = 0;        ///< in the heap
        Process* owner = nullptr;  ///< null: the world itself
        MonoTime due{};            ///< by the owner's clock
        Action action;
    };
    struct Entry {
        MonoTime when;
        uint64_t id;
        uint32_t slot;
        bool before(const Entry& other) const {
            return when != other.when ? when < other.when : id < other.id;
        }
    };
    static constexpr uint32_t slots_of_a_block = 256;

    Slot& slot_of(const Key& key) {
        return blocks_[key.slot / slots_of_a_block][key.slot % slots_of_a_block];
    }
    Key add(MonoTime when, Process* owner);
    void put(size_t at, const Entry& entry);
    void rise(size_t at, const Entry& entry);
    void sink(size_t at, const Entry& entry);
    void push(const Entry& entry);
    void take_out(size_t at);
    void release(Slot& slot, uint32_t index);
    void cancel(const Key& key);
    void join(Process* process) { processes_.push_back(process); }
    void leave(Process* process);
    bool run_ready();
    bool step(MonoTime deadline);
    void run(const Entry& entry);

    MonoTime now_{seconds(1)};
    uint64_t steps_ = 0;
    uint64_t next_id_ = 1;
    uint64_t steps_at_this_moment_ = 0;
    std::vector<Entry> heap_;  ///< four below each; the next event comes first
    std::vector<std::unique_ptr<Slot[]>> blocks_;
    std::vector<uint32_t> free_;
    std::vector<Process*> processes_;
    std::multimap<uint64_t, std::function<void()>> at_steps_;
};

/// How the clocks of a host differ from the world's.
struct ClockSetting {
    int drift_ppm = 0;  ///< the monotonic clock gains this much; at least -500,000
    Duration uptime{};  ///< how much longer ago than the world's beginning the host was booted; not negative
    int wall_drift_ppm = 0;  ///< the wall clock gains this much
    Duration wall_ahead{};   ///< the wall clock is wrong by this much

    bool operator==(const ClockSetting&) const = default;
};

/// One process of the world: an event loop and a clock. To destroy it is kill -9: whatever its coroutines
/// were waiting for never comes, and none of their code runs again.
class Process final : public Clock {
  public:
    explicit Process(Scheduler& scheduler, ClockSetting setting = {});
    ~Process() override { kill(); }
    /// The end, earlier than by destruction: for when what its coroutines refer to must outlive them.
    void kill();
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;

    MonoTime now() const override { return plain_ ? scheduler_.now() : own_time(scheduler_.now()); }
    WallTime wall() const override;
    /// A host that was booted at another time was booted anew.
    std::string boot() const override { return std::to_string(setting_.uptime.count()); }
    std::unique_ptr<Timer> make_timer() override;
    asio::any_io_executor executor() override;

    /// SIGSTOP and SIGCONT: what comes meanwhile waits for it.
    void freeze(bool on) { frozen_ = on; }
    bool frozen() const { return frozen_; }

    /// Somebody sets the wall clock; the monotonic one knows nothing of it.
    void jump_wall(Duration by) { setting_.wall_ahead += by; }
    const ClockSetting& setting() const { return setting_; }
    /// From now on both clocks run at other rates; what they show does not jump.
    void set_drift(int drift_ppm, int wall_drift_ppm);
    /// When the world's clock shows what this one shows at `own`; not before that moment.
    MonoTime world_time(MonoTime own) const;

  private:
    friend class Scheduler;
    class Executor;
    struct Ready {
        Action action;
        bool came = true;
    };
    struct Context final : asio::execution_context {
        ~Context() { shutdown(); }
    };

    MonoTime own_time(MonoTime world) const;
    void post(Action action, bool came) { ready_.push_back({std::move(action), came}); }
    bool run_one();

    Scheduler& scheduler_;
    ClockSetting setting_;
    bool plain_;             ///< its monotonic clock is the world's
    MonoTime since_{};       ///< the world's time when the rates were last set
    MonoTime own_since_{};   ///< what the monotonic clock showed then
    Duration wall_since_{};  ///< what the wall clock showed beyond first day then, jumps aside
    bool alive_ = true;
    bool running_ = false;  ///< one of its handlers
    bool frozen_ = false;
    std::unique_ptr<Context> context_ = std::make_unique<Context>();
    std::deque<Ready> ready_;
};

}  // namespace baton::sim
