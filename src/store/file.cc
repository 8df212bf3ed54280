// Opening in this order: lock, look at the header's bytes, check and read everything through a read-only
// connection, and only then open for writing. So a file that is refused is left as it was.
#include "store/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "base/text.h"
#include "store/schema.h"
#include "store/tables.h"

namespace baton::store {
namespace {

namespace fs = std::filesystem;

std::unexpected<Error> refuse(const fs::path& path, std::string_view why) {
    return fail(ErrorKind::io, std::string(why), path.string());
}

std::unexpected<Error> with_who(Error error, const fs::path& path, std::string_view doing) {
    return fail(error.kind, fmt::format("{}: {}", doing, error.message), path.string());
}

std::unexpected<Error> damaged(const fs::path& path, std::string_view why) {
    return refuse(
        path,
        fmt::format("the database is damaged ({}); it was left untouched. Put a backup in its place, or move "
                    "it away to begin with an empty record",
                    why));
}

/// The first 100 bytes of every SQLite file (file format, section 1.3).
using Header = std::array<unsigned char, 100>;
constexpr size_t user_version_at = 60;
constexpr size_t application_id_at = 68;

uint32_t number_at(const Header& header, size_t at) {
    uint32_t value = 0;
    for (size_t i = 0; i < 4; ++i)
        value = value << 8 | header[at + i];
    return value;
}

Result<Header> read_header(const fs::path& path) {
    Header header{};
    std::ifstream file(path, std::ios::binary);
    if (!file) return refuse(path, fmt::format("cannot read the database: {}", std::strerror(errno)));
    file.read(reinterpret_cast<char*>(header.data()), header.size());
    constexpr std::string_view magic("SQLite format 3\0", 16);
    const auto size = static_cast<size_t>(file.gcount());
    if (std::memcmp(header.data(), magic.data(), std::min(size, magic.size())) != 0) {
        return refuse(path,
                      "not a SQLite database; it was left untouched. Name another file in SQLite3DataFile");
    }
    if (size < header.size()) return damaged(path, "shorter than a header");
    return header;
}

/// The version of the file's schema, if this is a file for us.
Result<uint32_t> check_header(const fs::path& path) {
    const auto header = read_header(path);
    if (!header) return std::unexpected(header.error());
    if (number_at(*header, application_id_at) != application_id) {
        return refuse(
            path,
            "a database of another program (orchestrator's own file cannot be taken over); it was left "
            "untouched. Name another file in SQLite3DataFile");
    }
    const auto version = number_at(*header, user_version_at);
    if (version > schema_version) {
        return refuse(
            path,
            fmt::format("made by a newer version of Baton (schema {}; this one knows up to {}); it was left "
                        "untouched. Start the newer version, or name another file in SQLite3DataFile",
                        version, schema_version));
    }
    return version;
}

std::string setting(Database& db, std::string_view name) {
    return db.value(fmt::format("SELECT value FROM settings WHERE name = '{}'", name)).value_or("");
}

Result<void> load(Database& db, const Limits& limits, State& state, Changes& dropped) {
    auto read = read_rows(db, [&](Row row) {
        const auto* is_setting = std::get_if<Setting>(&row);
        if (is_setting && is_setting->name != "recoveries_enabled") return;
        Changes changes;
        apply_command(state, command_of(std::move(row)), limits, &changes);
        std::ranges::copy_if(changes, std::back_inserter(dropped), [](const Change& c) { return !c.row; });
    });
    state.epoch = parse_uint(setting(db, "epoch")).value_or(0);
    state.next_id = std::max(state.next_id, parse_int(setting(db, "next_id")).value_or(1));
    return read;
}

/// Everything that can be found wrong is found here; nothing is written.
Result<void> check_and_load(const fs::path& path, uint32_t version, const Limits& limits, State& state,
                            Changes& dropped) {
    auto db = Database::open(path.string(), SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX);
    if (!db) return with_who(db.error(), path, "cannot open the database");
    const auto verdict = db->value("PRAGMA quick_check(1)");
    Result<void> result;
    if (!verdict) {
        result = damaged(path, verdict.error().message);
    } else if (*verdict != "ok") {
        result = damaged(path, *verdict);
    } else if (version == schema_version) {
        if (const auto loaded = load(*db, limits, state, dropped); !loaded)
            result = damaged(path, loaded.error().message);
    }
    db->close_without_checkpoint();
    return result;
}

Result<Database> open_for_writing(const fs::path& path) {
    auto db = Database::open(path.string(), SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX);
    if (!db) return with_who(db.error(), path, "cannot open the database");
    if (db->read_only())
        return refuse(path, "no permission to write to the database; look at its owner and mode");
    const auto mode = db->value("PRAGMA journal_mode = WAL");
    if (!mode) return with_who(mode.error(), path, "cannot use the database");
    if (*mode != "wal")
        return refuse(path,
                      fmt::format("write-ahead mode is not possible here (SQLite answers '{}')", *mode));
    if (auto set = db->exec("PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = 67108864"); !set) {
        return with_who(set.error(), path, "cannot use the database");
    }
    return db;
}

Result<void> make_directory(const fs::path& directory) {
    std::error_code ec;
    if (directory.empty() || fs::is_directory(directory, ec)) return {};
    fs::create_directories(directory, ec);
    if (ec)
        return refuse(directory,
                      fmt::format("cannot create the directory of the database: {}", ec.message()));
    return {};
}

void sync_directory(const fs::path& directory) {
    const int fd = ::open(directory.empty() ? "." : directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return;
    ::fsync(fd);
    ::close(fd);
}

Result<void> write_empty_database(const fs::path& path) {
    // Made before SQLite opens it: its companions (-wal, -shm) take over the mode.
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) return refuse(path, fmt::format("cannot create the database: {}", std::strerror(errno)));
    ::close(fd);
    auto db = Database::open(path.string(), SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX);
    if (!db) return with_who(db.error(), path, "cannot create the database");
    if (auto done = migrate(*db, 0); !done) return with_who(done.error(), path, "cannot create the database");
    return {};
}

/// Made under another name and then renamed: whenever the power goes, the file is absent or whole.
Result<void> create_database(const fs::path& path) {
    std::error_code ec;
    for (const auto* log : {"-wal", "-journal"}) {
        const fs::path left = path.string() + log;
        if (fs::file_size(left, ec) > 0 && !ec) {
            return refuse(
                path,
                fmt::format("the database is gone but {} still holds data of it; put the database back, or "
                            "remove {} too",
                            left.string(), left.string()));
        }
        fs::remove(left, ec);
    }
    const fs::path fresh = path.string() + ".new";
    fs::remove(fresh, ec);
    fs::remove(fresh.string() + "-journal", ec);
    if (auto done = write_empty_database(fresh); !done) return done;
    fs::rename(fresh, path, ec);
    if (ec) return refuse(path, fmt::format("cannot create the database: {}", ec.message()));
    sync_directory(path.parent_path());
    return {};
}

bool absent_or_empty(const fs::path& path) {
    std::error_code ec;
    const auto size = fs::file_size(path, ec);
    return ec ? !fs::exists(path, ec) : size == 0;
}

Result<void> update_schema(Database& db, const fs::path& path, uint32_t version, const Limits& limits,
                           OpenFile& file) {
    if (version == schema_version) return {};
    if (auto done = migrate(db, version); !done) {
        return with_who(
            done.error(), path,
            fmt::format("cannot bring the database from schema {} to {}", version, schema_version));
    }
    // The header's bytes are what the next start looks at first: out of the log with them.
    (void)db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    if (auto loaded = load(db, limits, file.state, file.dropped); !loaded)
        return damaged(path, loaded.error().message);
    return {};
}

}  // namespace

Result<OpenFile> open_file(const fs::path& given, const Limits& limits) {
    if (auto made = make_directory(given.parent_path()); !made) return std::unexpected(made.error());
    // Two names of one file must meet at one lock.
    std::error_code ec;
    const auto path = fs::weakly_canonical(given, ec);
    if (ec) return refuse(given, fmt::format("cannot resolve the path of the database: {}", ec.message()));
    auto lock = FileLock::take(path);
    if (!lock) return std::unexpected(lock.error());
    if (absent_or_empty(path)) {
        if (auto created = create_database(path); !created) return std::unexpected(created.error());
    }
    const auto version = check_header(path);
    if (!version) return std::unexpected(version.error());
    OpenFile file{std::move(*lock), {}, {}, {}};
    if (auto good = check_and_load(path, *version, limits, file.state, file.dropped); !good) {
        return std::unexpected(good.error());
    }
    auto db = open_for_writing(path);
    if (!db) return std::unexpected(db.error());
    if (auto updated = update_schema(*db, path, *version, limits, file); !updated)
        return std::unexpected(updated.error());
    file.db = std::move(*db);
    return file;
}

}  // namespace baton::store
