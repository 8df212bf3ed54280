#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json_writer.h"
#include "http/route.h"

/// The second API: {"status","data","error","message"} around objects with the names of the first one, and
/// what only Baton has.
namespace baton::http::v2 {

// ---- Answers ----------------------------------------------------------------------------------------------
/// {"status":"ok","data":…}; no data key when `data` is empty.
Response ok(std::string_view data);
/// {"status":"error","error":{"code":…,"message":…}}
Response error(int status, std::string_view code, std::string_view message);
/// `code` is for errors that have no code of their own.
Response error(const Error& error, std::string_view code);

// ---- Reading the request ----------------------------------------------------------------------------------
/// The key of ":host" and ":port"; an IPv6 address may come with or without brackets.
Result<topology::InstanceKey> named_key(const Request& request);

// ---- Writers; pure, each adds one value -------------------------------------------------------------------
/// ClusterInfo, then the stable id, former names, timeline, and where each instance stands.
void write_cluster_detail(JsonWriter& out, const control::View& view, const topology::Cluster& cluster);
void write_problem(JsonWriter& out, const control::View& view, const analysis::Problem& problem);
void write_plan(JsonWriter& out, const control::View& view, const plan::Plan& plan);
/// TopologyRecovery, then the evidence and the steps with their milliseconds.
void write_recovery_detail(JsonWriter& out, const control::View& view, const store::Recovery& recovery,
                           const std::vector<store::RecoveryStep>& steps);

/// One guarded server: its agent, what it said last, its lease and its job.
void write_agent(JsonWriter& out, const control::View& view, const agent::Seen& seen);

/// What is done to bring a server back.
void write_rejoin(JsonWriter& out, const recovery::RejoinState& state);

// ---- Handlers of v2_rejoin.cc -----------------------------------------------------------------------------
Task<Response> rejoin(const Context& context, const Request& request);
Task<Response> reinit(const Context& context, const Request& request);
Task<Response> clone(const Context& context, const Request& request);
Task<Response> rejoin_plan(const Context& context, const Request& request);
Task<Response> rejoin_status(const Context& context, const Request& request);
Task<Response> cancel_rejoin(const Context& context, const Request& request);
Task<Response> rejoins(const Context& context, const Request& request);

// ---- Handlers of v2_switchover.cc -------------------------------------------------------------------------
Task<Response> switchover(const Context& context, const Request& request);
Task<Response> switchover_plan(const Context& context, const Request& request);
Task<Response> cancel_switchover(const Context& context, const Request& request);
Task<Response> scheduled_switchovers(const Context& context, const Request& request);

// ---- Handlers of v2_agents.cc -----------------------------------------------------------------------------
Task<Response> agents(const Context& context, const Request& request);
Task<Response> agent(const Context& context, const Request& request);

}  // namespace baton::http::v2
