#pragma once

#include "plan/switchover.h"
#include "recovery/impl.h"

namespace baton::recovery {

/// One planned switchover under way.
struct Switchover {
    CasePtr c;
    SwitchoverRequest request;
    plan::SwitchoverWish wish;
    plan::Plan plan;
    std::vector<routing::RouterPtr> routers;
    InstanceKey primary;
    InstanceKey candidate;
    bool clear = false;         ///< the candidate's agent was asked to stand clear
    bool holding = false;       ///< clients may be held at a router
    bool late = false;          ///< they were let go because their time was up
    bool stop_ordered = false;  ///< the old primary may have been stopped by us
    bool taken_up = false;      ///< an earlier life of the manager began it
    bool started = false;       ///< hooks ran, or something was changed
    std::optional<MonoTime> held_until;
    MonoTime held_at{};
    MonoTime stopped_at{};
    std::optional<agent::ControlData> control;  ///< of the old primary, after it was stopped
};

enum class Settled : uint8_t { leads, never_did, in_doubt };
/// Does the candidate lead? Why not, otherwise.
struct Reached {
    Settled settled = Settled::leads;
    std::string error;
};

/// The deed of a journal that says who is to lead.
inline constexpr std::string_view switch_deed = "switch-to ";
inline constexpr std::string_view stop_deed = "stop ";

}  // namespace baton::recovery
