#include <algorithm>
#include <unordered_map>

#include "http/v1/answer.h"
#include "http/v1/json_parts.h"
#include "http/v1/routes.h"
#include "http/v1/status.h"

namespace baton::http::v1 {

namespace {

using Wanted = std::function<bool(const Problem&)>;

/// All that is wrong with one server: its failure where it has one, and its structure warnings.
struct Finding {
    const Problem* problem = nullptr;  ///< the failure, else the first warning
    std::vector<std::string_view> structure;

    void add(const Problem& p) {
        const auto& code = analysis::info(p.code);
        if (code.structure) structure.push_back(code.name);
        if (!problem || (!code.structure && analysis::info(problem->code).structure)) problem = &p;
    }
};

/// One for each server, in the order in which the view has them.
std::vector<Finding> findings(const View& view, const Wanted& wanted) {
    std::vector<Finding> found;
    std::unordered_map<InstanceKey, size_t> places;
    if (!view.problems) return found;
    for (const auto& problem : *view.problems) {
        if (!wanted(problem)) continue;
        const auto place = places.emplace(problem.instance, found.size()).first->second;
        if (place == found.size()) found.emplace_back();
        found[place].add(problem);
    }
    return found;
}

Response analysis_answer(const View& view, const Wanted& wanted) {
    return ok("Analysis", array_json(findings(view, wanted), [&](JsonWriter& out, const Finding& f) {
                  write_analysis(out, view, *f.problem, f.structure);
              }));
}

Result<Response> analysis_of_all(const View& view, const Request&) {
    return analysis_answer(view, [](const Problem&) { return true; });
}

Result<Response> analysis_of_cluster(const View& view, const Request& request) {
    const auto cluster = known_cluster(view, text_param(request, "clusterName"));
    if (!cluster) return std::unexpected(cluster.error());
    return analysis_answer(view, [&](const Problem& p) { return p.cluster_id == (*cluster)->id; });
}

Result<Response> analysis_of_instance(const View& view, const Request& request) {
    const auto key = canonical_key(view, request);
    if (!key) return std::unexpected(key.error());
    return analysis_answer(view, [&](const Problem& p) { return p.instance == *key; });
}

Result<Response> problems(const View& view, const Request& request) {
    const auto hint = text_param(request, "clusterName");
    const auto only = hint.empty() ? Result<ClusterPtr>(nullptr) : known_cluster(view, hint);
    if (!only) return std::unexpected(only.error());
    std::vector<InstancePtr> found;
    for (const auto& [id, cluster] : view.topology->clusters) {
        if (*only && cluster != *only) continue;
        std::ranges::copy_if(cluster->instances, std::back_inserter(found), [&](const InstancePtr& i) {
            return !instance_problems(view, *i).empty() && !in_force(i->downtime, view.wall) &&
                   !ignored_as_problem(view, i->key);
        });
    }
    return bare(found.empty() ? "null" : instances_json(view, std::move(found)));
}

void write_changes(JsonWriter& out, const InstanceKey& key, std::span<const store::AnalysisChange> changes) {
    out.begin_object();
    out.key("AnalyzedInstanceKey");
    write_key(out, key);
    out.key("Changelog").begin_array();
    for (const auto& change : changes) {
        const bool closed = change.codes.ends_with(',');
        out.value(iso_time(change.at) + ";" + change.codes + (closed ? "" : ","));
    }
    out.end_array().end_object();
}

Task<Result<Response>> change_log(const Context& context, const Request&) {
    auto json = co_await context.on_control([](Control& c) {
        const auto& changes = c.record().analysis_changes;
        if (changes.empty()) return std::string("null");
        return array_json(changes, [](JsonWriter& out, const auto& entry) {
            write_changes(out, entry.first, entry.second);
        });
    });
    co_return bare(std::move(json));
}

}  // namespace

std::vector<Route> analysis_routes() {
    Table table;
    table.read("/api/replication-analysis", analysis_of_all, "What is wrong now, downtimed servers included.")
        .read("/api/replication-analysis/:clusterName", analysis_of_cluster, "What is wrong in one cluster.")
        .read("/api/replication-analysis/instance/:host/:port", analysis_of_instance,
              "What is wrong with one instance.")
        .ask("/api/replication-analysis-changelog", change_log, "How the analysis of each instance changed.")
        .read("/api/problems /api/problems/:clusterName", problems,
              "Instances with problems, without downtimed ones.");
    return table.take();
}

}  // namespace baton::http::v1
