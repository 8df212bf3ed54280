// Settings that nobody notices until the night of a failover.
#include <fmt/format.h>

#include <array>

#include "analysis/wording.h"
#include "base/text.h"
#include "doctor/check_functions.h"
#include "doctor/words.h"

namespace baton::doctor {

using topology::Settings;

void check_rewind(const Facts&, const Cluster& cluster, Notes& notes) {
    bool any = false;
    for (const auto* server : answering(cluster)) {
        any = true;
        const auto& s = server->seen->settings;
        if (s.wal_log_hints || s.data_checksums) continue;
        notes.warn(
            server->key,
            "neither wal_log_hints nor data checksums: pg_rewind refuses, a former primary must be copied "
            "anew",
            "in postgresql.conf: wal_log_hints = on (restart); or pg_checksums --enable while it is stopped");
    }
    if (any && notes.clean()) notes.pass("a former primary can be rewound");
}

void check_retry_interval(const Facts&, const Cluster& cluster, Notes& notes) {
    constexpr int64_t most_ms = 500;
    std::vector<std::string> slow, remedies;
    bool any = false;
    for (const auto* server : answering(cluster)) {
        any = true;
        const auto interval = server->seen->settings.wal_retrieve_retry_interval_ms;
        if (interval <= most_ms) continue;
        slow.push_back(
            fmt::format("{} ({})", server->key.text(), analysis::duration_text(milliseconds(interval))));
        remedies.push_back(set_on(server->key, "wal_retrieve_retry_interval", "'200ms'"));
    }
    if (!slow.empty()) {
        notes.warn(fmt::format("wal_retrieve_retry_interval on {}: a standby may sleep so long before it "
                               "looks for its new primary",
                               join(slow, ", ")),
                   join(remedies, "\n"));
    } else if (any) {
        notes.pass("wal_retrieve_retry_interval is short");
    }
}

void check_receiver_timeout(const Facts&, const Cluster& cluster, Notes& notes) {
    constexpr int64_t most_ms = 60'000;
    bool any = false;
    for (const auto* server : answering(cluster)) {
        any = true;
        const auto timeout = server->seen->settings.wal_receiver_timeout_ms;
        if (timeout > 0 && timeout <= most_ms) continue;
        notes.warn(
            server->key,
            timeout == 0
                ? std::string(
                      "wal_receiver_timeout is 0: it waits for ever for an upstream whose machine is gone")
                : fmt::format(
                      "wal_receiver_timeout is {}: so long it trusts an upstream whose machine is gone",
                      analysis::duration_text(milliseconds(timeout))),
            set_on(server->key, "wal_receiver_timeout", "'10s'"));
    }
    if (any && notes.clean()) notes.pass("wal_receiver_timeout is set everywhere");
}

void check_timeline_target(const Facts&, const Cluster& cluster, Notes& notes) {
    bool any = false;
    for (const auto* server : answering(cluster)) {
        any = true;
        const auto& target = server->seen->settings.recovery_target_timeline;
        if (target == "latest") continue;
        const auto text = fmt::format(
            "recovery_target_timeline is \"{}\": it will never follow a promoted standby", target);
        const std::string remedy = "in postgresql.conf: recovery_target_timeline = 'latest' (restart)";
        if (server->is_primary())
            notes.warn(server->key, text + " when it is a standby", remedy);
        else
            notes.fail(server->key, text, remedy);
    }
    if (any && notes.clean()) notes.pass("recovery_target_timeline is latest everywhere");
}

namespace {

struct Sized {
    std::string_view name;
    int Settings::* value;
};

// What a hot standby must have at least as much of as its primary, or it pauses replay or does not start
// (PostgreSQL manual, 27.4.3).
constexpr std::array sized{
    Sized{"max_connections", &Settings::max_connections},
    Sized{"max_worker_processes", &Settings::max_worker_processes},
    Sized{"max_wal_senders", &Settings::max_wal_senders},
    Sized{"max_prepared_transactions", &Settings::max_prepared_transactions},
    Sized{"max_locks_per_transaction", &Settings::max_locks_per_transaction},
};

}  // namespace

void check_hot_standby_settings(const Facts&, const Cluster& cluster, Notes& notes) {
    const auto* primary = cluster.primary();
    if (primary == nullptr || !answers(*primary)) return;
    bool any = false;
    for (const auto* standby : standbys(cluster)) {
        any = true;
        for (const auto& [name, value] : sized) {
            const int here = standby->seen->settings.*value, there = primary->seen->settings.*value;
            if (here < there) {
                notes.fail(
                    standby->key,
                    fmt::format("{} is {}, less than {} on its primary: replay stops, or it does not start",
                                name, here, there),
                    fmt::format("in postgresql.conf: {} = {} (restart)", name, there));
            } else if (here > there) {
                notes.warn(standby->key,
                           fmt::format("{} is {}, more than {} on the primary: once it is promoted, the "
                                       "others have too little",
                                       name, here, there),
                           fmt::format("the same everywhere: {} = {} (restart)", name, here));
            }
        }
    }
    if (any && notes.clean()) notes.pass("standbys and primary have the same limits");
}

void check_read_only(const Facts&, const Cluster& cluster, Notes& notes) {
    bool any = false;
    for (const auto* server : answering(cluster)) {
        any = true;
        if (!server->seen->settings.default_transaction_read_only) continue;
        const auto remedy =
            on(server->key, "ALTER SYSTEM RESET default_transaction_read_only; SELECT pg_reload_conf();");
        if (server->is_primary())
            notes.fail(server->key, "default_transaction_read_only is on: the primary refuses writes",
                       remedy);
        else
            notes.warn(server->key, "default_transaction_read_only is on: promoted, it would refuse writes",
                       remedy);
    }
    if (any && notes.clean()) notes.pass("default_transaction_read_only is off everywhere");
}

}  // namespace baton::doctor
