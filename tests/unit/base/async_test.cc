#include "base/async.h"

#include "run.h"

namespace baton {
namespace {

/// Ends when its turn comes, and gives the turn to the next one.
Task<int> in_turn(Signal& turn, Signal& next, MonoTime deadline, int value) {
    EXPECT_TRUE(co_await turn.wait_until(deadline)) << "the turn of " << value << " does not come";
    next.notify();
    co_return value;
}

TEST(Gather, ResultsComeInTheGivenOrder) {
    const auto all = run_task<std::vector<int>>([](Clock& clock) -> Task<std::vector<int>> {
        Signal first(clock), second(clock), third(clock), nobody(clock);
        const auto deadline = clock.now() + seconds(30);
        std::vector<Task<int>> tasks;
        tasks.push_back(in_turn(third, nobody, deadline, 1));
        tasks.push_back(in_turn(first, second, deadline, 2));
        tasks.push_back(in_turn(second, third, deadline, 3));
        first.notify();
        co_return co_await gather(clock, std::move(tasks));
    });
    EXPECT_EQ(all, (std::vector{1, 2, 3}));
}

/// Each but the last waits for the one after it: one after the other they would wait in vain.
TEST(Gather, RunsSideBySide) {
    const auto all = run_task<std::vector<int>>([](Clock& clock) -> Task<std::vector<int>> {
        constexpr int count = 50;
        const auto deadline = clock.now() + seconds(30);
        std::vector<Signal> turns;
        for (int i = 0; i <= count; ++i)
            turns.emplace_back(clock);
        std::vector<Task<int>> tasks;
        for (size_t i = 0; i < count; ++i)
            tasks.push_back(in_turn(turns[i + 1], turns[i], deadline, static_cast<int>(i)));
        turns.back().notify();
        co_return co_await gather(clock, std::move(tasks));
    });
    EXPECT_EQ(all.size(), 50U);
}

TEST(Gather, NothingIsDoneAtOnce) {
    EXPECT_TRUE(run_task<std::vector<int>>([](Clock& clock) {
                    return gather(clock, std::vector<Task<int>>{});
                }).empty());
}

struct Waits {
    bool first = false, second = false;
};

TEST(Signals, AnAnnouncementWithNobodyWaitingIsKeptOnce) {
    const auto waits = run_task<Waits>([](Clock& clock) -> Task<Waits> {
        Signal signal(clock);
        signal.notify();
        signal.notify();
        Waits w;
        w.first = co_await signal.wait_until(clock.now() + seconds(10));
        w.second = co_await signal.wait_until(clock.now() + milliseconds(5));
        co_return w;
    });
    EXPECT_TRUE(waits.first);
    EXPECT_FALSE(waits.second);
}

TEST(Signals, AnAnnouncementEndsTheWait) {
    EXPECT_TRUE(run_task<bool>([](Clock& clock) -> Task<bool> {
        const auto signal = std::make_shared<Signal>(clock);
        // Comes as soon as this task waits.
        asio::post(clock.executor(), [signal] { signal->notify(); });
        co_return co_await signal->wait_until(MonoTime::max());
    }));
}

TEST(Timers, CancelEndsTheWaitWithFalse) {
    const bool came = run_task<bool>([](Clock& clock) -> Task<bool> {
        const std::shared_ptr<Timer> timer = clock.make_timer();
        timer->cancel();  // nothing to end: harmless
        asio::post(clock.executor(), [timer] { timer->cancel(); });
        co_return co_await timer->wait_until(clock.now() + seconds(30));
    });
    EXPECT_FALSE(came);
}

TEST(Timers, APastMomentComesAtOnce) {
    EXPECT_TRUE(run_task<bool>([](Clock& clock) -> Task<bool> {
        const auto timer = clock.make_timer();
        co_return co_await timer->wait_until(clock.now() - seconds(1));
    }));
}

}  // namespace
}  // namespace baton
