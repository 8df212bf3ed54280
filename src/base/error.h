#pragma once

#include <expected>
#include <string>
#include <string_view>

namespace baton {

/// What kind of thing went wrong. Decisions look at this, never at the text of a message.
enum class ErrorKind : uint8_t {
    unknown,
    refused,               ///< a host answered that nothing listens there (ECONNREFUSED)
    unreachable,           ///< no route, host or network unreachable, name does not resolve
    timeout,               ///< no answer within the deadline
    broken,                ///< an established connection ended (RST, FIN, 57P01)
    starting_up,           ///< SQLSTATE 57P03: the server lives but does not accept sessions yet
    too_many_connections,  ///< SQLSTATE 53300: the server lives and works for others
    authentication,        ///< SQLSTATE 28xxx, 3D000 or TLS refusal: the server lives, we may not enter
    privilege,             ///< SQLSTATE 42501: connected, but a grant is missing
    sql,                   ///< any other error that the server reported
    invalid_argument,      ///< the caller asked for something that makes no sense
    not_found,             ///< the named thing is not known
    conflict,              ///< something else is under way, or the state forbids it
    refused_by_policy,     ///< a gate, filter, guard or limit says no
    unsupported,           ///< this engine or version cannot do it
    io,                    ///< file or database of our own
    cancelled,             ///< we are shutting down, or the caller gave up
    internal               ///< a bug of ours
};

std::string_view to_string(ErrorKind kind);

/// An expected failure, as a value. `who` names the instance, file or key that it is about; `message` says
/// what happened and, where the reader can do something, what. Never holds a password.
struct Error {
    ErrorKind kind = ErrorKind::unknown;
    std::string message;
    std::string who;       ///< "db1:5432", "baton.conf.json", …; may be empty
    std::string sqlstate;  ///< five characters, or empty

    /// "who: message (SQLSTATE 57P03)"
    std::string text() const;
    bool operator==(const Error&) const = default;
};

template <class T>
using Result = std::expected<T, Error>;

inline std::unexpected<Error> fail(ErrorKind kind, std::string message, std::string who = {},
                                   std::string sqlstate = {}) {
    return std::unexpected(Error{kind, std::move(message), std::move(who), std::move(sqlstate)});
}

}  // namespace baton
