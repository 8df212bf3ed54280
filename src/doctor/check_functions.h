#pragma once

#include "doctor/checks.h"

/// Every check of the table, by the file that holds it. Inside of this room only.
namespace baton::doctor {

// manager_checks.cc: the configuration and the machine
void check_config(const Facts&, Notes&);
void check_credentials(const Facts&, Notes&);
void check_files(const Facts&, Notes&);
void check_certificates(const Facts&, Notes&);
void check_listen(const Facts&, Notes&);
void check_state_file(const Facts&, Notes&);
void check_hooks(const Facts&, Notes&);
void check_manager(const Facts&, Notes&);
void check_recoveries_enabled(const Facts&, Notes&);
void check_block_periods(const Facts&, Notes&);
void check_answers(const Facts&, Notes&);

// agent_checks.cc: host agents
void check_agents_listener(const Facts&, Notes&);
void check_agents(const Facts&, const Cluster&, Notes&);
void check_lease(const Facts&, const Cluster&, Notes&);

// recovery_checks.cc: would a failover happen, and how
void check_automatic_recovery(const Facts&, const Cluster&, Notes&);
void check_stale_recoveries(const Facts&, const Cluster&, Notes&);
void check_downtimes(const Facts&, const Cluster&, Notes&);
void check_known_to_manager(const Facts&, const Cluster&, Notes&);
void check_problems(const Facts&, const Cluster&, Notes&);
void check_promotion(const Facts&, const Cluster&, Notes&);
void check_synchronous(const Facts&, const Cluster&, Notes&);

// topology_checks.cc: who is who
void check_one_cluster(const Facts&, const Cluster&, Notes&);
void check_one_primary(const Facts&, const Cluster&, Notes&);
void check_streaming(const Facts&, const Cluster&, Notes&);
void check_hidden_standbys(const Facts&, const Cluster&, Notes&);
void check_timeline(const Facts&, const Cluster&, Notes&);
void check_lag(const Facts&, const Cluster&, Notes&);
void check_held_standbys(const Facts&, const Cluster&, Notes&);
void check_conninfo(const Facts&, const Cluster&, Notes&);
void check_application_names(const Facts&, const Cluster&, Notes&);

// router_checks.cc: what stands between clients and the primary
void check_routers(const Facts&, const Cluster&, Notes&);

// server_checks.cc: each server by itself
void check_connection(const Facts&, const Cluster&, Notes&);
void check_privileges(const Facts&, const Cluster&, Notes&);
void check_superuser(const Facts&, const Cluster&, Notes&);
void check_versions(const Facts&, const Cluster&, Notes&);
void check_clock(const Facts&, const Cluster&, Notes&);
void check_prepared(const Facts&, const Cluster&, Notes&);
void check_archive(const Facts&, const Cluster&, Notes&);
void check_alter_system(const Facts&, const Cluster&, Notes&);

// slot_checks.cc: replication slots and room for them
void check_slots(const Facts&, const Cluster&, Notes&);
void check_slot_wal(const Facts&, const Cluster&, Notes&);
void check_slot_limit(const Facts&, const Cluster&, Notes&);
void check_logical_slots(const Facts&, const Cluster&, Notes&);
void check_capacity(const Facts&, const Cluster&, Notes&);

// setting_checks.cc: settings that bite at a failover
void check_rewind(const Facts&, const Cluster&, Notes&);
void check_retry_interval(const Facts&, const Cluster&, Notes&);
void check_receiver_timeout(const Facts&, const Cluster&, Notes&);
void check_timeline_target(const Facts&, const Cluster&, Notes&);
void check_hot_standby_settings(const Facts&, const Cluster&, Notes&);
void check_read_only(const Facts&, const Cluster&, Notes&);

}  // namespace baton::doctor
