#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

/// The SQL that Baton speaks to a PostgreSQL server, by version (13 to 18). Every statement is here, so that
/// an administrator can read in one place what is run.
namespace baton::engine::postgresql {

inline constexpr int oldest_version =
    130000;  ///< older ones cannot change primary_conninfo without a restart

/// Facts that cannot change while a session lasts. Columns: Identity.
std::string_view identity_sql();
enum class Identity : size_t {
    system_identifier,
    version_num,
    version,
    data_directory,  // NULL when not permitted to see
    port,
    started_at_us,
    cluster_name,
    recovery_target_timeline,
    wal_log_hints,
    data_checksums,
    max_connections,
    max_wal_senders,
    max_worker_processes,
    max_prepared_transactions,
    max_locks_per_transaction,
    max_replication_slots,
    count
};

/// All else that an observation holds: one row. Columns: Look.
std::string_view look_sql();
enum class Look : size_t {
    in_recovery,
    timeline,  // primary: 8 hexadecimal digits; standby: decimal, NULL while it streams what is new to it
    written,
    received,
    replayed,
    streamed,  // how far the receiver has come; behind replayed while it copies a segment anew
    replay_paused,
    replayed_age_ms,
    settings,          // values in the order of SettingsPart, between settings_separator
    primary_conninfo,  // standby only; NULL when not permitted to see
    can_see_all,
    receiver_pid,  // NULL = there is none
    receiver_status,
    receiver_host,
    receiver_port,
    receiver_slot,
    receiver_timeline,
    receiver_written,
    receiver_flushed,
    receiver_latest_end,
    receiver_message_age_ms,
    senders,  // JSON array of arrays, NULL = none
    slots,    // likewise
    count
};
enum class SettingsPart : size_t {
    primary_slot_name,
    synchronous_standby_names,
    synchronous_commit,
    default_transaction_read_only,
    hot_standby_feedback,
    allow_alter_system,
    wal_retrieve_retry_interval,
    wal_receiver_timeout,
    wal_sender_timeout,
    recovery_min_apply_delay,
    max_slot_wal_keep_size,
    count
};
/// The newest timeline of which there is WAL in the directory: one row, one column; NULL = none.
std::string_view newest_wal_sql();

inline constexpr char settings_separator = '\x1f';

/// One privilege that the manager's role wants, and how to ask for and to grant it on a given version.
struct PrivilegeCheck {
    std::string what;
    bool required = true;
    std::string test;    ///< SQL expression of type boolean
    std::string remedy;  ///< with %R for the quoted role name
};
std::vector<PrivilegeCheck> privilege_checks(int version_num);

/// What the role needs for ALTER SYSTEM SET <parameter>; on 13 and 14, where no such grant exists, what to do
/// instead.
std::string alter_system_remedy(int version_num, std::string_view parameters);
/// `remedy` with %R replaced by the role's name, quoted where SQL needs it.
std::string fill_role(std::string remedy, std::string_view role);
/// SQL expression: may the role ALTER SYSTEM SET this parameter?
std::string may_alter_system(int version_num, std::string_view parameter);

}  // namespace baton::engine::postgresql
