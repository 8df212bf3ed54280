#include "sim/truth.h"

#include <algorithm>

namespace baton::sim {

Truth::Truth(World& world, std::string clients)
    : world_(world),
      clients_(std::move(clients)),
      servers_(world.servers().size()),
      pairs_(servers_.size() * servers_.size()) {
    changed();
}

size_t Truth::index(const Server& server) const {
    const auto& all = world_.servers();
    const auto at = std::ranges::find_if(all, [&](const auto& s) { return s.get() == &server; });
    return static_cast<size_t>(at - all.begin());
}

void Truth::update(Since& since, bool holds) const {
    if (!holds) {
        since.reset();
    } else if (!since) {
        since = world_.now();
    }
}

void Truth::changed() {
    const auto& all = world_.servers();
    auto& network = world_.network();
    const auto linked = [&](const std::string& a, const std::string& b) {
        return network.between(a, b) == Link::up;
    };
    for (size_t i = 0; i < all.size(); ++i) {
        const auto& server = *all[i];
        const auto& host = server.key().host;
        auto& facts = servers_[i];
        const bool serves = server.serves();
        const bool near = linked("manager", host);
        update(facts.serves, serves);
        update(facts.writable, serves && server.accepts_writes());
        update(facts.near_manager, near);
        update(facts.near_clients, linked(clients_, host));
        update(facts.askable, serves && near);
        const auto* upstream = server.receives_from();
        for (size_t k = 0; k < all.size(); ++k) {
            auto& of = pairs_[i * all.size() + k];
            update(of.linked, linked(host, all[k]->key().host));
            update(of.receives, upstream == all[k].get());
        }
    }
}

}  // namespace baton::sim
