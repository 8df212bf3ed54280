// The rows of a probe (first line "identity" or "look", then a cell a line, \N for NULL) and the messages of
// failed attempts ("failure", then the text): ages and settings stay within what can be calculated with, and
// a row that makes no sense says which column.
#include "engine/postgresql/classify.h"
#include "engine/postgresql/decode.h"
#include "fuzz.h"

namespace baton::engine::postgresql {
namespace {

constexpr milliseconds longest_age{std::chrono::hours(24 * 365 * 100)};
constexpr int64_t largest_setting = std::numeric_limits<int32_t>::max();

void check_age(const std::optional<milliseconds>& age) {
    fuzz::require(!age || (*age >= milliseconds(0) && *age <= longest_age), "an age can be calculated with");
}

void check_settings(const topology::Settings& settings) {
    for (const auto value : {settings.wal_retrieve_retry_interval_ms, settings.wal_receiver_timeout_ms,
                             settings.wal_sender_timeout_ms, settings.recovery_min_apply_delay_ms,
                             settings.max_slot_wal_keep_size_mb})
        fuzz::require(value >= -largest_setting && value <= largest_setting,
                      "a setting is one that a server can have");
}

void check_look(const topology::Observation& seen) {
    check_age(seen.last_replayed_age);
    if (seen.receiver) check_age(seen.receiver->last_message_age);
    for (const auto& sender : seen.senders)
        check_age(sender.replay_lag);
    check_settings(seen.settings);
    fuzz::require(seen.role != topology::Role::unknown, "whoever answers has a role");
}

std::vector<Cell> cells_of(const std::vector<std::string>& lines, size_t count) {
    std::vector<Cell> cells;
    for (const auto& line : lines)
        cells.push_back(line == "\\N" ? Cell() : Cell(line));
    // A row always has its columns: of a short input nothing more is known, and the rest of a long one is not
    // looked at.
    cells.resize(count);
    return cells;
}

void decode_identity_row(const std::vector<std::string>& lines) {
    const auto cells = cells_of(lines, static_cast<size_t>(Identity::count));
    if (const auto memory = decode_identity(cells); !memory) fuzz::require_plain(memory.error());
}

void decode_look_row(const std::vector<std::string>& lines) {
    const auto cells = cells_of(lines, static_cast<size_t>(Look::count));
    SessionMemory memory;
    const auto first = decode_look(cells, memory);
    const auto second = decode_look(cells, memory);
    fuzz::require(first.has_value() == second.has_value(), "the same row reads the same twice");
    if (!first) return fuzz::require_plain(first.error());
    check_look(*first);
    fuzz::require(first->settings == second->settings && first->upstream == second->upstream &&
                      first->senders.size() == second->senders.size(),
                  "what is remembered is what was read");
    fuzz::require(second->timeline >= first->timeline, "a session never sees an older timeline");
}

void read_failure(std::string_view text) {
    const auto message = read_connect_message(text);
    fuzz::require(message.sqlstate.empty() || message.sqlstate.size() == 5, "an SQLSTATE has five characters",
                  message.sqlstate);
    fuzz::require(!message.message.contains('\n'), "a message is one line", message.message);
    static_cast<void>(errno_of_message(text));
    for (const auto stage :
         {Stage::resolving, Stage::connecting, Stage::handshake, Stage::first_use, Stage::session}) {
        Failure failure{.stage = stage, .sqlstate = message.sqlstate, .message = message.message};
        const auto judged = classify(failure, "db1:5432");
        fuzz::require(judged.reach != topology::Reach::answering, "a failure is no answer", text);
    }
}

void read_value(std::string_view text) {
    for (const auto value : {parse_setting_ms(text), parse_setting_mb(text)})
        fuzz::require(!value || (*value >= -largest_setting && *value <= largest_setting),
                      "a setting is one that a server can have", text);
}

}  // namespace
}  // namespace baton::engine::postgresql

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace baton;
    fuzz::Lines lines(fuzz::text_of(data, size));
    const auto kind = lines.next();
    if (kind == "identity") {
        engine::postgresql::decode_identity_row(lines.all());
    } else if (kind == "failure") {
        engine::postgresql::read_failure(lines.rest());
    } else {
        engine::postgresql::read_value(kind);
        engine::postgresql::decode_look_row(lines.all());
    }
    return 0;
}
