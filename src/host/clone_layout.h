#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace baton::host {

/// A tablespace: its number is the same on all servers of one database, its place need not be.
struct Tablespace {
    std::string oid;
    std::string location;
    bool operator==(const Tablespace&) const = default;
};

/// What of a data directory lies elsewhere.
struct Layout {
    std::string wal;  ///< where pg_wal leads; "" = it is an ordinary directory
    std::vector<Tablespace> tablespaces;
    int major = 0;  ///< version
};
/// As it is on disk; empty where there is nothing. Blocks.
Layout layout_of(const std::string& data_directory);

/// One row of "oid|location" each, as psql prints them.
std::vector<Tablespace> parse_tablespaces(std::string_view output);

/// Where the parts of the copy go that are not within it.
struct OutsidePlan {
    std::vector<std::string> arguments;    ///< for pg_basebackup
    std::vector<std::string> fresh_paths;  ///< made by it
    std::vector<std::string> old_paths;    ///< of the former directory; useless after the swap
};
/// `source`: the source's tablespaces. Blocks.
OutsidePlan plan_outside(const Layout& own, const std::vector<Tablespace>& source);

/// `path` without what an earlier clone appended (".baton-3", "/baton-3").
std::string without_clone_suffix(const std::string& path);

}  // namespace baton::host
