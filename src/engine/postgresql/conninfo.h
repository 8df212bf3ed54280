#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

namespace baton::engine::postgresql {

/// The fields of a connection string in the order of writing. May hold a password: never for a log or an
/// error.
class Conninfo {
  public:
    using Field = std::pair<std::string, std::string>;

    /// Reads the key=value form and the URI form. libpq's own parser decides on every field that it knows;
    /// fields of newer versions (pg_basebackup -R writes all that its own version has) are carried along
    /// unread. Error invalid_argument, whose text never quotes the string.
    static Result<Conninfo> parse(const std::string& text);

    /// "" when not given.
    std::string get(std::string_view key) const;
    bool has(std::string_view key) const;
    void set(std::string_view key, std::string value);
    void remove(std::string_view key);
    /// The key=value form, values quoted by libpq's rules.
    std::string text() const;
    bool empty() const { return fields_.empty(); }

  private:
    std::vector<Field> fields_;
};

}  // namespace baton::engine::postgresql
