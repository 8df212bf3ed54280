#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "config/pattern.h"

namespace baton::config {

/// The list of one `…HostnameFilters` key, compiled. An entry that is a plain IP address must equal the host;
/// any other is a regular expression, searched in `host:port`. Empty entries match nothing. Use from any
/// thread.
class HostFilter {
  public:
    HostFilter() = default;
    static Result<HostFilter> compile(std::span<const std::string> entries);

    /// The entry that matches, for the message that says why; nothing when none does.
    std::optional<std::string> matching_entry(std::string_view host, int64_t port) const;
    bool matches(std::string_view host, int64_t port) const { return matching_entry(host, port).has_value(); }
    bool empty() const { return addresses_.empty() && patterns_.empty(); }

  private:
    std::vector<std::string> addresses_;
    std::vector<Pattern> patterns_;
};

/// The list of a `…ClusterFilters` key, compiled. An entry matches a cluster when it is `*`; equals one of
/// the names; equals the alias; is `alias=X` with X the alias; is `alias~=RE` with RE found in the alias; or
/// is a regular expression that is found in one of the names (not in the alias). Empty entries match nothing.
/// Use from any thread.
class ClusterFilter {
  public:
    ClusterFilter() = default;
    static Result<ClusterFilter> compile(std::span<const std::string> entries);

    /// `names`: the current name, former names and the id of the cluster.
    std::optional<std::string> matching_entry(std::span<const std::string> names,
                                              std::string_view alias) const;
    bool matches(std::span<const std::string> names, std::string_view alias) const {
        return matching_entry(names, alias).has_value();
    }
    bool empty() const { return entries_.empty(); }

  private:
    struct Entry {
        std::string text;
        std::optional<std::string> alias;      ///< of `alias=X`
        std::optional<Pattern> alias_pattern;  ///< of `alias~=RE`
        std::optional<Pattern> name_pattern;   ///< of all others
        bool matches(std::span<const std::string> names, std::string_view cluster_alias) const;
    };
    std::vector<Entry> entries_;
};

/// ClusterNameToAlias, compiled.
class AliasMap {
  public:
    AliasMap() = default;
    static Result<AliasMap> compile(const TextMap& aliases);
    /// The alias of the first pattern (in the order of their texts) that is found in `cluster_name`, or "".
    std::string alias_of(std::string_view cluster_name) const;

  private:
    std::vector<std::pair<Pattern, std::string>> aliases_;
};

}  // namespace baton::config
