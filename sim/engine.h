#pragma once

#include <set>
#include <string>

#include "engine/engine.h"
#include "sim/connection.h"

namespace baton::sim {

/// The engine over the model: what a manager at `party` sees and does through sessions of the modelled
/// network. Verdicts are those of the real engine; only the way to them is modelled.
class SimEngine final : public engine::Engine {
  public:
    SimEngine(Ground& ground, Clock& clock, std::string party)
        : ground_(ground), clock_(clock), party_(std::move(party)) {}

    std::unique_ptr<engine::Probe> make_probe(const InstanceKey& key) override;
    std::unique_ptr<engine::Actor> make_actor(const InstanceKey& key) override;
    Task<Result<std::vector<std::string>>> resolve(std::string host, MonoTime deadline) override;
    std::vector<std::string> known_addresses(const std::string& host) const override;

  private:
    Ground& ground_;
    Clock& clock_;
    const std::string party_;
    std::set<std::string> resolved_;  ///< names that were looked up with success
};

}  // namespace baton::sim
