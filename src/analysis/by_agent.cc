#include "analysis/by_agent.h"

#include <fmt/format.h>

#include "analysis/describe.h"
#include "analysis/wording.h"

namespace baton::analysis {

using topology::DiskHealth;
using topology::Reach;
using topology::ServerState;

namespace {

/// One that has stayed up for so long is in no loop any more.
constexpr seconds stays_up_after{10};

/// Of what its agent shows; not more than zero: it is good no more.
Duration certificate_left(const Situation& s) {
    const auto& host = *s.self.host;
    return *host.certificate_left - std::max(s.now - host.heard, Duration{});
}

}  // namespace

bool leads_with_agent(const Situation& s) {
    const bool heard = s.self.host && s.self.host->connected && !s.self.kept_down();
    return s.self.is_primary() && heard && successor_of(s.cluster, s.self) == nullptr &&
           rival_of(s.cluster, s.self) == nullptr;
}

bool hung(const Situation& s, bool out_of_reach, bool standbys_agree) {
    if (s.replicas.empty()) return false;
    const auto reach = s.self.health.reach;
    const auto state = s.self.host->state;
    const bool no_answer = out_of_reach && (reach == Reach::unresponsive || reach == Reach::silent);
    if (state == ServerState::hung) return no_answer || s.self.new_sessions_hang_since.has_value();
    return state == ServerState::running && out_of_reach && reach == Reach::unresponsive && standbys_agree;
}

bool hung_by_agent_only(const Situation& s) {
    return leads_with_agent(s) && s.self.host->state == ServerState::hung && s.self.health.ok();
}

bool crash_loop(const Situation& s) {
    if (!leads_with_agent(s) || s.replicas.empty() || s.policy.crash_loop <= 0) return false;
    const auto& host = *s.self.host;
    const bool stays_up = host.state == ServerState::running && s.now - host.state_since >= stays_up_after;
    return host.crashes >= s.policy.crash_loop && !stays_up;
}

bool bad_disk(const Situation& s, DiskHealth health) {
    if (!s.self.host || !s.self.host->connected) return false;
    const auto* disk = s.self.host->bad_disk();
    return disk != nullptr && disk->health == health;
}

std::string nobody_fit(const Situation& s) {
    if (s.replicas.empty()) return "no standby follows it";
    const auto* disk = s.self.host ? s.self.host->bad_disk() : nullptr;
    const auto trouble = disk != nullptr ? disk->health : DiskHealth::good;
    std::string why;
    for (const auto* r : s.replicas) {
        const auto objection = unfit(*r, s, trouble);
        if (objection.empty()) return {};
        why += (why.empty() ? "no standby could take over: " : ", ") + r->key.text() + " " + objection;
    }
    return why;
}

std::string disk_held_back(const Situation& s) {
    if (auto nobody = nobody_fit(s); !nobody.empty()) return nobody;
    const auto& host = *s.self.host;
    const auto* disk = host.bad_disk();
    const auto hold = [&]() -> Duration {
        switch (disk->health) {
            case DiskHealth::full:
                return s.policy.disk_full_hold;
            case DiskHealth::hung:
                return s.policy.disk_hung_hold;
            case DiskHealth::read_only:
                return s.policy.disk_read_only_hold;
            default:
                return s.policy.disk_failing_hold;
        }
    }();
    if (host.unchanged_for(*disk, s.now) >= hold) return {};
    return fmt::format("it may pass: acted on when it has been so for {}", duration_text(hold));
}

bool blind(const Situation& s) {
    return s.self.health.ok() && s.self.seen && s.self.host && !s.self.host->connected;
}

DiskSpace disk_space(const Situation& s) {
    if (!s.self.host || !s.self.host->connected) return DiskSpace::enough;
    const auto* disk = s.self.host->fullest_disk();
    if (disk == nullptr || disk->health == DiskHealth::full) return DiskSpace::enough;
    const auto beyond = [&](int limit) { return limit > 0 && disk->used_percent() >= limit; };
    if (beyond(s.policy.disk_critical_percent)) return DiskSpace::critical;
    if (beyond(s.policy.disk_low_percent)) return DiskSpace::low;
    return beyond(s.policy.disk_notice_percent) ? DiskSpace::notice : DiskSpace::enough;
}

bool certificate_expires(const Situation& s) {
    if (!s.self.host || !s.self.host->certificate_left || s.policy.certificate_notice <= Duration{})
        return false;
    return certificate_left(s) < s.policy.certificate_notice;
}

std::string certificate_phrase(const Situation& s) {
    const auto left = certificate_left(s);
    const auto what = left > Duration{}
                          ? "is good for " + duration_text(left) + " more"
                          : std::string("has expired: managers refuse it when it connects anew");
    return fmt::format(
        "the certificate of the agent of {} {}; make a new one (baton certs): the agent reads "
        "it by itself",
        s.self.key.text(), what);
}

std::string crash_loop_phrase(const Situation& s) {
    return s.self.key.text() + " does not stay up: " + agent_phrase(s);
}

std::string hung_phrase(const Situation& s) {
    if (!s.self.health.ok()) return witnesses(s);
    auto text = s.self.key.text() + " answers on its old sessions only: " + agent_phrase(s);
    if (s.self.new_sessions_hang_since) {
        text += "; new connections from here get no answer for " +
                duration_text(s.now - *s.self.new_sessions_hang_since);
    }
    return text;
}

}  // namespace baton::analysis
