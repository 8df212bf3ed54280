#pragma once

#include "cli/classic.h"

/// How orchestrator's commands print. Each takes the whole answer and looks at its content.
namespace baton::cli::print {

std::string nothing(const Answer&, const Call&);
std::string key(const Answer&, const Call&);
std::string keys(const Answer&, const Call&);
std::string sorted_keys(const Answer&, const Call&);
std::string text(const Answer&, const Call&);
std::string lines(const Answer&, const Call&);
std::string raw_json(const Answer&, const Call&);
std::string content_json(const Answer&, const Call&);
/// "replica:port<primary:port"
std::string moved(const Answer&, const Call&);
std::string moved_each(const Answer&, const Call&);
/// The instance that was asked about, whatever the content is.
std::string asked_instance(const Answer&, const Call&);
std::string regrouped(const Answer&, const Call&);

std::string cluster_names(const Answer&, const Call&);
std::string cluster_alias_comma(const Answer&, const Call&);
std::string cluster_alias_tab(const Answer&, const Call&);
std::string cluster_name(const Answer&, const Call&);
std::string cluster_alias(const Answer&, const Call&);
std::string cluster_domain(const Answer&, const Call&);
std::string cluster_lag(const Answer&, const Call&);

std::string master_key(const Answer&, const Call&);
std::string master_key_or_nothing(const Answer&, const Call&);
std::string broken_replicas(const Answer&, const Call&);
std::string running_replicas(const Answer&, const Call&);
std::string lost_in_recovery(const Answer&, const Call&);
std::string matching(const Answer&, const Call&);
std::string is_replicating(const Answer&, const Call&);
std::string is_stopped(const Answer&, const Call&);
std::string errant(const Answer&, const Call&);
std::string can_replicate(const Answer&, const Call&);
std::string in_maintenance(const Answer&, const Call&);
std::string instance_status(const Answer&, const Call&);
std::string dominant_data_center(const Answer&, const Call&);
std::string key_values(const Answer&, const Call&);
std::string promotion_rules(const Answer&, const Call&);
std::string nodes(const Answer&, const Call&);
std::string pseudo_gtid(const Answer&, const Call&);
std::string resolve_cache(const Answer&, const Call&);
std::string resolve_cache_cleared(const Answer&, const Call&);
std::string proxysql_servers(const Answer&, const Call&);

std::string successor(const Answer&, const Call&);
std::string successor_and_coordinates(const Answer&, const Call&);
std::string analysis_script(const Answer&, const Call&);
std::string analysis_binary(const Answer&, const Call&);
std::string recoveries_disabled(const Answer&, const Call&);
std::string recoveries_enabled(const Answer&, const Call&);
std::string recoveries_state(const Answer&, const Call&);
std::string recoveries(const Answer&, const Call&);

}  // namespace baton::cli::print
