#include "plan/last_leader.h"

#include <fmt/format.h>

#include <algorithm>

namespace baton::plan {
namespace {

using topology::InstanceKey;

bool was_primary(const MemberWord& m) {
    return m.agent && m.kept_down && m.no_standby;
}

/// Why it may have been promoted, or be about to be; "": it was not.
std::string doubt_about(const MemberWord& m, const MemberWord& last) {
    if (m.timeline > last.timeline) {
        return fmt::format("{} knows of timeline {}, and {} only of {}: another one has led after it",
                           m.key.text(), m.timeline, last.key.text(), last.timeline);
    }
    if (m.standby) return {};
    if (!was_primary(m)) return fmt::format("nobody can tell what {} is now", m.key.text());
    if (m.timeline < last.timeline) return {};
    return fmt::format("{} was a primary, too, and both are on timeline {}", m.key.text(), m.timeline);
}

/// Only its agent can promise that it is not promoted.
std::string who_cannot_vouch(const std::vector<MemberWord>& members, const MemberWord& last) {
    for (const auto& key : *last.promotable) {
        const auto m = std::ranges::find(members, key, &MemberWord::key);
        if (m == members.end() || !m->agent)
            return fmt::format("{} may have been promoted in its place, and its agent is not connected",
                               key.text());
        if (!m->standby)
            return fmt::format("{} may have been promoted in its place, and is no standby", key.text());
    }
    return {};
}

std::string what_is_missing(const std::vector<MemberWord>& members, const std::vector<InstanceKey>& followed,
                            const MemberWord& last) {
    if (!last.obstacle.empty()) return last.obstacle;
    if (!last.promotable) {
        return "its agent knows of no lease, so that nobody can tell who may have been promoted in its place";
    }
    if (auto who = who_cannot_vouch(members, last); !who.empty()) return who;
    for (const auto& m : members) {
        if (&m == &last) continue;
        if (auto doubt = doubt_about(m, last); !doubt.empty()) return doubt;
    }
    const auto unseen = std::ranges::find_if(followed, [&](const auto& key) { return key != last.key; });
    if (unseen != followed.end())
        return fmt::format("a standby follows {}, of which nothing is known", unseen->text());
    return {};
}

}  // namespace

std::optional<LastLeader> last_leader(const std::vector<MemberWord>& members,
                                      const std::vector<InstanceKey>& followed) {
    const MemberWord* last = nullptr;
    for (const auto& m : members) {
        if (m.leads) return std::nullopt;
        if (was_primary(m) && (last == nullptr || m.timeline > last->timeline)) last = &m;
    }
    if (last == nullptr) return std::nullopt;
    return LastLeader{last->key, what_is_missing(members, followed, *last)};
}

}  // namespace baton::plan
