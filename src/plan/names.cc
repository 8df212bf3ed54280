// What plans are called and how they read.

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "analysis/synchronous.h"
#include "base/text.h"
#include "plan/standing.h"

namespace baton::plan {

std::string_view to_string(Rejection reason) {
    switch (reason) {
        case Rejection::unreachable:
            return "unreachable";
        case Rejection::not_a_standby:
            return "not-a-standby";
        case Rejection::foreign_system:
            return "foreign-system";
        case Rejection::foreign_timeline:
            return "foreign-timeline";
        case Rejection::diverged:
            return "diverged";
        case Rejection::half_copied:
            return "half-copied-timeline";
        case Rejection::replay_paused:
            return "replay-paused";
        case Rejection::delayed:
            return "delayed";
        case Rejection::must_not:
            return "must-not";
        case Rejection::ignored_by_filter:
            return "ignored-by-filter";
        case Rejection::downtimed:
            return "downtimed";
        case Rejection::in_maintenance:
            return "in-maintenance";
        case Rejection::slot_wal_lost:
            return "slot-wal-lost";
        case Rejection::too_far_behind:
            return "too-far-behind";
        case Rejection::disconnected_too_long:
            return "disconnected-too-long";
        case Rejection::not_synchronous:
            return "not-synchronous";
        case Rejection::other_data_center:
            return "other-data-center";
        case Rejection::other_region:
            return "other-region";
        case Rejection::older_major_version:
            return "older-major-version";
        case Rejection::other_upstream:
            return "other-upstream";
        case Rejection::less_advanced:
            return "less-advanced";
        case Rejection::lower_preference:
            return "lower-preference";
        case Rejection::not_permitted:
            return "not-permitted";
        case Rejection::another_may_lead:
            return "another-may-lead";
        case Rejection::not_requested:
            return "not-requested";
        case Rejection::quarantined:
            return "quarantined";
        case Rejection::being_rebuilt:
            return "being-rebuilt";
        case Rejection::held:
            return "held";
        case Rejection::disk_trouble:
            return "disk-trouble";
    }
    return "unknown";
}

std::string_view to_string(StepKind kind) {
    switch (kind) {
        case StepKind::catch_up:
            return "catch-up";
        case StepKind::promote:
            return "promote";
        case StepKind::create_slot:
            return "create-slot";
        case StepKind::follow:
            return "follow";
        case StepKind::verify_streaming:
            return "verify-streaming";
        case StepKind::set_synchronous_standby_names:
            return "set-synchronous-standby-names";
        case StepKind::allow_writes:
            return "allow-writes";
        case StepKind::drop_slot:
            return "drop-slot";
        case StepKind::checkpoint:
            return "checkpoint";
        case StepKind::stand_clear:
            return "stand-clear";
        case StepKind::pause_clients:
            return "pause-clients";
        case StepKind::stop_primary:
            return "stop-primary";
        case StepKind::has_received:
            return "has-received";
        case StepKind::route_clients:
            return "route-clients";
        case StepKind::make_standby:
            return "make-standby";
    }
    return "unknown";
}

std::string_view to_string(Kind kind) {
    switch (kind) {
        case Kind::primary_failover:
            return "primary-failover";
        case Kind::intermediate_failover:
            return "intermediate-failover";
        case Kind::follow:
            return "follow";
        case Kind::move_up:
            return "move-up";
        case Kind::take_siblings:
            return "take-siblings";
        case Kind::regroup:
            return "regroup";
        case Kind::switchover:
            return "switchover";
    }
    return "unknown";
}

namespace {

void add_choice(std::string& text, const Choice& choice) {
    if (choice.why.empty() && !choice.chosen) return;
    auto out = std::back_inserter(text);
    fmt::format_to(out, "  choice: {}\n", choice.why);
    for (const auto& r : choice.rejected) {
        fmt::format_to(out, "  not {}: {}{}{}\n", r.instance.text(), to_string(r.reason),
                       r.detail.empty() ? "" : ", ", r.detail);
    }
}

void add_step(std::string& text, const Step& step) {
    auto out = std::back_inserter(text);
    fmt::format_to(out, "  {}. {} ({}within {} ms{})\n", step.phase, step.what,
                   step.required ? "required, " : "", step.deadline.count(),
                   step.irreversible ? ", point of no return" : "");
    if (!step.undo.empty()) fmt::format_to(out, "     undo: {}\n", step.undo);
}

}  // namespace

std::string Plan::text() const {
    auto text = fmt::format("{} for {} in cluster {}\n", to_string(kind), subject.text(), cluster_id);
    add_choice(text, choice);
    for (const auto& step : steps)
        add_step(text, step);
    if (steps.empty()) text += "  nothing to do\n";
    for (const auto& key : lost)
        text += "  lost: " + key.text() + "\n";
    for (const auto& remark : remarks)
        text += "  note: " + remark + "\n";
    if (!obstacles.empty()) text += "  it cannot begin now:\n";
    for (const auto& obstacle : obstacles)
        text += "  - " + obstacle + "\n";
    return text;
}

namespace {

std::string slot_characters(std::string_view text) {
    std::string name;
    for (const char c : lower(text)) {
        const bool fits = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
        name += fits ? c : '_';
    }
    return name.substr(0, 63);  // NAMEDATALEN - 1
}

}  // namespace

std::string slot_name_from_key(const InstanceKey& key) {
    return slot_characters(key.host + "_" + std::to_string(key.port));
}

std::string slot_name_for(const Instance& standby) {
    if (standby.seen) {
        const auto& seen = *standby.seen;
        if (!seen.settings.primary_slot_name.empty()) return seen.settings.primary_slot_name;
        if (seen.receiver && !seen.receiver->slot.empty()) return seen.receiver->slot;
        // The name that libpq gives by default belongs to everybody, so it names nobody.
        const auto name = analysis::standby_name(standby);
        if (name != "walreceiver") return slot_characters(name);
    }
    return slot_name_from_key(standby.key);
}

bool synchronous_satisfiable(const std::string& value, const std::vector<std::string>& standby_names) {
    return analysis::synchronous_satisfiable(value, standby_names);
}

}  // namespace baton::plan
