#include "host/health_answer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/json_writer.h"
#include "base/text.h"

namespace baton::host {
namespace {

using agent::ServerState;
using agent::Status;

constexpr std::array<std::pair<std::string_view, HealthQuestion>, 13> paths = {{
    {"", HealthQuestion::primary},
    {"primary", HealthQuestion::primary},
    {"read-write", HealthQuestion::primary},
    {"leader", HealthQuestion::primary},
    {"replica", HealthQuestion::replica},
    {"read-only", HealthQuestion::read_only},
    {"synchronous", HealthQuestion::synchronous},
    {"sync", HealthQuestion::synchronous},
    {"asynchronous", HealthQuestion::asynchronous},
    {"async", HealthQuestion::asynchronous},
    {"health", HealthQuestion::health},
    {"liveness", HealthQuestion::liveness},
    {"readiness", HealthQuestion::readiness},
}};

std::optional<HealthQuestion> question_of(std::string_view path) {
    const auto at = std::ranges::find(paths, path, [](const auto& p) { return p.first; });
    return at == paths.end() ? std::nullopt : std::optional(at->second);
}

std::string_view without_slashes(std::string_view path) {
    while (path.starts_with('/'))
        path.remove_prefix(1);
    while (path.ends_with('/'))
        path.remove_suffix(1);
    return path;
}

std::optional<std::string> argument(std::string_view query, std::string_view name) {
    for (const auto& pair : split(query, '&')) {
        const auto equals = pair.find('=');
        if (pair.substr(0, equals) == name)
            return equals == std::string::npos ? std::string() : pair.substr(equals + 1);
    }
    return std::nullopt;
}

/// The text of ours for the state, in the words that such checks know.
std::string_view state_word(const Status& s) {
    if (s.state == ServerState::running) return "running";
    if (s.state == ServerState::starting) return "starting";
    return s.state == ServerState::stopping ? "stopping" : "stopped";
}

/// Why it takes no writes; "" = it does.
std::string why_no_primary(const Status& s) {
    if (s.state != ServerState::running) return fmt::format("the server is {}", to_string(s.state));
    if (s.standby_signal) return "it is a standby";
    if (s.hold != agent::Hold::none) return fmt::format("it is {}", to_string(s.hold));
    if (s.lease.on && s.lease.held_by.empty()) return "its lease has ended";
    return {};
}

std::string why_no_standby(const Status& s) {
    if (s.state != ServerState::running) return fmt::format("the server is {}", to_string(s.state));
    return s.standby_signal ? "" : "it is the primary";
}

std::string why_behind(const HealthTarget& target, const UpstreamLook& look) {
    if (!target.lag_limit) return {};
    if (!look.lag_bytes) return "its lag is not known: " + look.why_not;
    if (*look.lag_bytes <= *target.lag_limit) return {};
    return fmt::format("it is {} bytes behind", *look.lag_bytes);
}

std::string why_not_so(const UpstreamLook& look, bool synchronous) {
    if (look.sync_state.empty()) return "whether it is synchronous is not known: " + look.why_not;
    const bool is = look.sync_state == "sync" || look.sync_state == "quorum";
    return is == synchronous ? std::string() : "it is " + look.sync_state;
}

/// Why the answer is 503; "" = it is 200.
std::string why_not(const HealthTarget& target, const Status& s, const UpstreamLook& look) {
    const auto standby = [&](std::string further) {
        auto why = why_no_standby(s);
        return why.empty() ? std::move(further) : why;
    };
    switch (target.question) {
        case HealthQuestion::primary:
            return why_no_primary(s);
        case HealthQuestion::replica:
            return standby(why_behind(target, look));
        case HealthQuestion::read_only:
            if (why_no_primary(s).empty()) return {};
            return standby(why_behind(target, look));
        case HealthQuestion::synchronous:
        case HealthQuestion::asynchronous: {
            const auto why = why_not_so(look, target.question == HealthQuestion::synchronous);
            return standby(why.empty() ? why_behind(target, look) : why);
        }
        case HealthQuestion::liveness:
            return {};
        default:
            return s.state == ServerState::running ? "" : fmt::format("the server is {}", to_string(s.state));
    }
}

/// 15.4 → 150004, as the server itself counts.
int64_t version_number(const std::string& version) {
    const auto parts = split(version, '.');
    const auto number = [&](size_t at) { return at < parts.size() ? parse_int(parts[at]).value_or(0) : 0; };
    return number(0) * 10000 + number(1);
}

Error not_found(const std::vector<Status>& statuses) {
    std::string message = "no such path; there are /primary, /replica, /read-only, /health, …";
    if (statuses.size() > 1) {
        message = "no such path; there are /liveness and";
        for (const auto& s : statuses)
            message += fmt::format(" /{}/primary …", s.key.text());
    }
    return {ErrorKind::not_found, message, "", ""};
}

std::string_view reason_phrase(int status) {
    switch (status) {
        case 200:
            return "OK";
        case 400:
            return "Bad Request";
        case 404:
            return "Not Found";
        case 405:
            return "Method Not Allowed";
        default:
            return "Service Unavailable";
    }
}

}  // namespace

Result<HealthRequest> parse_health_request(std::string_view head) {
    const auto malformed = [] { return fail(ErrorKind::invalid_argument, "no HTTP request"); };
    const auto line = head.substr(0, head.find("\r\n"));
    const auto words = split(line, ' ');
    if (words.size() != 3 || !words[2].starts_with("HTTP/1.") || !words[1].starts_with('/'))
        return malformed();
    HealthRequest request;
    request.method = words[0];
    request.keep_alive = words[2] != "HTTP/1.0";
    const auto mark = words[1].find('?');
    request.path = words[1].substr(0, mark);
    if (mark != std::string::npos) request.query = words[1].substr(mark + 1);
    auto rest = head.substr(std::min(head.size(), line.size() + 2));
    for (const auto& header : split(rest, '\n')) {
        const auto colon = header.find(':');
        if (colon == std::string::npos) continue;
        const auto name = header.substr(0, colon);
        const auto value = trim(std::string_view(header).substr(colon + 1));
        if (iequals(name, "connection") && iequals(value, "close")) request.keep_alive = false;
        if (iequals(name, "connection") && iequals(value, "keep-alive")) request.keep_alive = true;
        const bool body =
            iequals(name, "transfer-encoding") || (iequals(name, "content-length") && value != "0");
        if (body) return fail(ErrorKind::invalid_argument, "a health check has no body");
    }
    return request;
}

Result<HealthTarget> find_health_target(const HealthRequest& request, const std::vector<Status>& statuses) {
    auto path = std::string(without_slashes(request.path));
    HealthTarget target;
    bool named = false;
    for (size_t i = 0; i < statuses.size() && !named; ++i) {
        const auto key = statuses[i].key.text();
        named = path == key || path.starts_with(key + "/");
        if (!named) continue;
        target.instance = i;
        path = without_slashes(std::string_view(path).substr(key.size()));
    }
    const auto question = question_of(path);
    const bool whose = named || statuses.size() == 1 || question == HealthQuestion::liveness;
    if (!question || !whose || statuses.empty()) return std::unexpected(not_found(statuses));
    target.question = *question;
    if (const auto lag = argument(request.query, "lag")) {
        target.lag_limit = parse_bytes(*lag);
        if (!target.lag_limit)
            return fail(ErrorKind::invalid_argument,
                        "lag is a number of bytes, or one with kB, MB, GB or TB");
    }
    return target;
}

std::optional<int64_t> parse_bytes(std::string_view text) {
    constexpr std::array<std::pair<std::string_view, int>, 5> units = {
        {{"tb", 40}, {"gb", 30}, {"mb", 20}, {"kb", 10}, {"b", 0}}};
    const auto small = lower(trim(text));
    std::string_view number = small;
    int shift = 0;
    for (const auto& [unit, bits] : units) {
        if (!number.ends_with(unit)) continue;
        number.remove_suffix(unit.size());
        shift = bits;
        break;
    }
    const auto value = parse_uint(trim(number));
    if (!value || *value > static_cast<uint64_t>(INT64_MAX) >> shift) return std::nullopt;
    return static_cast<int64_t>(*value << shift);
}

bool needs_upstream(const HealthTarget& target) {
    const bool about_sync =
        target.question == HealthQuestion::synchronous || target.question == HealthQuestion::asynchronous;
    const bool about_lag =
        target.question == HealthQuestion::replica || target.question == HealthQuestion::read_only;
    return about_sync || (about_lag && target.lag_limit.has_value());
}

HealthAnswer health_answer(const HealthTarget& target, const Status& s, const UpstreamLook& look) {
    const auto why = why_not(target, s, look);
    JsonWriter json;
    json.begin_object();
    json.field("state", state_word(s)).field("role", s.standby_signal ? "replica" : "primary");
    json.field("name", s.key.text()).field("server_version", version_number(s.version));
    json.field("timeline", s.control.timeline);
    json.field("database_system_identifier", s.system_identifier);
    if (look.lag_bytes) json.field("lag", *look.lag_bytes);
    if (!look.sync_state.empty()) json.field("sync_state", look.sync_state);
    if (!why.empty()) json.field("reason", why);
    json.end_object();
    return {why.empty() ? 200 : 503, json.take()};
}

std::string health_response(const HealthAnswer& answer, const HealthRequest& request) {
    auto out = fmt::format(
        "HTTP/1.1 {} {}\r\nServer: baton\r\nContent-Type: application/json\r\n"
        "Cache-Control: no-store\r\nContent-Length: {}\r\n",
        answer.status, reason_phrase(answer.status), request.method == "OPTIONS" ? 0 : answer.body.size());
    if (!request.keep_alive) out += "Connection: close\r\n";
    out += "\r\n";
    if (request.method != "HEAD" && request.method != "OPTIONS") out += answer.body;
    return out;
}

}  // namespace baton::host
