#include "sim/synchronous.h"

#include <algorithm>

#include "base/text.h"

namespace baton::sim {

SynchronousNames SynchronousNames::parse(std::string_view text) {
    SynchronousNames rule;
    auto list = trim(text);
    if (list.empty()) return rule;
    rule.needed = 1;
    if (const auto open = list.find('('); open != std::string_view::npos) {
        auto head = std::string(trim(list.substr(0, open)));
        list = list.substr(open + 1, list.rfind(')') - open - 1);
        rule.any = lower(head).starts_with("any");
        const auto blank = head.rfind(' ');
        rule.needed = parse_uint(blank == std::string::npos ? head : head.substr(blank + 1)).value_or(1);
    }
    for (const auto& part : split(list, ',')) {
        std::string name(trim(part));
        std::erase(name, '"');
        rule.names.push_back(std::move(name));
    }
    return rule;
}

int SynchronousNames::priority(std::string_view name) const {
    for (size_t i = 0; i < names.size(); ++i) {
        if (names[i] == "*" || iequals(names[i], name)) return any ? 1 : static_cast<int>(i) + 1;
    }
    return 0;
}

bool SynchronousNames::confirmed(Lsn end, const std::vector<StandbyPosition>& standbys) const {
    if (needed == 0) return true;
    size_t have = 0;
    for (const auto& s : standbys) {
        const auto how = state(s.name, standbys);
        have += (how == "sync" || how == "quorum") && s.flushed >= end;
    }
    return have >= needed;
}

std::string SynchronousNames::state(std::string_view name,
                                    const std::vector<StandbyPosition>& standbys) const {
    const int own = priority(name);
    if (needed == 0 || own == 0) return "async";
    if (any) return "quorum";
    const auto better = std::ranges::count_if(
        standbys, [&](const auto& s) { return priority(s.name) > 0 && priority(s.name) < own; });
    return static_cast<size_t>(better) < needed ? "sync" : "potential";
}

}  // namespace baton::sim
