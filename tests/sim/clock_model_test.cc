// The model of clocks: hosts that were booted at other times, run at other rates, and whose wall clocks jump.
#include "scenario.h"

namespace baton::sim {
namespace {

struct DriftCase {
    ClockSetting setting;
    Duration own_after_a_minute;
};

TEST(ModelClock, RunsAtARateOfItsOwn) {
    const DriftCase cases[] = {
        {{}, seconds(60)},
        {{.drift_ppm = 200}, seconds(60) + milliseconds(12)},
        {{.drift_ppm = -200}, seconds(60) - milliseconds(12)},
        {{.drift_ppm = -500'000}, seconds(30)},
        {{.uptime = std::chrono::hours(1000)}, seconds(60)},
        {{.drift_ppm = 1'000'000, .uptime = seconds(5)}, seconds(120)},
    };
    for (const auto& c : cases) {
        Scheduler scheduler;
        Process process(scheduler, c.setting);
        const auto began = process.now();
        const auto wall = process.wall();
        scheduler.run_for(seconds(60));
        EXPECT_EQ(process.now() - began, c.own_after_a_minute) << c.setting.drift_ppm;
        EXPECT_EQ(process.wall() - wall, seconds(60)) << "its wall clock is another";
    }
}

Task<void> sleeps(Process& process, Duration time, Duration& took, bool& done) {
    const auto began = process.now();
    co_await process.sleep_for(time);
    took = process.now() - began;
    done = true;
}

TEST(ModelClock, TimersGoByTheClockOfTheirProcess) {
    for (const int ppm : {0, 300, -300, 250'000, -250'000}) {
        Scheduler scheduler;
        Process process(scheduler, {.drift_ppm = ppm, .uptime = seconds(77)});
        const auto began = scheduler.now();
        bool done = false;
        Duration took{};
        spawn(process.executor(), sleeps(process, seconds(10), took, done));
        ASSERT_TRUE(scheduler.run_until([&] { return done; }, scheduler.now() + seconds(60)));
        EXPECT_GE(took, seconds(10)) << ppm;
        EXPECT_LT(took, seconds(10) + std::chrono::microseconds(1)) << ppm;
        const auto real = static_cast<double>(to_us(scheduler.now() - began));
        EXPECT_NEAR(real, 1e13 / (1e6 + ppm), 2.0) << ppm;
    }
}

TEST(ModelClock, ATimerNeverComesEarlyWhenTheClockIsSlowedDown) {
    Scheduler scheduler;
    Process process(scheduler);
    bool done = false;
    Duration took{};
    spawn(process.executor(), sleeps(process, seconds(10), took, done));
    scheduler.run_for(seconds(5));
    process.set_drift(-500'000, 0);
    ASSERT_TRUE(scheduler.run_until([&] { return done; }, scheduler.now() + seconds(60)));
    EXPECT_GE(took, seconds(10));
    EXPECT_GE(scheduler.now(), MonoTime(seconds(16) - milliseconds(1)));
}

TEST(ModelClock, WallClocksJumpAndDrift) {
    Scheduler scheduler;
    Process process(scheduler, {.wall_drift_ppm = 1000, .wall_ahead = seconds(10)});
    Process right(scheduler);
    scheduler.run_for(seconds(99));
    EXPECT_EQ(process.wall() - right.wall(), seconds(10) + milliseconds(100));
    const auto mono = process.now();
    process.jump_wall(-seconds(3600));
    EXPECT_EQ(process.wall() - right.wall(), milliseconds(10'100) - seconds(3600));
    EXPECT_EQ(process.now(), mono);
    process.set_drift(0, 0);
    scheduler.run_for(seconds(100));
    EXPECT_EQ(process.wall() - right.wall(), milliseconds(10'100) - seconds(3600)) << "it does not jump back";
}

TEST(ModelClock, OfTheManagersHostLastsBeyondItsLife) {
    auto world = three_servers();
    world->manager_clock({.drift_ppm = 150, .uptime = std::chrono::hours(9)});
    begin(*world);
    world->jump_wall(seconds(-100));
    world->kill_manager();
    world->start_manager();
    ASSERT_TRUE(world->run_until([&] { return world->manager().view()->ready; }, seconds(20)));
    (*world)["p"].kill();
    EXPECT_TRUE(world->run_until([&] { return world->promotions() == 1; }, seconds(10)))
        << world->trace().text();
    world->run_for(seconds(5));
    expect_healthy(*world, {"s1", "s2"});
}

TEST(ModelClock, AServersTimeOutsGoByItsOwn) {
    Duration lost[2];
    for (const bool fast : {false, true}) {
        auto world = three_servers();
        (*world)["s1"].drift_ppm = fast ? 500'000 : 0;
        world->run_for(seconds(1));
        world->network().set("p", "s1", Link::silent);
        const auto began = world->now();
        EXPECT_TRUE(world->run_until([&] { return !(*world)["s1"].streaming(); }, seconds(120)));
        lost[fast ? 1 : 0] = world->now() - began;
    }
    EXPECT_GT(lost[0], seconds(50));
    EXPECT_LT(lost[1], lost[0] - seconds(10));
}

}  // namespace
}  // namespace baton::sim
