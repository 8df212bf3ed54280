// The machine follows all possibilities at once, in the order of their preference, and never goes back: a
// search takes time in proportion to the length of the subject, whatever the expression, since some of them
// come over the API.
#include "config/pattern.h"

#include <fmt/core.h>

#include "config/regex.h"

namespace baton::config {
namespace {

using regex::Instruction;
using regex::Op;
using regex::Program;

constexpr size_t longest_pattern = 1024;
constexpr size_t longest_subject = 1024;
constexpr size_t nowhere = std::string_view::npos;

/// One possibility: where it stands in the program, and what the first group took.
struct Thread {
    uint32_t at = 0;
    size_t group_begin = nowhere;
    size_t group_end = nowhere;
};

bool is_word(std::string_view text, size_t at) {
    if (at >= text.size()) return false;
    const char c = text[at];
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/// One search. `at` 0 is before the first byte.
class Search {
  public:
    Search(const Program& program, std::string_view subject)
        : program_(program), subject_(subject), seen_at_(program.code.size(), nowhere) {}

    /// The possibility that was found and is preferred; nothing when there is none. `any_will_do` ends the
    /// search at the first.
    std::optional<Thread> run(bool any_will_do) {
        std::optional<Thread> found;
        std::vector<Thread> now, next;
        for (size_t at = 0; at <= subject_.size(); ++at) {
            // What begins further left is preferred.
            if (!found) follow({}, at, now);
            next.clear();
            for (const auto& thread : now) {
                const auto& instruction = program_.code[thread.at];
                if (instruction.op == Op::found) {
                    found = thread;
                    if (any_will_do) return found;
                    break;
                }
                if (at < subject_.size() && takes(instruction, subject_[at]))
                    follow({thread.at + 1, thread.group_begin, thread.group_end}, at + 1, next);
            }
            std::swap(now, next);
            if (now.empty() && found) break;
        }
        return found;
    }

  private:
    bool takes(const Instruction& instruction, char c) const {
        return program_.sets[instruction.first][static_cast<unsigned char>(c)];
    }

    bool holds(Op op, size_t at) const {
        switch (op) {
            case Op::text_begins:
                return at == 0;
            case Op::text_ends:
                return at == subject_.size();
            case Op::line_begins:
                return at == 0 || subject_[at - 1] == '\n';
            case Op::line_ends:
                return at == subject_.size() || subject_[at] == '\n';
            default:
                break;
        }
        const bool boundary = (at > 0 && is_word(subject_, at - 1)) != is_word(subject_, at);
        return boundary == (op == Op::word_boundary);
    }

    /// Appends to `threads` where `thread` gets without taking a byte, each place once.
    void follow(Thread thread, size_t at, std::vector<Thread>& threads) {
        waiting_.push_back(thread);
        while (!waiting_.empty()) {
            thread = waiting_.back();
            waiting_.pop_back();
            if (std::exchange(seen_at_[thread.at], at) == at) continue;
            const auto& instruction = program_.code[thread.at];
            switch (instruction.op) {
                case Op::one_of:
                case Op::found:
                    threads.push_back(thread);
                    continue;
                case Op::split:
                    waiting_.push_back({instruction.second, thread.group_begin, thread.group_end});
                    [[fallthrough]];
                case Op::jump:
                    waiting_.push_back({instruction.first, thread.group_begin, thread.group_end});
                    continue;
                case Op::group_begins:
                    thread.group_begin = at;
                    break;
                case Op::group_ends:
                    thread.group_end = at;
                    break;
                default:
                    if (!holds(instruction.op, at)) continue;
            }
            ++thread.at;
            waiting_.push_back(thread);
        }
    }

    const Program& program_;
    std::string_view subject_;
    std::vector<size_t> seen_at_;  ///< by instruction: the position at which it was reached last
    std::vector<Thread> waiting_;
};

}  // namespace

struct Pattern::Compiled {
    Program program;
};

Result<Pattern> Pattern::compile(std::string_view text) {
    if (text.size() > longest_pattern) {
        return fail(ErrorKind::invalid_argument,
                    fmt::format("it is longer than {} characters", longest_pattern));
    }
    auto program = regex::compile(text);
    if (!program) return std::unexpected(program.error());
    return Pattern(std::string(text), std::make_shared<Compiled>(std::move(*program)));
}

bool Pattern::found_in(std::string_view subject) const {
    if (subject.size() > longest_subject) return false;
    return Search(compiled_->program, subject).run(true).has_value();
}

std::optional<std::string> Pattern::first_group(std::string_view subject) const {
    if (subject.size() > longest_subject) return std::nullopt;
    const auto found = Search(compiled_->program, subject).run(false);
    if (!found) return std::nullopt;
    const bool taken = found->group_begin != nowhere && found->group_end != nowhere;
    if (!taken || found->group_end < found->group_begin) return std::string();
    return std::string(subject.substr(found->group_begin, found->group_end - found->group_begin));
}

size_t Pattern::groups() const {
    return compiled_->program.groups;
}

}  // namespace baton::config
