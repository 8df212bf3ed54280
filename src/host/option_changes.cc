// What a running agent takes from its configuration file when that is read again: whom it trusts, and how it
// is trusted. All else is built into what it guards and where it listens.
#include <algorithm>
#include <array>

#include "host/option_keys.h"

namespace baton::host {

namespace {

constexpr std::array live_keys{std::string_view("Token"),      std::string_view("CAFile"),
                               std::string_view("CertFile"),   std::string_view("KeyFile"),
                               std::string_view("SkipVerify"), std::string_view("Debug")};

bool is_live(std::string_view key) {
    return std::ranges::find(live_keys, key) != live_keys.end();
}

bool same(const OptionKey<Options>& key, const Options& a, const Options& b) {
    return std::visit([&](auto place) { return a.*place == b.*place; }, key.place);
}

}  // namespace

OptionChanges changes_of(const Options& old, const Options& fresh) {
    OptionChanges changes;
    for (const auto& key : agent_keys()) {
        if (!same(key, old, fresh))
            (is_live(key.name) ? changes.at_once : changes.after_restart).emplace_back(key.name);
    }
    if (old.instances != fresh.instances) changes.after_restart.emplace_back("Instances");
    if (old.poolers != fresh.poolers) changes.after_restart.emplace_back("PgBouncers");
    return changes;
}

Options with_changes(const Options& old, const Options& fresh) {
    auto options = old;
    for (const auto& key : agent_keys()) {
        if (is_live(key.name)) std::visit([&](auto place) { options.*place = fresh.*place; }, key.place);
    }
    return options;
}

}  // namespace baton::host
