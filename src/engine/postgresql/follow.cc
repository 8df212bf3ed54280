// Changing where a standby streams from, without a restart (PostgreSQL 13 and later reload primary_conninfo).
#include <fmt/format.h>

#include "engine/postgresql/actor.h"
#include "engine/postgresql/conninfo.h"
#include "engine/postgresql/dialect.h"

namespace baton::engine::postgresql {
namespace {

/// What has to be known before anything is changed. `conninfo` holds a password.
struct StandbyFacts {
    std::string conninfo;
    std::string slot;
    bool may_set_conninfo = false;
    bool may_set_slot = false;
    bool alter_system_allowed = true;
    int version = 0;
};

constexpr std::string_view reload_sql = "SELECT pg_reload_conf()";
constexpr std::string_view reload_remedy = "GRANT EXECUTE ON FUNCTION pg_catalog.pg_reload_conf() TO %R;";

std::string facts_sql(int version) {
    return fmt::format(
        "SELECT pg_is_in_recovery(), pg_has_role(current_user, 'pg_read_all_settings', 'USAGE'),"
        " CASE WHEN pg_has_role(current_user, 'pg_read_all_settings', 'USAGE')"
        " THEN current_setting('primary_conninfo') END,"
        " current_setting('primary_slot_name'), {}, {}, coalesce(current_setting('allow_alter_system', "
        "true), 'on')",
        may_alter_system(version, "primary_conninfo"), may_alter_system(version, "primary_slot_name"));
}

Task<Result<StandbyFacts>> read_facts(HandPtr hand, MonoTime deadline) {
    if (auto ready = co_await ensure_connected(*hand, deadline); !ready)
        co_return std::unexpected(ready.error());
    const int version = hand->session->server_version();
    const auto answer = co_await ask(*hand, facts_sql(version), deadline);
    if (!answer) co_return std::unexpected(answer.error());
    if (value_of(*answer, 0) != "t") {
        co_return fail(ErrorKind::conflict, "is not a standby: it has left recovery", hand->key.text());
    }
    if (value_of(*answer, 1) != "t") {
        co_return fail(
            ErrorKind::privilege,
            fill_role("no permission to read primary_conninfo; to permit it: GRANT pg_monitor TO %R;",
                      hand->wiring->login.user),
            hand->key.text(), "42501");
    }
    co_return StandbyFacts{value_of(*answer, 2),         value_of(*answer, 3),
                           value_of(*answer, 4) == "t",  value_of(*answer, 5) == "t",
                           value_of(*answer, 6) == "on", version};
}

std::unexpected<Error> may_not_alter(const Hand& hand, int version, std::string_view parameter) {
    return fail(version < 150000 ? ErrorKind::unsupported : ErrorKind::privilege,
                fmt::format("may not ALTER SYSTEM SET {}; to permit it: {}", parameter,
                            fill_role(alter_system_remedy(version, parameter), hand.wiring->login.user)),
                hand.key.text(), version < 150000 ? "" : "42501");
}

/// Asked before the statement is sent, because a server logs a refused statement with its text: the password
/// in it.
Result<void> may_rewire(const Hand& hand, const StandbyFacts& facts, bool slot_too) {
    if (!facts.alter_system_allowed) {
        return fail(ErrorKind::unsupported,
                    "allow_alter_system is off, so primary_conninfo cannot be changed from here: set it to "
                    "on, or list "
                    "all hosts in primary_conninfo with target_session_attrs=read-write",
                    hand.key.text());
    }
    if (!facts.may_set_conninfo) return may_not_alter(hand, facts.version, "primary_conninfo");
    if (slot_too && !facts.may_set_slot) return may_not_alter(hand, facts.version, "primary_slot_name");
    return {};
}

bool lists(const topology::Upstream& upstream, const InstanceKey& wanted) {
    return std::ranges::find(upstream.hosts, wanted) != upstream.hosts.end();
}

Task<Result<void>> set_parameter(HandPtr hand, std::string_view parameter, const std::string& value,
                                 MonoTime deadline) {
    if (auto ready = co_await ensure_connected(*hand, deadline); !ready) co_return ready;
    const auto literal = hand->session->literal(value);
    auto done = co_await tell(*hand, fmt::format("ALTER SYSTEM SET {} = {}", parameter, literal), deadline,
                              alter_system_remedy(hand->session->server_version(), parameter));
    // Whatever the server found wrong, it must not repeat a connection string to whoever reads the error.
    if (!done && parameter == "primary_conninfo" && done.error().kind == ErrorKind::sql) {
        done.error().message = "ALTER SYSTEM SET primary_conninfo failed";
    }
    co_return done;
}

Task<Result<void>> reload(HandPtr hand, MonoTime deadline) {
    co_return co_await tell(*hand, std::string(reload_sql), deadline, std::string(reload_remedy));
}

/// The kernel's defaults for keepalive, one of which is written and removed in turn: a different string, the
/// same meaning.
constexpr std::pair<std::string_view, std::string_view> harmless[] = {
    {"keepalives_count", "9"}, {"keepalives_interval", "75"}, {"keepalives_idle", "7200"}};

Result<std::string> toggled(const std::string& conninfo) {
    auto fields = Conninfo::parse(conninfo);
    if (!fields) return std::unexpected(fields.error());
    for (const auto& [key, value] : harmless) {
        const bool ours = fields->get(key) == value;
        if (fields->has(key) && !ours) continue;  // the user's own value stays
        if (ours) {
            fields->remove(key);
        } else {
            fields->set(key, std::string(value));
        }
        return fields->text();
    }
    return fail(ErrorKind::unsupported,
                "all keepalive fields of primary_conninfo are in use: nothing harmless to change");
}

std::unexpected<Error> about(const Hand& hand, Error error) {
    error.who = hand.key.text();
    return std::unexpected(std::move(error));
}

}  // namespace

Task<Result<FollowHow>> follow_upstream(HandPtr hand, FollowOrder order, MonoTime deadline) {
    const auto facts = co_await read_facts(hand, deadline);
    if (!facts) co_return std::unexpected(facts.error());
    const auto upstream = parse_conninfo(facts->conninfo);
    if (upstream.finds_primary_itself() && lists(upstream, order.upstream)) {
        const bool may = facts->may_set_conninfo && facts->alter_system_allowed;
        if (order.first && may) {
            auto changed = put_first(facts->conninfo, order.upstream);
            // Its receiver may wait at a host behind the first: it begins anew only for a different string.
            if (changed && *changed == facts->conninfo) changed = toggled(facts->conninfo);
            if (changed) {
                const auto done = co_await set_parameter(hand, "primary_conninfo", *changed, deadline);
                if (!done) co_return std::unexpected(done.error());
            }
        }
        if (auto done = co_await reload(hand, deadline); !done) co_return std::unexpected(done.error());
        co_return FollowHow::nudged;
    }
    const auto conninfo = redirect_conninfo(facts->conninfo, order.upstream);
    if (!conninfo) co_return about(*hand, conninfo.error());
    const bool slot_too = !order.slot.empty() && order.slot != facts->slot;
    if (auto may = may_rewire(*hand, *facts, slot_too); !may) co_return std::unexpected(may.error());
    if (*conninfo != facts->conninfo) {
        const auto done = co_await set_parameter(hand, "primary_conninfo", *conninfo, deadline);
        if (!done) co_return std::unexpected(done.error());
    }
    if (slot_too) {
        const auto done = co_await set_parameter(hand, "primary_slot_name", order.slot, deadline);
        if (!done) co_return std::unexpected(done.error());
    }
    if (auto done = co_await reload(hand, deadline); !done) co_return std::unexpected(done.error());
    co_return FollowHow::rewritten;
}

Task<Result<void>> restart_wal_receiver(HandPtr hand, MonoTime deadline) {
    const auto facts = co_await read_facts(hand, deadline);
    if (!facts) co_return std::unexpected(facts.error());
    const auto conninfo = toggled(facts->conninfo);
    if (!conninfo) co_return about(*hand, conninfo.error());
    if (auto may = may_rewire(*hand, *facts, false); !may) co_return may;
    if (auto done = co_await set_parameter(hand, "primary_conninfo", *conninfo, deadline); !done)
        co_return done;
    co_return co_await reload(hand, deadline);
}

Task<Result<void>> alter_system(HandPtr hand, std::string parameter, std::string value, MonoTime deadline) {
    if (auto done = co_await set_parameter(hand, parameter, value, deadline); !done) co_return done;
    co_return co_await reload(hand, deadline);
}

}  // namespace baton::engine::postgresql
