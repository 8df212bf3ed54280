#include "sim/campaign.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <thread>

#include "sim/trace.h"

namespace baton::sim {
namespace {

/// Rarer writes would measure the client's own pauses.
constexpr milliseconds longest_measured_pause{100};

float percentile(const std::vector<float>& sorted, double part) {
    const auto at = static_cast<size_t>(part * static_cast<double>(sorted.size()));
    return sorted[std::min(at, sorted.size() - 1)];
}

}  // namespace

void Campaign::add(const Story& story, const Outcome& outcome) {
    ++runs_;
    steps_ += outcome.steps;
    promotions_ += static_cast<uint64_t>(outcome.promotions);
    recoveries_ += outcome.recoveries;
    hash_ += outcome.hash;
    runs_with_failover_ += outcome.promotions > 0 ? 1 : 0;
    false_failovers_ += outcome.count("no_false_failover") > 0 ? 1 : 0;
    virtual_seconds_ += in_ms(outcome.virtual_time) / 1000.0;
    for (const auto kind : outcome.faults)
        ++faults_[std::string(info(kind).name)];
    const std::string kind = outcome.faults.empty()       ? "none"
                             : outcome.faults.size() == 1 ? std::string(info(outcome.faults[0]).name)
                                                          : "several";
    failovers_[kind] += outcome.promotions > 0 ? 1 : 0;
    if (story.layout.write_pause <= longest_measured_pause)
        outages_ms_[kind].push_back(static_cast<float>(in_ms(outcome.outage)));
    if (outcome.failed()) violations_[outcome.seed] = outcome.violations;
}

void Campaign::merge(Campaign&& other) {
    runs_ += other.runs_;
    steps_ += other.steps_;
    promotions_ += other.promotions_;
    recoveries_ += other.recoveries_;
    hash_ += other.hash_;
    runs_with_failover_ += other.runs_with_failover_;
    false_failovers_ += other.false_failovers_;
    virtual_seconds_ += other.virtual_seconds_;
    for (const auto& [kind, count] : other.faults_)
        faults_[kind] += count;
    for (const auto& [kind, count] : other.failovers_)
        failovers_[kind] += count;
    for (auto& [kind, outages] : other.outages_ms_)
        outages_ms_[kind].insert(outages_ms_[kind].end(), outages.begin(), outages.end());
    violations_.merge(other.violations_);
}

std::string Campaign::report(double seconds) const {
    const auto runs = static_cast<double>(std::max<uint64_t>(runs_, 1));
    std::string out = fmt::format(
        "runs {}, {:.1f} s ({:.2f} ms each), {:.0f} virtual hours, {:.0f} steps each\n"
        "failovers {}, in {} runs; recoveries {}; false failovers {}; violations {}\n",
        runs_, seconds, seconds * 1000.0 / runs, virtual_seconds_ / 3600.0,
        static_cast<double>(steps_) / runs, promotions_, runs_with_failover_, recoveries_, false_failovers_,
        violations_.size());
    out += "faults that happened:\n";
    for (const auto& [kind, count] : faults_)
        out += fmt::format("  {:<18} {:>9}\n", kind, count);
    out += fmt::format(
        "write outage in virtual ms, by the only fault of a run:\n  {:<18} {:>9} {:>9} {:>9} {:>9} {:>9}\n",
        "", "runs", "failover", "p50", "p99", "p99.9");
    for (auto [kind, outages] : outages_ms_) {
        std::ranges::sort(outages);
        const auto failovers = failovers_.contains(kind) ? failovers_.at(kind) : 0;
        out +=
            fmt::format("  {:<18} {:>9} {:>9} {:>9.0f} {:>9.0f} {:>9.0f}\n", kind, outages.size(), failovers,
                        percentile(outages, 0.5), percentile(outages, 0.99), percentile(outages, 0.999));
    }
    return out;
}

Campaign run_many(const CampaignOptions& options) {
    std::atomic<uint64_t> next{0};
    std::atomic<bool> found{false};
    std::mutex mutex;
    Campaign all;
    const auto work = [&] {
        Campaign mine;
        while (!(options.stop_at_first && found)) {
            const auto at = next++;
            if (at >= options.runs) break;
            const auto seed = options.first + at;
            const auto story = options.agents ? draw_story_with_agents(seed) : draw_story(seed);
            const auto outcome = run(story);
            if (outcome.failed()) found = true;
            mine.add(story, outcome);
        }
        const std::lock_guard lock(mutex);
        all.merge(std::move(mine));
    };
    std::vector<std::jthread> workers;
    for (unsigned i = 1; i < options.jobs; ++i)
        workers.emplace_back(work);
    work();
    workers.clear();
    return all;
}

}  // namespace baton::sim
