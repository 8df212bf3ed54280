#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "sim/run.h"

namespace baton::sim {

struct CampaignOptions {
    uint64_t first = 1;
    uint64_t runs = 1;
    unsigned jobs = 1;
    bool agents = false;         ///< stories with host agents
    bool stop_at_first = false;  ///< violation
};

/// What many runs came to.
class Campaign {
  public:
    void add(const Story& story, const Outcome& outcome);
    void merge(Campaign&& other);

    uint64_t runs() const { return runs_; }
    /// By seed. The lowest is the first even when several jobs found some.
    const std::map<uint64_t, std::vector<Violation>>& violations() const { return violations_; }
    /// Sum of the hashes of all traces: the same for the same seeds, in any order.
    uint64_t hash() const { return hash_; }
    /// For people.
    std::string report(double seconds) const;

  private:
    struct Percentiles;
    uint64_t runs_ = 0, steps_ = 0, promotions_ = 0, recoveries_ = 0, hash_ = 0;
    uint64_t runs_with_failover_ = 0, false_failovers_ = 0;
    double virtual_seconds_ = 0;
    std::map<std::string, uint64_t> faults_;
    std::map<std::string, std::vector<float>> outages_ms_;  ///< by kind of the only fault, or "several"
    std::map<std::string, uint64_t> failovers_;             ///< likewise
    std::map<uint64_t, std::vector<Violation>> violations_;
};

Campaign run_many(const CampaignOptions& options);

}  // namespace baton::sim
