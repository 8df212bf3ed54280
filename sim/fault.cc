#include "sim/fault.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "sim/trace.h"

namespace baton::sim {
namespace {

using enum FaultKind;

constexpr FaultInfo table[] = {
    {kill, "kill", 30, "kill -9 of all processes"},
    {crash_backend, "crash-backend", 8, "a backend dies; the server recovers by itself"},
    {shut_down, "shut-down", 6, "an operator stops the server, fast"},
    {power_off, "power-off", 14, "the host vanishes"},
    {hang, "hang", 10, "SIGSTOP to every process"},
    {hang_postmaster, "hang-postmaster", 5, "SIGSTOP to the postmaster alone"},
    {fill_connections, "fill-connections", 4, "too many clients already"},
    {refuse_logins, "refuse-logins", 4, "the manager's password is wrong"},
    {end_sessions, "end-sessions", 4, "an operator ends the manager's sessions"},
    {block_looks, "block-looks", 4, "statements that look wait for a lock"},
    {stall_promotion, "stall-promotion", 3, "a promotion that is asked for never ends"},
    {pause_replay, "pause-replay", 3, "an operator pauses the replay"},
    {lose_slot, "lose-slot", 3, "a standby's slot is invalidated"},
    {may_not_follow, "may-not-follow", 2, "the manager's role may not change primary_conninfo"},
    {cut, "cut", 12, "silence between two parties"},
    {cut_one_way, "cut-one-way", 6, "silence in one direction"},
    {reject, "reject", 5, "a firewall answers with RST"},
    {cut_some, "cut-some", 8, "silence between one host and some of the others"},
    {reject_some, "reject-some", 3, "a firewall answers with RST between one host and some others"},
    {isolate, "isolate", 10, "silence between one host and all others"},
    {partition, "partition", 8, "silence between two groups of hosts"},
    {ring, "ring", 3, "each host reaches only its neighbours"},
    {slow, "slow", 5, "messages between two parties take longer"},
    {loss, "loss", 6, "packets between two parties are lost"},
    {flap, "flap", 5, "a link goes silent and comes back, again and again"},
    {kill_manager, "kill-manager", 12, "the manager is killed; its record is kept"},
    {kill_manager_old, "kill-manager-old", 3, "the manager is killed; it gets an old record back"},
    {kill_manager_lost, "kill-manager-lost", 3, "the manager is killed; its record is lost"},
    {jump_wall, "jump-wall", 4, "the manager's wall clock jumps"},
    {break_dns, "break-dns", 3, "names do not resolve"},
    // Drawn in stories with agents only, and by other weights.
    {kill_agent, "kill-agent", 0, "the host agent is killed (with --agents)"},
    {freeze_agent, "freeze-agent", 0, "SIGSTOP to the host agent (with --agents)"},
    {cut_agent, "cut-agent", 0, "silence between the host agent and the manager (with --agents)"},
    {disk_full, "disk-full", 0, "writes to a server's disk fail (with --agents)"},
    {disk_hung, "disk-hung", 0, "writes to a server's disk do not end (with --agents)"},
};

std::string trigger_text(const Fault& f) {
    const auto after = [&](std::string_view what) {
        return f.steps > 0 ? fmt::format("{} steps after {}", f.steps, what)
                           : fmt::format("{:.1f} ms after {}", in_ms(f.at), what);
    };
    switch (f.trigger) {
        case Trigger::time:
            return fmt::format("at {:.1f} ms", in_ms(f.at));
        case Trigger::recovery:
            return after("the first recovery was written down");
        case Trigger::promotion:
            return after("the first promotion was asked for");
        case Trigger::promoted:
            return after("the first promotion");
    }
    return {};
}

}  // namespace

std::span<const FaultInfo> faults() {
    return table;
}

const FaultInfo& info(FaultKind kind) {
    return table[static_cast<size_t>(kind)];
}

std::optional<FaultKind> parse_fault(std::string_view name) {
    const auto* at = std::ranges::find(table, name, &FaultInfo::name);
    return at == std::end(table) ? std::nullopt : std::optional(at->kind);
}

std::string Fault::text() const {
    std::string out = fmt::format("{}: {}", trigger_text(*this), info(kind).name);
    if (!target.empty()) out += " " + target;
    if (!group.empty()) out += " " + join(group, "+");
    if (!other.empty()) out += " / " + other;
    if (amount != 0) out += fmt::format(" ({})", amount);
    out += lasts == Duration{} ? ", until the end" : fmt::format(", for {:.1f} ms", in_ms(lasts));
    return out;
}

}  // namespace baton::sim
