#pragma once

#include <sqlite3.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

/// The little of SQLite's C interface that the store needs, with errors as values. One thread at a time.
namespace baton::store {

/// A prepared statement; `step` binds nothing by itself. Lives no longer than its Database.
class Statement {
  public:
    Statement() = default;
    explicit Statement(sqlite3_stmt* handle) : handle_(handle) {}

    void bind(int at, std::string_view text);
    void bind(int at, int64_t number) { sqlite3_bind_int64(handle_.get(), at, number); }
    void bind_null(int at) { sqlite3_bind_null(handle_.get(), at); }

    /// True: a row is there; false: done. The error's `who` is empty.
    Result<bool> step();
    /// Ready for the next execution; bindings are kept.
    void reset() { sqlite3_reset(handle_.get()); }

    bool is_null(int column) const { return sqlite3_column_type(handle_.get(), column) == SQLITE_NULL; }
    std::string text(int column) const;
    int64_t number(int column) const { return sqlite3_column_int64(handle_.get(), column); }
    explicit operator bool() const { return handle_ != nullptr; }

  private:
    struct Finalize {
        void operator()(sqlite3_stmt* s) const { sqlite3_finalize(s); }
    };
    std::unique_ptr<sqlite3_stmt, Finalize> handle_;
};

class Database {
  public:
    /// `flags` as for sqlite3_open_v2.
    static Result<Database> open(const std::string& path, int flags);

    Result<void> exec(const char* sql);
    Result<Statement> prepare(const std::string& sql);
    /// First column of the first row.
    Result<std::string> value(const std::string& sql);
    /// SQLite quietly opens a file for reading only when writing is not permitted.
    bool read_only() const { return sqlite3_db_readonly(handle_.get(), "main") != 0; }
    /// May be called from another thread: what runs ends with an error.
    void interrupt() { sqlite3_interrupt(handle_.get()); }
    /// Closing does not touch the file: no checkpoint.
    void close_without_checkpoint();

  private:
    struct Close {
        void operator()(sqlite3* db) const { sqlite3_close_v2(db); }
    };
    std::unique_ptr<sqlite3, Close> handle_;
};

}  // namespace baton::store
