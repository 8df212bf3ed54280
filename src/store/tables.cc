#include "store/tables.h"

#include <fmt/format.h>

#include <utility>

#include "base/text.h"
#include "store/codec.h"
#include "store/columns.h"

namespace baton::store {
namespace {

struct ColumnNames {
    std::vector<std::string> names;
    void operator()(std::string_view column, const auto&) { names.emplace_back(column); }
};

template <class R>
std::vector<std::string> column_names() {
    ColumnNames collected;
    const R row{};
    fields(collected, row);
    return collected.names;
}

template <class R>
constexpr bool has_number_key = Table<R>::key.front().ends_with("_id");

class Binder {
  public:
    explicit Binder(Statement& statement) : statement_(statement) {}

    void operator()(std::string_view, const std::string& v) { statement_.bind(++at_, v); }
    void operator()(std::string_view, int64_t v) { statement_.bind(++at_, v); }
    void operator()(std::string_view, bool v) { statement_.bind(++at_, int64_t{v}); }
    void operator()(std::string_view, const InstanceKey& v) { null_or_text(v == InstanceKey{}, v.text()); }
    void operator()(std::string_view, const std::optional<InstanceKey>& v) {
        null_or_text(!v, v ? v->text() : std::string{});
    }
    void operator()(std::string_view, WallTime v) { null_or_text(v == WallTime{}, encode(v)); }
    void operator()(std::string_view, const auto& v) { statement_.bind(++at_, encode(v)); }

  private:
    void null_or_text(bool null, const std::string& text) {
        if (null) {
            statement_.bind_null(++at_);
        } else {
            statement_.bind(++at_, text);
        }
    }

    Statement& statement_;
    int at_ = 0;
};

class Reader {
  public:
    explicit Reader(const Statement& statement) : statement_(statement) {}

    void operator()(std::string_view, std::string& v) { v = statement_.text(++at_); }
    void operator()(std::string_view, int64_t& v) { v = statement_.number(++at_); }
    void operator()(std::string_view, bool& v) { v = statement_.number(++at_) != 0; }
    void operator()(std::string_view column, std::optional<InstanceKey>& v) {
        if (!statement_.is_null(at_ + 1)) return read(column, v.emplace());
        ++at_;
    }
    void operator()(std::string_view column, InstanceKey& v) { read_unless_null(column, v); }
    void operator()(std::string_view column, WallTime& v) { read_unless_null(column, v); }
    void operator()(std::string_view column, auto& v) { read(column, v); }

    /// What could not be read; empty = all could.
    const std::string& problem() const { return problem_; }

  private:
    void read(std::string_view column, auto& v) {
        const auto text = statement_.text(++at_);
        if (!decode(text, v)) problem_ = fmt::format("column {} holds '{}'", column, printable(text));
    }
    void read_unless_null(std::string_view column, auto& v) {
        if (!statement_.is_null(at_ + 1)) return read(column, v);
        ++at_;
    }

    const Statement& statement_;
    int at_ = -1;
    std::string problem_;
};

template <class R>
std::string put_sql() {
    const auto names = column_names<R>();
    const std::vector<std::string> marks(names.size(), "?");
    return fmt::format("INSERT OR REPLACE INTO {}({}) VALUES({})", Table<R>::name, join(names, ","),
                       join(marks, ","));
}

template <class R>
std::string key_columns(std::string_view between, std::string_view after) {
    std::vector<std::string> columns;
    for (const auto column : Table<R>::key)
        columns.push_back(fmt::format("{}{}", column, after));
    return join(columns, between);
}

template <class R>
std::string erase_sql() {
    return fmt::format("DELETE FROM {} WHERE {}", Table<R>::name, key_columns<R>(" AND ", "=?"));
}

template <class R>
std::string select_sql() {
    return fmt::format("SELECT {} FROM {} ORDER BY {}", join(column_names<R>(), ","), Table<R>::name,
                       key_columns<R>(",", ""));
}

template <class R>
void bind_key(Statement& statement, const RowKey& key) {
    if (has_number_key<R>) {
        statement.bind(1, key.number);
        return;
    }
    statement.bind(1, key.text);
    if (Table<R>::key.size() > 1) statement.bind(2, key.part);
}

template <class R>
Result<void> read_table(Database& db, const std::function<void(Row)>& each) {
    auto statement = db.prepare(select_sql<R>());
    if (!statement) return std::unexpected(statement.error());
    while (true) {
        const auto more = statement->step();
        if (!more) return std::unexpected(more.error());
        if (!*more) return {};
        R row{};
        Reader reader(*statement);
        fields(reader, row);
        if (!reader.problem().empty()) {
            return fail(ErrorKind::io, fmt::format("table {}, {}", Table<R>::name, reader.problem()));
        }
        each(Row(std::move(row)));
    }
}

/// Calls f.operator()<R, index>() for each kind of row, until one returns an error.
template <class F>
Result<void> for_each_kind(F&& f) {
    Result<void> result;
    const auto run = [&]<size_t... i>(std::index_sequence<i...>) {
        (void)((result = f.template operator()<std::variant_alternative_t<i, Row>, i>(),
                result.has_value()) &&
               ...);
    };
    run(std::make_index_sequence<std::variant_size_v<Row>>{});
    return result;
}

Result<void> run(Statement& statement) {
    const auto done = statement.step();
    statement.reset();
    if (!done) return std::unexpected(done.error());
    return {};
}

}  // namespace

Result<Tables> Tables::prepare(Database& db) {
    Tables tables;
    const auto prepared = for_each_kind([&]<class R, size_t i>() -> Result<void> {
        auto put = db.prepare(put_sql<R>());
        if (!put) return std::unexpected(put.error());
        auto erase = db.prepare(erase_sql<R>());
        if (!erase) return std::unexpected(erase.error());
        tables.puts_[i] = std::move(*put);
        tables.erases_[i] = std::move(*erase);
        return {};
    });
    if (!prepared) return std::unexpected(prepared.error());
    return tables;
}

Result<void> Tables::put(const Row& row) {
    auto& statement = puts_[row.index()];
    Binder binder(statement);
    std::visit([&](const auto& r) { fields(binder, r); }, row);
    return run(statement);
}

Result<void> Tables::erase(const RowKey& key) {
    auto& statement = erases_[key.table];
    (void)for_each_kind([&]<class R, size_t i>() -> Result<void> {
        if (i == key.table) bind_key<R>(statement, key);
        return {};
    });
    return run(statement);
}

Result<void> read_rows(Database& db, const std::function<void(Row)>& each) {
    return for_each_kind([&]<class R, size_t i>() { return read_table<R>(db, each); });
}

}  // namespace baton::store
