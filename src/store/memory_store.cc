#include "store/store.h"

namespace baton::store {
namespace {

/// Ordinary commands reach the disk soon even when nobody asks; here "soon" is a number of commands.
constexpr size_t most_pending = 1000;

class MemoryStore final : public Store {
  public:
    MemoryStore(Clock& clock, std::shared_ptr<State> disk, Limits limits)
        : clock_(clock), limits_(limits), disk_(std::move(disk)), state_(*disk_) {}

    const State& state() const override { return state_; }
    int64_t new_id() override { return state_.next_id++; }

    void apply(Command command) override {
        state_.apply(command, limits_);
        pending_.push_back(std::move(command));
        if (pending_.size() >= most_pending) write();
    }
    Task<Result<void>> apply_durably(Command command) override {
        apply(std::move(command));
        return flush();
    }
    Task<Result<void>> flush() override {
        write();
        return written(clock_);
    }
    Result<void> health() const override { return {}; }
    size_t queued() const override { return pending_.size(); }

  private:
    static Task<Result<void>> written(Clock&) { co_return Result<void>{}; }

    void write() {
        for (const auto& command : pending_)
            disk_->apply(command, limits_);
        disk_->next_id = std::max(disk_->next_id, state_.next_id);
        pending_.clear();
    }

    Clock& clock_;
    const Limits limits_;
    std::shared_ptr<State> disk_;
    State state_;
    std::vector<Command> pending_;
};

}  // namespace

std::unique_ptr<Store> make_memory_store(Clock& clock, std::shared_ptr<State> disk, Limits limits) {
    if (!disk) disk = std::make_shared<State>();
    return std::make_unique<MemoryStore>(clock, std::move(disk), limits);
}

}  // namespace baton::store
