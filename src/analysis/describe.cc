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

std::string unreachable_phrase(const Situation& s) {
    const auto& h = s.self.health;
    auto text = s.self.key.text() + " " + std::string(verb_of(h.reach));
    if (h.suspect_since) text += " for " + duration_text(s.now - *h.suspect_since);
    const bool tells_more = h.reach != Reach::refused && h.reach != Reach::silent;
    if (tells_more && h.error && !h.error->message.empty()) text += " (" + h.error->message + ")";
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
