#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace baton::config {

/// A regular expression as users of orchestrator write it: Go's syntax (no references to groups, no looking
/// ahead), on UTF-8; searched anywhere in the text, not anchored. At most 1,024 characters; in texts longer
/// than that nothing is found. A search takes time in proportion to the length of the text. Copies share the
/// compiled form; use from any thread.
class Pattern {
  public:
    /// kind invalid_argument with the reason when `text` is no regular expression, or uses what is not
    /// supported.
    static Result<Pattern> compile(std::string_view text);

    bool found_in(std::string_view subject) const;
    /// What the first group matched (maybe ""), or nothing when the pattern is not found.
    std::optional<std::string> first_group(std::string_view subject) const;
    size_t groups() const;
    const std::string& text() const { return text_; }

  private:
    struct Compiled;
    Pattern(std::string text, std::shared_ptr<const Compiled> compiled)
        : text_(std::move(text)), compiled_(std::move(compiled)) {}

    std::string text_;
    std::shared_ptr<const Compiled> compiled_;
};

}  // namespace baton::config
