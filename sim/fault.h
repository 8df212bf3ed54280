#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"

namespace baton::sim {

enum class FaultKind : uint8_t {
    kill,               ///< kill -9 of all processes
    crash_backend,      ///< the server recovers from it by itself
    shut_down,          ///< an operator stops it, fast
    power_off,          ///< the host vanishes
    hang,               ///< SIGSTOP to every process
    hang_postmaster,    ///< SIGSTOP to the postmaster alone
    fill_connections,   ///< "sorry, too many clients already"
    refuse_logins,      ///< the manager's password is wrong
    end_sessions,       ///< of the manager, at once, by an operator
    block_looks,        ///< statements that look wait for a lock
    stall_promotion,    ///< a promotion that is asked for never ends
    pause_replay,       ///< an operator pauses the replay of a standby
    lose_slot,          ///< the slot of `other` on `target`
    may_not_follow,     ///< the manager's role may not change primary_conninfo
    cut,                ///< silence between two parties
    cut_one_way,        ///< silence from `target` to `other`
    reject,             ///< a firewall answers with RST between two parties
    cut_some,           ///< silence between one host and some of the others
    reject_some,        ///< a firewall answers with RST between one host and some of the others
    isolate,            ///< silence between one host and all others
    partition,          ///< two groups of hosts, silence between them
    ring,               ///< each host reaches only its neighbours
    slow,               ///< every message between two parties takes `amount` ms longer
    loss,               ///< `amount` per cent of the packets between two parties are lost
    flap,               ///< a link goes silent and comes back, again and again
    kill_manager,       ///< with its record intact
    kill_manager_old,   ///< it comes back with a record from before the faults
    kill_manager_lost,  ///< it comes back with nothing
    jump_wall,          ///< the manager's wall clock jumps by `amount` seconds
    break_dns,          ///< names do not resolve
    kill_agent,         ///< kill -9 of the host agent; its supervisor starts it again unless it lasts
    freeze_agent,       ///< SIGSTOP to the host agent
    cut_agent,          ///< silence between the host agent and the manager; its host reaches it
    disk_full,          ///< writes to the server's disk fail, and its agent says so
    disk_hung           ///< writes to the server's disk do not end, the agent's own in half of them
};

/// One row of the table of faults.
struct FaultInfo {
    FaultKind kind;
    std::string_view name;  ///< "power-off"
    int weight;             ///< how often the nemesis draws it, against the others
    std::string_view what;  ///< for people
};
std::span<const FaultInfo> faults();
const FaultInfo& info(FaultKind kind);
std::optional<FaultKind> parse_fault(std::string_view name);

/// When a fault begins: at a time, or when a recovery gets to a point (a double fault).
enum class Trigger : uint8_t {
    time,       ///< `at` after the story begins
    recovery,   ///< `at` after the first recovery was written to the record, counted in steps of the world if
                ///< `steps` > 0
    promotion,  ///< `at` after the first promotion was asked for; `target` "candidate" is the one that was
                ///< asked
    promoted    ///< `at` after it was promoted
};

struct Fault {
    int number = 0;  ///< in its story, from 1: names it when a story is shortened
    FaultKind kind = FaultKind::kill;
    Trigger trigger = Trigger::time;
    Duration at{};
    uint64_t steps =
        0;  ///< for Trigger::recovery: that many steps of the world later, which is any await point
    Duration lasts{};    ///< 0: until the end of all faults
    std::string target;  ///< a party: server, "manager", "client", "router"; "primary", "candidate" are
                         ///< looked up when it begins
    std::string other;
    int amount = 0;
    std::vector<std::string>
        group;  ///< of a partition: one side; of a ring: the order; of cut_some: from whom

    std::string text() const;
};

}  // namespace baton::sim
