#pragma once

#include <gmock/gmock.h>

#include "host/guard.h"

/// What tests of a guard have in common.
namespace baton::host {

using namespace std::chrono_literals;
using testing::HasSubstr;

inline constexpr MonoTime t0{std::chrono::hours(1)};
inline const InstanceKey self{"db1", 5432};
inline const InstanceKey other{"db2", 5432};

inline Sight running(bool standby = false) {
    return {.data = true,
            .postmaster = true,
            .phase = Phase::ready,
            .standby_signal = standby,
            .pid = 100,
            .started_at_us = 1};
}
inline Sight none(bool standby = false) {
    return {.data = true, .standby_signal = standby};
}
inline Sight orphans() {
    return {.data = true, .others = true};
}

inline agent::Grant grant_of(uint64_t number, std::vector<agent::Member> members = {{other, "db2:3002"}}) {
    return {.epoch = 5, .number = number, .on = true, .lease = 2s, .promotable = std::move(members)};
}

/// A guard, and a disk that takes no time unless it is told to.
struct Fixture {
    explicit Fixture(Kept kept = {}, uint64_t epoch = 5) : guard({.key = self}, std::move(kept), epoch, t0) {}

    Actions sees(const Sight& sight, Duration at) { return after(guard.saw(sight, t0 + at), at); }
    Actions hears(Duration sent, const agent::Grant& grant, Duration at) {
        return after(guard.answered(t0 + sent, grant, t0 + at), at);
    }
    Actions ticks(Duration at) { return after(guard.tick(t0 + at), at); }
    Actions after(Actions a, Duration at) {
        if (a.save && disk_works) a += guard.saved(guard.version(), t0 + at);
        return a;
    }
    /// A primary whose lease is held until `heartbeat + 2 s`.
    void leased(Duration heartbeat) {
        sees(running(), heartbeat);
        hears(heartbeat, grant_of(1), heartbeat);
    }

    Guard guard;
    bool disk_works = true;
};

}  // namespace baton::host
