#pragma once

#include <map>
#include <set>

#include "agent/agents.h"
#include "sim/world.h"

namespace baton::sim {

/// Agents beside some servers of a world, as simple as they can be: what they see they see at once, frames
/// take no time, and the law of the lease is the real one.
class FakeAgents final : public agent::Agents {
  public:
    explicit FakeAgents(World& world);
    /// There is one beside this server.
    void beside(const std::string& name);
    void begin();
    /// The manager was started anew: it knows nothing of them.
    void new_manager();

    /// It does nothing any more, and nobody hears it; on: it goes on with what it has on disk.
    void alive(const std::string& name, bool on);
    /// It keeps its server down and does not answer orders to fence.
    void disobeys(const std::string& name) { at(name).disobeys = true; }
    /// Their frames to each other pass, whatever the network does.
    void talk_always() { talk_always_ = true; }
    void forget_holds(const std::string& name) { at(name).hold = agent::Hold::none; }
    agent::Hold hold(const std::string& name) { return at(name).hold; }
    bool lease_on(const std::string& name) { return at(name).holder.grant().on; }
    /// Whom it may be replaced by, as its agent knows.
    std::set<std::string> promotable(const std::string& name);
    size_t orders(const std::string& name, agent::Verb verb) const;

    const agent::Seen* of(const InstanceKey& key) const override;
    std::vector<agent::Seen> all() const override;
    Task<Result<agent::Done>> order(agent::Order order) override;
    Result<void> cancel(const InstanceKey& key) override;
    void grant(const InstanceKey& primary, agent::Grant grant) override;
    void withhold(const InstanceKey& primary, bool on) override;
    void on_change(std::function<void(const InstanceKey&)> callback) override {
        callbacks_.push_back(std::move(callback));
    }
    uint64_t epoch() const override { return epoch_; }

  private:
    struct Beside {
        Server* server = nullptr;
        bool alive = true;
        bool disobeys = false;
        agent::Hold hold = agent::Hold::none;
        bool withheld = false;
        agent::LeaseHolder holder;
        agent::Voucher voucher;
        std::optional<agent::Grant> wish;
        uint64_t number = 0;
        std::optional<agent::Seen> seen;
        agent::ServerState state = agent::ServerState::unknown;
        MonoTime since{};
        MonoTime next_beat{};
    };
    Beside& at(const std::string& name);
    Beside* find(const InstanceKey& key);
    bool reaches(const std::string& a, const std::string& b);
    void tick();
    void look(Beside& b);
    void enforce(Beside& b);
    void beat(Beside& b, bool changed);
    void answer(Beside& b);
    agent::Status status(const Beside& b) const;
    std::optional<Error> obey(Beside& b, const agent::Order& order);
    void tell(const InstanceKey& key);

    World& world_;
    std::map<std::string, Beside> beside_;
    std::vector<std::function<void(const InstanceKey&)>> callbacks_;
    std::vector<agent::Order> orders_;
    uint64_t epoch_ = 1;
    bool talk_always_ = false;
};

}  // namespace baton::sim
