#pragma once

#include <fmt/format.h>

#include "store/codec.h"
#include "store/columns.h"

namespace baton::store::test {

struct Printer {
    std::string text;
    void operator()(std::string_view column, const std::string& v) { add(column, v); }
    void operator()(std::string_view column, int64_t v) { add(column, std::to_string(v)); }
    void operator()(std::string_view column, bool v) { add(column, v ? "yes" : "no"); }
    void operator()(std::string_view column, const InstanceKey& v) { add(column, v.text()); }
    void operator()(std::string_view column, const std::optional<InstanceKey>& v) {
        add(column, v ? v->text() : "none");
    }
    void operator()(std::string_view column, const auto& v) { add(column, encode(v)); }

  private:
    void add(std::string_view column, std::string_view value) {
        text += fmt::format(" {}='{}'", column, value);
    }
};

template <class R>
void print(std::string& out, const R& row) {
    Printer printer;
    fields(printer, row);
    out += fmt::format("{}:{}\n", Table<R>::name, printer.text);
}

/// Everything in the record, a line a row: what two records must agree on to be the same.
inline std::string print(const State& s) {
    std::string out;
    for (const auto& [k, v] : s.instances)
        print(out, v);
    for (const auto& [k, v] : s.clusters)
        print(out, v);
    for (const auto& [k, v] : s.detections)
        print(out, v);
    for (const auto& [k, v] : s.recoveries)
        print(out, v);
    for (const auto& [k, list] : s.steps) {
        for (const auto& v : list)
            print(out, v);
    }
    for (const auto& [k, v] : s.blocked)
        print(out, v);
    for (const auto& [k, v] : s.downtimes)
        print(out, DowntimeRow{k, v});
    for (const auto& [k, v] : s.maintenance)
        print(out, v);
    for (const auto& [k, tags] : s.tags) {
        for (const auto& [name, value] : tags)
            print(out, TagRow{k, {name, value}});
    }
    for (const auto& [k, v] : s.promotion_rules)
        print(out, v);
    for (const auto& [k, v] : s.audit)
        print(out, v);
    for (const auto& [k, list] : s.analysis_changes) {
        for (const auto& v : list)
            print(out, v);
    }
    for (const auto& [k, v] : s.pools)
        print(out, PoolRow{k, v.first, v.second});
    for (const auto& [k, v] : s.hostname_unresolves)
        print(out, UnresolveRow{k, v});
    for (const auto& [k, v] : s.key_values)
        print(out, KeyValueRow{k, v});
    for (const auto& [k, v] : s.guards)
        print(out, GuardRow{k, v});
    for (const auto& [k, v] : s.member_slots)
        print(out, v);
    out +=
        fmt::format("recoveries_enabled={} next_id={} epoch={}\n", s.recoveries_enabled, s.next_id, s.epoch);
    return out;
}

}  // namespace baton::store::test
