#pragma once

#include <array>
#include <functional>

#include "store/rows.h"
#include "store/sqlite.h"

namespace baton::store {

/// The statements that write rows, prepared once. Lives no longer than its Database, on the same thread.
class Tables {
  public:
    /// Fails when a table or a column is missing.
    static Result<Tables> prepare(Database& db);
    /// Inserts or replaces.
    Result<void> put(const Row& row);
    /// Removes, if it is there.
    Result<void> erase(const RowKey& key);

  private:
    static constexpr size_t count = std::variant_size_v<Row>;
    std::array<Statement, count> puts_;
    std::array<Statement, count> erases_;
};

/// Gives every row of every table, tables in the order of Row, rows in the order of their keys. An error
/// names the table, the column and the value that cannot be read.
Result<void> read_rows(Database& db, const std::function<void(Row)>& each);

}  // namespace baton::store
