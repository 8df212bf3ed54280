#include "base/async.h"

#include "run.h"

namespace baton {
namespace {

Task<int> after(Clock& clock, Duration wait, int value) {
    co_await clock.sleep_for(wait);
    co_return value;
}

TEST(Gather, ResultsComeInTheGivenOrder) {
    const auto all = run_task<std::vector<int>>([](Clock& clock) {
        std::vector<Task<int>> tasks;
        tasks.push_back(after(clock, milliseconds(20), 1));
        tasks.push_back(after(clock, milliseconds(0), 2));
        tasks.push_back(after(clock, milliseconds(10), 3));
        return gather(clock, std::move(tasks));
    });
    EXPECT_EQ(all, (std::vector{1, 2, 3}));
}

TEST(Gather, RunsSideBySide) {
    const auto began = std::chrono::steady_clock::now();
    run_task<std::vector<int>>([](Clock& clock) {
        std::vector<Task<int>> tasks;
        for (int i = 0; i < 50; ++i)
            tasks.push_back(after(clock, milliseconds(20), i));
        return gather(clock, std::move(tasks));
    });
    EXPECT_LT(std::chrono::steady_clock::now() - began, milliseconds(500));
}

TEST(Gather, NothingIsDoneAtOnce) {
    EXPECT_TRUE(run_task<std::vector<int>>([](Clock& clock) {
                    return gather(clock, std::vector<Task<int>>{});
                }).empty());
}

struct Waits {
    bool first = false, second = false;
    Duration took{};
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

Task<void> announce(Clock& clock, std::shared_ptr<Signal> signal) {
    co_await clock.sleep_for(milliseconds(10));
    signal->notify();
}

TEST(Signals, AnAnnouncementEndsTheWait) {
    const auto waits = run_task<Waits>([](Clock& clock) -> Task<Waits> {
        const auto signal = std::make_shared<Signal>(clock);
        spawn(clock.executor(), announce(clock, signal));
        const auto began = clock.now();
        Waits w;
        w.first = co_await signal->wait_until(MonoTime::max());
        w.took = clock.now() - began;
        co_return w;
    });
    EXPECT_TRUE(waits.first);
    EXPECT_LT(waits.took, seconds(5));
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
