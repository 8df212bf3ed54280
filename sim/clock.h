#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "base/clock.h"

namespace baton::sim {

class Process;

/// Virtual time for the whole world, in one thread. Time stands still while any process has something ready
/// to run, then jumps to the next event; events of one moment come in the order in which they were asked for.
class Scheduler {
  public:
    MonoTime now() const { return now_; }
    /// Handlers and events that have run so far: the finest measure of where a run stands.
    uint64_t steps() const { return steps_; }
    void at(MonoTime when, std::function<void()> action);
    void after(Duration wait, std::function<void()> action) { at(now_ + wait, std::move(action)); }

    /// Runs until `done` holds (looked at after every step) or virtual time gets to `deadline`; true if done.
    bool run_until(const std::function<bool()>& done, MonoTime deadline);
    void run_for(Duration time);

  private:
    friend class Process;
    friend class VirtualTimer;
    using Key = std::pair<MonoTime, uint64_t>;
    struct Event {
        Process* owner = nullptr;                      ///< null: the world itself
        std::move_only_function<void(bool)> complete;  ///< false: cancelled
    };

    Key add(MonoTime when, Process* owner, std::move_only_function<void(bool)> complete);
    void cancel(const Key& key);
    void join(Process* process) { processes_.push_back(process); }
    void leave(Process* process);
    bool run_ready();
    bool step(MonoTime deadline);

    MonoTime now_{seconds(1)};
    uint64_t steps_ = 0;
    uint64_t next_id_ = 1;
    uint64_t steps_at_this_moment_ = 0;
    std::map<Key, Event> events_;
    std::vector<Process*> processes_;
};

/// One process of the world: an event loop and a clock. To destroy it is kill -9: whatever its coroutines
/// were waiting for never comes, and none of their code runs again.
class Process final : public Clock {
  public:
    explicit Process(Scheduler& scheduler);
    ~Process() override { kill(); }
    /// The end, earlier than by destruction: for when what its coroutines refer to must outlive them.
    void kill();
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;

    MonoTime now() const override { return scheduler_.now(); }
    WallTime wall() const override;
    std::unique_ptr<Timer> make_timer() override;
    asio::any_io_executor executor() override { return io_->get_executor(); }

  private:
    friend class Scheduler;
    Scheduler& scheduler_;
    std::unique_ptr<asio::io_context> io_;
    asio::executor_work_guard<asio::io_context::executor_type> work_;
};

}  // namespace baton::sim
