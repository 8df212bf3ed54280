#pragma once

#include "cli/classic.h"

/// Commands of orchestrator that are more than one request and one way to print.
namespace baton::cli::special {

int which_api(const Call& call);
int api(const Call& call);
int find(const Call& call);
int can_replicate(const Call& call);
int tag_value(const Call& call);
int pool_instances(const Call& call);
int acknowledge(const Call& call);
int recover(const Call& call);
int raft_leader(const Call& call);
int raft_leader_hostname(const Call& call);
int raft_elect_leader(const Call& call);

}  // namespace baton::cli::special
