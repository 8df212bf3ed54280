#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "engine/postgresql/dialect.h"
#include "topology/observation.h"

namespace baton::engine::postgresql {

/// One column of a row as libpq holds it; data() is null for SQL NULL.
using Cell = std::string_view;
using Row = std::span<const Cell>;

/// What holds for as long as one session lasts, so that it need not be read (or taken apart) with every look.
struct SessionMemory {
    topology::Observation identity;  ///< the facts of identity_sql(), and nothing else
    topology::Settings settings;     ///< with the dynamic part as last seen
    std::string settings_text;       ///< that part, as the server sent it
    size_t conninfo_hash = 0;     ///< of primary_conninfo; the text itself holds a password and is not kept
    topology::Upstream upstream;  ///< what that text said
    topology::Timeline received = 0;  ///< newest timeline that this standby was seen to stream
    topology::Timeline whole = 0;     ///< newest on which it was seen to hold all that it had replayed
    /// It streamed, or copied a segment anew, until its receiver ended, and nobody saw of which timeline: ask
    /// newest_wal_sql(), and look again if that is newer than `received`.
    bool newest_unseen = false;
};

/// Reads the row of identity_sql(). Error internal when a column is not what it must be.
Result<SessionMemory> decode_identity(Row row);

/// Reads the row of look_sql(). The times asked_at and answered_at are the caller's.
Result<topology::Observation> decode_look(Row row, SessionMemory& memory);

/// "5s" -> 5000, "1min" -> 60000, "200ms" -> 200, "0" -> 0 (PostgreSQL manual, 20.1.1).
std::optional<int64_t> parse_setting_ms(std::string_view text);
/// "1GB" -> 1024, "64MB" -> 64, "-1" -> -1; kilobytes are rounded down.
std::optional<int64_t> parse_setting_mb(std::string_view text);

}  // namespace baton::engine::postgresql
