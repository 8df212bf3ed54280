#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "plan/rejoin.h"

/// What is asked of a Rejoiner (rejoin.h), and what it tells.
namespace baton::recovery {

using topology::InstanceKey;

struct RejoinRequest {
    std::string cluster_id;
    InstanceKey instance;  ///< need not be known yet where `from` is given
    bool force = false;    ///< commits past the fork may be lost
    bool anew = false;     ///< clone, whatever state it is in
    std::optional<InstanceKey> from;
    std::string by;
};

enum class RejoinPhase : uint8_t {
    waiting,  ///< for a command (RejoinState::plan says which), or for the next try
    running,
    done,
    failed
};
std::string_view to_string(RejoinPhase phase);

/// What is done to bring a server back, or was done last.
struct RejoinState {
    InstanceKey instance;
    std::string cluster_id;
    std::string cluster_name;
    RejoinPhase phase = RejoinPhase::waiting;
    plan::Rejoin plan;
    std::string doing;                 ///< the step, for people: "rewinding from db2:5432"
    std::optional<topology::Job> job;  ///< as its agent tells it
    std::string lost;                  ///< transactions that were dropped, as its agent listed them; ""
    std::string detail;                ///< what its agent said of its deed
    int tries = 0;                     ///< that failed in a row
    std::string by;                    ///< who asked; "" = nobody
    WallTime began{};
    WallTime ended{};
    std::string result;  ///< how it ended, or why it waits
};

}  // namespace baton::recovery
