#include "agent/agents.h"

namespace baton::agent {
namespace {

class NoAgents final : public Agents {
  public:
    const Seen* of(const InstanceKey&) const override { return nullptr; }
    std::vector<Seen> all() const override { return {}; }
    Task<Result<Done>> order(Order order) override {
        co_return fail(ErrorKind::not_found, "no host agent guards it", order.instance.text());
    }
    Result<void> cancel(const InstanceKey& key) override {
        return fail(ErrorKind::not_found, "no host agent guards it", key.text());
    }
    void grant(const InstanceKey&, Grant) override {}
    void withhold(const InstanceKey&, bool) override {}
    void on_change(std::function<void(const InstanceKey&)>) override {}
    uint64_t epoch() const override { return 0; }
};

}  // namespace

Agents& no_agents() {
    static NoAgents none;
    return none;
}

}  // namespace baton::agent
