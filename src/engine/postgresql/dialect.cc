#include "engine/postgresql/dialect.h"

#include <fmt/format.h>

namespace baton::engine::postgresql {
namespace {

// postgresql.conf settings that need a restart to change are read here, once a session.
constexpr std::string_view identity_statement = R"(SELECT
 (SELECT system_identifier FROM pg_catalog.pg_control_system()),
 current_setting('server_version_num'), current_setting('server_version'),
 CASE WHEN pg_has_role(current_user, 'pg_read_all_settings', 'USAGE') THEN current_setting('data_directory') END,
 current_setting('port'),
 (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint,
 current_setting('cluster_name'), current_setting('recovery_target_timeline'), current_setting('wal_log_hints'),
 current_setting('data_checksums'), current_setting('max_connections'), current_setting('max_wal_senders'),
 current_setting('max_worker_processes'), current_setting('max_prepared_transactions'),
 current_setting('max_locks_per_transaction'), current_setting('max_replication_slots'))";

// The same text on 13 to 18: every column used here is in all of them. pg_settings is not scanned (it formats
// 350 rows), and the control file is read only where the timeline cannot be had otherwise: right after a
// promotion it still shows the old one. x is not inlined, because pg_is_in_recovery() is volatile: one answer
// decides all columns.
constexpr std::string_view look_statement = R"(SELECT x.r,
 CASE WHEN NOT x.r THEN substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)
      WHEN w.status = 'streaming' AND pg_last_wal_receive_lsn() >= pg_last_wal_replay_lsn() THEN NULL
      ELSE (SELECT greatest(c.timeline_id, m.min_recovery_end_timeline)::text
            FROM pg_control_checkpoint() c, pg_control_recovery() m) END,
 CASE WHEN NOT x.r THEN pg_current_wal_flush_lsn() END,
 CASE WHEN x.r THEN greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) END,
 CASE WHEN x.r THEN pg_last_wal_replay_lsn() END,
 CASE WHEN x.r THEN pg_last_wal_receive_lsn() END,
 CASE WHEN x.r THEN pg_is_wal_replay_paused() ELSE false END,
 CASE WHEN x.r THEN (extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) * 1000)::bigint END,
 concat_ws(E'\x1f', current_setting('primary_slot_name'), current_setting('synchronous_standby_names'),
  current_setting('synchronous_commit'), current_setting('default_transaction_read_only'),
  current_setting('hot_standby_feedback'), coalesce(current_setting('allow_alter_system', true), 'on'),
  current_setting('wal_retrieve_retry_interval'), current_setting('wal_receiver_timeout'),
  current_setting('wal_sender_timeout'), current_setting('recovery_min_apply_delay'),
  current_setting('max_slot_wal_keep_size')),
 CASE WHEN x.r AND pg_has_role(current_user, 'pg_read_all_settings', 'USAGE')
      THEN current_setting('primary_conninfo') END,
 pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')
  AND pg_has_role(current_user, 'pg_read_all_settings', 'USAGE'),
 w.pid, w.status, w.sender_host, w.sender_port, w.slot_name, w.received_tli, w.written_lsn, w.flushed_lsn,
 w.latest_end_lsn, (extract(epoch FROM clock_timestamp() - w.last_msg_receipt_time) * 1000)::bigint,
 (SELECT json_agg(json_build_array(pid, usename, application_name, host(client_addr), client_hostname, state,
    sent_lsn, write_lsn, flush_lsn, replay_lsn, (extract(epoch FROM replay_lag) * 1000)::bigint,
    sync_state, sync_priority))
  FROM pg_stat_replication WHERE replay_lsn IS NOT NULL),
 (SELECT json_agg(json_build_array(slot_name, slot_type = 'physical', active, temporary, restart_lsn, wal_status,
    safe_wal_size, active_pid))
  FROM pg_replication_slots)
 FROM (SELECT pg_is_in_recovery() AS r) x LEFT JOIN pg_stat_wal_receiver w ON true)";

constexpr std::string_view newest_wal_statement =
    R"(SELECT max(('x' || left(name, 8))::bit(32)::int) FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$')";

std::string may_execute(std::string_view function) {
    return fmt::format("has_function_privilege('pg_catalog.{}', 'EXECUTE')", function);
}

std::string member_of(std::string_view role) {
    return fmt::format("pg_has_role(current_user, '{}', 'USAGE')", role);
}

std::string grant_execute(std::string_view functions) {
    return fmt::format("GRANT EXECUTE ON FUNCTION {} TO %R;", functions);
}

constexpr std::string_view is_superuser = "(current_setting('is_superuser') = 'on')";

PrivilegeCheck alter_system_check(int version, std::string what, bool required, std::string_view first,
                                  std::string_view second) {
    return {std::move(what), required,
            may_alter_system(version, first) + " AND " + may_alter_system(version, second),
            alter_system_remedy(version, fmt::format("{}, {}", first, second))};
}

void add_required(std::vector<PrivilegeCheck>& checks, int version) {
    checks.push_back({"monitor", true,
                      member_of("pg_read_all_settings") + " AND " + member_of("pg_read_all_stats"),
                      "GRANT pg_monitor TO %R;"});
    checks.push_back({"promote", true, may_execute("pg_promote(boolean, integer)"),
                      grant_execute("pg_catalog.pg_promote(boolean, integer)")});
    checks.push_back(
        {"reload", true, may_execute("pg_reload_conf()"), grant_execute("pg_catalog.pg_reload_conf()")});
    checks.push_back(alter_system_check(version, "rewire", true, "primary_conninfo", "primary_slot_name"));
    checks.push_back(
        {"slots", true,
         fmt::format("({} OR (SELECT rolreplication FROM pg_roles WHERE rolname = current_user))",
                     is_superuser),
         "ALTER ROLE %R REPLICATION;"});
}

void add_optional(std::vector<PrivilegeCheck>& checks, int version) {
    checks.push_back({"synchronous_standby_names", false,
                      may_alter_system(version, "synchronous_standby_names"),
                      alter_system_remedy(version, "synchronous_standby_names")});
    checks.push_back({"read_only", false, may_alter_system(version, "default_transaction_read_only"),
                      alter_system_remedy(version, "default_transaction_read_only")});
    checks.push_back({"pause_replay", false,
                      may_execute("pg_wal_replay_pause()") + " AND " + may_execute("pg_wal_replay_resume()"),
                      grant_execute("pg_catalog.pg_wal_replay_pause(), pg_catalog.pg_wal_replay_resume()")});
    checks.push_back(
        {"end_sessions", false, member_of("pg_signal_backend"), "GRANT pg_signal_backend TO %R;"});
    if (version >= 150000) {
        checks.push_back({"checkpoint", false, member_of("pg_checkpoint"), "GRANT pg_checkpoint TO %R;"});
    }
    if (version >= 160000) {
        checks.push_back({"reserved_connections", false, member_of("pg_use_reserved_connections"),
                          "GRANT pg_use_reserved_connections TO %R; and set reserved_connections = 3"});
    }
}

}  // namespace

std::string_view identity_sql() {
    return identity_statement;
}
std::string_view look_sql() {
    return look_statement;
}

std::string_view newest_wal_sql() {
    return newest_wal_statement;
}

std::string may_alter_system(int version_num, std::string_view parameter) {
    if (version_num < 150000) return std::string(is_superuser);
    return fmt::format("has_parameter_privilege('{}', 'ALTER SYSTEM')", parameter);
}

std::string alter_system_remedy(int version_num, std::string_view parameters) {
    if (version_num >= 150000) return fmt::format("GRANT ALTER SYSTEM ON PARAMETER {} TO %R;", parameters);
    return fmt::format(
        "PostgreSQL {} has no grant for ALTER SYSTEM: let the manager log in as a superuser, or give the "
        "standbys a "
        "primary_conninfo that lists all hosts with target_session_attrs=read-write",
        version_num / 10000);
}

std::string fill_role(std::string remedy, std::string_view role) {
    const bool plain =
        !role.empty() && !(role[0] >= '0' && role[0] <= '9') &&
        role.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string_view::npos;
    std::string name;
    for (const char c : role)
        name.append(c == '"' ? 2 : 1, c);
    if (!plain) name = '"' + name + '"';
    for (auto at = remedy.find("%R"); at != std::string::npos; at = remedy.find("%R", at + name.size())) {
        remedy.replace(at, 2, name);
    }
    return remedy;
}

std::vector<PrivilegeCheck> privilege_checks(int version_num) {
    std::vector<PrivilegeCheck> checks;
    add_required(checks, version_num);
    add_optional(checks, version_num);
    return checks;
}

}  // namespace baton::engine::postgresql
