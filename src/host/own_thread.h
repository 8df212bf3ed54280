#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include "base/clock.h"

namespace baton::host {

/// Runs `work` on a thread of its own and waits for it. `work` and what it holds live until it has ended,
/// also when the waiting coroutine does not.
Task<void> run_apart(Clock& clock, std::function<void()> work);

/// The same with a result. For work on files: it hangs when the disk does, and the agent's thread must not.
template <class T>
Task<T> on_own_thread(Clock& clock, std::function<T()> work) {
    struct Place {
        std::mutex lock;
        std::optional<T> result;
    };
    const auto place = std::make_shared<Place>();
    co_await run_apart(clock, [place, work = std::move(work)] {
        auto result = work();
        const std::scoped_lock held(place->lock);
        place->result.emplace(std::move(result));
    });
    const std::scoped_lock held(place->lock);
    co_return std::move(*place->result);
}

}  // namespace baton::host
