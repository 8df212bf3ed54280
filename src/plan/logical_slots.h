#pragma once

#include <set>
#include <string>
#include <vector>

#include "plan/plan.h"
#include "topology/activity.h"

/// Whether the consumers of logical slots can go on at another server. Pure; internal to this room.
namespace baton::plan {

struct SlotVerdict {
    std::vector<std::string> failures;
    std::vector<std::string> warnings;
};

/// One of both servers, and what it says of itself; nullptr = it could not be asked.
struct SlotSide {
    const Instance& server;
    const topology::Activity* activity;
};

/// `later`: physical slots that standbys will stream through at the candidate. `lag_bytes`: a copy that is
/// further behind its consumer is told of.
SlotVerdict judge_logical_slots(const SlotSide& primary, const SlotSide& candidate,
                                const std::set<std::string>& later, uint64_t lag_bytes);

}  // namespace baton::plan
