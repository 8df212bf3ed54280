#pragma once

#include <string>
#include <vector>

#include "base/time.h"
#include "topology/wal.h"

/// What is going on at a server, asked for on purpose: before it is stopped in order, and not with each look.
namespace baton::topology {

/// A transaction of a client that has been open for longer than a second. What it has not committed ends with
/// the server.
struct OpenTransaction {
    int pid = 0;
    std::string user;
    std::string application;
    std::string state;  ///< "active", "idle in transaction", …
    milliseconds age{};
    bool operator==(const OpenTransaction&) const = default;
};

/// Its consumer goes on at another server only where that one has it, too (PostgreSQL manual, 47.2.3).
struct LogicalSlot {
    std::string name;
    bool failover = false;  ///< PG 17+: standbys keep a copy of it
    bool synced = false;    ///< PG 17+, on a standby: this is such a copy
    bool temporary = false;
    Lsn confirmed;        ///< its consumer has everything before this
    std::string invalid;  ///< why it cannot be used any more; ""
    bool operator==(const LogicalSlot&) const = default;
};

struct Activity {
    std::vector<std::string> base_backups;      ///< "pg_basebackup of repl from 10.0.0.5"
    std::vector<OpenTransaction> transactions;  ///< the oldest first, at most 20
    std::vector<LogicalSlot> logical_slots;
    bool archiving_fails = false;  ///< the last attempt to archive a segment failed
    bool copies_slots = false;     ///< PG 17+: sync_replication_slots
    /// PG 17+, synchronized_standby_slots: as a primary it tells consumers nothing before these have it.
    std::vector<std::string> consumers_wait_for;
    bool operator==(const Activity&) const = default;
};

}  // namespace baton::topology
