#include "cli/paint.h"

#include <algorithm>

#include "base/text.h"

namespace baton::cli {
namespace {

std::string_view escape_of(Tone tone) {
    switch (tone) {
        case Tone::plain:
            return "";
        case Tone::strong:
            return "\x1b[1m";
        case Tone::good:
            return "\x1b[32m";
        case Tone::warn:
            return "\x1b[33m";
        case Tone::bad:
            return "\x1b[31m";
        case Tone::faint:
            return "\x1b[2m";
    }
    return "";
}

/// Code points, not bytes: enough for the names and signs that occur here.
size_t width(std::string_view text) {
    return static_cast<size_t>(std::ranges::count_if(text, [](char c) { return (c & 0xC0) != 0x80; }));
}

bool is_seconds(std::string_view token) {
    return token.size() > 1 && token.ends_with('s') &&
           parse_uint(token.substr(0, token.size() - 1)).has_value();
}

Tone token_tone(std::string_view token) {
    if (token == "ok") return Tone::good;
    if (token == "rw") return Tone::strong;
    if (token == "lag") return Tone::warn;
    if (token == "downtimed") return Tone::faint;
    if (is_seconds(token)) return token == "0s" ? Tone::plain : Tone::warn;
    for (const std::string_view bad :
         {"invalid", "unchecked", "nonreplicating", "unknown", "null", "detached"})
        if (token == bad) return Tone::bad;
    return token.starts_with("GTID:errant") ? Tone::bad : Tone::plain;
}

std::string paint_description(std::string_view description, const Paint& paint) {
    std::string out;
    for (const auto& token : split(description, ',')) {
        if (!out.empty()) out += ',';
        out += paint(token_tone(token), token);
    }
    return out;
}

std::string paint_tree_line(std::string_view line, const Paint& paint) {
    // An IPv6 host has brackets of its own: the description is what stands in brackets after a blank.
    const auto blank = line.find(" [");
    const auto open = blank == std::string_view::npos ? blank : blank + 1;
    const auto close = open == std::string_view::npos ? open : line.find(']', open);
    if (close == std::string_view::npos) return std::string(line);
    const std::string_view description = line.substr(open + 1, close - open - 1);
    std::string_view name = line.substr(0, open);
    std::string out;
    const auto marker = name.find_first_not_of(' ');
    if (marker != std::string_view::npos && name.substr(marker).starts_with("- ")) {
        out = std::string(name.substr(0, marker)) + paint(Tone::bad, "-");
        name.remove_prefix(marker + 1);
    }
    const bool downtimed = description.ends_with("downtimed");
    out += paint(downtimed ? Tone::faint : Tone::strong, name);
    return out + "[" + paint_description(description, paint) + std::string(line.substr(close));
}

}  // namespace

std::string Paint::operator()(Tone tone, std::string_view text) const {
    const auto escape = escape_of(tone);
    if (!on_ || escape.empty() || text.empty()) return std::string(text);
    return std::string(escape) + std::string(text) + "\x1b[0m";
}

std::string Table::text(const Paint& paint) const {
    std::vector<size_t> widths;
    widths.reserve(titles_.size());
    for (const auto& title : titles_)
        widths.push_back(width(title));
    for (const auto& row : rows_)
        for (size_t i = 0; i < row.size() && i < widths.size(); ++i)
            widths[i] = std::max(widths[i], width(row[i].text));
    const auto line = [&](const std::vector<Cell>& cells) {
        std::string out;
        for (size_t i = 0; i < cells.size() && i < widths.size(); ++i) {
            out += paint(cells[i].tone, cells[i].text);
            if (i + 1 < cells.size()) out.append(widths[i] - width(cells[i].text) + 2, ' ');
        }
        out.erase(out.find_last_not_of(' ') + 1);
        return out + "\n";
    };
    std::vector<Cell> heads;
    heads.reserve(titles_.size());
    for (const auto& title : titles_)
        heads.emplace_back(title, Tone::faint);
    std::string out = line(heads);
    for (const auto& row : rows_)
        out += line(row);
    return out;
}

std::string paint_tree(std::string_view tree, const Paint& paint) {
    if (!paint.on()) return std::string(tree);
    std::string out;
    for (const auto& line : split(tree, '\n')) {
        if (!out.empty()) out += '\n';
        out += paint_tree_line(line, paint);
    }
    return out;
}

}  // namespace baton::cli
