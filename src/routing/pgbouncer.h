#pragma once

#include "routing/console.h"
#include "routing/router.h"

namespace baton::routing {

struct PgbouncerOptions {
    std::string name;  ///< for people
    ConsoleLogin login;
    std::vector<std::string> databases;  ///< those that lead to the cluster; empty = all that it has
};

/// PgBouncer by its admin console. Where it finds its targets is a file on its host: `retarget` rewrites
/// that; without it, the names in that file must lead to the primary by themselves, and it is only told to
/// look anew. PgBouncer knows no end of a PAUSE: without `watchdog` only a manager ends it.
RouterPtr make_pgbouncer(Clock& clock, PgbouncerOptions options, Retarget retarget = {},
                         Watchdog watchdog = {});

}  // namespace baton::routing
