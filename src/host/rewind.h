#pragma once

#include "host/deed_journal.h"
#include "host/tools.h"

namespace baton::host {

/// pg_rewind of one data directory (Jobs::rewind). The error's kind tells what helps: unsupported = only a
/// clone makes a standby of this directory; conflict = the source is not ready (or a standby); the kinds of a
/// connection = try again.
Task<JobEnd> rewind_directory(Tools& tools, const agent::Order& order, const DeedRoom& room);

/// What the check before a rewind asks the source for, in one row; and what it says of it. Nothing: go on.
extern const std::string_view rewind_source_query;
struct RewindSource {
    bool in_recovery = false;
    std::string system_identifier;
    topology::Timeline control_timeline = 0;  ///< of its latest checkpoint: what pg_rewind goes by
    topology::Timeline live_timeline = 0;     ///< of the WAL that it writes
};
Result<RewindSource> parse_rewind_source(const std::vector<std::string>& row);
/// Its control file does not know its new timeline yet: pg_rewind would find nothing to do, and the old
/// primary would stay diverged without a word (before PostgreSQL 16).
inline bool awaits_checkpoint(const RewindSource& source) {
    return source.control_timeline != source.live_timeline;
}

}  // namespace baton::host
