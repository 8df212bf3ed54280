#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace baton {

using Duration = std::chrono::nanoseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

/// Time for decisions: never steps, has no date. A type of its own, so that it cannot be mixed up with wall
/// time.
struct MonotonicEpoch {
    using rep = int64_t;
    using period = std::nano;
    using duration = Duration;
    using time_point = std::chrono::time_point<MonotonicEpoch>;
    static constexpr bool is_steady = true;
};
using MonoTime = std::chrono::time_point<MonotonicEpoch, Duration>;

/// Time for people and records: UTC, microseconds since 1970. Takes no part in any decision about servers.
using WallTime = std::chrono::sys_time<std::chrono::microseconds>;

inline int64_t to_ms(Duration d) {
    return std::chrono::duration_cast<milliseconds>(d).count();
}
inline int64_t to_us(Duration d) {
    return std::chrono::duration_cast<std::chrono::microseconds>(d).count();
}

/// "2026-11-20T10:38:28Z"; the epoch itself (never set) gives "".
std::string iso_time(WallTime t);
/// "2026-11-20 10:38:28"; the epoch itself gives "".
std::string plain_time(WallTime t);
/// "10:38:28.123", for timelines.
std::string clock_time(WallTime t);

/// "2026-11-20T10:38:28Z", "2026-11-20T10:38:28.5+01:00", "2026-11-20 10:38Z": date, time and offset (RFC
/// 3339; the seconds may be missing). Nothing for anything else, and for what no calendar has.
std::optional<WallTime> parse_time(std::string_view text);

}  // namespace baton
