#pragma once

#include <map>
#include <set>
#include <utility>

#include "engine/engine.h"

/// Servers of a test's making, that answer at once, refuse, or leave new connections without an answer.
namespace baton::discovery {

class FakeEngine final : public engine::Engine {
  public:
    explicit FakeEngine(Clock& clock) : clock_(clock) {}

    std::map<engine::InstanceKey, engine::Observation> servers;
    std::set<engine::InstanceKey> hangs_for_new_ones;
    std::map<engine::InstanceKey, int> looks;  ///< how often each was looked at

    std::unique_ptr<engine::Probe> make_probe(const engine::InstanceKey& key) override {
        return std::make_unique<FakeProbe>(*this, key);
    }
    std::unique_ptr<engine::Actor> make_actor(const engine::InstanceKey&) override { std::abort(); }
    Task<Result<std::vector<std::string>>> resolve(std::string host, MonoTime) override {
        co_return std::vector<std::string>{std::move(host)};
    }
    std::vector<std::string> known_addresses(const std::string& host) const override { return {host}; }

  private:
    class FakeProbe final : public engine::Probe {
      public:
        FakeProbe(FakeEngine& engine, engine::InstanceKey key) : engine_(engine), key_(std::move(key)) {}
        Task<engine::Looked> look(MonoTime deadline) override {
            ++engine_.looks[key_];
            const auto asked_at = engine_.clock_.now();
            if (const auto reached = co_await touch(deadline); !reached)
                co_return std::unexpected(reached.error());
            auto seen = std::make_shared<engine::Observation>(engine_.servers.at(key_));
            seen->asked_at = asked_at;
            seen->answered_at = engine_.clock_.now();
            co_return seen;
        }
        Task<std::expected<void, engine::Unreached>> touch(MonoTime deadline) override {
            using topology::Reach;
            if (!engine_.servers.contains(key_))
                co_return std::unexpected(lost(Reach::refused, ErrorKind::unreachable, "refused"));
            if (!connected_ && engine_.hangs_for_new_ones.contains(key_)) {
                co_await engine_.clock_.sleep_until(deadline);
                co_return std::unexpected(lost(Reach::unresponsive, ErrorKind::timeout, "no answer"));
            }
            connected_ = true;
            co_return std::expected<void, engine::Unreached>{};
        }
        bool connected() const override { return connected_; }
        void on_broken(std::function<void()>) override {}
        void disconnect() override { connected_ = false; }

      private:
        engine::Unreached lost(topology::Reach reach, ErrorKind kind, std::string why) {
            const bool before = std::exchange(connected_, false);
            return {.reach = reach,
                    .error = {kind, std::move(why), key_.text(), {}},
                    .on_new_connection = !before};
        }

        FakeEngine& engine_;
        engine::InstanceKey key_;
        bool connected_ = false;
    };

    Clock& clock_;
};

}  // namespace baton::discovery
