#include "analysis/synchronous.h"

#include <algorithm>

#include "base/text.h"

namespace baton::analysis {
namespace {

using topology::Instance;
using topology::Sender;

enum class TokenKind : uint8_t { name, number, any, first, open, close, comma, end, bad };
struct Token {
    TokenKind kind = TokenKind::end;
    std::string text;
};

bool is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}
bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
bool starts_name(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           static_cast<unsigned char>(c) >= 0x80;
}
bool continues_name(char c) {
    return starts_name(c) || is_digit(c) || c == '$';
}

class Scanner {
  public:
    explicit Scanner(std::string_view text) : rest_(text) {}

    Token next() {
        while (!rest_.empty() && is_space(rest_.front()))
            rest_.remove_prefix(1);
        if (rest_.empty()) return {TokenKind::end, {}};
        const char c = rest_.front();
        if (c == '"') return quoted();
        if (is_digit(c)) return {TokenKind::number, take_while(is_digit)};
        if (starts_name(c)) return word(take_while(continues_name));
        rest_.remove_prefix(1);
        switch (c) {
            case '*':
                return {TokenKind::name, "*"};
            case '(':
                return {TokenKind::open, "("};
            case ')':
                return {TokenKind::close, ")"};
            case ',':
                return {TokenKind::comma, ","};
            default:
                return {TokenKind::bad, std::string(1, c)};
        }
    }

  private:
    std::string take_while(bool (*accepts)(char)) {
        size_t length = 0;
        while (length < rest_.size() && accepts(rest_[length]))
            ++length;
        std::string taken(rest_.substr(0, length));
        rest_.remove_prefix(length);
        return taken;
    }

    static Token word(std::string text) {
        if (iequals(text, "any")) return {TokenKind::any, std::move(text)};
        if (iequals(text, "first")) return {TokenKind::first, std::move(text)};
        return {TokenKind::name, std::move(text)};
    }

    Token quoted() {
        std::string text;
        for (size_t i = 1; i < rest_.size(); ++i) {
            if (rest_[i] != '"') {
                text += rest_[i];
            } else if (i + 1 < rest_.size() && rest_[i + 1] == '"') {
                text += '"';
                ++i;
            } else {
                rest_.remove_prefix(i + 1);
                return {TokenKind::name, std::move(text)};
            }
        }
        return {TokenKind::bad, "unterminated quote"};
    }

    std::string_view rest_;
};

std::vector<Token> tokens_of(std::string_view value) {
    std::vector<Token> tokens;
    Scanner scanner(value);
    do {
        tokens.push_back(scanner.next());
    } while (tokens.back().kind != TokenKind::end && tokens.back().kind != TokenKind::bad);
    return tokens;
}

/// name {"," name} from `at` on; leaves `at` behind the list. A number may stand as a name.
bool read_list(const std::vector<Token>& tokens, size_t& at, std::vector<std::string>& names) {
    while (true) {
        const auto kind = tokens[at].kind;
        if (kind != TokenKind::name && kind != TokenKind::number) return false;
        names.push_back(tokens[at++].text);
        if (tokens[at].kind != TokenKind::comma) return true;
        ++at;
    }
}

bool is_row_of(const Sender& row, const Instance& standby) {
    if (standby.seen->settings.primary_slot_name.empty() || row.slot.empty()) return false;
    return row.slot == standby.seen->settings.primary_slot_name;
}

bool comes_from(const Sender& row, const Instance& standby) {
    const auto same = [&](const topology::InstanceKey& key) {
        return key.host == row.client_addr || iequals(key.host, row.client_hostname);
    };
    return same(standby.key) || std::ranges::any_of(standby.aliases, same);
}

std::vector<const Sender*> rows_of(const Instance& primary, const Instance& standby) {
    std::vector<const Sender*> by_name;
    const auto name = standby_name(standby);
    for (const auto& row : primary.seen->senders) {
        if (is_row_of(row, standby)) return {&row};
        if (row.application_name == name) by_name.push_back(&row);
    }
    if (by_name.size() < 2) return by_name;
    for (const auto* row : by_name) {
        if (std::ranges::count_if(by_name, [&](const Sender* r) { return comes_from(*r, standby); }) == 1 &&
            comes_from(*row, standby)) {
            return {row};
        }
    }
    return by_name;
}

}  // namespace

bool SynchronousRule::matches(std::string_view standby) const {
    return std::ranges::any_of(names,
                               [&](const auto& name) { return name == "*" || iequals(name, standby); });
}

bool SynchronousRule::satisfied_by(const std::vector<std::string>& standby_names) const {
    return std::ranges::count_if(standby_names, [&](const auto& name) { return matches(name); }) >= needed;
}

std::optional<SynchronousRule> parse_synchronous_standby_names(std::string_view value) {
    const auto tokens = tokens_of(value);
    if (tokens.back().kind == TokenKind::bad || tokens.front().kind == TokenKind::end) return std::nullopt;
    SynchronousRule rule;
    size_t at = 0;
    const bool worded = tokens[0].kind == TokenKind::any || tokens[0].kind == TokenKind::first;
    rule.any = tokens[0].kind == TokenKind::any;
    if (worded) ++at;
    const bool counted = tokens[at].kind == TokenKind::number && tokens[at + 1].kind == TokenKind::open;
    if (worded && !counted) return std::nullopt;
    if (counted) {
        const auto needed = parse_int(tokens[at].text);
        if (!needed || *needed < 1 || *needed > 1'000'000) return std::nullopt;
        rule.needed = static_cast<int>(*needed);
        at += 2;
    }
    if (!read_list(tokens, at, rule.names)) return std::nullopt;
    if (counted && tokens[at++].kind != TokenKind::close) return std::nullopt;
    if (tokens[at].kind != TokenKind::end) return std::nullopt;
    return rule;
}

bool synchronous_satisfiable(std::string_view value, const std::vector<std::string>& standby_names) {
    const auto rule = parse_synchronous_standby_names(value);
    return !rule || rule->satisfied_by(standby_names);
}

bool waits_for_standbys(const topology::Settings& settings) {
    return parse_synchronous_standby_names(settings.synchronous_standby_names).has_value() &&
           settings.synchronous_commit != "off" && settings.synchronous_commit != "local";
}

std::string standby_name(const Instance& standby) {
    if (!standby.seen) return {};
    if (!standby.seen->upstream.application_name.empty()) return standby.seen->upstream.application_name;
    const auto& cluster_name = standby.seen->settings.cluster_name;
    return cluster_name.empty() ? "walreceiver" : cluster_name;
}

bool listed_as_synchronous(const Instance& primary, const Instance& standby) {
    if (!primary.seen || !standby.seen) return false;
    const auto rows = rows_of(primary, standby);
    return !rows.empty() && std::ranges::all_of(rows, [](const Sender* row) {
        return row->sync_state == "sync" || row->sync_state == "quorum";
    });
}

bool listed(const Instance& primary, const Instance& standby) {
    return primary.seen && standby.seen && !rows_of(primary, standby).empty();
}

}  // namespace baton::analysis
