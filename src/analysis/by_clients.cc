// A primary that we reach and that clients do not: what the agents on their hosts say.

#include <fmt/format.h>

#include "analysis/by_agent.h"
#include "analysis/wording.h"

namespace baton::analysis {
namespace {

bool reached_by_all(const Instance& i) {
    return i.clients && i.clients->asked > 0 && i.clients->lost == 0;
}

/// Whoever of them takes over must be one that clients reach; who it will be is not decided here.
std::string no_better_there(const Situation& s) {
    for (const auto* r : s.replicas) {
        if (!unfit(*r, s, topology::DiskHealth::good).empty() || reached_by_all(*r)) continue;
        return fmt::format("not all of these hosts reach {} either, which could take over", r->key.text());
    }
    return {};
}

}  // namespace

bool lost_to_clients(const Situation& s) {
    return s.self.clients && s.self.clients->lost > 0;
}

std::string lost_to_clients_phrase(const Situation& s) {
    const auto& c = *s.self.clients;
    return fmt::format("{} answers the manager, but {} of {} hosts of clients do not reach it for {}: {}",
                       s.self.key.text(), c.lost, c.asked, duration_text(s.now - c.lost_since), c.detail);
}

std::string lost_to_clients_held_back(const Situation& s) {
    const auto& c = *s.self.clients;
    if (!s.policy.recover_lost_to_clients)
        return "RecoverPrimaryLostToClients is off; switch over where clients do reach a standby";
    if (c.lost < c.asked) return "some of them do reach it";
    if (!leads_with_agent(s)) return "no agent is there to stop it";
    if (auto nobody = nobody_fit(s); !nobody.empty()) return nobody;
    if (auto same = no_better_there(s); !same.empty()) return same;
    if (s.now - c.lost_since < s.policy.lost_to_clients_hold)
        return fmt::format("it may pass: acted on when it has been so for {}",
                           duration_text(s.policy.lost_to_clients_hold));
    return {};
}

}  // namespace baton::analysis
