#include "engine/resolver.h"

#include <gtest/gtest.h>

#include "engine/live_server.h"

namespace baton::engine {
namespace {

TEST(Resolver, numbers_are_their_own_addresses) {
    live::Loop loop;
    Resolver resolver(*loop.clock);
    EXPECT_EQ(*loop.run(resolver.resolve("10.0.0.7", loop.in(milliseconds(100)))),
              std::vector<std::string>{"10.0.0.7"});
    EXPECT_EQ(*loop.run(resolver.resolve("fd00::7", loop.in(milliseconds(100)))),
              std::vector<std::string>{"fd00::7"});
    EXPECT_EQ(resolver.known("10.0.0.7"), std::vector<std::string>{"10.0.0.7"});
}

TEST(Resolver, a_name_is_remembered_and_answered_without_asking_again) {
    live::Loop loop;
    Resolver resolver(*loop.clock);
    EXPECT_TRUE(resolver.known("localhost").empty());
    const auto first = loop.run(resolver.resolve("localhost", loop.in(milliseconds(5000))));
    ASSERT_TRUE(first);
    EXPECT_FALSE(first->empty());
    EXPECT_EQ(resolver.known("localhost"), *first);
    // The deadline has passed: only memory can answer. The same while it is looked up in the background.
    EXPECT_EQ(*loop.run(resolver.resolve("localhost", MonoTime{})), *first);
    resolver.suspect("localhost");
    EXPECT_EQ(*loop.run(resolver.resolve("localhost", MonoTime{})), *first);
}

TEST(Resolver, failures_are_values_and_several_may_wait) {
    live::Loop loop;
    Resolver resolver(*loop.clock);
    std::vector<Task<Result<std::vector<std::string>>>> tasks;
    for (int i = 0; i < 3; ++i)
        tasks.push_back(resolver.resolve("no such host.invalid", loop.in(milliseconds(10000))));
    int failed = 0;
    for (auto& task : tasks) {
        asio::co_spawn(
            loop.io,
            [](auto t, int& count) -> Task<void> {
                const auto found = co_await std::move(t);
                EXPECT_FALSE(found);
                if (!found) EXPECT_EQ(found.error().kind, ErrorKind::unreachable);
                ++count;
            }(std::move(task), failed),
            asio::detached);
    }
    EXPECT_TRUE(loop.run_until([&] { return failed == 3; }, milliseconds(10000)));
    EXPECT_TRUE(resolver.known("no such host.invalid").empty());
}

}  // namespace
}  // namespace baton::engine
