#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "topology/instance_key.h"

namespace baton::host {

/// The fields of a libpq connection string, as its manual describes the two forms ("Connection Strings"):
/// what the programs of PostgreSQL are given. May hold a password: never for a log, an error or an argument.
class Conninfo {
  public:
    /// Reads `key=value …` and `postgresql://…`. Names are not checked: newer versions have more. Error
    /// invalid_argument, whose text never quotes the string.
    static Result<Conninfo> parse(std::string_view text);

    /// "" when not given.
    std::string get(std::string_view key) const;
    void set(std::string_view key, std::string value);
    void remove(std::string_view key);
    /// Only this server: lists of hosts, addresses and what is asked of the chosen one go.
    void lead_to(const topology::InstanceKey& server);
    /// Takes the password out; "" when there was none.
    std::string take_password();
    /// The key=value form, values quoted where they need it.
    std::string text() const;
    bool empty() const { return fields_.empty(); }

  private:
    static Result<Conninfo> parse_pairs(std::string_view text);
    static Result<Conninfo> parse_uri(std::string_view text);

    std::vector<std::pair<std::string, std::string>> fields_;
};

/// The one line of a password file (manual, "The Password File") that gives this password to every server.
std::string password_line(std::string_view password);

}  // namespace baton::host
