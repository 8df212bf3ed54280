#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_writer.h"
#include "control/control.h"

/// Pieces that several of the shapes in json.h have in common.
namespace baton::http::v1 {

/// What ClusterInfo is written from, where there is no cluster in the view.
struct ClusterDetails {
    std::string name;
    std::string alias;
    std::string domain;
    std::vector<std::string> other_names = {};  ///< former names and id: cluster filters match them, too
    size_t instances = 0;
    int64_t lag_seconds = 0;
};
/// write_analysis() with the structure warnings of the server given: whoever writes many looks them up once.
void write_analysis(JsonWriter& out, const control::View& view, const analysis::Problem& problem,
                    std::span<const std::string_view> structure);

void write_cluster_details(JsonWriter& out, const control::View& view, const ClusterDetails& details);

}  // namespace baton::http::v1
