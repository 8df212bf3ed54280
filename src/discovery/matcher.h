#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "discovery/member.h"

/// Pure: who streams from whom, by what both sides say, and where an unknown one could be looked for.
namespace baton::discovery {

/// Where a standby says that its WAL comes from, best evidence first: the sender of a live receiver, else a
/// conninfo that names one host, else nothing (a multi-host conninfo without a receiver does not say which).
/// A Unix socket and a loopback address mean the standby's own machine.
std::optional<InstanceKey> upstream_of(const InstanceKey& standby, const Observation& seen);

/// Every host that a standby's conninfo lists, as places to look for servers of its cluster.
std::vector<InstanceKey> conninfo_hosts(const InstanceKey& standby, const Observation& seen);

using AddressesOf = std::function<std::vector<std::string>(const std::string& host)>;

/// Rows of `upstream`'s pg_stat_replication that no known member explains. A member explains at most one row:
/// it must say that it streams from `upstream`, and slot, application name or address must agree.
std::vector<const topology::Sender*> unexplained_senders(const Member& upstream,
                                                         std::span<const Member* const> members,
                                                         const AddressesOf& addresses);

/// Places to look for the server behind a row, in the order to try: application_name of the form host:port;
/// its address with the default port, the upstream's own port, then the configured candidates.
std::vector<InstanceKey> guesses(const topology::Sender& row, const InstanceKey& upstream,
                                 uint16_t default_port, std::span<const uint16_t> candidates);

}  // namespace baton::discovery
