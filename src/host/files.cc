#include "host/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

#include "base/text.h"

namespace baton::host {
namespace {

class Descriptor {
  public:
    explicit Descriptor(int fd) : fd_(fd) {}
    ~Descriptor() {
        if (fd_ >= 0) ::close(fd_);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    operator int() const { return fd_; }

  private:
    int fd_;
};

std::unexpected<Error> system_error(const std::string& what, const std::string& path) {
    const auto kind = errno == ENOENT ? ErrorKind::not_found : ErrorKind::io;
    return fail(kind, fmt::format("{}: {}", what, std::strerror(errno)), path);
}

/// One that listens on everything is asked at home.
std::string connectable(std::string_view address) {
    if (address == "*" || address == "0.0.0.0") return "127.0.0.1";
    return address == "::" ? "::1" : std::string(address);
}

Phase phase_of(std::string_view word) {
    if (word == "ready" || word == "standby") return Phase::ready;
    return word == "stopping" ? Phase::stopping : Phase::starting;
}

/// "0/1511A88"
topology::Lsn lsn_of(std::string_view text) {
    return topology::parse_lsn(text).value_or(topology::Lsn{});
}

void take_control_line(agent::ControlData& c, std::string_view name, std::string_view value) {
    const auto number = parse_uint(value).value_or(0);
    if (name == "Database system identifier") c.system_identifier = value;
    if (name == "Database cluster state") c.state = value;
    if (name == "Latest checkpoint location") c.checkpoint = lsn_of(value);
    if (name == "Latest checkpoint's REDO location") c.redo = lsn_of(value);
    if (name == "Latest checkpoint's TimeLineID") c.timeline = static_cast<topology::Timeline>(number);
    if (name == "Minimum recovery ending location") c.minimum_recovery_end = lsn_of(value);
    if (name == "Min recovery ending loc's timeline")
        c.minimum_recovery_end_timeline = static_cast<topology::Timeline>(number);
    if (name == "wal_log_hints setting") c.wal_log_hints = value == "on";
    if (name == "Data page checksum version") c.data_checksums = number != 0;
}

/// One line of a configuration file: `name = value` or `name value`. Nothing for comments and blank lines.
struct Setting {
    std::string_view name;
    std::string_view value;  ///< as it stands, quotes and what follows included
};
std::optional<Setting> setting_of(std::string_view line) {
    line = trim(line);
    const auto end = line.find_first_of(" \t=#");
    if (line.empty() || end == 0) return std::nullopt;
    const auto name = line.substr(0, end);
    auto rest = end == std::string_view::npos ? std::string_view() : trim(line.substr(end));
    if (rest.starts_with('=')) rest = trim(rest.substr(1));
    return Setting{name, rest};
}

/// As the server's own reader takes quotes off (guc-file.l): '' is a quote, and \ escapes.
std::string unquoted(std::string_view value) {
    if (!value.starts_with('\'')) return std::string(value.substr(0, value.find_first_of(" \t#")));
    std::string out;
    for (size_t i = 1; i < value.size(); ++i) {
        const char c = value[i];
        const bool more = i + 1 < value.size();
        if (c == '\'' && !(more && value[i + 1] == '\'')) break;
        if ((c == '\'' || c == '\\') && more) ++i;
        out += value[i];
    }
    return out;
}

/// ALTER SYSTEM writes it so.
std::string quoted(std::string_view value) {
    std::string out = "'";
    for (const char c : value) {
        if (c == '\'' || c == '\\') out += c;
        out += c;
    }
    return out + "'";
}

Result<void> write_all(int fd, std::string_view text, const std::string& path) {
    while (!text.empty()) {
        const auto n = ::write(fd, text.data(), text.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return system_error("cannot be written", path);
        text.remove_prefix(static_cast<size_t>(n));
    }
    if (::fsync(fd) != 0) return system_error("cannot be made durable", path);
    return {};
}

}  // namespace

std::optional<PidFile> parse_pid_file(std::string_view text) {
    const auto lines = split(text, '\n');
    const auto line = [&](size_t at) {
        return at < lines.size() ? std::string(trim(lines[at])) : std::string();
    };
    const auto pid = parse_int(line(0));
    // A stand-alone backend (postgres --single) writes its own id with a minus sign.
    if (!pid || *pid == 0 || *pid > INT32_MAX || *pid < -INT32_MAX) return std::nullopt;
    PidFile p;
    p.pid = static_cast<int>(std::abs(*pid));
    p.stand_alone = *pid < 0;
    p.data_directory = line(1);
    p.started_s = parse_int(line(2)).value_or(0);
    const auto port = parse_uint(line(3)).value_or(0);
    p.port = port <= 65535 ? static_cast<uint16_t>(port) : 0;
    p.socket_directory = line(4);
    p.listen_address = connectable(line(5));
    const auto key_and_id = split(line(6), ' ');
    const auto key = parse_int(key_and_id.front());
    const auto id = parse_int(key_and_id.back());
    if (key && id && *id >= 0 && *id <= INT32_MAX) {
        p.shared_memory_id = static_cast<int>(*id);
        p.shared_memory_key = static_cast<int>(*key);
    }
    p.phase = phase_of(line(7));
    return p;
}

Result<agent::ControlData> parse_control_data(std::string_view output) {
    agent::ControlData c;
    for (const auto& line : split(output, '\n')) {
        const auto colon = line.find(':');
        if (colon == std::string::npos) continue;
        take_control_line(c, trim(std::string_view(line).substr(0, colon)),
                          trim(std::string_view(line).substr(colon + 1)));
    }
    if (c.system_identifier.empty()) {
        return fail(ErrorKind::invalid_argument,
                    "pg_controldata does not name the system identifier: " + printable(trim(output)));
    }
    return c;
}

std::string version_of(std::string_view output) {
    const auto from = output.find(") ");
    auto rest = from == std::string_view::npos ? output : output.substr(from + 2);
    const auto digit = rest.find_first_of("0123456789");
    if (digit == std::string_view::npos) return {};
    rest.remove_prefix(digit);
    return std::string(rest.substr(0, rest.find_first_not_of("0123456789.")));
}

std::optional<std::string> read_setting(std::string_view file, std::string_view name) {
    std::optional<std::string> value;
    for (const auto& line : split(file, '\n')) {
        const auto setting = setting_of(line);
        if (setting && iequals(setting->name, name)) value = unquoted(setting->value);
    }
    return value;
}

std::string with_setting(std::string_view file, std::string_view name, std::string_view value) {
    std::string out;
    auto lines = split(file, '\n');
    if (!lines.empty() && lines.back().empty()) lines.pop_back();
    for (const auto& line : lines) {
        const auto setting = setting_of(line);
        if (setting && iequals(setting->name, name)) continue;
        out.append(line).append("\n");
    }
    return out.append(name).append(" = ").append(quoted(value)).append("\n");
}

Result<std::string> read_whole(const std::string& path, size_t most_bytes) {
    const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (fd < 0) return system_error("cannot be opened", path);
    std::string text;
    char buffer[8192];
    for (;;) {
        const auto n = ::read(fd, buffer, sizeof buffer);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return system_error("cannot be read", path);
        if (n == 0) return text;
        text.append(buffer, static_cast<size_t>(n));
        if (text.size() > most_bytes)
            return fail(ErrorKind::io, fmt::format("is longer than {} bytes", most_bytes), path);
    }
}

Result<void> write_durably(const std::string& path, std::string_view text) {
    struct ::stat old{};
    const bool existed = ::stat(path.c_str(), &old) == 0;
    const auto temporary = path + ".baton-new";
    {
        const Descriptor fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
        if (fd < 0) return system_error("cannot be made", temporary);
        if (existed) ::fchmod(fd, old.st_mode & 07777);
        if (auto written = write_all(fd, text, temporary); !written) {
            ::unlink(temporary.c_str());
            return written;
        }
    }
    if (::rename(temporary.c_str(), path.c_str()) != 0) return system_error("cannot be replaced", path);
    return sync_directory(path.substr(0, path.rfind('/')));
}

Result<void> sync_directory(const std::string& directory) {
    const Descriptor fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd < 0) return system_error("cannot be opened", directory);
    if (::fsync(fd) != 0) return system_error("cannot be made durable", directory);
    return {};
}

}  // namespace baton::host
