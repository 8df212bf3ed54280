#pragma once

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <optional>

#include "base/async.h"

namespace baton {

/// Runs one task to its end on a loop of its own, with the machine's clock.
template <class T, class Make>
T run_task(Make make) {
    asio::io_context io(1);
    const auto clock = make_system_clock(io.get_executor());
    std::optional<T> result;
    spawn(io.get_executor(), [](std::optional<T>& out, Task<T> task) -> Task<void> {
        out = co_await std::move(task);
    }(result, make(*clock)));
    io.run();
    EXPECT_TRUE(result.has_value());
    return std::move(*result);
}

}  // namespace baton
