#pragma once

#include <functional>
#include <memory>

#include "sim/clock.h"
#include "sim/random.h"
#include "store/store.h"

namespace baton::sim {

/// The record of one manager on a disk that takes its time: what was only applied is lost with the process
/// until the disk has it.
class SimStore final : public store::Store {
  public:
    using Observed = std::function<void(const store::Command&)>;

    SimStore(Scheduler& scheduler, Clock& clock, std::shared_ptr<store::State> disk, uint64_t seed,
             store::Limits limits, Observed observed);
    ~SimStore() override { *alive_ = false; }

    const store::State& state() const override { return inner_->state(); }
    int64_t new_id() override { return inner_->new_id(); }
    void apply(store::Command command) override;
    Task<Result<void>> apply_durably(store::Command command) override;
    Task<Result<void>> flush() override;
    Result<void> health() const override { return {}; }
    size_t queued() const override { return inner_->queued(); }

  private:
    Scheduler& scheduler_;
    Clock& clock_;
    Random random_;
    Observed observed_;
    std::unique_ptr<store::Store> inner_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
    bool flush_scheduled_ = false;
};

}  // namespace baton::sim
