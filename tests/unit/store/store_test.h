#pragma once

#include <gtest/gtest.h>
#include <sqlite3.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/text.h"
#include "store/store.h"

namespace baton::store::test {

namespace fs = std::filesystem;
using topology::Downtime;
using topology::Tag;

inline WallTime at(int64_t s) {
    return WallTime(seconds(s));
}

/// A real event loop, and a directory that goes away with the test.
class StoreTest : public testing::Test {
  protected:
    StoreTest() : directory_(fs::temp_directory_path() / ("baton-store-" + random_hex(8))) {
        fs::create_directories(directory_);
    }
    ~StoreTest() override { fs::remove_all(directory_); }

    fs::path file() const { return directory_ / "baton.db"; }
    Result<std::unique_ptr<Store>> open(Limits limits = {}) { return open_sqlite(file(), *clock_, limits); }
    std::unique_ptr<Store> open_good(Limits limits = {}) {
        auto store = open(limits);
        EXPECT_TRUE(store.has_value()) << (store ? "" : store.error().text());
        return store ? std::move(*store) : nullptr;
    }

    Result<void> await(Task<Result<void>> task) {
        std::optional<Result<void>> result;
        asio::co_spawn(io_, std::move(task),
                       [&](std::exception_ptr, Result<void> r) { result = std::move(r); });
        io_.restart();
        io_.run();
        return result ? *result : fail(ErrorKind::internal, "the task did not end");
    }

    fs::path directory_;
    asio::io_context io_;
    std::unique_ptr<Clock> clock_ = make_system_clock(io_.get_executor());
};

inline std::string bytes_of(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    std::stringstream out;
    out << in.rdbuf();
    return out.str();
}

inline void write_bytes(const fs::path& path, std::string_view bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
}

/// As an operator's sqlite3 would: runs `sql` on the file, gives the first column of the first row.
inline std::string sql(const fs::path& path, const std::string& text) {
    sqlite3* db = nullptr;
    EXPECT_EQ(sqlite3_open(path.c_str(), &db), SQLITE_OK);
    std::string first;
    const auto keep = [](void* out, int n, char** values, char**) {
        if (n > 0 && values[0]) *static_cast<std::string*>(out) = values[0];
        return 0;
    };
    char* error = nullptr;
    EXPECT_EQ(sqlite3_exec(db, text.c_str(), keep, &first, &error), SQLITE_OK) << (error ? error : "");
    sqlite3_free(error);
    sqlite3_close(db);
    return first;
}

}  // namespace baton::store::test
