#include "store/sqlite.h"

#include <cstring>

namespace baton::store {
namespace {

/// Another program (an operator's shell) may hold the file for a moment.
constexpr int busy_timeout_ms = 2000;

std::unexpected<Error> sqlite_error(sqlite3* db, int code) {
    std::string text = db ? sqlite3_errmsg(db) : sqlite3_errstr(code);
    if (code == SQLITE_BUSY) text += " by another program; end its transaction";
    const int system_error = db ? sqlite3_system_errno(db) : 0;
    const bool tells_more = code == SQLITE_IOERR || code == SQLITE_CANTOPEN;
    if (tells_more && system_error != 0) text += std::string(": ") + std::strerror(system_error);
    if (db && tells_more) text += " (SQLite error " + std::to_string(sqlite3_extended_errcode(db)) + ")";
    return fail(ErrorKind::io, std::move(text));
}

}  // namespace

void Statement::bind(int at, std::string_view text) {
    // A null pointer would bind NULL.
    sqlite3_bind_text(handle_.get(), at, text.data() ? text.data() : "", static_cast<int>(text.size()),
                      SQLITE_TRANSIENT);
}

Result<bool> Statement::step() {
    const int code = sqlite3_step(handle_.get());
    if (code == SQLITE_ROW) return true;
    if (code == SQLITE_DONE) return false;
    return sqlite_error(sqlite3_db_handle(handle_.get()), code & 0xff);
}

std::string Statement::text(int column) const {
    const auto* text = sqlite3_column_text(handle_.get(), column);
    if (!text) return {};
    return {reinterpret_cast<const char*>(text),
            static_cast<size_t>(sqlite3_column_bytes(handle_.get(), column))};
}

Result<Database> Database::open(const std::string& path, int flags) {
    sqlite3* raw = nullptr;
    const int code = sqlite3_open_v2(path.c_str(), &raw, flags, nullptr);
    Database db;
    db.handle_.reset(raw);
    if (code != SQLITE_OK) return sqlite_error(raw, code & 0xff);
    sqlite3_busy_timeout(raw, busy_timeout_ms);
    return db;
}

Result<void> Database::exec(const char* sql) {
    const int code = sqlite3_exec(handle_.get(), sql, nullptr, nullptr, nullptr);
    if (code != SQLITE_OK) return sqlite_error(handle_.get(), code & 0xff);
    return {};
}

Result<Statement> Database::prepare(const std::string& sql) {
    sqlite3_stmt* raw = nullptr;
    const int code =
        sqlite3_prepare_v2(handle_.get(), sql.c_str(), static_cast<int>(sql.size()), &raw, nullptr);
    if (code != SQLITE_OK) return sqlite_error(handle_.get(), code & 0xff);
    return Statement(raw);
}

Result<std::string> Database::value(const std::string& sql) {
    auto statement = prepare(sql);
    if (!statement) return std::unexpected(statement.error());
    const auto row = statement->step();
    if (!row) return std::unexpected(row.error());
    return *row ? statement->text(0) : std::string{};
}

void Database::close_without_checkpoint() {
    sqlite3_db_config(handle_.get(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
    handle_.reset();
}

}  // namespace baton::store
