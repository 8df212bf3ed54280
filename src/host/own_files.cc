#include "host/own_files.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <set>
#include <vector>

#include "host/files.h"

namespace baton::host {
namespace {

namespace fs = std::filesystem;

constexpr int most_files = 500;
constexpr int most_depth = 3;
constexpr uintmax_t most_bytes = 1024UL * 1024;

constexpr std::array<std::string_view, 15> of_the_server = {
    "PG_VERSION",       "postmaster.pid", "postmaster.opts",    "backup_label",   "backup_label.old",
    "backup_manifest",  "tablespace_map", "tablespace_map.old", "standby.signal", "recovery.signal",
    "current_logfiles", "recovery.conf",  "recovery.done",      "logfile",        "promote"};
constexpr std::array<std::string_view, 5> not_own_directories = {"base", "global", "log", "lost+found", "."};

std::unexpected<Error> io_error(const std::error_code& code, const fs::path& path) {
    return fail(ErrorKind::io, code.message(), path.string());
}

/// Paths from `root` of what is there and own, directories not included.
Result<std::vector<fs::path>> own_files_in(const fs::path& root) {
    std::vector<fs::path> found;
    std::error_code ec;
    fs::recursive_directory_iterator it(root, fs::directory_options::none, ec);
    for (; !ec && it != fs::end(it); it.increment(ec)) {
        const auto relative = it->path().lexically_relative(root);
        if (it->is_directory(ec) && !it->is_symlink(ec)) {
            if (it.depth() >= most_depth || !is_own_directory(relative.begin()->string()))
                it.disable_recursion_pending();
            continue;
        }
        if (!is_own_file(relative.string())) continue;
        // A directory that lies elsewhere (pg_wal, conf.d) stays where the new data directory has it.
        const bool link = it->is_symlink(ec);
        if (link && fs::is_directory(it->path(), ec)) continue;
        if (!link && (!it->is_regular_file(ec) || it->file_size(ec) > most_bytes)) continue;
        if (found.size() >= most_files) break;
        found.push_back(relative);
    }
    if (ec) return io_error(ec, root);
    return found;
}

Result<void> copy_link(const fs::path& from, const fs::path& to) {
    std::error_code ec;
    const auto target = fs::read_symlink(from, ec);
    if (ec) return io_error(ec, from);
    if (fs::is_symlink(to, ec) && fs::read_symlink(to, ec) == target) return {};
    fs::remove(to, ec);
    fs::create_symlink(target, to, ec);
    if (ec) return io_error(ec, to);
    return sync_directory(to.parent_path().string());
}

Result<void> copy_one(const fs::path& from, const fs::path& to) {
    std::error_code ec;
    fs::create_directories(to.parent_path(), ec);
    if (ec) return io_error(ec, to.parent_path());
    if (fs::is_symlink(from, ec)) return copy_link(from, to);
    const auto text = read_whole(from.string(), most_bytes);
    if (!text) return std::unexpected(text.error());
    // What stands there as a link would lead the writing to somebody else's file.
    if (fs::is_symlink(to, ec)) fs::remove(to, ec);
    if (auto written = write_durably(to.string(), *text); !written) return written;
    struct ::stat mode{};
    if (::stat(from.c_str(), &mode) == 0) ::chmod(to.c_str(), mode.st_mode & 07777);
    return {};
}

/// In own directories, what has not been kept is somebody else's.
void drop_foreign_files(const fs::path& data, const std::vector<fs::path>& own) {
    const std::set<fs::path> kept(own.begin(), own.end());
    std::set<fs::path> directories;
    for (const auto& path : own) {
        if (path.has_parent_path()) directories.insert(*path.begin());
    }
    std::error_code ec;
    for (const auto& directory : directories) {
        const auto found = own_files_in(data / directory);
        for (const auto& inner : found.value_or(std::vector<fs::path>{})) {
            if (!kept.contains(directory / inner)) fs::remove(data / directory / inner, ec);
        }
    }
}

}  // namespace

bool is_own_file(std::string_view path) {
    const auto name = path.substr(path.rfind('/') + 1);
    if (name.ends_with(".log") || name.ends_with(".tmp") || name.ends_with(".baton-new")) return false;
    if (name.starts_with(".baton") || name.starts_with("core")) return false;
    if (path.find('/') != std::string_view::npos) return is_own_directory(path.substr(0, path.find('/')));
    if (path.starts_with("pg_") && !path.ends_with(".conf")) return false;
    return std::ranges::find(of_the_server, path) == of_the_server.end();
}

bool is_own_directory(std::string_view name) {
    return !name.starts_with("pg_") && !name.starts_with(".baton") &&
           std::ranges::find(not_own_directories, name) == not_own_directories.end();
}

Result<int> keep_own_files(const std::string& data_directory, const std::string& kept) {
    const auto own = own_files_in(data_directory);
    if (!own) return std::unexpected(own.error());
    const fs::path fresh = kept + ".new";
    std::error_code ec;
    fs::remove_all(fresh, ec);
    fs::create_directories(fresh, ec);
    if (ec) return io_error(ec, fresh);
    fs::permissions(fresh, fs::perms::owner_all, ec);
    for (const auto& path : *own) {
        if (auto copied = copy_one(data_directory / path, fresh / path); !copied)
            return std::unexpected(copied.error());
    }
    fs::remove_all(kept, ec);
    fs::rename(fresh, kept, ec);
    if (ec) return io_error(ec, kept);
    if (auto synced = sync_directory(fs::path(kept).parent_path().string()); !synced)
        return std::unexpected(synced.error());
    return static_cast<int>(own->size());
}

Result<int> put_own_files(const std::string& kept, const std::string& data_directory) {
    const auto own = own_files_in(kept);
    if (!own) return std::unexpected(own.error());
    for (const auto& path : *own) {
        if (auto copied = copy_one(kept / path, data_directory / path); !copied)
            return std::unexpected(copied.error());
    }
    drop_foreign_files(data_directory, *own);
    return static_cast<int>(own->size());
}

}  // namespace baton::host
