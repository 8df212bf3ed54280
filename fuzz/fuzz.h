#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/text.h"

/// What the targets share. A target is one file with LLVMFuzzerTestOneInput(); a rule that does not hold ends
/// the process, and libFuzzer keeps the input. Inputs are lines of text, so that a person can write and read
/// them.
namespace baton::fuzz {

/// Longest message that an input may lead to: whatever it quotes is cut.
inline constexpr size_t longest_message = 4096;

inline std::string_view text_of(const uint8_t* data, size_t size) {
    return {reinterpret_cast<const char*>(data), size};
}

/// `about` helps whoever reads the report.
inline void require(bool holds, std::string_view rule, std::string_view about = {}) {
    if (holds) return;
    std::fprintf(stderr, "BROKEN RULE: %.*s\n  %s\n", static_cast<int>(rule.size()), rule.data(),
                 printable(about, longest_message).c_str());
    std::abort();
}

/// Fit for one line of a log or a terminal.
inline void require_plain(std::string_view text, std::string_view rule) {
    require(printable(text, text.size()) == text, rule, text);
    require(text.size() <= longest_message, "a message has a limit", text);
}

inline void require_plain(const Error& error) {
    require(!error.message.empty(), "an error says something");
    require_plain(error.text(), "the text of an error is UTF-8 on one line, without control characters");
}

inline void require_json(std::string_view text, std::string_view rule) {
    boost::system::error_code code;
    static_cast<void>(boost::json::parse(boost::json::string_view(text.data(), text.size()), code));
    require(!code, rule, text);
}

/// Takes an input apart.
class Lines {
  public:
    explicit Lines(std::string_view text) : rest_(text) {}

    bool empty() const { return rest_.empty(); }
    /// "" when nothing is left.
    std::string_view next() {
        const auto end = rest_.find('\n');
        const auto line = rest_.substr(0, end);
        rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
        return line;
    }
    std::string_view rest() const { return rest_; }
    std::vector<std::string> all() {
        std::vector<std::string> lines;
        while (!rest_.empty())
            lines.emplace_back(next());
        return lines;
    }

  private:
    std::string_view rest_;
};

}  // namespace baton::fuzz
