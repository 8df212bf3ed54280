#pragma once

#include "store/sqlite.h"

namespace baton::store {

/// In the header of every file that Baton makes ("Batn"), so that another program's database is told from
/// ours.
inline constexpr uint32_t application_id = 0x4261746e;
/// Kept in PRAGMA user_version. A file with a greater one was made by a newer Baton.
inline constexpr uint32_t schema_version = 3;

/// Brings a file from version `from` (0 = nothing there) to schema_version, all or nothing.
Result<void> migrate(Database& db, uint32_t from);

}  // namespace baton::store
