#include "http/auth.h"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>

#include "base/secret.h"
#include "base/text.h"

namespace baton::http {

namespace {

constexpr std::string_view read_only_user = "readonly";
/// Largest buffer for one entry of the group or user database: a group may have thousands of members.
constexpr size_t max_database_entry = 1 << 20;

std::string header_value(const Headers& headers, std::string_view name) {
    const auto it = std::ranges::find_if(headers, [&](const auto& h) { return iequals(h.first, name); });
    return it == headers.end() ? std::string() : it->second;
}

struct Credentials {
    std::string user, password;
};

std::optional<Credentials> basic_credentials(const Headers& headers) {
    const auto value = header_value(headers, "Authorization");
    if (value.size() < 6 || !iequals(std::string_view(value).substr(0, 6), "Basic ")) return {};
    const auto decoded = base64_decode(trim(std::string_view(value).substr(6)));
    const auto colon = decoded ? decoded->find(':') : std::string::npos;
    if (colon == std::string::npos) return {};
    return Credentials{decoded->substr(0, colon), decoded->substr(colon + 1)};
}

bool is_configured_user(const config::Config& config, const Credentials& given) {
    const bool user = equal_in_constant_time(given.user, config.HTTPAuthUser);
    const bool password = equal_in_constant_time(given.password, config.HTTPAuthPassword);
    return user && password;
}

Identity by_password(const config::Config& config, const Headers& headers, bool with_read_only_user) {
    if (config.HTTPAuthUser.empty() && !with_read_only_user) return {};
    const auto given = basic_credentials(headers);
    if (!given) return {.admitted = false, .user = ""};
    if (with_read_only_user && given->user == read_only_user) return {.admitted = true, .user = given->user};
    // An empty HTTPAuthUser must not turn into "the empty name with the empty password may do all".
    if (config.HTTPAuthUser.empty() || !is_configured_user(config, *given))
        return {.admitted = false, .user = ""};
    return {.admitted = true, .user = given->user};
}

bool is_power_user(const config::Config& config, const std::string& user, const GroupCheck& in_groups) {
    const auto names_user = [&](const std::string& name) { return name == "*" || name == user; };
    if (std::ranges::any_of(config.PowerAuthUsers, names_user)) return true;
    return !user.empty() && !config.PowerAuthGroups.empty() && in_groups(user, config.PowerAuthGroups);
}

/// Calls a *_r function of the user databases with ever larger buffers; `use` sees the entry.
template <class Entry, class Read, class Use>
bool with_entry(Read read, Use use) {
    for (size_t size = 4096; size <= max_database_entry; size *= 4) {
        std::vector<char> buffer(size);
        Entry entry{};
        Entry* found = nullptr;
        const int code = read(&entry, buffer.data(), buffer.size(), &found);
        if (code != ERANGE) return code == 0 && found && use(*found);
    }
    return false;
}

bool is_member(const ::group& group, const std::string& user) {
    for (char** member = group.gr_mem; member && *member; ++member) {
        if (user == *member) return true;
    }
    return with_entry<::passwd>([&](auto... out) { return ::getpwnam_r(user.c_str(), out...); },
                                [&](const ::passwd& entry) { return entry.pw_gid == group.gr_gid; });
}

}  // namespace

std::optional<std::string> base64_decode(std::string_view text) {
    static constexpr std::string_view alphabet =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    if (text.size() % 4 != 0) return {};
    const auto padding = text.ends_with("==") ? 2U : text.ends_with('=') ? 1U : 0U;
    text.remove_suffix(padding);
    std::string out;
    uint32_t bits = 0;
    int count = 0;
    for (const char c : text) {
        const auto digit = alphabet.find(c);
        if (digit == std::string_view::npos) return {};
        bits = (bits << 6 | static_cast<uint32_t>(digit)) & 0xFFFFFF;
        count += 6;
        if (count < 8) continue;
        count -= 8;
        out += static_cast<char>(bits >> count & 0xFF);
    }
    return out;
}

Identity identify(const config::Config& config, const Headers& headers) {
    const auto method = lower(config.AuthenticationMethod);
    if (method == "basic") return by_password(config, headers, false);
    if (method == "multi") return by_password(config, headers, true);
    if (method == "proxy") return {.admitted = true, .user = header_value(headers, config.AuthUserHeader)};
    return {};
}

bool user_in_groups(const std::string& user, std::span<const std::string> groups) {
    return std::ranges::any_of(groups, [&](const std::string& name) {
        return with_entry<::group>([&](auto... out) { return ::getgrnam_r(name.c_str(), out...); },
                                   [&](const ::group& group) { return is_member(group, user); });
    });
}

bool may_write(const config::Config& config, const Identity& identity, const GroupCheck& in_groups) {
    if (config.ReadOnly || !identity.admitted) return false;
    const auto method = lower(config.AuthenticationMethod);
    if (method == "multi") return identity.user != read_only_user;
    if (method == "proxy") return is_power_user(config, identity.user, in_groups);
    return method != "token" && method != "oauth";
}

}  // namespace baton::http
