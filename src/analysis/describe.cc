#include "analysis/describe.h"

#include <fmt/format.h>

#include <algorithm>

#include "analysis/slots.h"
#include "analysis/synchronous.h"
#include "analysis/wording.h"

namespace baton::analysis {

using topology::Reach;

namespace {

std::string_view verb_of(Reach reach) {
    switch (reach) {
        case Reach::refused:
            return "refuses connections";
        case Reach::silent:
            return "gives no answer at all";
        case Reach::unresponsive:
            return "accepts connections but does not answer (hung)";
        case Reach::unreachable:
            return "cannot be reached (no route, or its name does not resolve)";
        case Reach::starting:
            return "says that it is starting up or recovering";
        case Reach::too_many_connections:
            return "has no connection left for the manager";
        case Reach::not_permitted:
            return "does not let the manager in";
        case Reach::failing:
            return "answers with an error";
        case Reach::answering:
            return "answers";
        case Reach::unknown:
            return "was not asked yet";
    }
    return "was not asked yet";
}

Replicas saying(const Situation& s, Testimony testimony_wanted) {
    Replicas found;
    for (const auto* r : s.replicas) {
        if (r->health.ok() && testimony(*r, s.self) == testimony_wanted) found.push_back(r);
    }
    return found;
}

std::string message_age(const Instance& standby, MonoTime now) {
    const auto& seen = *standby.seen;
    if (!seen.receiver || !seen.receiver->last_message_age) return "at an unknown time";
    return duration_text(now - (seen.answered_at - *seen.receiver->last_message_age)) + " ago";
}

void add_agreeing(std::string& text, const Situation& s) {
    const auto agreeing = saying(s, Testimony::agrees);
    if (agreeing.empty()) return;
    text += fmt::format("; {} of {} standby{} lost it: {}", agreeing.size(), s.replicas.size(),
                        s.replicas.size() == 1 ? "" : "s", names_of(agreeing));
}

void add_doubts(std::string& text, const Situation& s) {
    for (const auto* r : saying(s, Testimony::vetoes)) {
        text += fmt::format("; {} received a message from it {}, after our last attempt began, so it lives",
                            r->key.text(), message_age(*r, s.now));
    }
    for (const auto* r : saying(s, Testimony::undecided)) {
        text += fmt::format("; {} still says streaming, its last message came {}: undecided", r->key.text(),
                            message_age(*r, s.now));
    }
    for (const auto* r : saying(s, Testimony::unheard)) {
        const bool blind = r->seen && !r->seen->can_see_all;
        text += fmt::format(
            "; {} {}", r->key.text(),
            blind ? "cannot tell (the manager's role lacks pg_monitor there)" : "was not asked since");
    }
}

void add_silent(std::string& text, const Situation& s) {
    Replicas silent;
    for (const auto* r : s.replicas) {
        if (!r->health.ok()) silent.push_back(r);
    }
    if (silent.empty()) return;
    text += fmt::format("; {} of {} standby{} not reachable: {}", silent.size(), s.replicas.size(),
                        s.replicas.size() == 1 ? "" : "s", names_of(silent));
}

}  // namespace

std::string agent_phrase(const Situation& s) {
    using topology::ServerState;
    if (!s.self.host) return {};
    const auto& host = *s.self.host;
    if (!host.connected) return "its agent has not been heard for " + duration_text(s.now - host.heard);
    const auto held = host.hold == topology::Hold::fenced ? "has fenced it" : "keeps it so";
    const auto since = duration_text(s.now - host.state_since);
    auto text = [&]() -> std::string {
        switch (host.state) {
            case ServerState::down:
                return s.self.kept_down()
                           ? fmt::format("its agent says that no process of it is left, and {}, for {}", held,
                                         since)
                           : fmt::format("its agent says that it is down, for {}", since);
            case ServerState::no_data:
                return "its agent finds no data directory";
            case ServerState::hung:
                return fmt::format("its agent says that it is stopped or answers nobody, for {}", since);
            case ServerState::starting:
            case ServerState::stopping:
                return fmt::format("its agent says that it is {}, for {}", to_string(host.state), since);
            case ServerState::running:
                return "its agent says that it runs";
            case ServerState::unknown:
                return "its agent has not looked at it yet";
        }
        return {};
    }();
    if (host.crashes > 0) {
        text +=
            fmt::format("; {} start{} failed or did not last", host.crashes, host.crashes == 1 ? "" : "s");
        if (!host.last_failure.empty()) text += " (" + host.last_failure + ")";
    }
    return text;
}

std::string disk_space_phrase(const Situation& s) {
    const auto* disk = s.self.host->fullest_disk();
    if (disk == nullptr) return {};
    const auto used = static_cast<uint64_t>(std::max<int64_t>(disk->total_bytes - disk->free_bytes, 0));
    auto text = fmt::format("{}: {} of {} at {} are used ({} %)", s.self.key.text(), bytes_text(used),
                            bytes_text(static_cast<uint64_t>(std::max<int64_t>(disk->total_bytes, 0))),
                            disk->path, disk->used_percent());
    if (s.self.seen && !hoarding_slots(s.self, s.policy).empty()) text += "; " + idle_slots_phrase(s);
    return text;
}

std::string disk_phrase(const Situation& s) {
    using topology::DiskHealth;
    const auto* disk = s.self.host->bad_disk();
    const auto what = [&]() -> std::string_view {
        switch (disk->health) {
            case DiskHealth::full:
                return "has no space left";
            case DiskHealth::failing:
                return "fails when it is written to";
            case DiskHealth::hung:
                return "does not end a write";
            case DiskHealth::read_only:
                return "is read-only";
            case DiskHealth::good:
            case DiskHealth::unknown:
                return "is well";
        }
        return "is well";
    }();
    auto text = fmt::format("{}: the disk at {} {}, for {}", s.self.key.text(), disk->path, what,
                            duration_text(s.self.host->unchanged_for(*disk, s.now)));
    if (!disk->detail.empty()) text += " (" + disk->detail + ")";
    return text;
}

std::string unreachable_phrase(const Situation& s) {
    const auto& h = s.self.health;
    if (s.self.kept_down() && h.ok()) return s.self.key.text() + " is down: " + agent_phrase(s);
    auto text = s.self.key.text() + " " + std::string(verb_of(h.reach));
    if (h.suspect_since) text += " for " + duration_text(s.now - *h.suspect_since);
    const bool tells_more = h.reach != Reach::refused && h.reach != Reach::silent;
    if (tells_more && h.error && !h.error->message.empty()) text += " (" + h.error->message + ")";
    if (const auto by_agent = agent_phrase(s); !by_agent.empty()) text += "; " + by_agent;
    return text;
}

std::string witnesses(const Situation& s) {
    auto text = unreachable_phrase(s);
    add_agreeing(text, s);
    add_doubts(text, s);
    add_silent(text, s);
    return text;
}

std::string not_receiving_phrase(const Situation& s) {
    const auto silent = not_receiving(s);
    return fmt::format("{} answers; {} of {} standby{} {} not receive from it: {}", s.self.key.text(),
                       silent.size(), s.replicas.size(), s.replicas.size() == 1 ? "" : "s",
                       silent.size() == 1 ? "does" : "do", names_of(silent));
}

std::string rivals_phrase(const Situation& s) {
    const auto* rival = rival_of(s.cluster, s.self);
    if (rival == nullptr) return {};
    return fmt::format(
        "{} (timeline {}, {}) and {} (timeline {}, {}) are both writable and neither descends from the other",
        s.self.key.text(), s.self.seen->timeline, s.self.seen->written.text(), rival->key.text(),
        rival->seen->timeline, rival->seen->written.text());
}

std::string stale_phrase(const Situation& s) {
    const auto* successor = successor_of(s.cluster, s.self);
    if (successor == nullptr) return {};
    auto text = fmt::format("{} is writable on timeline {}, but {} leads on timeline {}", s.self.key.text(),
                            s.self.seen->timeline, successor->key.text(), successor->seen->timeline);
    const auto* history = s.cluster.history.get();
    if (history == nullptr || history->timeline != successor->seen->timeline) return text;
    if (const auto left = history->left_at(s.self.seen->timeline)) {
        text += fmt::format("; it has {} past the fork at {}",
                            bytes_text(topology::bytes_ahead(s.self.seen->written, *left)), left->text());
    }
    return text;
}

std::string diverged_phrase(const Situation& s) {
    const auto& seen = *s.self.seen;
    auto text =
        fmt::format("{} is at {} on timeline {}", s.self.key.text(), seen.received.text(), seen.timeline);
    const auto* history = s.cluster.history.get();
    const auto left = history != nullptr ? history->left_at(seen.timeline) : std::nullopt;
    if (left) {
        text += fmt::format(", {} past {} where {} left it for timeline {}",
                            bytes_text(topology::bytes_ahead(seen.received, *left)), left->text(),
                            s.lead->key.text(), s.lead->seen->timeline);
    } else {
        text += fmt::format(", which is not in the history of {} (timeline {})", s.lead->key.text(),
                            s.lead->seen->timeline);
    }
    return text + "; rewind it or clone it again";
}

std::string lost_slots_phrase(const Situation& s) {
    std::string text;
    for (const auto* slot : endangered_slots(s.self)) {
        text += text.empty() ? "on " + s.self.key.text() + " " : "; ";
        text += slot->wal_status == "lost"
                    ? fmt::format("slot {} has lost WAL that its consumer needs", slot->name)
                    : fmt::format("slot {} is about to lose WAL ({} left to write)", slot->name,
                                  bytes_text(static_cast<uint64_t>(
                                      std::max<int64_t>(slot->safe_wal_size.value_or(0), 0))));
    }
    return text;
}

std::string idle_slots_phrase(const Situation& s) {
    std::string text;
    for (const auto* slot : hoarding_slots(s.self, s.policy)) {
        text += text.empty() ? "on " + s.self.key.text() + " " : "; ";
        text += fmt::format("{} slot {}, which nobody uses, holds back {} of WAL (since {})",
                            slot->physical ? "physical" : "logical", slot->name,
                            bytes_text(topology::bytes_ahead(s.self.seen->position(), slot->restart)),
                            slot->restart.text());
    }
    return text;
}

std::string synchronous_phrase(const Situation& s) {
    std::string names;
    for (const auto& sender : s.self.seen->senders) {
        if (sender.state == "streaming") names += (names.empty() ? "" : ", ") + sender.application_name;
    }
    return fmt::format("{} waits for synchronous_standby_names = '{}', and only these standbys stream: {}",
                       s.self.key.text(), s.self.seen->settings.synchronous_standby_names,
                       names.empty() ? "none" : names);
}

}  // namespace baton::analysis
