// The routers of the configuration, with the hands that they need.
#include "control/routers.h"

#include <fmt/format.h>

#include "base/text.h"
#include "control/options.h"
#include "routing/pgbouncer.h"
#include "topology/instance_key.h"

namespace baton::control {
namespace {

/// The file that PgBouncer reads its targets from lies on its host: the agent there rewrites it.
routing::Retarget by_agent(agent::Agents& agents, Clock& clock, const config::RouterEntry& entry) {
    if (entry.Agent.empty()) return {};
    agent::Order order{.instance = {entry.Agent, 0},
                       .verb = agent::Verb::route,
                       .router = entry.AgentName.empty() ? entry.Name : entry.AgentName,
                       .databases = entry.Databases};
    return [&agents, &clock, order](routing::Target target, MonoTime deadline) -> Task<Result<void>> {
        auto mine = order;
        mine.upstream = {target.host, target.port};
        mine.deadline = std::chrono::duration_cast<milliseconds>(
            std::max<Duration>(deadline - clock.now(), milliseconds(1)));
        auto done = co_await agents.order(std::move(mine));
        if (!done) co_return std::unexpected(done.error());
        if (done->error) co_return std::unexpected(*done->error);
        co_return Result<void>{};
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

std::vector<recovery::RouterOf> routers_of(const config::Config& config, Clock& clock,
                                           agent::Agents& agents) {
    std::vector<recovery::RouterOf> all;
    for (const auto& entry : config.Routers) {
        all.push_back(
            {.router = routing::make_pgbouncer(
                 clock, {.name = entry.Name, .login = login_of(entry), .databases = entry.Databases},
                 by_agent(agents, clock, entry)),
             .serves = cluster_predicate(entry.Clusters)});
    }
    return all;
}

}  // namespace baton::control
