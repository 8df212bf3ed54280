#pragma once

#include <boost/asio/co_spawn.hpp>
#include <cstdio>
#include <exception>
#include <memory>
#include <optional>
#include <vector>

#include "base/clock.h"

namespace baton {

/// Starts `task` on `executor` and lets it run. A task reports failures as values; an exception that gets
/// here is a bug and ends the process loudly.
inline void spawn(const asio::any_io_executor& executor, Task<void> task) {
    asio::co_spawn(executor, std::move(task), [](std::exception_ptr e) {
        if (e) std::rethrow_exception(e);
    });
}

/// Runs all tasks side by side on the clock's executor; returns when the last has ended, results in the given
/// order.
template <class T>
Task<std::vector<T>> gather(Clock& clock, std::vector<Task<T>> tasks) {
    struct State {
        explicit State(Clock& clock, size_t n) : results(n), left(n), done(clock) {}
        std::vector<std::optional<T>> results;
        size_t left;
        Signal done;
    };
    if (tasks.empty()) co_return std::vector<T>{};
    const auto state = std::make_shared<State>(clock, tasks.size());
    for (size_t i = 0; i < tasks.size(); ++i) {
        spawn(clock.executor(), [](std::shared_ptr<State> s, size_t at, Task<T> task) -> Task<void> {
            s->results[at] = co_await std::move(task);
            if (--s->left == 0) s->done.notify();
        }(state, i, std::move(tasks[i])));
    }
    // Every task has a deadline of its own; this wait ends with the last of them.
    while (state->left > 0)
        co_await state->done.wait_until(MonoTime::max());
    std::vector<T> results;
    results.reserve(state->results.size());
    for (auto& r : state->results)
        results.push_back(std::move(*r));
    co_return results;
}

}  // namespace baton
