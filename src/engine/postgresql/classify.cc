#include "engine/postgresql/classify.h"

#include <fmt/format.h>

#include <cerrno>
#include <system_error>

#include "base/text.h"

namespace baton::engine::postgresql {
namespace {

struct Verdict {
    Reach reach;
    ErrorKind kind;
};

Verdict judge_sqlstate(std::string_view state) {
    const auto kind = kind_of_sqlstate(state);
    switch (kind) {
        case ErrorKind::starting_up:
            return {Reach::starting, kind};
        case ErrorKind::too_many_connections:
            return {Reach::too_many_connections, kind};
        case ErrorKind::authentication:
            return {Reach::not_permitted, kind};
        case ErrorKind::privilege:
            return {Reach::not_permitted, kind};
        // Told so while logging in: the server is going down or starting anew, and for now it lives.
        case ErrorKind::broken:
            return {Reach::starting, ErrorKind::starting_up};
        default:
            return {Reach::failing, kind};
    }
}

Verdict judge_connect(const Failure& f) {
    if (f.stage == Stage::resolving) {
        return {Reach::unreachable, f.timed_out ? ErrorKind::timeout : ErrorKind::unreachable};
    }
    if (f.stage == Stage::handshake || f.stage == Stage::first_use) {
        if (!f.sqlstate.empty() && !f.ended) {
            return f.stage == Stage::handshake ? judge_sqlstate(f.sqlstate)
                                               : Verdict{Reach::failing, kind_of_sqlstate(f.sqlstate)};
        }
        if (f.timed_out) return {Reach::unresponsive, ErrorKind::timeout};
        if (f.ended || f.stage == Stage::first_use) return {Reach::unresponsive, ErrorKind::broken};
        // Bytes came and we could not go on from them: TLS, certificate or password method.
        return {Reach::not_permitted, ErrorKind::authentication};
    }
    switch (f.os_error) {
        case ECONNREFUSED:
            return {Reach::refused, ErrorKind::refused};
        case EHOSTUNREACH:
        case ENETUNREACH:
        case EHOSTDOWN:
        case ENETDOWN:
        case EADDRNOTAVAIL:
        case EACCES:
        case EPERM:
            return {Reach::unreachable, ErrorKind::unreachable};
        case ECONNRESET:
            return {Reach::refused, ErrorKind::refused};
        case ETIMEDOUT:
            return {Reach::silent, ErrorKind::timeout};
        default:
            return {f.timed_out ? Reach::silent : Reach::unknown,
                    f.timed_out ? ErrorKind::timeout : ErrorKind::unknown};
    }
}

/// A session that had worked: its end proves nothing about new ones.
Verdict judge_session(const Failure& f) {
    if (f.timed_out) return {Reach::silent, ErrorKind::timeout};
    if (f.ended) return {Reach::unresponsive, ErrorKind::broken};
    return {Reach::failing, f.sqlstate.empty() ? ErrorKind::unknown : kind_of_sqlstate(f.sqlstate)};
}

/// Where a five-character SQLSTATE stands between "severity:  " and ": message"; npos if nowhere from `from`
/// on.
size_t find_sqlstate(std::string_view text, size_t from) {
    const auto is_state = [](std::string_view s) {
        return std::ranges::all_of(s,
                                   [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z'); });
    };
    for (auto at = text.find(":  ", from); at != std::string_view::npos; at = text.find(":  ", at + 1)) {
        const auto state = text.substr(at + 3, 5);
        if (state.size() == 5 && is_state(state) && text.substr(at + 8, 2) == ": ") return at + 3;
    }
    return std::string_view::npos;
}

}  // namespace

ErrorKind kind_of_sqlstate(std::string_view state) {
    if (state == "57P03") return ErrorKind::starting_up;
    if (state == "57P01" || state == "57P02" || state == "57P05" || state.starts_with("08"))
        return ErrorKind::broken;
    if (state == "53300") return ErrorKind::too_many_connections;
    if (state.starts_with("28") || state == "3D000") return ErrorKind::authentication;
    if (state == "42501") return ErrorKind::privilege;
    if (state == "57014") return ErrorKind::timeout;
    if (state == "55000" || state == "55006") return ErrorKind::conflict;
    if (state == "0A000") return ErrorKind::unsupported;
    if (state == "42704" || state == "58P01") return ErrorKind::not_found;
    if (state == "22023" || state == "42602") return ErrorKind::invalid_argument;
    return ErrorKind::sql;
}

Unreached classify(Failure f, std::string who) {
    const bool established = f.stage == Stage::session;
    const auto verdict = established ? judge_session(f) : judge_connect(f);
    return {verdict.reach, Error{verdict.kind, std::move(f.message), std::move(who), std::move(f.sqlstate)},
            !established};
}

ConnectMessage read_connect_message(std::string_view text) {
    // With sslmode=prefer there are two attempts and two messages: the last one counts.
    size_t state = std::string_view::npos;
    for (auto at = find_sqlstate(text, 0); at != std::string_view::npos; at = find_sqlstate(text, at))
        state = at;
    ConnectMessage out;
    auto rest = text;
    if (state != std::string_view::npos) {
        out.sqlstate = text.substr(state, 5);
        rest = text.substr(state + 7);
    }
    out.message = trim(rest.substr(0, rest.find('\n')));
    return out;
}

int errno_of_message(std::string_view text) {
    for (const int code : {ECONNREFUSED, EHOSTUNREACH, ENETUNREACH, EHOSTDOWN, ENETDOWN, ETIMEDOUT,
                           EADDRNOTAVAIL, ECONNRESET, EPIPE, EACCES, EPERM, EMFILE, ENFILE}) {
        if (text.contains(std::generic_category().message(code))) return code;
    }
    return 0;
}

}  // namespace baton::engine::postgresql
