#include "http/router.h"

#include "base/text.h"

namespace baton::http {

struct Router::Node {
    std::map<std::string, std::unique_ptr<Node>, std::less<>> literals;
    std::unique_ptr<Node> any;  ///< a ":name" segment; the name belongs to the route, not to the place
    struct End {
        const Route* route;
        std::vector<std::string> names;
    };
    std::map<std::string, End, std::less<>> ends;  ///< by method

    /// Collects in `values` what the ":name" segments took.
    const End* find(std::string_view method, std::span<const std::string> rest,
                    std::vector<std::string>& values) const {
        if (rest.empty()) {
            const auto it = ends.find(method);
            return it == ends.end() ? nullptr : &it->second;
        }
        if (rest.front().empty()) return nullptr;
        if (const auto it = literals.find(rest.front()); it != literals.end()) {
            if (const auto* end = it->second->find(method, rest.subspan(1), values)) return end;
        }
        if (!any) return nullptr;
        values.push_back(rest.front());
        const auto* end = any->find(method, rest.subspan(1), values);
        if (!end) values.pop_back();
        return end;
    }
};

Router::Router(std::vector<Route> routes, std::string_view prefix, std::vector<Route> literal_routes)
    : root_(std::make_unique<Node>()) {
    for (auto& route : routes) {
        routes_.push_back(std::make_unique<const Route>(std::move(route)));
        add(*routes_.back(), prefix);
    }
    for (auto& route : literal_routes) {
        routes_.push_back(std::make_unique<const Route>(std::move(route)));
        add(*routes_.back(), "");
    }
}

Router::~Router() = default;

void Router::add(const Route& route, std::string_view prefix) {
    auto* node = root_.get();
    std::vector<std::string> names;
    for (const auto& segment : split(std::string(prefix) + route.pattern, '/')) {
        if (segment.empty()) continue;
        if (segment.front() == ':') names.push_back(segment.substr(1));
        auto& next = segment.front() == ':' ? node->any : node->literals[segment];
        if (!next) next = std::make_unique<Node>();
        node = next.get();
    }
    if (!node->ends.emplace(route.method, Node::End{&route, std::move(names)}).second)
        duplicates_.push_back(route.pattern);
}

std::optional<Router::Match> Router::find(std::string_view method,
                                          std::span<const std::string> segments) const {
    std::vector<std::string> values;
    const auto* end = root_->find(method == "HEAD" ? "GET" : method, segments, values);
    if (!end) return {};
    Match match{.route = end->route, .params = {}};
    for (size_t n = 0; n < values.size(); ++n)
        match.params.emplace(end->names[n], std::move(values[n]));
    return match;
}

}  // namespace baton::http
