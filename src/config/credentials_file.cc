#include "config/credentials_file.h"

#include <fmt/core.h>

#include "base/text.h"
#include "config/json_file.h"

namespace baton::config {
namespace {

/// The text between quotes, with \" and \\ undone; a bare value ends where white space and a comment sign
/// begin.
std::string unquoted(std::string_view value) {
    const bool quoted = !value.empty() && (value.front() == '"' || value.front() == '\'');
    std::string out;
    for (size_t i = quoted ? 1 : 0; i < value.size(); ++i) {
        const char c = value[i];
        if (quoted && c == value.front()) break;
        const bool after_space = i > 0 && (value[i - 1] == ' ' || value[i - 1] == '\t');
        if (!quoted && (c == '#' || c == ';') && after_space) break;
        if (quoted && c == '\\' && i + 1 < value.size() &&
            (value[i + 1] == '\\' || value[i + 1] == value.front())) {
            out += value[++i];
        } else {
            out += c;
        }
    }
    return quoted ? out : std::string(trim(out));
}

Result<std::string> from_environment(std::string value, const Environment& environment,
                                     const std::string& path) {
    if (value.size() < 4 || !value.starts_with("${") || !value.ends_with('}')) return value;
    const std::string variable = value.substr(2, value.size() - 3);
    if (auto found = environment(variable)) return *found;
    return fail(ErrorKind::invalid_argument,
                fmt::format("the environment variable {} is not set", printable(variable)), path);
}

Credentials parse(std::string_view text) {
    Credentials found;
    bool in_client = false;
    for (const auto& raw : split(text, '\n')) {
        const auto line = trim(raw);
        if (line.empty() || line.front() == '#' || line.front() == ';') continue;
        if (line.front() == '[') {
            in_client = iequals(trim(line.substr(1, line.find(']') - 1)), "client");
            continue;
        }
        const size_t equals = line.find('=');
        if (!in_client || equals == std::string_view::npos) continue;
        const auto name = trim(line.substr(0, equals));
        std::string value = unquoted(trim(line.substr(equals + 1)));
        if (iequals(name, "user"))
            found.user = std::move(value);
        else if (iequals(name, "password"))
            found.password = std::move(value);
    }
    return found;
}

}  // namespace

Result<Credentials> read_credentials_file(const std::string& path, const Environment& environment) {
    const auto text = read_file(path);
    if (!text) return std::unexpected(text.error());
    Credentials found = parse(*text);
    if (!found.user && !found.password) {
        return fail(ErrorKind::invalid_argument, "names no user and no password in a section [client]", path);
    }
    for (auto* value : {&found.user, &found.password}) {
        if (!*value) continue;
        auto replaced = from_environment(**value, environment, path);
        if (!replaced) return std::unexpected(replaced.error());
        *value = std::move(*replaced);
    }
    return found;
}

}  // namespace baton::config
