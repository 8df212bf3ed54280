#include "config/key.h"

#include <algorithm>
#include <array>
#include <boost/json/serialize.hpp>
#include <boost/json/value_from.hpp>

#include "base/text.h"

namespace baton::config {
namespace {

constexpr std::array<std::string_view, 17> deprecated{"DatabaselessMode__experimental",
                                                      "BufferBinlogEvents",
                                                      "BinlogFileHistoryDays",
                                                      "MaintenanceOwner",
                                                      "ReadLongRunningQueries",
                                                      "DiscoveryPollSeconds",
                                                      "ActiveNodeExpireSeconds",
                                                      "AuditPageSize",
                                                      "SlaveStartPostWaitMilliseconds",
                                                      "MySQLTopologyMaxPoolConnections",
                                                      "MaintenancePurgeDays",
                                                      "MaintenanceExpireMinutes",
                                                      "HttpTimeoutSeconds",
                                                      "AgentAutoDiscover",
                                                      "PseudoGTIDCoordinatesHistoryHeuristicMinutes",
                                                      "PseudoGTIDPreferIndependentMultiMatch",
                                                      "MaxOutdatedKeysToShow"};

struct Table {
    std::vector<Key> keys;
    std::vector<Chapter> chapters;
    std::vector<std::string_view> names;
};

Table make_table() {
    Table table;
#define BATON_CHAPTER(title, intro) table.chapters.push_back({title, intro});
#define BATON_KEY(type, name, default_value, rule, flags, text) \
    table.keys.push_back({#name, &Config::name, rule, flags, text, table.chapters.size() - 1});
#include "config/keys.def"
#undef BATON_KEY
#undef BATON_CHAPTER
    for (const auto& key : table.keys)
        table.names.push_back(key.name);
    return table;
}

const Table& table() {
    static const Table the_table = make_table();
    return the_table;
}

}  // namespace

Value Key::value(const Config& config) const {
    return std::visit([&](auto m) { return Value(config.*m); }, member);
}

void Key::set(Config& config, Value value) const {
    std::visit(
        [&](auto m) {
            using T = std::remove_reference_t<decltype(config.*m)>;
            config.*m = std::get<T>(std::move(value));
        },
        member);
}

std::span<const Key> keys() {
    return table().keys;
}
std::span<const Chapter> chapters() {
    return table().chapters;
}
std::span<const std::string_view> key_names() {
    return table().names;
}
std::span<const std::string_view> deprecated_names() {
    return deprecated;
}

const Key* find_key(std::string_view name) {
    const auto found = std::ranges::find_if(keys(), [&](const Key& key) { return iequals(key.name, name); });
    return found == keys().end() ? nullptr : &*found;
}

bool is_deprecated(std::string_view name) {
    return std::ranges::any_of(deprecated, [&](auto known) { return iequals(known, name); });
}

std::string to_json(const Key& key, const Value& value) {
    const auto* text = std::get_if<std::string>(&value);
    if (text && !text->empty() && key.is(secret)) return "\"********\"";
    return std::visit(
        []<class T>(const T& v) {
            if constexpr (std::is_same_v<T, RouterList>)
                return routers_json(v);
            else
                return boost::json::serialize(boost::json::value_from(v));
        },
        value);
}

}  // namespace baton::config
