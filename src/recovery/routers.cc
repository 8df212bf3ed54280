// Clients are led to whoever leads: at once, and until it is done.
#include "recovery/routers.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "base/async.h"

namespace baton::recovery {
namespace {

constexpr milliseconds told_within{2000};
constexpr seconds told_again_after{1};
/// After that somebody has to look at the router.
constexpr int tellings = 600;
constexpr milliseconds resumed_within{2000};
constexpr milliseconds resumed_again_after{200};
constexpr int resumptions = 10;

routing::Target target_of(const InstanceKey& key) {
    return {key.host, key.port};
}

void say(const JournalPtr& journal, const std::string& text) {
    if (journal) return journal->note(text);
    spdlog::info("{}", text);
}

}  // namespace

std::vector<routing::RouterPtr> Routers::of(const topology::Cluster& cluster) const {
    std::vector<routing::RouterPtr> all;
    for (const auto& r : routers_) {
        if (!r.serves || r.serves(cluster)) all.push_back(r.router);
    }
    return all;
}

routing::RouterPtr Routers::find(const std::string& name) const {
    const auto at = std::ranges::find_if(routers_, [&](const auto& r) { return r.router->name() == name; });
    return at == routers_.end() ? nullptr : at->router;
}

void Routers::lead_to(const topology::Cluster& cluster, const InstanceKey& leader, JournalPtr journal) {
    const auto turn = ++turns_[cluster.id];
    for (const auto& router : of(cluster))
        spawn(clock_.executor(),
              tell(shared_from_this(), cluster.id, router, leader, journal, turn, routing::Clients::bound));
}

Task<void> Routers::tell(std::shared_ptr<Routers> self, std::string cluster_id, routing::RouterPtr router,
                         InstanceKey leader, JournalPtr journal, uint64_t turn, routing::Clients clients) {
    auto& clock = self->clock_;
    const auto began = clock.now();
    std::string last;
    for (int i = 0; i < tellings; ++i) {
        if (self->stopped_ || self->turns_[cluster_id] != turn) co_return;
        const auto told = co_await router->point_at(target_of(leader), clients, clock.now() + told_within);
        if (told) {
            say(journal, fmt::format("router {} leads to {} after {} ms", router->name(), leader.text(),
                                     to_ms(clock.now() - began)));
            co_return;
        }
        if (told.error().text() != last)
            say(journal, fmt::format("router {} was not told of {}: {}; trying again", router->name(),
                                     leader.text(), told.error().text()));
        last = told.error().text();
        co_await clock.sleep_for(told_again_after);
    }
    say(journal, fmt::format("router {} could not be told of {}: {}", router->name(), leader.text(), last));
}

Task<Result<void>> Routers::lead_held(std::string cluster_id, routing::RouterPtr router, InstanceKey leader,
                                      JournalPtr journal, MonoTime deadline) {
    const auto self = shared_from_this();
    auto told = co_await router->point_at(target_of(leader), routing::Clients::held, deadline);
    if (!told) {
        // Its clients must not wait for the rest: they go on, and are led there as soon as it can be told.
        spawn(clock_.executor(),
              tell(self, cluster_id, router, leader, journal, turns_[cluster_id], routing::Clients::stray));
    }
    const bool resumed = co_await resume_one(self, router, journal);
    if (!told) co_return told;
    if (!resumed) co_return fail(ErrorKind::broken, "its clients may still be held", router->name());
    co_return Result<void>{};
}

Task<bool> Routers::resume_one(std::shared_ptr<Routers> self, routing::RouterPtr router, JournalPtr journal) {
    auto& clock = self->clock_;
    std::string last;
    for (int i = 0; i < resumptions && !self->stopped_; ++i) {
        const auto done = co_await router->resume(clock.now() + resumed_within);
        if (done) co_return true;
        last = done.error().text();
        co_await clock.sleep_for(resumed_again_after);
    }
    say(journal, fmt::format("router {} could not be told to let its clients go on: {}; RESUME it by hand",
                             router->name(), last));
    co_return false;
}

Task<void> Routers::resume(std::vector<routing::RouterPtr> routers, JournalPtr journal) {
    std::vector<Task<bool>> all;
    for (auto& router : routers)
        all.push_back(resume_one(shared_from_this(), std::move(router), journal));
    co_await gather(clock_, std::move(all));
}

}  // namespace baton::recovery
