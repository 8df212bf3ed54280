#include "engine/postgresql/actor.h"
#include "engine/postgresql/probe.h"

namespace baton::engine::postgresql {
namespace {

Task<Result<std::vector<std::string>>> resolve_with(std::shared_ptr<Wiring> wiring, std::string host,
                                                    MonoTime deadline) {
    co_return co_await wiring->resolver.resolve(std::move(host), deadline);
}

class PostgresEngine final : public Engine {
  public:
    PostgresEngine(Clock& clock, Login login) : wiring_(std::make_shared<Wiring>(clock, std::move(login))) {}

    std::unique_ptr<Probe> make_probe(const InstanceKey& key) override {
        return postgresql::make_probe(wiring_, key);
    }
    std::unique_ptr<Actor> make_actor(const InstanceKey& key) override {
        return postgresql::make_actor(wiring_, key);
    }
    Task<Result<std::vector<std::string>>> resolve(std::string host, MonoTime deadline) override {
        return resolve_with(wiring_, std::move(host), deadline);
    }
    std::vector<std::string> known_addresses(const std::string& host) const override {
        return wiring_->resolver.known(host);
    }
    void set_login(Login login) { wiring_->login = std::move(login); }
    void forget_addresses() override { wiring_->resolver.forget(); }

  private:
    std::shared_ptr<Wiring> wiring_;
};

}  // namespace

void set_login(Engine& engine, Login login) {
    static_cast<PostgresEngine&>(engine).set_login(std::move(login));
}

std::unique_ptr<Engine> make_engine(Clock& clock, Login login) {
    return std::make_unique<PostgresEngine>(clock, std::move(login));
}

}  // namespace baton::engine::postgresql
