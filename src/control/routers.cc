// The routers of the configuration, with the hands that they need.
#include "control/routers.h"

#include <fmt/format.h>

#include "base/text.h"
#include "control/options.h"
#include "routing/pgbouncer.h"
#include "topology/instance_key.h"

namespace baton::control {
namespace {

agent::Order order_of(const config::RouterEntry& entry, agent::Verb verb) {
    return {.instance = {entry.Agent, 0},
            .verb = verb,
            .router = entry.AgentName.empty() ? entry.Name : entry.AgentName,
            .databases = entry.Databases};
}

Task<Result<void>> obeyed(agent::Agents& agents, Clock& clock, agent::Order order, MonoTime deadline) {
    order.deadline =
        std::chrono::duration_cast<milliseconds>(std::max<Duration>(deadline - clock.now(), milliseconds(1)));
    auto done = co_await agents.order(std::move(order));
    if (!done) co_return std::unexpected(done.error());
    if (done->error) co_return std::unexpected(*done->error);
    co_return Result<void>{};
}

/// The file that PgBouncer reads its targets from lies on its host: the agent there rewrites it.
routing::Retarget by_agent(agent::Agents& agents, Clock& clock, const config::RouterEntry& entry) {
    if (entry.Agent.empty()) return {};
    return [&agents, &clock, order = order_of(entry, agent::Verb::route)](routing::Target target,
                                                                          MonoTime deadline) {
        auto mine = order;
        mine.upstream = {target.host, target.port};
        return obeyed(agents, clock, std::move(mine), deadline);
    };
}

/// The same agent lets the clients go on when this manager has died.
routing::Watchdog agents_watch(agent::Agents& agents, Clock& clock, const config::RouterEntry& entry) {
    if (entry.Agent.empty()) return {};
    return [&agents, &clock, order = order_of(entry, agent::Verb::hold)](std::optional<routing::Leash> leash,
                                                                         MonoTime deadline) {
        auto mine = order;
        mine.on = leash.has_value();
        if (leash) mine.span = leash->span;
        if (leash) mine.upstream = {leash->then.host, leash->then.port};
        return obeyed(agents, clock, std::move(mine), deadline);
    };
}

routing::ConsoleLogin login_of(const config::RouterEntry& entry) {
    const auto address = topology::parse_instance_key(entry.Address, 6432);
    return {.host = address ? address->host : entry.Address,
            .port = address ? address->port : uint16_t{6432},
            .user = entry.User,
            .password = entry.Password,
            .passfile = entry.PasswordFile};
}

}  // namespace

routing::RouterPtr router_of(const config::RouterEntry& entry, Clock& clock) {
    return routing::make_pgbouncer(
        clock, {.name = entry.Name, .login = login_of(entry), .databases = entry.Databases});
}

std::vector<recovery::RouterOf> routers_of(const config::Config& config, Clock& clock,
                                           agent::Agents& agents) {
    std::vector<recovery::RouterOf> all;
    for (const auto& entry : config.Routers) {
        all.push_back(
            {.router = routing::make_pgbouncer(
                 clock, {.name = entry.Name, .login = login_of(entry), .databases = entry.Databases},
                 by_agent(agents, clock, entry), agents_watch(agents, clock, entry)),
             .serves = cluster_predicate(entry.Clusters)});
    }
    return all;
}

}  // namespace baton::control
