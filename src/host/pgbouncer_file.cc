#include "host/pgbouncer_file.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <optional>

#include "base/text.h"
#include "host/files.h"

namespace baton::host {
namespace {

constexpr std::string_view blanks = " \t\r";

void skip_blanks(std::string_view line, size_t& at) {
    at = std::min(line.find_first_not_of(blanks, at), line.size());
}

/// `name = connection string`, as places in the line.
struct DatabaseLine {
    std::string name;
    size_t connection = 0;  ///< where the connection string begins
};

std::optional<DatabaseLine> database_of(std::string_view line) {
    size_t at = 0;
    skip_blanks(line, at);
    if (at == line.size() || std::string_view(";#%[").contains(line[at])) return std::nullopt;
    DatabaseLine out;
    if (line[at] == '"') {
        const auto end = line.find('"', at + 1);
        if (end == std::string_view::npos) return std::nullopt;
        out.name = line.substr(at + 1, end - at - 1);
        at = end + 1;
    } else {
        const auto end = std::min(line.find_first_of(" \t=", at), line.size());
        out.name = line.substr(at, end - at);
        at = end;
    }
    skip_blanks(line, at);
    if (out.name.empty() || at == line.size() || line[at] != '=') return std::nullopt;
    out.connection = at + 1;
    return out;
}

/// One `key=value` of a connection string, as places in the line.
struct Pair {
    std::string key;
    size_t value_from = 0;
    size_t value_to = 0;  ///< behind it, quotes included
};

/// The pair at `at`, which moves behind it; nothing at the end, or where no pair is.
std::optional<Pair> next_pair(std::string_view line, size_t& at) {
    skip_blanks(line, at);
    Pair pair;
    const auto name_end = std::min(line.find_first_of(" \t\r=", at), line.size());
    pair.key = lower(line.substr(at, name_end - at));
    at = name_end;
    skip_blanks(line, at);
    if (pair.key.empty() || at == line.size() || line[at] != '=') return std::nullopt;
    ++at;
    skip_blanks(line, at);
    pair.value_from = at;
    if (at < line.size() && line[at] == '\'') {
        for (++at; at < line.size(); ++at) {
            if (line[at] != '\'') continue;
            if (at + 1 == line.size() || line[at + 1] != '\'') break;
            ++at;  // '' is a quote within
        }
        at = std::min(at + 1, line.size());
    } else {
        at = std::min(line.find_first_of(blanks, at), line.size());
    }
    pair.value_to = at;
    return pair;
}

std::string with_target(std::string_view line, size_t connection, const topology::InstanceKey& target) {
    std::optional<Pair> host, port;
    for (size_t at = connection; auto pair = next_pair(line, at);) {
        if (pair->key == "host") host = pair;
        if (pair->key == "port") port = pair;
    }
    std::string out(line);
    const auto put = [&](const std::optional<Pair>& pair, const std::string& value) {
        if (pair) out.replace(pair->value_from, pair->value_to - pair->value_from, value);
    };
    // From the right to the left, so that the places that are still to come stay where they are.
    const auto number = std::to_string(target.port);
    const bool host_first = host && port && host->value_from < port->value_from;
    if (host_first) {
        put(port, number);
        put(host, target.host);
    } else {
        put(host, target.host);
        put(port, number);
    }
    std::string missing;
    if (!host) missing += " host=" + target.host;
    if (!port) missing += " port=" + number;
    out.insert(connection, missing);
    return out;
}

bool writable(const std::string& host) {
    return !host.empty() && std::ranges::all_of(host, [](char c) {
        return std::isalnum(static_cast<unsigned char>(c)) != 0 || std::string_view(".-_:%").contains(c);
    });
}

std::string first_missing(const std::vector<std::string>& wanted, const std::vector<std::string>& found) {
    const auto missing = std::ranges::find_if(
        wanted, [&](const auto& w) { return std::ranges::find(found, w) == found.end(); });
    return missing == wanted.end() ? std::string() : *missing;
}

Result<void> tell_to_reload(const std::string& pid_file) {
    const auto text = read_whole(pid_file, 64);
    if (!text) return std::unexpected(text.error());
    const auto pid = parse_int(trim(*text));
    if (!pid || *pid <= 1 || *pid > INT32_MAX) return fail(ErrorKind::io, "holds no process id", pid_file);
    // The number may belong to somebody else by now, who would be ended by the signal.
    const auto name = read_whole(fmt::format("/proc/{}/comm", *pid), 64);
    if (!name || !trim(*name).starts_with("pgbouncer"))
        return fail(ErrorKind::io, fmt::format("process {} is no running PgBouncer", *pid), pid_file);
    if (::kill(static_cast<pid_t>(*pid), SIGHUP) != 0) {
        return fail(ErrorKind::io, fmt::format("process {} cannot be told: {}", *pid, std::strerror(errno)),
                    pid_file);
    }
    return {};
}

}  // namespace

Result<Retargeted> retarget(std::string_view text, const std::vector<std::string>& databases,
                            const topology::InstanceKey& target) {
    if (!target.valid() || !writable(target.host))
        return fail(ErrorKind::invalid_argument, "cannot be written as a pooler's target", target.text());
    Retargeted out;
    bool in_databases = true;
    for (size_t from = 0; from < text.size();) {
        const auto end = std::min(text.find('\n', from), text.size());
        const auto line = text.substr(from, end - from);
        if (const auto bare = trim(line); bare.starts_with('['))
            in_databases = iequals(bare.substr(0, bare.find(']') + 1), "[databases]");
        const auto database = in_databases ? database_of(line) : std::nullopt;
        if (database &&
            (databases.empty() || std::ranges::find(databases, database->name) != databases.end())) {
            out.text += with_target(line, database->connection, target);
            out.databases.push_back(database->name);
        } else {
            out.text += line;
        }
        if (end < text.size()) out.text += '\n';
        from = end + 1;
    }
    if (const auto missing = first_missing(databases, out.databases); !missing.empty())
        return fail(ErrorKind::not_found, "no line for the database " + missing);
    if (out.databases.empty()) return fail(ErrorKind::not_found, "no database in it");
    return out;
}

Result<std::string> retarget_file(const std::string& databases_file, const std::string& pid_file,
                                  const std::vector<std::string>& databases,
                                  const topology::InstanceKey& target) {
    // A link stays one; the file behind it is replaced.
    char resolved[PATH_MAX];
    const std::string path = ::realpath(databases_file.c_str(), resolved) ? resolved : databases_file;
    const auto before = read_whole(path);
    if (!before) return std::unexpected(before.error());
    auto after = retarget(*before, databases, target);
    if (!after) {
        after.error().who = path;
        return std::unexpected(after.error());
    }
    if (after->text != *before) {
        if (auto written = write_durably(path, after->text); !written)
            return std::unexpected(written.error());
    }
    if (auto told = tell_to_reload(pid_file); !told) return std::unexpected(told.error());
    return fmt::format("{} to {}", join(after->databases, ", "), target.text());
}

}  // namespace baton::host
