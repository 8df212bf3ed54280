#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "http/route.h"

namespace baton::http {

/// Finds the route of a path: a tree of segments. A literal segment goes before a ":name" one; where the
/// literal branch leads nowhere, the other is tried. Immutable once made, so any thread may ask.
class Router {
  public:
    /// `prefix` ("" or "/baton") stands in front of every route that is not in `literal_routes`.
    Router(std::vector<Route> routes, std::string_view prefix, std::vector<Route> literal_routes = {});
    ~Router();
    Router(const Router&) = delete;
    Router& operator=(const Router&) = delete;

    struct Match {
        const Route* route = nullptr;
        std::map<std::string, std::string> params;
    };
    /// HEAD is answered by the GET route. An empty segment matches nothing.
    std::optional<Match> find(std::string_view method, std::span<const std::string> segments) const;

    /// Patterns that came twice; the first one counts.
    const std::vector<std::string>& duplicates() const { return duplicates_; }
    size_t size() const { return routes_.size(); }

  private:
    struct Node;
    void add(const Route& route, std::string_view prefix);

    std::vector<std::unique_ptr<const Route>> routes_;
    std::unique_ptr<Node> root_;
    std::vector<std::string> duplicates_;
};

}  // namespace baton::http
