#include "base/error.h"

namespace baton {

std::string_view to_string(ErrorKind kind) {
    switch (kind) {
        case ErrorKind::unknown:
            return "unknown";
        case ErrorKind::refused:
            return "refused";
        case ErrorKind::unreachable:
            return "unreachable";
        case ErrorKind::timeout:
            return "timeout";
        case ErrorKind::broken:
            return "broken";
        case ErrorKind::starting_up:
            return "starting-up";
        case ErrorKind::too_many_connections:
            return "too-many-connections";
        case ErrorKind::authentication:
            return "authentication";
        case ErrorKind::privilege:
            return "privilege";
        case ErrorKind::sql:
            return "sql";
        case ErrorKind::invalid_argument:
            return "invalid-argument";
        case ErrorKind::not_found:
            return "not-found";
        case ErrorKind::conflict:
            return "conflict";
        case ErrorKind::refused_by_policy:
            return "refused-by-policy";
        case ErrorKind::unsupported:
            return "unsupported";
        case ErrorKind::io:
            return "io";
        case ErrorKind::cancelled:
            return "cancelled";
        case ErrorKind::internal:
            return "internal";
    }
    return "unknown";
}

std::string Error::text() const {
    std::string text = who.empty() ? message : who + ": " + message;
    if (!sqlstate.empty()) text += " (SQLSTATE " + sqlstate + ")";
    return text;
}

}  // namespace baton
