// Runs once per probe of every server, so nothing is parsed twice that has not changed, and the JSON parts
// live in a buffer on the stack.
#include "engine/postgresql/decode.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <charconv>
#include <limits>

#include "base/text.h"
#include "engine/postgresql/postgresql.h"

namespace baton::engine::postgresql {
namespace {

namespace json = boost::json;
using topology::Lsn;
using topology::Observation;

constexpr size_t json_buffer_bytes = 8192;
/// A server whose clock says more is wrong, and what is longer does not fit a Duration.
constexpr milliseconds longest_age = std::chrono::hours(24 * 365 * 100);
/// Integer settings have 32 bits (PostgreSQL manual, 20.1.1).
constexpr int64_t largest_setting = std::numeric_limits<int32_t>::max();

/// Clocks may be set back.
milliseconds age_of(int64_t ms) {
    return milliseconds(std::clamp<int64_t>(ms, 0, longest_age.count()));
}

/// Reads columns by name and remembers the first that made no sense.
template <class Column>
class Reader {
  public:
    explicit Reader(Row row) : row_(row) {
        if (row.size() != static_cast<size_t>(Column::count)) problem_ = "wrong number of columns";
    }
    bool ok() const { return problem_.empty(); }
    const std::string& problem() const { return problem_; }

    Cell cell(Column c) const { return row_[static_cast<size_t>(c)]; }
    bool null(Column c) const { return cell(c).data() == nullptr; }
    std::string text(Column c) const { return std::string(cell(c)); }
    bool flag(Column c) const { return cell(c) == "t" || cell(c) == "on"; }

    template <class Number = int64_t>
    Number number(Column c, int base = 10) {
        return optional_number<Number>(c, base).value_or(0);
    }
    template <class Number = int64_t>
    std::optional<Number> optional_number(Column c, int base = 10) {
        if (null(c)) return std::nullopt;
        const auto text = cell(c);
        Number value{};
        const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value, base);
        if (ec == std::errc{} && end == text.data() + text.size()) return value;
        complain(c);
        return std::nullopt;
    }
    Lsn lsn(Column c) {
        if (null(c)) return {};
        const auto value = topology::parse_lsn(cell(c));
        if (!value) complain(c);
        return value.value_or(Lsn{});
    }
    std::optional<milliseconds> age(Column c) {
        const auto value = optional_number(c);
        if (!value) return std::nullopt;
        return age_of(*value);
    }
    void complain(Column c) {
        if (problem_.empty()) {
            problem_ = fmt::format("column {} holds \"{}\"", static_cast<size_t>(c), printable(cell(c), 40));
        }
    }

  private:
    Row row_;
    std::string problem_;
};

std::unexpected<Error> senseless(const std::string& problem) {
    return fail(ErrorKind::internal, "the server's answer makes no sense: " + problem);
}

std::optional<int64_t> split_unit(std::string_view text, std::string_view& unit) {
    int64_t value = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (ec != std::errc{}) return std::nullopt;
    unit = text.substr(static_cast<size_t>(end - text.data()));
    return value;
}

/// `value` times `unit`; nothing when no server can have such a setting.
std::optional<int64_t> in_range(int64_t value, int64_t unit) {
    const int64_t most = largest_setting / unit;
    return value >= -most && value <= most ? std::optional(value * unit) : std::nullopt;
}

void read_settings(std::string_view text, topology::Settings& settings) {
    std::array<std::string_view, static_cast<size_t>(SettingsPart::count)> parts;
    for (auto& part : parts) {
        const auto end = text.find(settings_separator);
        part = text.substr(0, end);
        text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
    }
    const auto at = [&](SettingsPart p) { return parts[static_cast<size_t>(p)]; };
    const auto ms = [&](SettingsPart p, int64_t otherwise) {
        return parse_setting_ms(at(p)).value_or(otherwise);
    };
    settings.primary_slot_name = at(SettingsPart::primary_slot_name);
    settings.synchronous_standby_names = at(SettingsPart::synchronous_standby_names);
    settings.synchronous_commit = at(SettingsPart::synchronous_commit);
    settings.default_transaction_read_only = at(SettingsPart::default_transaction_read_only) == "on";
    settings.hot_standby_feedback = at(SettingsPart::hot_standby_feedback) == "on";
    settings.allow_alter_system = at(SettingsPart::allow_alter_system) == "on";
    settings.wal_retrieve_retry_interval_ms = ms(SettingsPart::wal_retrieve_retry_interval, 5000);
    settings.wal_receiver_timeout_ms = ms(SettingsPart::wal_receiver_timeout, 60000);
    settings.wal_sender_timeout_ms = ms(SettingsPart::wal_sender_timeout, 60000);
    settings.recovery_min_apply_delay_ms = ms(SettingsPart::recovery_min_apply_delay, 0);
    settings.max_slot_wal_keep_size_mb =
        parse_setting_mb(at(SettingsPart::max_slot_wal_keep_size)).value_or(-1);
}

std::string string_at(const json::array& row, size_t at) {
    const auto* text = row.at(at).if_string();
    return text != nullptr ? std::string(text->data(), text->size()) : std::string();
}

int64_t number_at(const json::array& row, size_t at) {
    const auto* number = row.at(at).if_int64();
    return number != nullptr ? *number : 0;
}

bool flag_at(const json::array& row, size_t at) {
    const auto* flag = row.at(at).if_bool();
    return flag != nullptr && *flag;
}

Lsn lsn_at(const json::array& row, size_t at) {
    const auto* text = row.at(at).if_string();
    if (text == nullptr) return {};
    return topology::parse_lsn(std::string_view(text->data(), text->size())).value_or(Lsn{});
}

topology::Sender read_sender(const json::array& row) {
    topology::Sender sender;
    sender.pid = static_cast<int>(number_at(row, 0));
    sender.user = string_at(row, 1);
    sender.application_name = string_at(row, 2);
    sender.client_addr = string_at(row, 3);
    sender.client_hostname = string_at(row, 4);
    sender.state = string_at(row, 5);
    sender.sent = lsn_at(row, 6);
    sender.written = lsn_at(row, 7);
    sender.flushed = lsn_at(row, 8);
    sender.replayed = lsn_at(row, 9);
    if (row.at(10).is_int64()) sender.replay_lag = age_of(number_at(row, 10));
    sender.sync_state = string_at(row, 11);
    sender.sync_priority = static_cast<int>(number_at(row, 12));
    return sender;
}

/// Reads one slot, and writes its name to the sender that uses it.
topology::Slot read_slot(const json::array& row, std::vector<topology::Sender>& senders) {
    topology::Slot slot;
    slot.name = string_at(row, 0);
    slot.physical = flag_at(row, 1);
    slot.active = flag_at(row, 2);
    slot.temporary = flag_at(row, 3);
    slot.restart = lsn_at(row, 4);
    slot.wal_status = string_at(row, 5);
    if (row.at(6).is_int64()) slot.safe_wal_size = number_at(row, 6);
    const auto pid = number_at(row, 7);
    for (auto& sender : senders) {
        if (slot.physical && pid != 0 && sender.pid == pid) sender.slot = slot.name;
    }
    return slot;
}

/// Calls `each` with every row of a JSON array of arrays; false when it is something else.
template <class Each>
bool for_each_row(Cell text, size_t columns, Each each) {
    if (text.data() == nullptr) return true;
    std::array<unsigned char, json_buffer_bytes> buffer;
    json::monotonic_resource memory(buffer.data(), buffer.size());
    boost::system::error_code ec;
    const auto parsed = json::parse(json::string_view(text.data(), text.size()), ec, &memory);
    if (ec || !parsed.is_array()) return false;
    for (const auto& row : parsed.get_array()) {
        const auto* cells = row.if_array();
        if (cells == nullptr || cells->size() != columns) return false;
        each(*cells);
    }
    return true;
}

void read_lists(Reader<Look>& in, Observation& out) {
    const bool senders = for_each_row(
        in.cell(Look::senders), 13, [&](const json::array& row) { out.senders.push_back(read_sender(row)); });
    if (!senders) in.complain(Look::senders);
    const bool slots = for_each_row(in.cell(Look::slots), 8, [&](const json::array& row) {
        out.slots.push_back(read_slot(row, out.senders));
    });
    if (!slots) in.complain(Look::slots);
}

void read_receiver(Reader<Look>& in, Observation& out) {
    if (in.null(Look::receiver_pid)) return;
    auto& receiver = out.receiver.emplace();
    receiver.status = in.text(Look::receiver_status);
    receiver.sender_host = in.text(Look::receiver_host);
    receiver.sender_port = in.number<uint16_t>(Look::receiver_port);
    receiver.slot = in.text(Look::receiver_slot);
    receiver.received_timeline = in.number<topology::Timeline>(Look::receiver_timeline);
    receiver.written = in.lsn(Look::receiver_written);
    receiver.flushed = in.lsn(Look::receiver_flushed);
    receiver.latest_end = in.lsn(Look::receiver_latest_end);
    receiver.last_message_age = in.age(Look::receiver_message_age_ms);
}

void read_upstream(const Reader<Look>& in, SessionMemory& memory, Observation& out) {
    if (in.null(Look::primary_conninfo)) {
        out.upstream.readable = false;
        out.upstream.problem =
            "no permission to read primary_conninfo; GRANT pg_monitor to the manager's role";
        return;
    }
    const auto hash = std::hash<std::string_view>{}(in.cell(Look::primary_conninfo)) | 1;  // 0 = none yet
    if (hash != memory.conninfo_hash) {
        memory.upstream = parse_conninfo(in.text(Look::primary_conninfo));
        memory.conninfo_hash = hash;
    }
    out.upstream = memory.upstream;
}

/// A receiver that goes over to a new timeline copies the segment of the fork from its beginning, into a file
/// of that timeline. The server reads nothing but this file from then on, even for what it has replayed from
/// the old one. A copy on the timeline that it replays overwrites what is there already and harms nobody.
void read_copy(Reader<Look>& in, SessionMemory& memory, Observation& out) {
    const auto streamed = in.lsn(Look::streamed);
    // A receiver that was asked for and found nobody leaves the beginning of a segment there.
    out.received_since_start = out.receiving() || (streamed && streamed >= out.replayed);
    memory.newest_unseen = false;
    if (!streamed) return;
    if (streamed >= out.replayed) {
        if (out.receiving()) memory.whole = out.timeline;
        // The manager that saw it stream is gone, and so is its upstream: its WAL still tells the timeline.
        memory.newest_unseen = !out.receiving() && memory.received == 0;
        return;
    }
    const auto replays = std::max(memory.whole, in.number<topology::Timeline>(Look::timeline));
    if (out.timeline > replays) {
        out.half_copied = streamed;
    } else {
        memory.newest_unseen = !out.receiving();
    }
}

/// The control file may be older than what was streamed since (it is written at restartpoints), and a standby
/// never goes back to an older timeline without a restart: so what this session saw counts too.
void read_standby(Reader<Look>& in, SessionMemory& memory, Observation& out) {
    out.received = in.lsn(Look::received);
    out.replayed = in.lsn(Look::replayed);
    out.replay_paused = in.flag(Look::replay_paused);
    out.last_replayed_age = in.age(Look::replayed_age_ms);
    read_receiver(in, out);
    read_upstream(in, memory, out);
    if (out.receiving()) {
        memory.received = out.receiver->received_timeline;
        out.timeline = memory.received;
    } else {
        out.timeline = std::max(memory.received, in.number<topology::Timeline>(Look::timeline));
    }
    read_copy(in, memory, out);
}

}  // namespace

std::optional<int64_t> parse_setting_ms(std::string_view text) {
    std::string_view unit;
    const auto value = split_unit(text, unit);
    if (!value) return std::nullopt;
    if (unit.empty() || unit == "ms") return in_range(*value, 1);
    if (unit == "us") return in_range(*value / 1000, 1);
    if (unit == "s") return in_range(*value, 1000);
    if (unit == "min") return in_range(*value, 60'000);
    if (unit == "h") return in_range(*value, 3'600'000);
    if (unit == "d") return in_range(*value, 86'400'000);
    return std::nullopt;
}

std::optional<int64_t> parse_setting_mb(std::string_view text) {
    std::string_view unit;
    const auto value = split_unit(text, unit);
    if (!value) return std::nullopt;
    if (unit.empty() || unit == "MB") return in_range(*value, 1);
    if (unit == "B") return in_range(*value >> 20, 1);
    if (unit == "kB") return in_range(*value >> 10, 1);
    if (unit == "GB") return in_range(*value, 1 << 10);
    if (unit == "TB") return in_range(*value, 1 << 20);
    return std::nullopt;
}

Result<SessionMemory> decode_identity(Row row) {
    Reader<Identity> in(row);
    if (!in.ok()) return senseless(in.problem());
    SessionMemory memory;
    auto& identity = memory.identity;
    identity.engine = topology::Engine::postgresql;
    identity.system_identifier = in.text(Identity::system_identifier);
    identity.version_num = in.number<int>(Identity::version_num);
    const auto version = in.cell(Identity::version);  // "15.18 (Debian 15.18-0+deb12u1)"
    identity.version = version.substr(0, version.find(' '));
    identity.data_directory = in.text(Identity::data_directory);
    identity.port = in.number<uint16_t>(Identity::port);
    identity.started_at_us = in.number(Identity::started_at_us);
    auto& settings = memory.settings;
    settings.cluster_name = in.text(Identity::cluster_name);
    settings.recovery_target_timeline = in.text(Identity::recovery_target_timeline);
    settings.wal_log_hints = in.flag(Identity::wal_log_hints);
    settings.data_checksums = in.flag(Identity::data_checksums);
    settings.max_connections = in.number<int>(Identity::max_connections);
    settings.max_wal_senders = in.number<int>(Identity::max_wal_senders);
    settings.max_worker_processes = in.number<int>(Identity::max_worker_processes);
    settings.max_prepared_transactions = in.number<int>(Identity::max_prepared_transactions);
    settings.max_locks_per_transaction = in.number<int>(Identity::max_locks_per_transaction);
    settings.max_replication_slots = in.number<int>(Identity::max_replication_slots);
    if (!in.ok()) return senseless(in.problem());
    return memory;
}

Result<Observation> decode_look(Row row, SessionMemory& memory) {
    Reader<Look> in(row);
    if (!in.ok()) return senseless(in.problem());
    if (in.cell(Look::settings) != memory.settings_text) {
        read_settings(in.cell(Look::settings), memory.settings);
        memory.settings_text = in.text(Look::settings);
    }
    Observation out = memory.identity;
    out.settings = memory.settings;
    out.can_see_all = in.flag(Look::can_see_all);
    if (in.flag(Look::in_recovery)) {
        out.role = topology::Role::standby;
        read_standby(in, memory, out);
    } else {
        out.role = topology::Role::primary;
        out.written = in.lsn(Look::written);
        out.timeline = in.number<topology::Timeline>(Look::timeline, 16);
    }
    read_lists(in, out);
    if (!in.ok()) return senseless(in.problem());
    return out;
}

}  // namespace baton::engine::postgresql
