// Before a server is stopped in order: a checkpoint, and what would end with it.
#include "engine/postgresql/activity.h"

#include <fmt/format.h>

#include <boost/json.hpp>

#include "engine/postgresql/actor.h"

namespace baton::engine::postgresql {
namespace {

namespace json = boost::json;

// to_jsonb() finds columns that older versions lack: failover and synced are of 17, invalidation_reason of
// 17, conflicting of 16 (PostgreSQL manual, 54.19).
constexpr std::string_view activity_statement = R"(SELECT json_build_object(
 'backups', (SELECT json_agg(application_name || ' of ' || usename || ' from ' || coalesce(host(client_addr), 'this host'))
   FROM pg_stat_replication WHERE state = 'backup'),
 'transactions', (SELECT json_agg(t) FROM (
   SELECT pid, usename AS user, application_name AS application, state,
     (extract(epoch FROM clock_timestamp() - xact_start) * 1000)::bigint AS age
   FROM pg_stat_activity
   WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND xact_start < clock_timestamp() - interval '1 s'
   ORDER BY xact_start LIMIT 20) t),
 'slots', (SELECT json_agg(to_jsonb(s)) FROM pg_replication_slots s WHERE slot_type = 'logical'),
 'copies_slots', coalesce(current_setting('sync_replication_slots', true) = 'on', false),
 'consumers_wait_for', to_jsonb(string_to_array(replace(current_setting('synchronized_standby_slots', true), ' ', ''), ',')),
 'archiving_fails', (SELECT coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false)
   FROM pg_stat_archiver)))";

std::string text_at(const json::object& o, std::string_view name) {
    const auto* v = o.if_contains(name);
    return v != nullptr && v->is_string() ? std::string(v->get_string()) : std::string();
}

bool flag_at(const json::object& o, std::string_view name) {
    const auto* v = o.if_contains(name);
    return v != nullptr && v->is_bool() && v->get_bool();
}

int64_t number_at(const json::object& o, std::string_view name) {
    const auto* v = o.if_contains(name);
    return v != nullptr && v->is_int64() ? v->get_int64() : 0;
}

template <class Each>
void for_each(const json::object& o, std::string_view name, Each each) {
    const auto* v = o.if_contains(name);
    if (v == nullptr || !v->is_array()) return;
    for (const auto& entry : v->get_array())
        each(entry);
}

topology::LogicalSlot slot_of(const json::object& o) {
    topology::LogicalSlot slot{
        .name = text_at(o, "slot_name"),
        .failover = flag_at(o, "failover"),
        .synced = flag_at(o, "synced"),
        .temporary = flag_at(o, "temporary"),
        .confirmed = topology::parse_lsn(text_at(o, "confirmed_flush_lsn")).value_or(topology::Lsn{}),
        .invalid = text_at(o, "invalidation_reason")};
    if (slot.invalid.empty() && text_at(o, "wal_status") == "lost") slot.invalid = "wal_removed";
    if (slot.invalid.empty() && flag_at(o, "conflicting")) slot.invalid = "conflicting";
    return slot;
}

}  // namespace

Result<topology::Activity> decode_activity(std::string_view text) {
    boost::system::error_code ec;
    const auto parsed = json::parse(json::string_view(text.data(), text.size()), ec);
    if (ec || !parsed.is_object())
        return fail(ErrorKind::internal, "the server's answer makes no sense: no object of activities");
    const auto& o = parsed.get_object();
    topology::Activity out{.archiving_fails = flag_at(o, "archiving_fails"),
                           .copies_slots = flag_at(o, "copies_slots")};
    for_each(o, "consumers_wait_for", [&](const json::value& v) {
        if (v.is_string() && !v.get_string().empty()) out.consumers_wait_for.emplace_back(v.get_string());
    });
    for_each(o, "backups", [&](const json::value& v) {
        if (v.is_string()) out.base_backups.emplace_back(v.get_string());
    });
    for_each(o, "transactions", [&](const json::value& v) {
        if (!v.is_object()) return;
        const auto& t = v.get_object();
        out.transactions.push_back(
            {.pid = static_cast<int>(number_at(t, "pid")),
             .user = text_at(t, "user"),
             .application = text_at(t, "application"),
             .state = text_at(t, "state"),
             .age = milliseconds(std::clamp<int64_t>(number_at(t, "age"), 0, 1LL << 40))});
    });
    for_each(o, "slots", [&](const json::value& v) {
        if (v.is_object()) out.logical_slots.push_back(slot_of(v.get_object()));
    });
    return out;
}

Task<Result<topology::Activity>> read_activity(HandPtr hand, MonoTime deadline) {
    const auto answer = co_await ask(*hand, std::string(activity_statement), deadline);
    if (!answer) co_return std::unexpected(answer.error());
    auto decoded = decode_activity(value_of(*answer, 0));
    if (!decoded) decoded.error().who = hand->key.text();
    co_return decoded;
}

/// It may take as long as the disks need: the statement's own limit is taken off, the deadline stays.
Task<Result<void>> write_checkpoint(HandPtr hand, MonoTime deadline) {
    if (auto unlimited = co_await tell(*hand, "SET statement_timeout = 0", deadline); !unlimited)
        co_return unlimited;
    co_return co_await tell(*hand, "CHECKPOINT", deadline, "GRANT pg_checkpoint TO %R;");
}

}  // namespace baton::engine::postgresql
