#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "sim/checkers/checker.h"
#include "sim/story.h"

namespace baton::sim {

/// What became of one story.
struct Outcome {
    uint64_t seed = 0;
    std::vector<Violation> violations;
    uint64_t hash = 0;  ///< of the whole trace
    uint64_t steps = 0;
    int promotions = 0;
    size_t recoveries = 0;
    std::vector<FaultKind> faults;  ///< that happened, in the order of their beginning
    Duration outage{};              ///< the longest one that the client saw after the faults began
    Duration virtual_time{};
    std::string trace;  ///< where asked for
    int count(std::string_view checker) const;
    bool failed() const { return !violations.empty(); }
};

struct RunOptions {
    bool keep_trace = false;
    uint64_t most_steps = 0;  ///< stop there; 0 = to the end
};

/// Tells a story and has every checker look at it.
Outcome run(const Story& story, const RunOptions& options = {});

}  // namespace baton::sim
