#include "topology/wal.h"

#include <fmt/format.h>

#include <charconv>

#include "base/text.h"

namespace baton::topology {
namespace {

std::optional<uint32_t> parse_hex32(std::string_view text) {
    uint32_t value = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
    if (ec != std::errc{} || end != text.data() + text.size() || text.empty() || text.size() > 8)
        return std::nullopt;
    return value;
}

}  // namespace

std::string Lsn::text() const {
    return fmt::format("{:X}/{:X}", value >> 32, value & 0xFFFFFFFF);
}

std::optional<Lsn> parse_lsn(std::string_view text) {
    const auto slash = text.find('/');
    if (slash == std::string_view::npos) return std::nullopt;
    const auto high = parse_hex32(text.substr(0, slash));
    const auto low = parse_hex32(text.substr(slash + 1));
    if (!high || !low) return std::nullopt;
    return Lsn{static_cast<uint64_t>(*high) << 32 | *low};
}

std::optional<Lsn> TimelineHistory::left_at(Timeline old) const {
    for (const auto& s : ancestors) {
        if (s.timeline == old) return s.at;
    }
    return std::nullopt;
}

std::optional<TimelineHistory> parse_timeline_history(Timeline timeline, std::string_view text) {
    TimelineHistory history{timeline, {}};
    for (const auto& line : split(text, '\n')) {
        const auto content = trim(line);
        if (content.empty() || content.starts_with('#')) continue;
        const auto first = content.find_first_of(" \t");
        if (first == std::string_view::npos) return std::nullopt;
        const auto rest = trim(content.substr(first));
        const auto number = parse_uint(content.substr(0, first));
        const auto lsn = parse_lsn(rest.substr(0, rest.find_first_of(" \t")));
        if (!number || *number == 0 || *number >= timeline || !lsn) return std::nullopt;
        if (!history.ancestors.empty() && history.ancestors.back().timeline >= *number) return std::nullopt;
        history.ancestors.push_back({static_cast<Timeline>(*number), *lsn});
    }
    return history;
}

Ancestry ancestry(Timeline timeline, Lsn position, Timeline primary, const TimelineHistory* history) {
    if (timeline == 0 || primary == 0) return Ancestry::unknown;
    if (timeline == primary) return Ancestry::same;
    if (timeline > primary) return Ancestry::foreign;
    if (history == nullptr || history->timeline != primary) return Ancestry::unknown;
    const auto left = history->left_at(timeline);
    if (!left) return Ancestry::foreign;
    return position <= *left ? Ancestry::behind : Ancestry::diverged;
}

bool same_number_other_branch(const TimelineHistory* a, const TimelineHistory* b) {
    return a != nullptr && b != nullptr && a->timeline == b->timeline && a->ancestors != b->ancestors;
}

}  // namespace baton::topology
