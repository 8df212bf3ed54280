#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/text.h"
#include "http/v1/json.h"
#include "http/v1/status.h"

namespace baton::http::v1 {

namespace {

struct Line {
    std::string name;                 ///< indent, marker, host:port
    std::vector<std::string> tokens;  ///< lag, status, version, ro|rw, log format, extras
    std::string tags;
};

std::string lag_token(const InstanceStatus& s) {
    if (!s.last_check_valid || !s.recently_checked) return "unknown";
    if (!s.replica) return "0s";
    if (!s.running() || !s.lag_seconds) return "null";
    return fmt::format("{}s", *s.lag_seconds);
}

std::string status_token(const View& view, const InstanceStatus& s) {
    if (!s.last_check_valid) return "invalid";
    if (!s.recently_checked) return "unchecked";
    if (s.replica && !s.running()) return "nonreplicating";
    if (s.lags_more_than(view.config->ReasonableMaintenanceReplicationLagSeconds)) return "lag";
    return "ok";
}

std::vector<std::string> tokens_of(const View& view, const Instance& i, const InstanceStatus& s) {
    const bool read_only = !i.is_primary() || (i.seen && i.seen->settings.default_transaction_read_only);
    // PostgreSQL's log has no format to tell, and every server of it can be replicated from: ">>".
    return {lag_token(s),
            status_token(view, s),
            i.seen ? i.seen->version : "",
            read_only ? "ro" : "rw",
            "",
            s.downtimed ? ">>,downtimed" : ">>"};
}

std::string tag_list(const Instance& i) {
    auto tags = i.tags;
    std::ranges::sort(tags);
    std::vector<std::string> texts;
    for (const auto& t : tags)
        texts.push_back(t.value.empty() ? t.name : t.name + "=" + t.value);
    return join(texts, ",");
}

std::string marker(const InstanceStatus& s, int level) {
    if (level == 0) return "";
    const bool replicating = s.running() && s.last_check_valid && s.recently_checked;
    return std::string(static_cast<size_t>(2 * (level - 1)), ' ') + (replicating ? "+ " : "- ");
}

/// Walks the tree from its roots, each server once, even if the edges should form a ring.
class Tree {
  public:
    Tree(const Cluster& cluster, const View& view) : cluster_(cluster), view_(view) {}

    std::vector<Line> lines() {
        for (const auto* root : roots())
            add(*root, 0);
        for (const auto& i : cluster_.instances)
            add(*i, 0);
        return std::move(lines_);
    }

  private:
    std::vector<const Instance*> roots() const {
        std::vector<const Instance*> found;
        for (const auto& i : cluster_.instances) {
            if (i->is_primary() || !i->upstream || !cluster_.find(*i->upstream)) found.push_back(i.get());
        }
        const auto* leader = cluster_.primary();
        std::ranges::sort(found, {},
                          [&](const Instance* i) { return std::make_tuple(i != leader, i->depth, i->key); });
        return found;
    }

    void add(const Instance& instance, int level) {
        if (!seen_.insert(instance.key).second) return;
        const auto status = status_of(view_, instance);
        lines_.push_back({.name = marker(status, level) + instance.key.text(),
                          .tokens = tokens_of(view_, instance, status),
                          .tags = tag_list(instance)});
        auto below = cluster_.replicas_of(instance.key);
        std::ranges::sort(below, {}, [](const Instance* i) { return i->key; });
        for (const auto* replica : below)
            add(*replica, level + 1);
    }

    const Cluster& cluster_;
    const View& view_;
    std::set<InstanceKey> seen_;
    std::vector<Line> lines_;
};

std::string bracketed(const Line& line, size_t width, bool with_tags) {
    std::vector<std::string> shown;
    std::ranges::copy_if(line.tokens, std::back_inserter(shown),
                         [](const std::string& t) { return !t.empty(); });
    auto text = fmt::format("{:<{}} [{}]", line.name, width, join(shown, ","));
    return with_tags ? fmt::format("{} [{}]", text, line.tags) : text;
}

std::string bracketed_text(std::span<const Line> lines, bool with_tags) {
    size_t width = 0;
    for (const auto& l : lines)
        width = std::max(width, l.name.size());
    std::vector<std::string> texts;
    for (const auto& l : lines)
        texts.push_back(bracketed(l, width, with_tags));
    return join(texts, "\n");
}

std::string tabulated_text(std::vector<Line> lines) {
    constexpr size_t lag_column = 1;
    std::vector<size_t> widths;
    for (auto& l : lines) {
        l.tokens.insert(l.tokens.begin(), l.name);
        widths.resize(l.tokens.size());
        for (size_t c = 0; c < l.tokens.size(); ++c)
            widths[c] = std::max(widths[c], l.tokens[c].size());
    }
    std::vector<std::string> texts;
    for (auto& l : lines) {
        for (size_t c = 0; c < l.tokens.size(); ++c) {
            l.tokens[c] = c == lag_column ? fmt::format("{:>{}}", l.tokens[c], widths[c])
                                          : fmt::format("{:<{}}", l.tokens[c], widths[c]);
        }
        texts.push_back(join(l.tokens, "|"));
    }
    return join(texts, "\n");
}

}  // namespace

std::string ascii_topology(const Cluster& cluster, const View& view, TopologyStyle style) {
    auto lines = Tree(cluster, view).lines();
    if (style == TopologyStyle::tabulated) return tabulated_text(std::move(lines));
    return bracketed_text(lines, style == TopologyStyle::tags);
}

}  // namespace baton::http::v1
