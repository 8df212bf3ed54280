// The syntax is Go's (pkg.go.dev/regexp/syntax), on bytes. What Go does not have (references to groups,
// looking ahead) is what makes a search take exponential time, so it is not here either.
#include "config/regex.h"

#include <fmt/core.h>

#include <charconv>
#include <optional>

#include "base/text.h"

namespace baton::config::regex {
namespace {

constexpr size_t deepest_nesting = 200;
constexpr int64_t most_repetitions = 1000;
constexpr int64_t no_limit = -1;

struct Node {
    enum class Kind : uint8_t { nothing, set, sequence, choice, repetition, group, condition };
    Kind kind = Kind::nothing;
    Set set;
    Op condition = Op::found;
    int64_t least = 0, most = 0;  ///< of a repetition; most may be no_limit
    bool greedy = true;
    size_t number = 0;  ///< of a group; 0 = it takes nothing
    std::vector<Node> parts;
};

std::unexpected<Error> wrong(std::string why) {
    return fail(ErrorKind::invalid_argument, std::move(why));
}
std::unexpected<Error> unsupported(std::string_view what) {
    return wrong(fmt::format("{} is not supported", printable(what)));
}

bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

Set range(unsigned char from, unsigned char to) {
    Set set;
    for (unsigned c = from; c <= to; ++c)
        set.set(c);
    return set;
}
Set single(char c) {
    return range(static_cast<unsigned char>(c), static_cast<unsigned char>(c));
}
Set any_of(std::string_view characters) {
    Set set;
    for (const char c : characters)
        set |= single(c);
    return set;
}

const Set digits = range('0', '9');
const Set lower_case = range('a', 'z');
const Set upper_case = range('A', 'Z');
const Set letters = lower_case | upper_case;
const Set words = letters | digits | single('_');
const Set blanks = any_of("\t\n\f\r ");
const Set visible = range('!', '~');

/// [:name:]
std::optional<Set> named_class(std::string_view name) {
    if (name == "alpha") return letters;
    if (name == "digit") return digits;
    if (name == "alnum") return letters | digits;
    if (name == "lower") return lower_case;
    if (name == "upper") return upper_case;
    if (name == "word") return words;
    if (name == "space") return blanks | single('\v');
    if (name == "blank") return any_of("\t ");
    if (name == "punct") return visible & ~(letters | digits);
    if (name == "graph") return visible;
    if (name == "print") return visible | single(' ');
    if (name == "cntrl") return range(0, 0x1F) | range(0x7F, 0x7F);
    if (name == "xdigit") return digits | range('a', 'f') | range('A', 'F');
    if (name == "ascii") return range(0, 0x7F);
    return std::nullopt;
}

/// \d and its like.
std::optional<Set> escaped_class(char c) {
    switch (c) {
        case 'd':
            return digits;
        case 'D':
            return ~digits;
        case 'w':
            return words;
        case 'W':
            return ~words;
        case 's':
            return blanks;
        case 'S':
            return ~blanks;
        default:
            return std::nullopt;
    }
}

std::optional<char> escaped_control(char c) {
    constexpr std::string_view names = "tnrfva", values = "\t\n\r\f\v\a";
    const size_t at = names.find(c);
    return at == std::string_view::npos ? std::nullopt : std::optional(values[at]);
}

std::optional<Op> escaped_condition(char c) {
    switch (c) {
        case 'A':
            return Op::text_begins;
        case 'z':
            return Op::text_ends;
        case 'b':
            return Op::word_boundary;
        case 'B':
            return Op::no_word_boundary;
        default:
            return std::nullopt;
    }
}

class Parser {
  public:
    explicit Parser(std::string_view text) : text_(text) { leading_flags(); }

    Result<Node> run() {
        auto node = choice(0);
        if (node && at_ < text_.size()) return wrong("its parentheses do not match");
        return node;
    }
    size_t groups() const { return groups_; }

  private:
    bool next_is(std::string_view what) const { return text_.substr(at_).starts_with(what); }
    bool at_end() const { return at_ >= text_.size(); }

    void leading_flags() {
        const size_t end = next_is("(?") ? text_.find_first_not_of("ims", 2) : 0;
        if (end == std::string_view::npos || end <= 2 || text_[end] != ')') return;
        const auto flags = text_.substr(2, end - 2);
        ignore_case_ = flags.contains('i');
        lines_ = flags.contains('m');
        dot_is_all_ = flags.contains('s');
        at_ = end + 1;
    }

    Node of_set(Set set) const {
        for (size_t n = 0; ignore_case_ && n < 26; ++n) {
            if (set['a' + n] || set['A' + n]) set.set('a' + n).set('A' + n);
        }
        return {.kind = Node::Kind::set, .set = set};
    }
    static Node of_condition(Op op) { return {.kind = Node::Kind::condition, .condition = op}; }

    Result<Node> choice(size_t depth) {
        if (depth > deepest_nesting) return wrong("it is too complicated");
        Node node{.kind = Node::Kind::choice};
        for (;;) {
            auto part = sequence(depth);
            if (!part) return part;
            node.parts.push_back(std::move(*part));
            if (!next_is("|")) return node;
            ++at_;
        }
    }

    Result<Node> sequence(size_t depth) {
        Node node{.kind = Node::Kind::sequence};
        while (!at_end() && !next_is("|") && !next_is(")")) {
            if (next_is("\\Q")) {
                if (const auto done = quoted(node); !done) return std::unexpected(done.error());
                continue;
            }
            if (next_is("\\E")) {
                at_ += 2;
                continue;
            }
            auto part = repeated(depth);
            if (!part) return part;
            node.parts.push_back(std::move(*part));
        }
        return node;
    }

    /// A repetition sign behind \E is about the last character.
    Result<void> quoted(Node& sequence) {
        at_ += 2;
        const size_t end = std::min(text_.find("\\E", at_), text_.size());
        for (; at_ < end; ++at_)
            sequence.parts.push_back(of_set(single(text_[at_])));
        at_ = std::min(end + 2, text_.size());
        Node bounds;
        if (auto found = bounds_at(bounds); !found) return found;
        if (bounds.kind != Node::Kind::repetition) return {};
        if (sequence.parts.empty()) return wrong("a repetition (* + ? {) has nothing before it");
        bounds.parts.push_back(std::move(sequence.parts.back()));
        sequence.parts.back() = std::move(bounds);
        return {};
    }

    Result<Node> repeated(size_t depth) {
        Node bounds;
        if (const auto found = bounds_at(bounds); !found) return std::unexpected(found.error());
        if (bounds.kind == Node::Kind::repetition)
            return wrong("a repetition (* + ? {) has nothing before it");
        auto node = atom(depth);
        if (!node) return node;
        if (const auto found = bounds_at(bounds); !found) return std::unexpected(found.error());
        if (bounds.kind != Node::Kind::repetition) return node;
        Node again;
        if (const auto found = bounds_at(again); !found) return std::unexpected(found.error());
        if (again.kind == Node::Kind::repetition) return wrong("a repetition (* + ? {) follows another");
        bounds.parts.push_back(std::move(*node));
        return bounds;
    }

    /// Takes a repetition sign, if there is one. A brace that is none stands for itself.
    Result<void> bounds_at(Node& node) {
        if (at_end()) return {};
        switch (text_[at_]) {
            case '*':
                node.most = no_limit;
                break;
            case '+':
                node.least = 1;
                node.most = no_limit;
                break;
            case '?':
                node.most = 1;
                break;
            case '{':
                return braces(node);
            default:
                return {};
        }
        ++at_;
        finish_bounds(node);
        return {};
    }

    void finish_bounds(Node& node) {
        node.kind = Node::Kind::repetition;
        node.greedy = !next_is("?");
        if (!node.greedy) ++at_;
    }

    Result<void> braces(Node& node) {
        const size_t end = text_.find('}', at_);
        if (end == std::string_view::npos) return {};
        const auto inside = text_.substr(at_ + 1, end - at_ - 1);
        const size_t comma = inside.find(',');
        const auto all_digits = [](std::string_view s) {
            return s.find_first_not_of("0123456789") == std::string_view::npos;
        };
        const auto low = inside.substr(0, comma);
        const auto high = comma == std::string_view::npos ? low : inside.substr(comma + 1);
        if (low.empty() || !all_digits(low) || !all_digits(high)) return {};
        const auto least = parse_int(low);
        const auto most = high.empty() ? std::optional(no_limit) : parse_int(high);
        const bool sensible = least && most && *least <= most_repetitions && *most <= most_repetitions &&
                              (*most == no_limit || *least <= *most);
        if (!sensible) return wrong("the numbers in its braces are wrong (at most 1000)");
        node.least = *least;
        node.most = *most;
        at_ = end + 1;
        finish_bounds(node);
        return {};
    }

    Result<Node> atom(size_t depth) {
        const char c = text_[at_];
        if (c == '(') return group(depth);
        if (c == '[') return character_class();
        if (c == '\\') return escape();
        ++at_;
        if (c == '.') return of_set(dot_is_all_ ? ~Set() : ~single('\n'));
        if (c == '^') return of_condition(lines_ ? Op::line_begins : Op::text_begins);
        if (c == '$') return of_condition(lines_ ? Op::line_ends : Op::text_ends);
        return of_set(single(c));
    }

    Result<Node> group(size_t depth) {
        Node node{.kind = Node::Kind::group};
        const bool named = next_is("(?P<") || (next_is("(?<") && !next_is("(?<=") && !next_is("(?<!"));
        if (named) {
            const size_t end = text_.find('>', at_);
            if (end == std::string_view::npos) return wrong("a group's name has no end");
            at_ = end + 1;
        } else if (next_is("(?:")) {
            at_ += 3;
            return closed(std::move(node), depth);
        } else if (next_is("(?=") || next_is("(?!") || next_is("(?<")) {
            return unsupported(text_.substr(at_, 3));
        } else if (next_is("(?")) {
            return unsupported(
                fmt::format("{} (flags are understood at the start only)", printable(text_.substr(at_, 3))));
        } else {
            ++at_;
        }
        node.number = ++groups_;
        return closed(std::move(node), depth);
    }

    Result<Node> closed(Node node, size_t depth) {
        auto inside = choice(depth + 1);
        if (!inside) return inside;
        if (!next_is(")")) return wrong("its parentheses do not match");
        ++at_;
        node.parts.push_back(std::move(*inside));
        return node;
    }

    Result<Node> escape() {
        if (at_ + 1 >= text_.size()) return wrong("it ends in a backslash");
        const char c = text_[at_ + 1];
        if (const auto condition = escaped_condition(c)) {
            at_ += 2;
            return of_condition(*condition);
        }
        auto set = escaped_set();
        if (!set) return std::unexpected(set.error());
        return of_set(*set);
    }

    /// What the escape at at_ stands for, within a class or without.
    Result<Set> escaped_set() {
        if (at_ + 1 >= text_.size()) return wrong("it ends in a backslash");
        const char c = text_[at_ + 1];
        at_ += 2;
        if (const auto set = escaped_class(c)) return *set;
        if (const auto control = escaped_control(c)) return single(*control);
        if (c == 'x') return hexadecimal();
        if (is_letter(c) || (c >= '1' && c <= '9')) return unsupported(fmt::format("\\{}", c));
        return single(c == '0' ? '\0' : c);
    }

    /// \xHH or \x{HH}
    Result<Set> hexadecimal() {
        const bool braced = next_is("{");
        const size_t end = braced ? text_.find('}', at_) : at_ + 2;
        if (end == std::string_view::npos || end > text_.size()) return wrong("it has a wrong escape");
        const auto text = text_.substr(at_ + (braced ? 1 : 0), end - at_ - (braced ? 1 : 0));
        unsigned value = 0;
        const auto [last, ec] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
        if (ec != std::errc{} || last != text.data() + text.size() || value > 0xFF)
            return wrong("it has a wrong escape");
        at_ = end + (braced ? 1 : 0);
        return single(static_cast<char>(value));
    }

    Result<Node> character_class() {
        ++at_;
        const bool negated = next_is("^");
        if (negated) ++at_;
        Set set;
        for (bool first = true; first || !next_is("]"); first = false) {
            if (at_end()) return wrong("its square brackets do not match");
            auto part = class_part();
            if (!part) return std::unexpected(part.error());
            set |= *part;
        }
        ++at_;
        auto node = of_set(set);
        if (negated) node.set.flip();
        return node;
    }

    Result<Set> class_part() {
        if (next_is("[:")) {
            const size_t end = text_.find(":]", at_ + 2);
            if (end == std::string_view::npos) return wrong("its square brackets do not match");
            const auto set = named_class(text_.substr(at_ + 2, end - at_ - 2));
            if (!set) return wrong("it names an unknown class of characters");
            at_ = end + 2;
            return *set;
        }
        auto from = class_character();
        const bool is_range = from && next_is("-") && at_ + 1 < text_.size() && text_[at_ + 1] != ']';
        if (!is_range) return from;
        ++at_;
        auto to = class_character();
        if (!to) return to;
        const auto low = first_of(*from), high = first_of(*to);
        if (from->count() != 1 || to->count() != 1 || low > high)
            return wrong("a range in square brackets is the wrong way round");
        return range(low, high);
    }

    Result<Set> class_character() {
        if (next_is("\\")) return escaped_set();
        return single(text_[at_++]);
    }

    static unsigned char first_of(const Set& set) {
        unsigned at = 0;
        while (at < 255 && !set[at])
            ++at;
        return static_cast<unsigned char>(at);
    }

    std::string_view text_;
    size_t at_ = 0;
    size_t groups_ = 0;
    bool ignore_case_ = false, lines_ = false, dot_is_all_ = false;
};

/// Writes the program; stops writing when it gets too long.
class Writer {
  public:
    bool too_long() const { return program_.code.size() > longest_program; }
    Program take() { return std::move(program_); }

    void write(const Node& node) {
        if (too_long()) return;
        switch (node.kind) {
            case Node::Kind::nothing:
                break;
            case Node::Kind::set:
                program_.sets.push_back(node.set);
                put(Op::one_of, program_.sets.size() - 1);
                break;
            case Node::Kind::sequence:
                for (const auto& part : node.parts)
                    write(part);
                break;
            case Node::Kind::choice:
                write_choice(node);
                break;
            case Node::Kind::repetition:
                write_repetition(node);
                break;
            case Node::Kind::group:
                if (node.number == 1) put(Op::group_begins);
                write(node.parts.front());
                if (node.number == 1) put(Op::group_ends);
                break;
            case Node::Kind::condition:
                put(node.condition);
                break;
        }
    }
    void finish() { put(Op::found); }

  private:
    size_t put(Op op, size_t first = 0, size_t second = 0) {
        program_.code.push_back({op, static_cast<uint32_t>(first), static_cast<uint32_t>(second)});
        return program_.code.size() - 1;
    }
    uint32_t here() const { return static_cast<uint32_t>(program_.code.size()); }

    void write_choice(const Node& node) {
        std::vector<size_t> jumps;
        for (size_t n = 0; n + 1 < node.parts.size() && !too_long(); ++n) {
            const auto split = put(Op::split);
            program_.code[split].first = here();
            write(node.parts[n]);
            jumps.push_back(put(Op::jump));
            program_.code[split].second = here();
        }
        write(node.parts.back());
        for (const auto jump : jumps)
            program_.code[jump].first = here();
    }

    /// A choice between what follows here and what is yet to be written after it.
    size_t put_exit() { return put(Op::split); }
    void close_exit(size_t split, bool greedy) {
        auto& instruction = program_.code[split];
        instruction.first = static_cast<uint32_t>(split + 1);
        instruction.second = here();
        if (!greedy) std::swap(instruction.first, instruction.second);
    }

    void write_repetition(const Node& node) {
        for (int64_t n = 0; n < node.least && !too_long(); ++n)
            write(node.parts.front());
        if (node.most == no_limit) {
            const auto exit = put_exit();
            write(node.parts.front());
            put(Op::jump, exit);
            return close_exit(exit, node.greedy);
        }
        std::vector<size_t> exits;
        for (int64_t n = node.least; n < node.most && !too_long(); ++n) {
            exits.push_back(put_exit());
            write(node.parts.front());
        }
        for (const auto exit : exits)
            close_exit(exit, node.greedy);
    }

    Program program_;
};

}  // namespace

Result<Program> compile(std::string_view text) {
    Parser parser(text);
    const auto node = parser.run();
    if (!node) return std::unexpected(node.error());
    Writer writer;
    writer.write(*node);
    writer.finish();
    if (writer.too_long()) return wrong("it is too complicated");
    auto program = writer.take();
    program.groups = parser.groups();
    return program;
}

}  // namespace baton::config::regex
