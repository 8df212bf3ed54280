#pragma once

#include <string>
#include <string_view>

#include "engine/engine.h"

/// What a failed attempt proves about a server. Decided by errno, SQLSTATE and the point that the attempt got
/// to, never by words of a message, which may be in any language.
namespace baton::engine::postgresql {

enum class Stage : uint8_t {
    resolving,   ///< no address yet
    connecting,  ///< TCP is not established
    handshake,   ///< TCP is established, the session is not (TLS, startup packet, authentication)
    first_use,   ///< session established just now, no query answered on it yet
    session      ///< a session that had worked before
};

struct Failure {
    Stage stage = Stage::session;
    bool timed_out = false;
    bool ended = false;    ///< the peer closed or reset the connection
    int os_error = 0;      ///< errno, 0 = none
    std::string sqlstate;  ///< "" = the server did not say one
    std::string message;
};

Unreached classify(Failure failure, std::string who);

/// What a caller should make of an SQLSTATE that a statement ended with.
ErrorKind kind_of_sqlstate(std::string_view sqlstate);

/// A FATAL message as libpq puts it when verbosity is PQERRORS_VERBOSE: SQLSTATE and text apart, without the
/// source location. For other texts sqlstate is "" and the message is the first line.
struct ConnectMessage {
    std::string sqlstate;
    std::string message;
};
ConnectMessage read_connect_message(std::string_view text);

/// errno of a failed connect() out of libpq's message: compares with what this process's own libc says for
/// each candidate.
int errno_of_message(std::string_view text);

}  // namespace baton::engine::postgresql
