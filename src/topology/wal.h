#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace baton::topology {

/// A position in the write-ahead log (PostgreSQL manual, pg_lsn). 0 is "none" (InvalidXLogRecPtr).
struct Lsn {
    uint64_t value = 0;

    explicit operator bool() const { return value != 0; }
    /// "16/B374D848"
    std::string text() const;
    auto operator<=>(const Lsn&) const = default;
};

/// "16/B374D848" or nothing.
std::optional<Lsn> parse_lsn(std::string_view text);

/// Bytes from `from` to `to`; 0 when `to` is not ahead.
inline uint64_t bytes_ahead(Lsn to, Lsn from) {
    return to > from ? to.value - from.value : 0;
}

/// What the WAL of a data directory has past a position.
struct WalPast {
    Lsn end;              ///< of the last whole record; not before that position
    int64_t commits = 0;  ///< transactions that were committed there
    bool operator==(const WalPast&) const = default;
};

/// A branch of history; each promotion starts a new one. 0 is unknown.
using Timeline = uint32_t;

/// Where history left a timeline: rows of a NNNNNNNN.history file (PostgreSQL manual, 26.3.5).
struct TimelineSwitch {
    Timeline timeline = 0;  ///< the branch that was left
    Lsn at;                 ///< the last position that it shares with the next
    bool operator==(const TimelineSwitch&) const = default;
};

/// The ancestry of one timeline, oldest first.
struct TimelineHistory {
    Timeline timeline = 0;
    std::vector<TimelineSwitch> ancestors;

    /// Where this history left `old`; nothing if `old` is not an ancestor.
    std::optional<Lsn> left_at(Timeline old) const;
    bool operator==(const TimelineHistory&) const = default;
};

/// Reads the text of a history file. Nothing if a line is not "timeline TAB lsn TAB reason", a comment or
/// blank, or if the timelines do not rise.
std::optional<TimelineHistory> parse_timeline_history(Timeline timeline, std::string_view text);

/// How a server at (timeline, position) stands to a primary with `history`.
enum class Ancestry : uint8_t {
    same,      ///< same timeline
    behind,    ///< on an ancestor, at or before the point where it was left: can follow
    diverged,  ///< on an ancestor, past that point: has WAL that the primary does not have
    foreign,   ///< on a timeline that is not an ancestor
    unknown    ///< the history is not known
};
Ancestry ancestry(Timeline timeline, Lsn position, Timeline primary, const TimelineHistory* history);

/// Two servers promoted apart give their new branches the same number (scenario 75): equal numbers are one
/// timeline only if it was begun at the same point. False as long as one of the histories is not known.
bool same_number_other_branch(const TimelineHistory* a, const TimelineHistory* b);

}  // namespace baton::topology
