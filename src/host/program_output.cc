#include "host/program_output.h"

#include <algorithm>
#include <span>

#include "base/text.h"

namespace baton::host {
namespace {

struct Saying {
    std::string_view part;  ///< of the message
    ErrorKind kind;
};

/// Of every program that connects.
constexpr Saying of_connections[] = {
    {"password authentication failed", ErrorKind::authentication},
    {"no password supplied", ErrorKind::authentication},
    {"authentication failed", ErrorKind::authentication},
    {"no pg_hba.conf entry", ErrorKind::authentication},
    {"must be superuser or replication role", ErrorKind::privilege},
    {"permission denied to", ErrorKind::privilege},
    {"permission denied for", ErrorKind::privilege},
    {"sorry, too many clients", ErrorKind::too_many_connections},
    {"remaining connection slots are reserved", ErrorKind::too_many_connections},
    {"exceeds max_wal_senders", ErrorKind::too_many_connections},
    {"the database system is", ErrorKind::starting_up},
    {"Connection refused", ErrorKind::refused},
    {"timeout expired", ErrorKind::timeout},
    {"could not translate host name", ErrorKind::unreachable},
    {"No route to host", ErrorKind::unreachable},
    {"Network is unreachable", ErrorKind::unreachable},
    {"server closed the connection", ErrorKind::broken},
    {"terminating connection", ErrorKind::broken},
    {"lost connection", ErrorKind::broken},
    {"SSL SYSCALL error", ErrorKind::broken},
    {"No space left on device", ErrorKind::io},
    {"Disk quota exceeded", ErrorKind::io},
    {"Read-only file system", ErrorKind::io},
    {"Input/output error", ErrorKind::io},
};

constexpr Saying of_rewind[] = {
    {"are from different systems", ErrorKind::refused_by_policy},
    {"wal_log_hints = on", ErrorKind::unsupported},
    {"full_page_writes must be enabled", ErrorKind::unsupported},
    {"could not find previous WAL record", ErrorKind::unsupported},
    {"could not read WAL record", ErrorKind::unsupported},
    {"could not find common ancestor", ErrorKind::unsupported},
    {"from archive", ErrorKind::unsupported},
    {"restore_command", ErrorKind::unsupported},
    {"has already been removed", ErrorKind::unsupported},
    {"are not compatible with this version", ErrorKind::unsupported},
    {"must be shut down cleanly", ErrorKind::unsupported},
    {"control file appears to be corrupt", ErrorKind::unsupported},
    {"/pg_wal/", ErrorKind::unsupported},
};

constexpr Saying of_clone[] = {
    {"replication slot", ErrorKind::conflict},
    {"exists but is not empty", ErrorKind::conflict},
    {"incompatible server version", ErrorKind::unsupported},
    {"standby was promoted during online backup", ErrorKind::broken},
    {"requested WAL segment", ErrorKind::broken},
    {"checksum verification failed", ErrorKind::broken},
};

std::string_view without_program(std::string_view line) {
    for (const std::string_view word :
         {"pg_rewind: ", "pg_basebackup: ", "psql: ", "fatal: ", "error: ", "FATAL:  "}) {
        if (line.starts_with(word)) line.remove_prefix(word.size());
    }
    return line;
}

/// The line that names the reason: the last error, else the last line at all.
std::string reason_of(const OutputLines& output) {
    std::string last;
    for (const auto& line : output.lines()) {
        const bool says_error = line.find("error: ") != std::string::npos ||
                                line.find("fatal: ") != std::string::npos ||
                                line.find("FATAL: ") != std::string::npos;
        if (says_error || last.empty()) last = line;
    }
    return printable(trim(without_program(last)), 400);
}

std::optional<ErrorKind> kind_of(const OutputLines& output, std::span<const Saying> sayings) {
    for (const auto& saying : sayings) {
        if (output.contains(saying.part)) return saying.kind;
    }
    return std::nullopt;
}

Error why_failed(const OutputLines& output, std::span<const Saying> own, ErrorKind otherwise) {
    auto kind = kind_of(output, of_connections);
    if (!kind) kind = kind_of(output, own);
    auto reason = reason_of(output);
    return {kind.value_or(otherwise), reason.empty() ? "it ended without a word" : reason, "", ""};
}

}  // namespace

std::optional<CopyProgress> parse_copy_progress(std::string_view line) {
    const auto unit = line.find(" kB (");
    if (unit == std::string_view::npos || line.find("%)", unit) == std::string_view::npos)
        return std::nullopt;
    const auto slash = line.substr(0, unit).rfind('/');
    if (slash == std::string_view::npos) return std::nullopt;
    const auto done = parse_uint(trim(line.substr(0, slash)));
    const auto total = parse_uint(trim(line.substr(slash + 1, unit - slash - 1)));
    constexpr uint64_t most = INT64_MAX / 1024;
    if (!done || !total || *done > most || *total > most) return std::nullopt;
    return CopyProgress{static_cast<int64_t>(*done) * 1024, static_cast<int64_t>(*total) * 1024};
}

void OutputLines::add(std::string_view piece) {
    for (const char c : piece) {
        if (c == '\n' || c == '\r')
            end_line();
        else if (open_.size() < longest_line)
            open_ += c;
    }
}

void OutputLines::end_line() {
    const auto line = std::exchange(open_, {});
    if (trim(line).empty()) return;
    if (const auto progress = parse_copy_progress(line)) {
        if (progress_) progress_(*progress);
        return;
    }
    lines_.push_back(line);
    if (lines_.size() > most_lines) lines_.pop_front();
}

bool OutputLines::contains(std::string_view text) const {
    return std::ranges::any_of(lines_, [&](const auto& l) { return l.find(text) != std::string::npos; });
}

int64_t CopyRate::add(MonoTime now, int64_t done_bytes) {
    seen_.emplace_back(now, done_bytes);
    while (seen_.size() > 2 && now - seen_.front().first > seconds(10))
        seen_.pop_front();
    const auto us = to_us(now - seen_.front().first);
    if (us <= 0) return 0;
    const auto bytes = static_cast<double>(done_bytes - seen_.front().second);
    return std::max<int64_t>(0, static_cast<int64_t>(bytes * 1e6 / static_cast<double>(us)));
}

std::optional<Divergence> find_divergence(const OutputLines& output) {
    constexpr std::string_view before = "servers diverged at WAL location ";
    constexpr std::string_view between = " on timeline ";
    for (const auto& line : output.lines()) {
        const auto at = line.find(before);
        const auto middle = line.find(between);
        if (at == std::string::npos || middle == std::string::npos || middle < at) continue;
        const auto from = at + before.size();
        const auto lsn = topology::parse_lsn(line.substr(from, middle - from));
        const auto timeline = parse_uint(trim(std::string_view(line).substr(middle + between.size())));
        if (lsn && timeline) return Divergence{*lsn, static_cast<topology::Timeline>(*timeline)};
    }
    return std::nullopt;
}

bool rewind_had_begun(const OutputLines& output) {
    return output.contains("need to copy ") || output.contains("Need to copy ");
}

Error why_rewind_failed(const OutputLines& output) {
    return why_failed(output, of_rewind, ErrorKind::unknown);
}

Error why_clone_failed(const OutputLines& output) {
    return why_failed(output, of_clone, ErrorKind::unknown);
}

Error why_query_failed(const OutputLines& output) {
    return why_failed(output, {}, ErrorKind::sql);
}

}  // namespace baton::host
