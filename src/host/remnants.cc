#include "host/remnants.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <map>
#include <set>

#include "base/text.h"
#include "host/supervisor.h"

namespace baton::host {
namespace {

constexpr milliseconds stays_empty_for{500};

/// Its inode, while it is empty and ours.
std::optional<ino_t> empty_file(const std::string& path) {
    struct ::stat status{};
    if (::lstat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
    if (status.st_size != 0 || status.st_uid != ::geteuid()) return std::nullopt;
    return status.st_ino;
}

std::string setting_of(const InstanceOptions& instance, std::string_view name) {
    const auto config = config_file_of(instance);
    for (const auto& file : {instance.data_directory + "/postgresql.auto.conf",
                             config.empty() ? instance.data_directory + "/postgresql.conf" : config}) {
        const auto text = read_whole(file);
        const auto value = text ? read_setting(*text, name) : std::nullopt;
        if (value && !trim(*value).empty()) return std::string(trim(*value));
    }
    return {};
}

}  // namespace

std::vector<std::string> lock_files_of(const InstanceOptions& instance, const std::optional<PidFile>& last) {
    std::set<std::string> directories{"/var/run/postgresql", "/tmp"};
    if (last && last->socket_directory.starts_with('/')) directories.insert(last->socket_directory);
    for (const auto& one : split(setting_of(instance, "unix_socket_directories"), ',')) {
        if (const auto directory = trim(one); directory.starts_with('/'))
            directories.insert(std::string(directory));
    }
    const auto port = parse_uint(setting_of(instance, "port")).value_or(instance.key.port);
    std::vector<std::string> files{instance.data_directory + "/postmaster.pid"};
    for (const auto& directory : directories)
        files.push_back(
            fmt::format("{}/.s.PGSQL.{}.lock", directory, last && last->port ? last->port : port));
    return files;
}

Task<void> drop_empty_locks(Clock& clock, std::vector<std::string> paths) {
    std::map<std::string, ino_t> empty;
    for (const auto& path : paths) {
        if (const auto inode = empty_file(path)) empty[path] = *inode;
    }
    if (empty.empty()) co_return;
    co_await clock.sleep_for(stays_empty_for);
    for (const auto& [path, inode] : empty) {
        if (empty_file(path) != inode) continue;
        spdlog::info("{} is empty, as a server leaves it that ends while it starts: removing it", path);
        ::unlink(path.c_str());
    }
}

}  // namespace baton::host
