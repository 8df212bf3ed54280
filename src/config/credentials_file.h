#pragma once

#include <optional>
#include <string>

#include "config/config.h"

namespace baton::config {

struct Credentials {
    std::optional<std::string> user;
    std::optional<std::string> password;
};

/// `user` and `password` in the section `[client]` of a my.cnf-like file. Values may be quoted, or be
/// ${VARIABLE}. An error when the file cannot be read, has no such section, or that names neither. Messages
/// hold no value of the file.
Result<Credentials> read_credentials_file(const std::string& path, const Environment& environment);

}  // namespace baton::config
