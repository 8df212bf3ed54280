#pragma once

#include <string>
#include <string_view>

#include "agent/protocol.h"
#include "base/clock.h"
#include "base/subprocess.h"
#include "host/options.h"

/// What the WAL of a data directory has past a position, as pg_waldump reads it: whether a rewind would lose
/// anything. Changes nothing, and the server may run.
namespace baton::host {

struct WalPastAnswer {
    topology::WalPast past;
    std::string commits;  ///< for people: transactions and when they were committed, the first ones
};

/// What `pg_waldump --rmgr=Transaction --stats=record` says, from `position` to the end of the WAL. Error
/// unsupported: it says something else.
Result<topology::WalPast> parse_wal_past(std::string_view said, topology::Lsn position);
/// "725 at 0/1527B10 (2026-11-21 04:28:09.48 UTC), …" of what it says without --stats.
std::string parse_commits(std::string_view said, int64_t all);

/// Order wal_past: order.timeline, order.position. Errors: timeout, io, unsupported.
Task<Result<WalPastAnswer>> read_wal_past(Clock& clock, ProcessRunner& processes,
                                          const InstanceOptions& instance, agent::Order order);

}  // namespace baton::host
