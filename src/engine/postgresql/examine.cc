// What only the doctor wants to know.
#include <fmt/format.h>

#include "base/text.h"
#include "engine/postgresql/actor.h"
#include "engine/postgresql/dialect.h"

namespace baton::engine::postgresql {
namespace {

constexpr int prepared_transactions_max = 100;

std::string privileges_sql(const std::vector<PrivilegeCheck>& checks) {
    std::string sql = "SELECT current_setting('is_superuser')";
    for (const auto& check : checks)
        sql += ", coalesce(" + check.test + ", false)";
    return sql;
}

Task<Result<void>> examine_privileges(HandPtr hand, Examination& out, MonoTime deadline) {
    const auto checks = privilege_checks(hand->session->server_version());
    const auto answer = co_await ask(*hand, privileges_sql(checks), deadline);
    if (!answer) co_return std::unexpected(answer.error());
    out.superuser = value_of(*answer, 0) == "on";
    for (size_t i = 0; i < checks.size(); ++i) {
        const bool granted = value_of(*answer, static_cast<int>(i) + 1) == "t";
        out.privileges.push_back({checks[i].what, granted, checks[i].required,
                                  fill_role(checks[i].remedy, hand->wiring->login.user)});
    }
    co_return Result<void>{};
}

/// Whether timeline histories can be read, found out by trying.
Task<void> examine_replication_login(HandPtr hand, Examination& out, MonoTime deadline) {
    const auto session = std::make_shared<Session>(hand->wiring, hand->key, Purpose::replication);
    const auto opened = co_await session->open(deadline);
    session->close();
    out.privileges.push_back({"timeline_history", opened.has_value(), false,
                              fill_role("ALTER ROLE %R REPLICATION; and in pg_hba.conf: host replication %R "
                                        "<manager's address> scram-sha-256",
                                        hand->wiring->login.user)});
}

Task<Result<void>> examine_clock(HandPtr hand, Examination& out, MonoTime deadline) {
    auto& clock = hand->wiring->clock;
    const auto asked_at = clock.now();
    const auto answer =
        co_await ask(*hand, "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint", deadline);
    if (!answer) co_return std::unexpected(answer.error());
    const auto ours = clock.wall().time_since_epoch();
    const auto half = std::chrono::duration_cast<std::chrono::microseconds>((clock.now() - asked_at) / 2);
    if (const auto theirs = parse_int(value_of(*answer, 0))) {
        const auto offset = std::chrono::microseconds(*theirs) - (ours - half);
        out.clock_offset = std::chrono::duration_cast<milliseconds>(offset);
    }
    co_return Result<void>{};
}

Task<Result<void>> examine_state(HandPtr hand, Examination& out, MonoTime deadline) {
    const auto prepared =
        co_await ask(*hand,
                     fmt::format("SELECT gid FROM pg_prepared_xacts ORDER BY prepared LIMIT {}",
                                 prepared_transactions_max),
                     deadline);
    if (!prepared) co_return std::unexpected(prepared.error());
    for (int i = 0; i < PQntuples(prepared->get()); ++i) {
        out.prepared_transactions.emplace_back(PQgetvalue(prepared->get(), i, 0));
    }
    const auto conninfo =
        co_await ask(*hand,
                     "SELECT CASE WHEN pg_is_in_recovery() AND pg_has_role(current_user, "
                     "'pg_read_all_settings', 'USAGE') THEN current_setting('primary_conninfo') END",
                     deadline);
    if (!conninfo) co_return std::unexpected(conninfo.error());
    out.primary_conninfo_masked = mask_conninfo(value_of(*conninfo, 0));
    co_return Result<void>{};
}

Task<Result<void>> examine_archiving(HandPtr hand, Examination& out, MonoTime deadline) {
    const auto answer =
        co_await ask(*hand,
                     "SELECT current_setting('archive_mode'), failed_count, last_failed_wal,"
                     " extract(epoch FROM clock_timestamp() - last_failed_time)::bigint,"
                     " coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false)"
                     " FROM pg_stat_archiver",
                     deadline);
    if (!answer) co_return std::unexpected(answer.error());
    auto& archiving = out.archiving.emplace();
    archiving.mode = value_of(*answer, 0);
    archiving.failed_count = parse_int(value_of(*answer, 1)).value_or(0);
    archiving.last_failed_wal = value_of(*answer, 2);
    if (const auto age = parse_int(value_of(*answer, 3)))
        archiving.last_failure_age = seconds(std::max<int64_t>(*age, 0));
    archiving.failing = archiving.mode != "off" && value_of(*answer, 4) == "t";
    co_return Result<void>{};
}

/// On 13 and 14 a standby that finds its primary itself needs no privilege to be rewired.
void excuse_rewire(HandPtr hand, Examination& out) {
    if (hand->session->server_version() >= 150000) return;
    if (!parse_conninfo(out.primary_conninfo_masked).finds_primary_itself()) return;
    const auto rewire = std::ranges::find(out.privileges, "rewire", &Privilege::what);
    if (rewire != out.privileges.end()) rewire->required = false;
}

}  // namespace

Task<Result<Examination>> examine_server(HandPtr hand, MonoTime deadline) {
    Examination out;
    if (auto ready = co_await ensure_connected(*hand, deadline); !ready)
        co_return std::unexpected(ready.error());
    if (auto done = co_await examine_privileges(hand, out, deadline); !done)
        co_return std::unexpected(done.error());
    if (auto done = co_await examine_clock(hand, out, deadline); !done)
        co_return std::unexpected(done.error());
    if (auto done = co_await examine_state(hand, out, deadline); !done)
        co_return std::unexpected(done.error());
    if (auto done = co_await examine_archiving(hand, out, deadline); !done)
        co_return std::unexpected(done.error());
    co_await examine_replication_login(hand, out, deadline);
    excuse_rewire(hand, out);
    co_return out;
}

}  // namespace baton::engine::postgresql
