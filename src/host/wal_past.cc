#include "host/wal_past.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "host/tools.h"

namespace baton::host {
namespace {

using topology::Lsn;

constexpr size_t commits_shown = 20;

std::string_view line_with(std::string_view said, std::string_view what) {
    const auto at = said.find(what);
    if (at == std::string_view::npos) return {};
    const auto begin = said.rfind('\n', at);
    const auto from = begin == std::string_view::npos ? 0 : begin + 1;
    return said.substr(from, said.find('\n', at) - from);
}

/// The position after the last " at " or " and ", without what follows it.
std::optional<Lsn> last_position(std::string_view line, std::string_view word) {
    const auto at = line.rfind(word);
    if (at == std::string_view::npos) return std::nullopt;
    const auto rest = line.substr(at + word.size());
    return topology::parse_lsn(rest.substr(0, rest.find_first_not_of("0123456789ABCDEFabcdef/")));
}

/// Where the first record is that is none any more.
std::optional<Lsn> end_of(std::string_view said) {
    const auto statistics = line_with(said, "WAL statistics between ");
    if (const auto end = last_position(statistics, " and ")) return end;
    return last_position(line_with(said, "error in WAL record at "), " at ");
}

/// The number in the row of a kind of record.
int64_t count_of(std::string_view said, std::string_view kind) {
    const auto row = line_with(said, fmt::format("{} ", kind));
    if (!row.starts_with(kind)) return 0;
    const auto number = trim(row.substr(kind.size()));
    return parse_int(number.substr(0, number.find(' '))).value_or(0);
}

std::string_view word_after(std::string_view line, std::string_view what) {
    const auto at = line.find(what);
    if (at == std::string_view::npos) return {};
    const auto rest = line.substr(at + what.size());
    return rest.substr(0, rest.find_first_of(",;"));
}

}  // namespace

Result<topology::WalPast> parse_wal_past(std::string_view said, Lsn position) {
    if (said.find("could not find a valid record after ") != std::string_view::npos)
        return topology::WalPast{.end = position, .commits = 0};
    const auto end = end_of(said);
    if (!end) {
        const auto text = trim(said);
        return fail(ErrorKind::unsupported,
                    "pg_waldump does not tell where the WAL ends: " +
                        printable(text.substr(std::min(text.size(), text.rfind('\n') + 1))));
    }
    return topology::WalPast{
        .end = std::max(*end, position),
        .commits = count_of(said, "Transaction/COMMIT") + count_of(said, "Transaction/COMMIT_PREPARED")};
}

std::string parse_commits(std::string_view said, int64_t all) {
    std::vector<std::string> shown;
    for (const auto& line : split(said, '\n')) {
        const auto when = word_after(line, "desc: COMMIT");
        if (when.empty() || shown.size() >= commits_shown) continue;
        const auto date = when.starts_with("_PREPARED ") ? when.substr(10) : when;
        shown.push_back(fmt::format("{} at {} ({})", printable(trim(word_after(line, "tx:"))),
                                    printable(trim(word_after(line, "lsn: "))), printable(trim(date))));
    }
    auto text = shown.empty() ? std::string{} : "transactions " + join(shown, ", ");
    if (const auto more = all - std::ssize(shown); more > 0 && !shown.empty())
        text += fmt::format(" and {} more", more);
    return text;
}

Task<Result<WalPastAnswer>> read_wal_past(Clock& clock, ProcessRunner& processes,
                                          const InstanceOptions& instance, agent::Order order) {
    JobControl control(clock.now() + order.deadline, [](const agent::Job&) {});
    Tools tools(clock, processes, instance, control);
    std::vector<std::string> arguments = {
        "--rmgr=Transaction", "--path=" + instance.data_directory + "/pg_wal",
        fmt::format("--timeline={}", order.timeline), "--start=" + order.position.text(), "--stats=record"};
    // It always fails: at the end of the WAL.
    const auto counted = co_await tools.run("pg_waldump", arguments);
    if (!counted) co_return std::unexpected(counted.error());
    auto past = parse_wal_past(counted->text, order.position);
    if (!past) co_return std::unexpected(past.error());
    WalPastAnswer answer{.past = *past, .commits = {}};
    if (past->commits > 0) {
        arguments.pop_back();
        if (const auto listed = co_await tools.run("pg_waldump", arguments))
            answer.commits = parse_commits(listed->text, past->commits);
    }
    co_return answer;
}

}  // namespace baton::host
