#pragma once

#include <functional>
#include <map>

#include "recovery/journal.h"
#include "recovery/recovery.h"

namespace baton::recovery {

/// Sessions for deeds that were opened while it was not yet sure that they are needed: connecting costs
/// milliseconds that the clients would wait for.
class WarmActors {
  public:
    WarmActors(Clock& clock, engine::Engine& engine) : clock_(clock), engine_(engine) {}
    void warm(const InstanceKey& key);
    /// The warm one, or a new one.
    std::unique_ptr<engine::Actor> take(const InstanceKey& key);
    void drop_older_than(Duration age);

  private:
    struct Warm {
        std::shared_ptr<std::unique_ptr<engine::Actor>> actor;
        std::shared_ptr<bool> connecting;
        MonoTime since{};
    };
    Clock& clock_;
    engine::Engine& engine_;
    std::map<InstanceKey, Warm> actors_;
};

struct StepOutcome {
    plan::Step step;
    Result<void> result;
    int promotion_requests = 0;  ///< that were sent, answered or not
    Duration took{};
};

/// Runs the steps of plans. Knows nothing of gates, hooks or records.
class Executor {
  public:
    Executor(Clock& clock, engine::Engine& engine, Observer& observer, WarmActors& warm)
        : clock_(clock), engine_(engine), observer_(observer), warm_(warm) {}

    /// Is the failure over? True ends the attempt to promote (cancelled).
    struct Over {
        std::function<bool()> by_now;        ///< by what is known: just before the first request
        std::function<Task<bool>()> asking;  ///< after asking: now and then while it does not get on
    };
    /// One phase of a plan, side by side.
    Task<std::vector<StepOutcome>> run_phase(std::string cluster_id, std::vector<plan::Step> steps,
                                             JournalPtr journal, Over over = {});

  private:
    Task<StepOutcome> run_step(std::string cluster_id, plan::Step step, JournalPtr journal, Over over);
    Task<Result<void>> act(const std::string& cluster_id, StepOutcome& outcome, const Over& over);
    Task<Result<void>> promote(std::string cluster_id, StepOutcome& outcome, MonoTime deadline,
                               const Over& over);
    Task<Result<void>> catch_up(std::string cluster_id, plan::Step step, MonoTime deadline);
    Task<Result<void>> verify_streaming(std::string cluster_id, plan::Step step, MonoTime deadline);
    Task<Result<void>> follow(plan::Step step, MonoTime deadline);

    Clock& clock_;
    engine::Engine& engine_;
    Observer& observer_;
    WarmActors& warm_;
};

/// It refuses connections, and a new one was tried.
bool proven_dead(const topology::Cluster* cluster, const topology::InstanceKey& key);

/// The steps of `plan`, grouped by phase, in order.
std::vector<std::vector<plan::Step>> phases(const plan::Plan& plan);

}  // namespace baton::recovery
