// The record as it lies on disk: values come back as they were written, and a column that somebody else wrote
// into (table number, column number, then the text) is read or refused by name, never misread.
#include <fmt/format.h>

#include "fuzz.h"
#include "store/codec.h"
#include "store/schema.h"
#include "store/tables.h"

namespace baton::store {
namespace {

template <class T>
void check_codec(std::string_view text) {
    T value{};
    if (!decode(text, value)) return;
    const std::string written(encode(value));
    T again{};
    fuzz::require(decode(written, again) && again == value, "a decoded value reads back", written);
}

void check_texts(std::string_view text) {
    check_codec<WallTime>(text);
    check_codec<std::vector<InstanceKey>>(text);
    check_codec<std::vector<std::string>>(text);
    check_codec<topology::Engine>(text);
    check_codec<topology::Role>(text);
    check_codec<topology::PromotionRule>(text);
    check_codec<RecoveryState>(text);
    InstanceKey key, again;
    if (decode(text, key))
        fuzz::require(decode(key.text(), again) && again == key, "a key on record reads back", key.text());
    const std::vector<std::string> given{std::string(text), "", std::string(text)};
    std::vector<std::string> read;
    fuzz::require(decode(encode(given), read) && read == given, "any text can be kept", text);
}

struct Record {
    Database db;
    Tables tables;
};

/// One row in every table, written by Baton itself.
const std::vector<Row>& sample_rows() {
    static const InstanceKey key{"db1", 5432};
    static const std::vector<Row> rows{KnownInstance{.key = key},
                                       KnownCluster{.id = "7"},
                                       Detection{.id = 1, .instance = key},
                                       Recovery{.id = 2, .uid = "2", .failed = key},
                                       RecoveryStep{.id = 3, .uid = "2"},
                                       BlockedRecovery{.failed = key},
                                       DowntimeRow{key, {}},
                                       Maintenance{.id = 4, .key = key},
                                       TagRow{key, {"name", "value"}},
                                       PromotionRuleRecord{.key = key},
                                       Setting{"recoveries_enabled", "1"},
                                       AuditEntry{.id = 5, .instance = key},
                                       AnalysisChange{.instance = key, .id = 6},
                                       PoolRow{"pool", {}, {key}},
                                       UnresolveRow{key, "name"},
                                       KeyValueRow{"name", "value"}};
    return rows;
}

Record& record() {
    static Record the_record = [] {
        auto db = Database::open(":memory:", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
        fuzz::require(db.has_value() && migrate(*db, 0).has_value(), "an empty record is made");
        auto tables = Tables::prepare(*db);
        fuzz::require(tables.has_value(), "its tables are there");
        for (const auto& row : sample_rows())
            fuzz::require(tables->put(row).has_value(), "a row is written");
        return Record{std::move(*db), std::move(*tables)};
    }();
    return the_record;
}

using Columns = std::vector<std::string>;

std::vector<std::pair<std::string, Columns>> columns_of(Database& db) {
    std::vector<std::pair<std::string, Columns>> found;
    auto all = db.prepare(
        "SELECT m.name, c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table' "
        "ORDER BY 1, 2");
    while (all && all->step().value_or(false)) {
        if (found.empty() || found.back().first != all->text(0)) found.push_back({all->text(0), {}});
        found.back().second.push_back(all->text(1));
    }
    return found;
}

void check_column(size_t table, size_t column, std::string_view text) {
    auto& db = record().db;
    static const auto tables = columns_of(db);
    const auto& [name, columns] = tables[table % tables.size()];
    const auto& changed = columns[column % columns.size()];
    fuzz::require(db.exec("BEGIN").has_value(), "BEGIN");
    {
        auto update = db.prepare(fmt::format("UPDATE OR REPLACE {} SET {} = ?", name, changed));
        fuzz::require(update.has_value(), "a column can be written", changed);
        update->bind(1, text);
        // What the schema forbids is no record.
        if (update->step()) {
            State state;
            const auto read = read_rows(db, [&](Row row) {
                Changes changes;
                apply_command(state, command_of(std::move(row)), Limits{}, &changes);
            });
            if (!read) {
                fuzz::require_plain(read.error());
                fuzz::require(read.error().message.contains(changed), "an error names the column",
                              read.error().message);
            }
        }
    }
    fuzz::require(db.exec("ROLLBACK").has_value(), "ROLLBACK");
}

}  // namespace
}  // namespace baton::store

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace baton;
    const auto text = fuzz::text_of(data, size);
    store::check_texts(text);
    fuzz::Lines lines(text);
    const auto table = parse_uint(lines.next());
    const auto column = parse_uint(lines.next());
    if (!table || !column) return 0;
    store::check_texts(lines.rest());
    store::check_column(*table, *column, lines.rest());
    return 0;
}
