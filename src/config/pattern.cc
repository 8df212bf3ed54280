// std::regex runs by recursion, a level a character, and throws when it meets its limits. Subjects are names
// of hosts and clusters, so a limit on their length costs nobody anything and keeps the stack safe.
#include "config/pattern.h"

#include <fmt/core.h>

#include <regex>

namespace baton::config {
namespace {

constexpr size_t longest_pattern = 1024;
constexpr size_t longest_subject = 1024;
constexpr std::string_view escapes_in_common = "dDwWsSbBtnrfv0123456789x";

struct Translated {
    std::string text;
    bool ignore_case = false;
};

Result<Translated> unsupported(std::string_view what) {
    return fail(ErrorKind::invalid_argument, fmt::format("{} is not supported", what));
}

/// From Go's syntax to ECMAScript's, a piece at a time.
class Translator {
  public:
    explicit Translator(std::string_view text) : text_(text) {}

    Result<Translated> run() {
        if (auto flags = leading_flags(); !flags) return flags;
        while (at_ < text_.size()) {
            const bool first_in_group = first_in_group_;
            first_in_group_ = false;
            if (first_in_group && std::string_view("*+?").contains(text_[at_])) {
                return fail(ErrorKind::invalid_argument, "a repetition (* + ?) has nothing before it");
            }
            Result<Translated> step = text_[at_] == '\\' ? escape() : text_[at_] == '(' ? group() : plain();
            if (!step) return step;
        }
        return out_;
    }

  private:
    bool next_is(std::string_view what) const { return text_.substr(at_).starts_with(what); }

    Result<Translated> leading_flags() {
        if (!next_is("(?")) return out_;
        const size_t end = text_.find_first_not_of("ims", 2);
        if (end == std::string_view::npos || end == 2 || text_[end] != ')') return out_;
        out_.ignore_case = text_.substr(2, end - 2).contains('i');
        at_ = end + 1;
        return out_;
    }

    Result<Translated> escape() {
        if (at_ + 1 >= text_.size()) return fail(ErrorKind::invalid_argument, "it ends in a backslash");
        const char c = text_[at_ + 1];
        if (c == 'Q') return quoted();
        const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (c == 'A' || c == 'z') {
            out_.text += c == 'A' ? '^' : '$';
        } else if (letter && !escapes_in_common.contains(c)) {
            return unsupported(fmt::format("\\{}", c));
        } else {
            out_.text.append({'\\', c});
        }
        at_ += 2;
        return out_;
    }

    Result<Translated> quoted() {
        at_ += 2;
        const size_t end = std::min(text_.find("\\E", at_), text_.size());
        for (; at_ < end; ++at_) {
            if (std::string_view(R"(^$\.*+?()[]{}|)").contains(text_[at_])) out_.text += '\\';
            out_.text += text_[at_];
        }
        at_ = std::min(end + 2, text_.size());
        return out_;
    }

    Result<Translated> group() {
        if (next_is("(?P<") || (next_is("(?<") && !next_is("(?<=") && !next_is("(?<!"))) {
            const size_t end = text_.find('>', at_);
            if (end == std::string_view::npos)
                return fail(ErrorKind::invalid_argument, "a group's name has no end");
            return open_group("(", end + 1);
        }
        if (next_is("(?:") || next_is("(?=") || next_is("(?!"))
            return open_group(text_.substr(at_, 3), at_ + 3);
        if (next_is("(?")) {
            return unsupported(
                fmt::format("{} (flags are understood at the start only)", text_.substr(at_, 3)));
        }
        return open_group("(", at_ + 1);
    }

    Result<Translated> open_group(std::string_view opening, size_t next) {
        out_.text += opening;
        at_ = next;
        first_in_group_ = true;
        return out_;
    }

    Result<Translated> plain() {
        if (text_[at_] != '[') {
            first_in_group_ = text_[at_] == '|';
            out_.text += text_[at_++];
            return out_;
        }
        const size_t end = std::min(class_end(), text_.size());
        out_.text += text_.substr(at_, end - at_);
        at_ = end;
        return out_;
    }

    /// One past the `]` that closes the class at at_.
    size_t class_end() const {
        for (size_t i = at_ + 1; i < text_.size(); ++i) {
            if (text_[i] == '\\') {
                ++i;
            } else if (text_.substr(i).starts_with("[:")) {
                i = std::min(text_.find(":]", i), text_.size() - 2) + 1;
            } else if (text_[i] == ']') {
                return i + 1;
            }
        }
        return text_.size();
    }

    std::string_view text_;
    size_t at_ = 0;
    bool first_in_group_ = true;
    Translated out_;
};

std::string_view reason(std::regex_constants::error_type code) {
    switch (code) {
        case std::regex_constants::error_paren:
            return "its parentheses do not match";
        case std::regex_constants::error_brack:
        case std::regex_constants::error_ctype:
            return "its square brackets do not match";
        case std::regex_constants::error_brace:
            return "its braces do not match";
        case std::regex_constants::error_badbrace:
            return "the numbers in its braces are wrong";
        case std::regex_constants::error_badrepeat:
            return "a repetition (* + ? {) has nothing before it";
        case std::regex_constants::error_range:
            return "a range in square brackets is the wrong way round";
        case std::regex_constants::error_escape:
            return "it has a wrong escape";
        case std::regex_constants::error_collate:
            return "it names an unknown class of characters";
        case std::regex_constants::error_backref:
            return "it refers to a group that is not there";
        default:
            return "it is too complicated";
    }
}

}  // namespace

struct Pattern::Compiled {
    std::regex regex;
};

Result<Pattern> Pattern::compile(std::string_view text) {
    if (text.size() > longest_pattern) {
        return fail(ErrorKind::invalid_argument,
                    fmt::format("it is longer than {} characters", longest_pattern));
    }
    auto translated = Translator(text).run();
    if (!translated) return std::unexpected(translated.error());
    auto flags = std::regex::ECMAScript;
    if (translated->ignore_case) flags |= std::regex::icase;
    try {
        return Pattern(std::string(text), std::make_shared<Compiled>(std::regex(translated->text, flags)));
    } catch (const std::regex_error& e) {
        return fail(ErrorKind::invalid_argument, std::string(reason(e.code())));
    }
}

bool Pattern::found_in(std::string_view subject) const {
    if (subject.size() > longest_subject) return false;
    try {
        return std::regex_search(subject.begin(), subject.end(), compiled_->regex);
    } catch (const std::regex_error&) {
        return false;  // gave up on a pathological pattern
    }
}

std::optional<std::string> Pattern::first_group(std::string_view subject) const {
    if (subject.size() > longest_subject) return std::nullopt;
    try {
        std::match_results<std::string_view::const_iterator> match;
        if (!std::regex_search(subject.begin(), subject.end(), match, compiled_->regex)) return std::nullopt;
        return match.size() > 1 ? match[1].str() : std::string();
    } catch (const std::regex_error&) {
        return std::nullopt;
    }
}

size_t Pattern::groups() const {
    return compiled_->regex.mark_count();
}

}  // namespace baton::config
