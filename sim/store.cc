#include "sim/store.h"

#include "base/async.h"

namespace baton::sim {
namespace {

constexpr milliseconds lazy_flush{20};
constexpr Duration least_sync = std::chrono::microseconds(300);
constexpr Duration most_sync = std::chrono::microseconds(1500);

}  // namespace

SimStore::SimStore(Scheduler& scheduler, Clock& clock, std::shared_ptr<store::State> disk, uint64_t seed,
                   store::Limits limits, Observed observed)
    : scheduler_(scheduler),
      clock_(clock),
      random_(seed, "store"),
      observed_(std::move(observed)),
      inner_(store::make_memory_store(clock, std::move(disk), limits)) {}

void SimStore::apply(store::Command command) {
    if (observed_) observed_(command);
    inner_->apply(std::move(command));
    if (std::exchange(flush_scheduled_, true)) return;
    scheduler_.after(lazy_flush, [this, alive = alive_] {
        if (!*alive) return;
        flush_scheduled_ = false;
        (void)inner_->flush();
    });
}

Task<Result<void>> SimStore::apply_durably(store::Command command) {
    apply(std::move(command));
    return flush();
}

Task<Result<void>> SimStore::flush() {
    co_await clock_.sleep_for(random_.between(least_sync, most_sync));
    co_return co_await inner_->flush();
}

}  // namespace baton::sim
