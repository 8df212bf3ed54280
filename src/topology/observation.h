#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "topology/instance_key.h"
#include "topology/wal.h"

namespace baton::topology {

enum class Engine : uint8_t { unknown, postgresql, mysql, mariadb };
enum class Role : uint8_t { unknown, primary, standby };
std::string_view to_string(Engine engine);  ///< "postgresql", …
std::string_view to_string(Role role);      ///< "primary", …

/// What primary_conninfo says, as libpq's own parser reads it, without any password (PostgreSQL manual 34.1).
struct Upstream {
    std::vector<InstanceKey> hosts;    ///< in order; a Unix-socket directory stands as host "" and the port
    std::string user;                  ///< "" = not given
    std::string application_name;      ///< "" = not given: the server then uses its cluster_name
    std::string target_session_attrs;  ///< "", "any", "read-write", "primary", …
    bool has_dbname = false;           ///< PG 17 slot synchronisation needs it
    bool readable = true;              ///< false: not permitted to read it, or it does not parse
    std::string problem;               ///< why not, for people

    /// Several hosts and a target_session_attrs that makes the standby look for the primary itself.
    bool finds_primary_itself() const {
        return hosts.size() > 1 &&
               (target_session_attrs == "read-write" || target_session_attrs == "primary");
    }
    bool operator==(const Upstream&) const = default;
};

/// A row of pg_stat_wal_receiver.
struct Receiver {
    std::string status;       ///< "streaming", "waiting", "starting", …; "" when not permitted to see
    std::string sender_host;  ///< a name, an address or a Unix-socket directory
    uint16_t sender_port = 0;
    std::string slot;
    Timeline received_timeline = 0;
    Lsn written;
    Lsn flushed;
    Lsn latest_end;                                ///< what the sender last said its end was
    std::optional<milliseconds> last_message_age;  ///< by the server's own clock
    bool streaming() const { return status == "streaming"; }
};

/// A row of pg_stat_replication that is a physical standby (replay_lsn is not null).
struct Sender {
    int pid = 0;
    std::string user;
    std::string application_name;
    std::string client_addr;  ///< "" = Unix socket
    std::string client_hostname;
    std::string state;  ///< "streaming", "catchup", …
    std::string slot;   ///< physical slot in use by this pid, if any
    Lsn sent, written, flushed, replayed;
    std::optional<milliseconds> replay_lag;
    std::string sync_state;  ///< "async", "sync", "quorum", "potential"
    int sync_priority = 0;
};

/// A row of pg_replication_slots.
struct Slot {
    std::string name;
    bool physical = true;
    bool active = false;
    bool temporary = false;
    Lsn restart;
    std::string wal_status;                ///< "reserved", "extended", "unreserved", "lost", ""
    std::optional<int64_t> safe_wal_size;  ///< bytes that may still be written before it is lost
};

/// Settings that matter for failover.
struct Settings {
    std::string cluster_name;
    std::string primary_slot_name;
    std::string synchronous_standby_names;
    std::string synchronous_commit;
    std::string recovery_target_timeline;
    bool default_transaction_read_only = false;
    bool wal_log_hints = false;
    bool data_checksums = false;
    bool hot_standby_feedback = false;
    bool allow_alter_system = true;  ///< PG 17+
    int64_t wal_retrieve_retry_interval_ms = 5000;
    int64_t wal_receiver_timeout_ms = 60000;
    int64_t wal_sender_timeout_ms = 60000;
    int64_t recovery_min_apply_delay_ms = 0;
    int64_t max_slot_wal_keep_size_mb = -1;  ///< -1 = no limit
    int max_connections = 0;
    int max_wal_senders = 0;
    int max_worker_processes = 0;
    int max_prepared_transactions = 0;
    int max_locks_per_transaction = 0;
    int max_replication_slots = 0;
    bool operator==(const Settings&) const = default;
};

/// One answer of one server, as it was. Immutable once made; shared between snapshots.
struct Observation {
    Engine engine = Engine::unknown;
    MonoTime asked_at{};     ///< the manager's clock when the question left
    MonoTime answered_at{};  ///< … and when the answer was complete

    std::string system_identifier;  ///< decimal; one value for a primary and all its standbys
    int version_num = 0;            ///< 150018
    std::string version;            ///< "15.18"
    std::string data_directory;     ///< "" when not permitted to see
    uint16_t port = 0;              ///< the port setting; differs from the key's behind a forwarder
    int64_t started_at_us = 0;      ///< postmaster start, microseconds since 1970 by the server's clock

    Role role = Role::unknown;
    Timeline timeline =
        0;         ///< primary: the one it writes; standby: the one it receives, else the one it replays
    Lsn written;   ///< primary: flushed to its disk
    Lsn received;  ///< standby: GREATEST(received, replayed); what promotion would keep
    Lsn replayed;  ///< standby
    /// Standby: it copies the segment of the fork to `timeline` anew, and has come only so far, which is not
    /// yet what it has replayed. Promoted now it would stop for good: PostgreSQL reads its last record from
    /// the copy.
    std::optional<Lsn> half_copied;
    /// Standby: false where all that it has was there when its server was started: it has not met an upstream
    /// since.
    bool received_since_start = true;
    bool replay_paused = false;
    std::optional<milliseconds>
        last_replayed_age;  ///< since the commit time of the last replayed transaction
    Settings settings;
    Upstream upstream;  ///< standby
    std::optional<Receiver> receiver;
    std::vector<Sender> senders;
    std::vector<Slot> slots;
    bool can_see_all = true;  ///< false: pg_monitor is missing, so receiver and sender rows are blind

    bool receiving() const { return receiver && receiver->streaming(); }
    /// The position that counts when candidates are compared.
    Lsn position() const { return role == Role::primary ? written : received; }
    /// Where a standby's WAL ends, in whole records. A primary sends whole pages, and the last one that it
    /// sent before it died may end within a record. A promotion keeps whole records only, so that a sibling
    /// with the same page seems to be past the fork. It is not: its receiver asks again from the beginning of
    /// that record's segment.
    Lsn end_of_records() const;
};

}  // namespace baton::topology
