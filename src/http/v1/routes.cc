#include "http/v1/routes.h"

namespace baton::http {

std::vector<Route> v1_routes() {
    std::vector<Route> all;
    for (const auto& chapter :
         {v1::cluster_routes, v1::analysis_routes, v1::discovery_routes, v1::relocation_routes,
          v1::replication_routes, v1::mysql_routes, v1::recovery_routes, v1::recovery_audit_routes,
          v1::annotation_routes, v1::tag_routes, v1::pool_routes, v1::node_routes, v1::metric_routes,
          v1::agent_routes, v1::proxysql_routes}) {
        for (auto& route : chapter())
            all.push_back(std::move(route));
    }
    return all;
}

}  // namespace baton::http
