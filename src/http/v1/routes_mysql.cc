#include <fmt/format.h>

#include "http/v1/answer.h"
#include "http/v1/routes.h"

namespace baton::http::v1 {

namespace {

/// An operation that has a meaning for MySQL alone.
struct MysqlOperation {
    std::string_view patterns;  ///< all of its paths, parted by blanks
    std::string_view instead;   ///< for PostgreSQL
    bool needs_write = true;
};

constexpr std::string_view use_relocate = "use relocate";
constexpr std::string_view use_relocate_replicas = "use relocate-replicas";
constexpr std::string_view use_regroup = "use regroup-replicas";
constexpr std::string_view no_gtid =
    "its write-ahead log always identifies a position by timeline and LSN, there is nothing to switch";
constexpr std::string_view no_errant =
    "a standby that has WAL of its own shows as ReplicaDiverged in replication-analysis; rebuild it with "
    "pg_rewind or "
    "pg_basebackup";
constexpr std::string_view no_semi_sync =
    "synchronous replication is set by synchronous_standby_names on the primary";
constexpr std::string_view use_stop = "use stop-replica to pause replay, or relocate to another upstream";

constexpr MysqlOperation operations[] = {
    {"/api/move-equivalent/:host/:port/:belowHost/:belowPort", use_relocate},
    {"/api/make-co-master/:host/:port",
     "it has one primary; use force-master-takeover to change which one it is"},
    {"/api/enslave-master/:host/:port /api/take-master/:host/:port",
     "use relocate below the grandparent, then relocate the former upstream below it"},
    {"/api/master-equivalent/:host/:port/:logFile/:logPos",
     "an LSN means the same on every server of a timeline, it is its own equivalent"},
    {"/api/regroup-slaves-bls/:host/:port /api/regroup-replicas-bls/:host/:port", use_regroup},
    {"/api/move-below-gtid/:host/:port/:belowHost/:belowPort", use_relocate},
    {"/api/move-slaves-gtid/:host/:port/:belowHost/:belowPort "
     "/api/move-replicas-gtid/:host/:port/:belowHost/:belowPort",
     use_relocate_replicas},
    {"/api/regroup-slaves-gtid/:host/:port /api/regroup-replicas-gtid/:host/:port", use_regroup},
    {"/api/match/:host/:port/:belowHost/:belowPort /api/match-below/:host/:port/:belowHost/:belowPort",
     use_relocate},
    {"/api/match-up/:host/:port", "use move-up"},
    {"/api/match-slaves/:host/:port/:belowHost/:belowPort "
     "/api/match-replicas/:host/:port/:belowHost/:belowPort",
     use_relocate_replicas},
    {"/api/match-up-slaves/:host/:port /api/match-up-replicas/:host/:port", "use move-up-replicas"},
    {"/api/regroup-slaves-pgtid/:host/:port /api/regroup-replicas-pgtid/:host/:port", use_regroup},
    {"/api/make-master/:host/:port", "use force-master-takeover"},
    {"/api/make-local-master/:host/:port", "use move-up, then take-siblings"},
    {"/api/enable-gtid/:host/:port", no_gtid},
    {"/api/disable-gtid/:host/:port", no_gtid},
    {"/api/locate-gtid-errant/:host/:port", no_errant, false},
    {"/api/gtid-errant-reset-master/:host/:port", no_errant},
    {"/api/gtid-errant-inject-empty/:host/:port", no_errant},
    {"/api/skip-query/:host/:port",
     "WAL cannot be skipped; a standby whose replay stops with an error has to be rebuilt"},
    {"/api/stop-slave-nice/:host/:port /api/stop-replica-nice/:host/:port", "use stop-replica"},
    {"/api/reset-slave/:host/:port /api/reset-replica/:host/:port",
     "a standby forgets its upstream by promotion; use force-master-takeover, or forget to drop it from the "
     "topology"},
    {"/api/detach-slave/:host/:port /api/detach-replica/:host/:port", use_stop},
    {"/api/reattach-slave/:host/:port /api/reattach-replica/:host/:port", "use start-replica or relocate"},
    {"/api/detach-slave-master-host/:host/:port /api/detach-replica-master-host/:host/:port", use_stop},
    {"/api/reattach-slave-master-host/:host/:port /api/reattach-replica-master-host/:host/:port",
     "use start-replica or relocate"},
    {"/api/flush-binary-logs/:host/:port", "SELECT pg_switch_wal() on the primary ends the current WAL file"},
    {"/api/purge-binary-logs/:host/:port/:logFile",
     "it removes WAL by itself; what holds it back shows as SlotHoldsBackWal in replication-analysis"},
    {"/api/restart-slave-statements/:host/:port /api/restart-replica-statements/:host/:port",
     "use restart-replica"},
    {"/api/enable-semi-sync-master/:host/:port", no_semi_sync},
    {"/api/disable-semi-sync-master/:host/:port", no_semi_sync},
    {"/api/enable-semi-sync-replica/:host/:port", no_semi_sync},
    {"/api/disable-semi-sync-replica/:host/:port", no_semi_sync},
    {"/api/delay-replication/:host/:port/:seconds",
     "ALTER SYSTEM SET recovery_min_apply_delay on the standby, then SELECT pg_reload_conf()"},
    {"/api/can-replicate-from-gtid/:host/:port/:belowHost/:belowPort", "use can-replicate-from", false},
    {"/api/last-pseudo-gtid/:host/:port",
     "its positions are LSNs, see SelfBinlogCoordinates of the instance"},
};

/// "move-below-gtid" of "/api/move-below-gtid/:host/…".
std::string_view name_of(std::string_view pattern) {
    const auto rest = pattern.substr(std::string_view("/api/").size());
    return rest.substr(0, rest.find('/'));
}

/// The operation as the caller spelt it.
std::string_view name_in(const Request& request, std::string_view patterns) {
    for (size_t at = 0; at != std::string_view::npos; at = patterns.find("/api/", at + 1)) {
        const auto name = name_of(patterns.substr(at));
        if (request.path.contains(fmt::format("/api/{}/", name))) return name;
    }
    return name_of(patterns);
}

Reader refuse(const MysqlOperation& operation) {
    return [&operation](const View& view, const Request& request) -> Result<Response> {
        const auto instance = known_instance(view, request);
        if (!instance) return std::unexpected(instance.error());
        const auto name = name_in(request, operation.patterns);
        const auto key = (*instance)->key.text();
        const auto engine = (*instance)->seen ? (*instance)->seen->engine : topology::Engine::unknown;
        switch (engine) {
            case topology::Engine::postgresql:
                return failed(fmt::format("{} is a MySQL operation; {} is PostgreSQL: {}", name, key,
                                          operation.instead));
            case topology::Engine::unknown:
                return failed(fmt::format(
                    "{} is a MySQL operation; {} has not answered yet, so its engine is not known", name,
                    key));
            default:
                return failed(
                    fmt::format("{}: {} is {}, and this version of Baton works with PostgreSQL only", name,
                                key, to_string(engine)));
        }
    };
}

}  // namespace

std::vector<Route> mysql_routes() {
    Table table;
    for (const auto& operation : operations) {
        const auto doc = fmt::format("MySQL only; for PostgreSQL: {}.", operation.instead);
        if (operation.needs_write) {
            table.read_if_permitted(operation.patterns, refuse(operation), doc);
        } else {
            table.read(operation.patterns, refuse(operation), doc);
        }
    }
    return table.take();
}

}  // namespace baton::http::v1
