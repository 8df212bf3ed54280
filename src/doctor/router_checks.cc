// What stands between clients and the primary: may the manager command it, and where does it lead now.
#include <fmt/format.h>

#include "base/text.h"
#include "control/options.h"
#include "doctor/check_functions.h"
#include "doctor/words.h"

namespace baton::doctor {

namespace {

/// Two names may be of one server, and what nobody knows may be a name that leads to it.
void check_target(const Facts& facts, const Cluster& cluster, const RouterLook& router,
                  const routing::Standing::Route& route, Notes& notes) {
    const auto* primary = cluster.primary();
    const auto target =
        facts.topology ? facts.topology->find_instance({route.to.host, route.to.port}) : nullptr;
    const auto what =
        fmt::format("router {} leads database {} to {}", router.name, route.database, route.to.text());
    if (primary == nullptr || (target && target->key == primary->key)) return;
    if (target) {
        notes.fail(what + ", which is not the primary",
                   "look at its targets; the manager leads it at the next failover or switchover only");
    } else if (router.has_agent) {
        notes.warn(what + ", a name that is not known to be the primary's",
                   "write its target as the manager names the primary: " + primary->key.text());
    }
}

void check_standing(const Facts& facts, const Cluster& cluster, const RouterLook& router, Notes& notes) {
    const auto& standing = *router.standing;
    if (!standing.forbidden.empty())
        notes.fail(fmt::format("router {}: {}", router.name, standing.forbidden),
                   "add the User of its entry in Routers to admin_users in pgbouncer.ini, and RELOAD");
    for (const auto& remark : standing.remarks)
        notes.warn(fmt::format("router {}: {}", router.name, remark),
                   "look at its configuration and at Databases in Routers");
    for (const auto& route : standing.routes) {
        check_target(facts, cluster, router, route, notes);
        if (route.paused)
            notes.warn(
                fmt::format("router {} holds the clients of database {}", router.name, route.database),
                fmt::format("where no switchover is under way, on its console: RESUME {}", route.database));
    }
}

}  // namespace

void check_routers(const Facts& facts, const Cluster& cluster, Notes& notes) {
    size_t count = 0;
    for (const auto& router : facts.routers) {
        const auto serves = control::cluster_predicate(router.clusters);
        if (serves && !serves(cluster)) continue;
        ++count;
        if (!router.standing) {
            notes.fail(
                fmt::format("router {} cannot be asked: {}", router.name, router.standing.error().text()),
                "look at Address, User and Password of its entry in Routers, and at its log");
            continue;
        }
        check_standing(facts, cluster, router, notes);
        if (!router.has_agent)
            notes.warn(
                fmt::format("router {} has no Agent: nobody rewrites its targets, and nobody lets its "
                            "clients go on when the manager dies while it holds them",
                            router.name),
                "run baton agent on its host, with PgBouncers, and name that host as Agent in Routers");
    }
    if (count == 0) return notes.pass("no routers: clients find the primary by themselves");
    if (notes.clean())
        notes.pass(fmt::format("{} to the primary",
                               count == 1 ? "one router leads" : counted(count, "router") + " lead"));
}

}  // namespace baton::doctor
