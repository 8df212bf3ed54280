#include "agent/agents.h"

#include <array>

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

std::string_view to_string(JobOutcome outcome) {
    static constexpr std::array<std::string_view, 4> words{"done", "failed", "cancelled", "unknown"};
    return words[static_cast<size_t>(outcome)];
}

Agents& no_agents() {
    static NoAgents none;
    return none;
}

}  // namespace baton::agent
