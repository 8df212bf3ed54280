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

// ---- Writers; pure, each adds one value -------------------------------------------------------------------
/// ClusterInfo, then the stable id, former names, timeline, and where each instance stands.
void write_cluster_detail(JsonWriter& out, const control::View& view, const topology::Cluster& cluster);
void write_problem(JsonWriter& out, const control::View& view, const analysis::Problem& problem);
void write_plan(JsonWriter& out, const control::View& view, const plan::Plan& plan);
/// TopologyRecovery, then the evidence and the steps with their milliseconds.
void write_recovery_detail(JsonWriter& out, const control::View& view, const store::Recovery& recovery,
                           const std::vector<store::RecoveryStep>& steps);

}  // namespace baton::http::v2
