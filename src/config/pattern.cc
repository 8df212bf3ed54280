// RE2 is of the family of Go's regexp: the same syntax, and searches in time proportional to the subject,
// which matters since some expressions come over the API.
#include "config/pattern.h"

#include <fmt/core.h>
#include <re2/re2.h>

#include <algorithm>

#include "base/text.h"

namespace baton::config {
namespace {

constexpr size_t longest_pattern = 1024;
constexpr ptrdiff_t most_parentheses = 250;
constexpr size_t longest_subject = 1024;
constexpr int64_t memory_of_one = 1 << 20;
constexpr size_t longest_quote = 60;

RE2::Options options() {
    RE2::Options o;
    o.set_log_errors(false);
    o.set_max_mem(memory_of_one);
    return o;
}

/// Where what begins at `at` and stands for itself ends: an escape, a quotation or a class. `at` when nothing
/// of the kind begins there.
size_t end_of_literal(std::string_view text, size_t at) {
    const auto rest = text.substr(at);
    if (rest.starts_with("\\Q")) return std::min(text.find("\\E", at), text.size());
    if (rest.starts_with('\\')) return std::min(at + 2, text.size());
    if (!rest.starts_with('[')) return at;
    at += rest.starts_with("[^") ? 2 : 1;
    // A bracket that closes stands for itself where a class begins.
    if (text.substr(at).starts_with(']')) ++at;
    while (at < text.size() && text[at] != ']') {
        const auto named = text.substr(at).starts_with("[:") ? text.find(":]", at) : std::string_view::npos;
        if (named != std::string_view::npos) {
            at = named + 2;
        } else {
            at += text[at] == '\\' ? 2 : 1;
        }
    }
    return std::min(at, text.size());
}

/// Newer versions of Go know (?<name>…) beside (?P<name>…).
std::string with_p(std::string_view text) {
    std::string out;
    for (size_t at = 0; at < text.size();) {
        if (const auto end = end_of_literal(text, at); end != at) {
            out += text.substr(at, end - at);
            at = end;
            continue;
        }
        const auto ahead = text.substr(at, 4);
        const bool named =
            ahead.size() == 4 && ahead.starts_with("(?<") && ahead[3] != '=' && ahead[3] != '!';
        out += named ? "(?P<" : text.substr(at, 1);
        at += named ? 3 : 1;
    }
    return out;
}

std::string_view reason(RE2::ErrorCode code) {
    switch (code) {
        case RE2::ErrorBadEscape:
            return "nothing is known by this name after a backslash";
        case RE2::ErrorBadCharClass:
        case RE2::ErrorBadCharRange:
            return "a range or class in square brackets is wrong";
        case RE2::ErrorMissingBracket:
            return "square brackets do not match";
        case RE2::ErrorMissingParen:
        case RE2::ErrorUnexpectedParen:
            return "parentheses do not match";
        case RE2::ErrorTrailingBackslash:
            return "a backslash stands at the end";
        case RE2::ErrorRepeatArgument:
        case RE2::ErrorRepeatOp:
            return "a repetition has nothing to repeat, or is one too many";
        case RE2::ErrorRepeatSize:
        case RE2::ErrorPatternTooLarge:
            return "its repetitions make it too large";
        case RE2::ErrorBadPerlOp:
            return "this is not supported (nor by Go)";
        case RE2::ErrorBadUTF8:
            return "it is not valid UTF-8";
        case RE2::ErrorBadNamedCapture:
            return "the name of a group is wrong or has no end";
        default:
            return "it is no regular expression";
    }
}

}  // namespace

struct Pattern::Compiled {
    explicit Compiled(const std::string& text) : expression(text, options()) {}
    RE2 expression;
};

Result<Pattern> Pattern::compile(std::string_view text) {
    if (text.size() > longest_pattern) {
        return fail(ErrorKind::invalid_argument,
                    fmt::format("it is longer than {} characters", longest_pattern));
    }
    if (std::ranges::count(text, '(') > most_parentheses) {
        return fail(ErrorKind::invalid_argument,
                    fmt::format("it has more than {} parentheses", most_parentheses));
    }
    auto compiled = std::make_shared<Compiled>(with_p(text));
    const auto& made = compiled->expression;
    if (made.ok()) return Pattern(std::string(text), std::move(compiled));
    const auto what = made.error_arg().empty()
                          ? std::string()
                          : fmt::format(": {}", printable(made.error_arg(), longest_quote));
    return fail(ErrorKind::invalid_argument, fmt::format("{}{}", reason(made.error_code()), what));
}

bool Pattern::found_in(std::string_view subject) const {
    return subject.size() <= longest_subject && RE2::PartialMatch(subject, compiled_->expression);
}

std::optional<std::string> Pattern::first_group(std::string_view subject) const {
    if (subject.size() > longest_subject) return std::nullopt;
    re2::StringPiece found[2];
    const int wanted = groups() > 0 ? 2 : 1;
    if (!compiled_->expression.Match(subject, 0, subject.size(), RE2::UNANCHORED, found, wanted))
        return std::nullopt;
    return std::string(found[1]);
}

size_t Pattern::groups() const {
    return static_cast<size_t>(compiled_->expression.NumberOfCapturingGroups());
}

}  // namespace baton::config
