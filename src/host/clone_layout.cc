#include "host/clone_layout.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "base/text.h"
#include "host/clone.h"
#include "host/files.h"
#include "host/swap.h"

namespace baton::host {
namespace {

namespace fs = std::filesystem;

std::string link_target(const fs::path& path) {
    std::error_code ec;
    if (!fs::is_symlink(path, ec)) return {};
    auto target = fs::read_symlink(path, ec);
    if (target.is_relative()) target = path.parent_path() / target;
    auto text = target.lexically_normal().string();
    while (text.size() > 1 && text.ends_with('/'))
        text.pop_back();
    return text;
}

bool is_mount_point(const std::string& path) {
    struct ::stat own{}, above{};
    return ::stat(path.c_str(), &own) == 0 && ::stat((path + "/..").c_str(), &above) == 0 &&
           own.st_dev != above.st_dev;
}

/// The parts of a tablespace's directory that belong to servers of this version.
void add_version_directories(const std::string& location, int major, std::vector<std::string>& out) {
    std::error_code ec;
    const auto prefix = "PG_" + std::to_string(major) + "_";
    for (const auto& entry : fs::directory_iterator(location, ec)) {
        if (entry.path().filename().string().starts_with(prefix)) out.push_back(entry.path().string());
    }
}

/// All of a WAL directory that stays itself, because it is a mount point: but not newer ones within it.
void add_children(const std::string& directory, std::vector<std::string>& out) {
    constexpr size_t most = 10000;
    std::error_code ec;
    for (const auto& entry : fs::directory_iterator(directory, ec)) {
        const auto name = entry.path().filename().string();
        const bool keep = name.starts_with("baton-") || name.starts_with(".") || name == "lost+found";
        if (!keep && out.size() < most) out.push_back(entry.path().string());
    }
}

void plan_wal(const std::string& wal, OutsidePlan& plan) {
    if (wal.empty()) return;
    const auto fresh = place_instead_of(wal);
    plan.arguments.push_back("--waldir=" + fresh);
    plan.fresh_paths.push_back(fresh);
    if (is_mount_point(wal))
        add_children(wal, plan.old_paths);
    else
        plan.old_paths.push_back(wal);
}

}  // namespace

std::string without_clone_suffix(const std::string& path) {
    constexpr std::string_view word = "baton-";
    const auto at = path.rfind(word);
    if (at == std::string::npos || at < 2 || (path[at - 1] != '.' && path[at - 1] != '/')) return path;
    return parse_uint(path.substr(at + word.size())) ? path.substr(0, at - 1) : path;
}

std::string place_instead_of(const std::string& path) {
    const auto base = without_clone_suffix(path);
    return free_name(base, is_mount_point(base) ? "/baton-" : ".baton-");
}

Layout layout_of(const std::string& data_directory) {
    Layout out;
    out.wal = link_target(data_directory + "/pg_wal");
    std::error_code ec;
    for (const auto& entry : fs::directory_iterator(data_directory + "/pg_tblspc", ec)) {
        const auto target = link_target(entry.path());
        const auto name = entry.path().filename().string();
        if (!target.empty() && parse_uint(name)) out.tablespaces.push_back({name, target});
    }
    if (const auto version = read_whole(data_directory + "/PG_VERSION", 64))
        out.major = static_cast<int>(parse_int(trim(*version)).value_or(0));
    return out;
}

std::vector<Tablespace> parse_tablespaces(std::string_view output) {
    std::vector<Tablespace> out;
    for (const auto& line : split(output, '\n')) {
        const auto bar = line.find('|');
        if (bar == std::string::npos || !parse_uint(line.substr(0, bar))) continue;
        out.push_back({line.substr(0, bar), std::string(trim(std::string_view(line).substr(bar + 1)))});
    }
    return out;
}

OutsidePlan plan_outside(const Layout& own, const std::vector<Tablespace>& source) {
    OutsidePlan plan;
    plan_wal(own.wal, plan);
    for (const auto& tablespace : source) {
        const auto here = std::ranges::find(own.tablespaces, tablespace.oid, &Tablespace::oid);
        const auto fresh =
            place_instead_of(here == own.tablespaces.end() ? tablespace.location : here->location);
        plan.arguments.push_back("--tablespace-mapping=" + mapping_argument(tablespace.location, fresh));
        plan.fresh_paths.push_back(fresh);
    }
    for (const auto& tablespace : own.tablespaces)
        add_version_directories(tablespace.location, own.major, plan.old_paths);
    return plan;
}

}  // namespace baton::host
