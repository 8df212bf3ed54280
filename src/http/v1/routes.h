#pragma once

#include <vector>

#include "http/route.h"

/// orchestrator's routes by chapter; v1_routes() joins them.
namespace baton::http::v1 {

std::vector<Route> cluster_routes();      ///< clusters, instances, search, topology as text
std::vector<Route> analysis_routes();     ///< problems, replication analysis, its changes
std::vector<Route> discovery_routes();    ///< discover, refresh, forget, resolve
std::vector<Route> relocation_routes();   ///< relocate, repoint, move-up, …
std::vector<Route> replication_routes();  ///< start, stop, read-only, end a session
std::vector<Route> mysql_routes();        ///< what only MySQL has: GTID, binary logs, semi-sync, …
std::vector<Route> recovery_routes();     ///< recover, forced failover, takeover, global switch
std::vector<Route>
recovery_audit_routes();  ///< recoveries, detections, steps, acknowledgements, blocked ones
std::vector<Route>
annotation_routes();                   ///< downtime, maintenance, promotion rules, aliases, unresolved names
std::vector<Route> tag_routes();       ///< tags
std::vector<Route> pool_routes();      ///< pools
std::vector<Route> node_routes();      ///< health, leadership, Raft, configuration, caches
std::vector<Route> metric_routes();    ///< measurements of discovery, queues, backend
std::vector<Route> agent_routes();     ///< orchestrator-agent
std::vector<Route> proxysql_routes();  ///< ProxySQL

}  // namespace baton::http::v1
