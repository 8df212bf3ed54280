#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace baton::cli {

enum class Tone : uint8_t { plain, strong, good, warn, bad, faint };

/// Colours for a terminal; without them, text goes through as it is.
class Paint {
  public:
    explicit Paint(bool on) : on_(on) {}
    std::string operator()(Tone tone, std::string_view text) const;
    bool on() const { return on_; }

  private:
    bool on_;
};

struct Cell {
    std::string text;
    Tone tone = Tone::plain;
    Cell(std::string t, Tone tone_of = Tone::plain)
        : text(std::move(t)), tone(tone_of) {}  // NOLINT: meant to convert
};

/// Columns padded to their widest cell, two blanks between them; the last is not padded.
class Table {
  public:
    explicit Table(std::vector<std::string> titles) : titles_(std::move(titles)) {}
    void add(std::vector<Cell> row) { rows_.push_back(std::move(row)); }
    bool empty() const { return rows_.empty(); }
    std::string text(const Paint& paint) const;

  private:
    std::vector<std::string> titles_;
    std::vector<std::vector<Cell>> rows_;
};

/// The API's ASCII tree with colours: state, lag, writable ones, broken links.
std::string paint_tree(std::string_view tree, const Paint& paint);

}  // namespace baton::cli
