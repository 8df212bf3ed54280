#pragma once

#include "engine/engine.h"

namespace baton::engine::postgresql {

/// How the manager logs in. Kept in memory only; never written to a log, an answer or an error.
struct Login {
    std::string user;
    std::string password;  ///< may be empty: libpq then uses passfile or the server asks for none
    std::string passfile;
    std::string database = "postgres";
    std::string sslmode = "prefer";
    std::string sslrootcert, sslcert, sslkey;
    milliseconds connect_timeout{750};
};

/// The engine for PostgreSQL 13 to 18, on libpq's asynchronous interface. Control thread only.
std::unique_ptr<Engine> make_engine(Clock& clock, Login login);
/// New sessions log in with this from now on; `engine` was made by make_engine().
void set_login(Engine& engine, Login login);

/// primary_conninfo as libpq's own parser reads it (PQconninfoParse), without the password.
topology::Upstream parse_conninfo(const std::string& conninfo, uint16_t default_port = 5432);

/// The same conninfo with only host (or hostaddr) and port changed; every other field, the password too, is
/// kept, values are quoted by libpq's rules. Error invalid_argument when it does not parse.
Result<std::string> redirect_conninfo(const std::string& conninfo, const topology::InstanceKey& upstream);

/// The same conninfo with the listed host `upstream` first; the others keep their order. Error not_found when
/// it is not listed.
Result<std::string> put_first(const std::string& conninfo, const topology::InstanceKey& upstream);

/// The same conninfo with the password masked, for people.
std::string mask_conninfo(const std::string& conninfo);

}  // namespace baton::engine::postgresql
