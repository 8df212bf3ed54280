// What the agent beside a standby holds against its promotion.

#include <fmt/format.h>

#include "analysis/wording.h"
#include "plan/question.h"

namespace baton::plan {

Objection quarantined(const Question&, const Instance& i) {
    if (!i.host || i.host->quarantine.empty()) return std::nullopt;
    return "its data directory must not be started: " + i.host->quarantine;
}

/// While it is rewound or cloned, what answers under its name is gone in a moment. Of an agent that is away
/// nobody knows whether it is at it still; a server that answers then is not being rebuilt.
Objection being_rebuilt(const Question&, const Instance& i) {
    if (!i.host || !i.host->connected || !i.host->job) return std::nullopt;
    const auto& job = *i.host->job;
    return fmt::format("its agent is at it: {}{}{}", job.verb, job.phase.empty() ? "" : ", ", job.phase);
}

Objection held(const Question&, const Instance& i) {
    if (!i.host || !i.host->connected || i.host->hold == topology::Hold::none) return std::nullopt;
    return i.host->hold == topology::Hold::fenced ? "its agent has fenced it" : "its agent keeps it down";
}

Objection disk_trouble(const Question& q, const Instance& i) {
    if (!i.host || !i.host->connected) return std::nullopt;
    const auto* disk = i.host->bad_disk();
    if (disk == nullptr) return std::nullopt;
    return fmt::format("its disk at {} is {}, for {}", disk->path, to_string(disk->health),
                       analysis::duration_text(i.host->unchanged_for(*disk, q.now)));
}

}  // namespace baton::plan
