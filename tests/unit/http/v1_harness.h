#pragma once

#include <boost/json.hpp>
#include <fstream>

#include "base/text.h"
#include "fake_control.h"
#include "http/route.h"
#include "http/router.h"

/// Asks the v1 table as a client would, without a server in between.
namespace baton::http::testing {

inline std::vector<std::string> lines_of(const std::string& file) {
    std::ifstream in(std::string(BATON_SOURCE_DIR) + "/tests/unit/http/" + file);
    std::vector<std::string> lines;
    for (std::string line; std::getline(in, line);)
        lines.push_back(line);
    return lines;
}

inline std::vector<std::string> names_in(const boost::json::value& object) {
    std::vector<std::string> names;
    for (const auto& member : object.as_object())
        names.emplace_back(member.key());
    return names;
}

class V1World : public FakeWorld {
  public:
    V1World() : router_(v1_routes(), "") {}

    /// `path` without "/api/"; may have a query, whose values are taken literally.
    Response get(const std::string& path) {
        const auto question = path.find('?');
        Request request{.method = "GET", .path = "/api/" + path.substr(0, question), .remote = "192.0.2.1"};
        request.user = "alice";
        if (question != std::string::npos) {
            for (const auto& pair : split(path.substr(question + 1), '&')) {
                const auto equals = pair.find('=');
                request.query[pair.substr(0, equals)] =
                    equals == std::string::npos ? "" : pair.substr(equals + 1);
            }
        }
        const auto segments = split(request.path.substr(1), '/');
        const auto match = router_.find("GET", segments);
        if (!match) return {.status = 404, .body = "no such route: " + path};
        request.params = match->params;
        const Context context{control};
        return run_task(match->route->handler(context, request));
    }
    boost::json::value json(const std::string& path) { return boost::json::parse(get(path).body); }
    std::string message(const std::string& path) { return std::string(json(path).at("Message").as_string()); }

    /// Puts other instances into the sample cluster.
    void set_instances(std::vector<topology::Instance> instances) {
        topology::Cluster cluster;
        cluster.id = sample_cluster_id;
        cluster.name = "db1:5432";
        cluster.alias = "shop";
        for (auto& i : instances)
            cluster.instances.push_back(std::make_shared<const topology::Instance>(std::move(i)));
        auto topology = std::make_shared<topology::Topology>();
        add_cluster(*topology, std::move(cluster));
        control.change_view([&](control::View& v) { v.topology = topology; });
    }

  private:
    Router router_;
};

}  // namespace baton::http::testing
