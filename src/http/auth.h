#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/config.h"

/// Who a caller is and what they may do, with the meaning that orchestrator gives to AuthenticationMethod:
///   ""      everybody may do all
///   basic   HTTPAuthUser and HTTPAuthPassword for everything; without a HTTPAuthUser it is off
///   multi   as basic, and the user "readonly" (any password) may read
///   proxy   a front server names the user in AuthUserHeader; PowerAuthUsers and PowerAuthGroups may write
///   token, oauth   reading for everybody, writing for nobody
/// ReadOnly forbids writing to all.
namespace baton::http {

using Headers = std::vector<std::pair<std::string, std::string>>;

struct Identity {
    bool admitted = true;  ///< false: answer 401 and ask for credentials
    std::string user;      ///< "" = nobody in particular
};

Identity identify(const config::Config& config, const Headers& headers);

/// Is `user` in one of `groups`? Looks at the machine's group and user databases, which may take a while
/// (LDAP).
bool user_in_groups(const std::string& user, std::span<const std::string> groups);

using GroupCheck = std::function<bool(const std::string& user, std::span<const std::string> groups)>;
/// For somebody who was admitted.
bool may_write(const config::Config& config, const Identity& identity,
               const GroupCheck& in_groups = user_in_groups);

/// Standard base64 with padding. Nothing if it is not.
std::optional<std::string> base64_decode(std::string_view text);

}  // namespace baton::http
