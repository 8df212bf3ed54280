#include "sim/router.h"

#include "base/async.h"
#include "sim/server.h"

namespace baton::sim {
namespace {

constexpr milliseconds check_interval{500};
constexpr milliseconds check_timeout{500};
constexpr int answers_that_count = 2;

}  // namespace

Router::Router(Ground& ground, std::vector<InstanceKey> servers, Kind kind)
    : ground_(ground), kind_(kind), process_(ground.scheduler) {
    for (auto& key : servers)
        backends_.push_back({.key = std::move(key)});
    if (kind == Kind::told && !backends_.empty()) target_ = backends_.front().key;
    if (kind != Kind::checks) return;
    for (size_t i = 0; i < backends_.size(); ++i)
        spawn(process_.executor(), watch(i));
}

std::optional<InstanceKey> Router::target() const {
    if (kind_ == Kind::told) return target_;
    for (const auto& backend : backends_) {
        if (backend.up) return backend.key;
    }
    return std::nullopt;
}

Task<void> Router::watch(size_t backend) {
    for (;;) {
        const auto began = process_.now();
        const bool yes = co_await takes_writes(backends_[backend].key);
        if (!hung_ && listens_) heard(backends_[backend], yes);
        co_await process_.sleep_until(began + check_interval);
    }
}

Task<bool> Router::takes_writes(InstanceKey key) {
    const auto session = std::make_shared<Connection>(ground_, process_, host_, key);
    const auto deadline = process_.now() + check_timeout;
    const auto yes = std::make_shared<bool>(false);
    if (!co_await session->open(deadline)) co_return false;
    const auto asked = co_await session->ask(
        [yes](Server& server, Reply reply) {
            *yes = server.accepts_writes();
            reply({});
        },
        deadline);
    session->close();
    co_return asked.has_value() && *yes;
}

void Router::heard(Backend& backend, bool yes) {
    backend.against = yes == backend.up ? 0 : backend.against + 1;
    const bool first = !std::exchange(backend.known, true);
    if (backend.against == 0 || (!first && backend.against < answers_that_count)) return;
    backend.up = yes;
    backend.against = 0;
    ground_.trace.note(host_, backend.key.text() + (yes ? " is up" : " is down"));
    if (!yes) end_sessions(&backend.key, "the router marked its server down");
}

void Router::point_at(const InstanceKey& key) {
    if (target_ == key) return;
    const auto before = std::exchange(target_, key);
    ground_.trace.note(host_, "leads to " + key.text());
    if (before) end_sessions(&*before, "the router leads elsewhere now");
}

void Router::restart(Duration takes) {
    ground_.trace.note(host_, "restarts");
    listens_ = hung_ = false;
    end_sessions(nullptr, "the router restarts");
    for (auto& backend : backends_)
        backend = {.key = backend.key};
    ground_.scheduler.after(takes, [this, life = ++life_] {
        if (life == life_) listens_ = true;
    });
}

void Router::carry(const ConnectionPtr& session) {
    std::erase_if(sessions_, [](const auto& weak) {
        const auto known = weak.lock();
        return !known || !known->is_open();
    });
    sessions_.push_back(session);
}

void Router::end_sessions(const InstanceKey* only, const std::string& why) {
    for (const auto& weak : std::vector(sessions_)) {
        const auto session = weak.lock();
        if (session && session->is_open() && (only == nullptr || session->to() == *only)) session->cut(why);
    }
}

}  // namespace baton::sim
