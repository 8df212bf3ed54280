#include "config/filters.h"

#include <fmt/core.h>

#include <boost/asio/ip/address.hpp>

#include "base/text.h"

namespace baton::config {
namespace {

constexpr std::string_view alias_equals = "alias=";
constexpr std::string_view alias_like = "alias~=";

bool is_address(const std::string& text) {
    boost::system::error_code ec;
    boost::asio::ip::make_address(text, ec);
    return !ec;
}

std::string_view without_brackets(std::string_view host) {
    const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
    return bracketed ? host.substr(1, host.size() - 2) : host;
}

Result<Pattern> compile_entry(std::string_view text) {
    auto pattern = Pattern::compile(text);
    if (pattern) return pattern;
    return fail(ErrorKind::invalid_argument, fmt::format("\"{}\" is not a regular expression: {}",
                                                         printable(text), pattern.error().message));
}

}  // namespace

Result<HostFilter> HostFilter::compile(std::span<const std::string> entries) {
    HostFilter filter;
    for (const auto& entry : entries) {
        if (entry.empty()) continue;
        if (is_address(entry)) {
            filter.addresses_.push_back(entry);
            continue;
        }
        auto pattern = compile_entry(entry);
        if (!pattern) return std::unexpected(pattern.error());
        filter.patterns_.push_back(std::move(*pattern));
    }
    return filter;
}

std::optional<std::string> HostFilter::matching_entry(std::string_view host, int64_t port) const {
    const auto bare = without_brackets(host);
    for (const auto& address : addresses_) {
        if (address == bare) return address;
    }
    if (patterns_.empty()) return std::nullopt;
    const std::string subject = fmt::format("{}:{}", host, port);
    for (const auto& pattern : patterns_) {
        if (pattern.found_in(subject)) return pattern.text();
    }
    return std::nullopt;
}

Result<ClusterFilter> ClusterFilter::compile(std::span<const std::string> entries) {
    ClusterFilter filter;
    for (const auto& text : entries) {
        if (text.empty()) continue;
        Entry entry{.text = text};
        if (text.starts_with(alias_equals)) {
            entry.alias = text.substr(alias_equals.size());
        } else if (text != "*") {
            const bool on_alias = text.starts_with(alias_like);
            auto pattern = compile_entry(on_alias ? std::string_view(text).substr(alias_like.size()) : text);
            if (!pattern) return std::unexpected(pattern.error());
            (on_alias ? entry.alias_pattern : entry.name_pattern) = std::move(*pattern);
        }
        filter.entries_.push_back(std::move(entry));
    }
    return filter;
}

bool ClusterFilter::Entry::matches(std::span<const std::string> names, std::string_view cluster_alias) const {
    if (text == "*" || (!cluster_alias.empty() && text == cluster_alias)) return true;
    if (alias) return !cluster_alias.empty() && *alias == cluster_alias;
    if (alias_pattern) return !cluster_alias.empty() && alias_pattern->found_in(cluster_alias);
    return std::ranges::any_of(names, [&](const std::string& name) {
        return !name.empty() && (name == text || name_pattern->found_in(name));
    });
}

std::optional<std::string> ClusterFilter::matching_entry(std::span<const std::string> names,
                                                         std::string_view alias) const {
    for (const auto& entry : entries_) {
        if (entry.matches(names, alias)) return entry.text;
    }
    return std::nullopt;
}

Result<AliasMap> AliasMap::compile(const TextMap& aliases) {
    AliasMap map;
    for (const auto& [text, alias] : aliases) {
        auto pattern = compile_entry(text);
        if (!pattern) return std::unexpected(pattern.error());
        map.aliases_.emplace_back(std::move(*pattern), alias);
    }
    return map;
}

std::string AliasMap::alias_of(std::string_view cluster_name) const {
    for (const auto& [pattern, alias] : aliases_) {
        if (pattern.found_in(cluster_name)) return alias;
    }
    return {};
}

}  // namespace baton::config
