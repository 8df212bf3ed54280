#include "store/schema.h"

#include <fmt/format.h>

#include <array>

namespace baton::store {
namespace {

// Times are UTC texts, NULL = never; instances are host:port; lists are JSON; flags are 0 and 1.
constexpr const char* version_1 = R"sql(
CREATE TABLE instances(
    instance TEXT PRIMARY KEY, aliases TEXT, cluster_id TEXT, engine TEXT, role TEXT, upstream TEXT, version TEXT,
    last_seen TEXT) WITHOUT ROWID;
CREATE TABLE clusters(
    id TEXT PRIMARY KEY, name TEXT, former_names TEXT, alias TEXT, domain TEXT) WITHOUT ROWID;
CREATE TABLE detections(
    detection_id INTEGER PRIMARY KEY, instance TEXT, code TEXT, cluster_id TEXT, cluster_name TEXT, cluster_alias TEXT,
    replicas TEXT, detected_at TEXT, active INTEGER, recovery_id INTEGER, description TEXT);
CREATE TABLE recoveries(
    recovery_id INTEGER PRIMARY KEY, uid TEXT, code TEXT, kind TEXT, command_hint TEXT, cluster_id TEXT, cluster_name TEXT,
    cluster_alias TEXT, cluster_domain TEXT, failed_instance TEXT, failed_upstream TEXT, replicas TEXT, description TEXT,
    state TEXT, successor TEXT, successor_alias TEXT, successor_position TEXT, lost_replicas TEXT, participating TEXT,
    errors TEXT, started_at TEXT, ended_at TEXT, in_active_period INTEGER, forced INTEGER, skip_hooks INTEGER,
    detection_id INTEGER, node_hostname TEXT, node_token TEXT, acknowledged INTEGER, acknowledged_at TEXT,
    acknowledged_by TEXT, acknowledged_comment TEXT);
CREATE TABLE recovery_steps(
    step_id INTEGER PRIMARY KEY, recovery_uid TEXT, at TEXT, elapsed_us INTEGER, message TEXT, deed TEXT);
CREATE INDEX recovery_steps_by_recovery ON recovery_steps(recovery_uid);
CREATE TABLE blocked_recoveries(
    failed_instance TEXT PRIMARY KEY, cluster_id TEXT, cluster_name TEXT, code TEXT, last_blocked_at TEXT,
    blocking_recovery_id INTEGER) WITHOUT ROWID;
CREATE TABLE downtimes(
    instance TEXT PRIMARY KEY, owner TEXT, reason TEXT, begins_at TEXT, ends_at TEXT) WITHOUT ROWID;
CREATE TABLE maintenance(
    maintenance_id INTEGER PRIMARY KEY, instance TEXT, owner TEXT, reason TEXT, begins_at TEXT, ends_at TEXT);
CREATE TABLE tags(
    instance TEXT, tag TEXT, value TEXT, PRIMARY KEY(instance, tag)) WITHOUT ROWID;
CREATE TABLE promotion_rules(
    instance TEXT PRIMARY KEY, rule TEXT, suggested_at TEXT, expires_at TEXT) WITHOUT ROWID;
CREATE TABLE settings(
    name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE audit(
    audit_id INTEGER PRIMARY KEY, at TEXT, type TEXT, instance TEXT, cluster_name TEXT, message TEXT);
CREATE TABLE analysis_changes(
    change_id INTEGER PRIMARY KEY, instance TEXT, at TEXT, codes TEXT);
CREATE TABLE pools(
    pool TEXT PRIMARY KEY, registered_at TEXT, instances TEXT) WITHOUT ROWID;
CREATE TABLE hostname_unresolves(
    instance TEXT PRIMARY KEY, unresolved_name TEXT) WITHOUT ROWID;
CREATE TABLE key_values(
    name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
)sql";

constexpr const char* version_2 = R"sql(
ALTER TABLE recoveries ADD COLUMN boot TEXT;
ALTER TABLE recoveries ADD COLUMN started_mono_us INTEGER;
)sql";

// What host agents may count on, as JSON: it must be known before a primary is replaced.
constexpr const char* version_3 = R"sql(
CREATE TABLE guards(
    cluster TEXT PRIMARY KEY, json TEXT) WITHOUT ROWID;
CREATE TABLE member_slots(
    holder TEXT, slot TEXT, member TEXT, cluster TEXT, PRIMARY KEY (holder, slot)) WITHOUT ROWID;
)sql";

/// Entry n leads from version n to n + 1.
constexpr std::array<const char*, schema_version> steps = {version_1, version_2, version_3};

Result<void> run_steps(Database& db, uint32_t from) {
    for (uint32_t version = from; version < schema_version; ++version) {
        if (auto done = db.exec(steps[version]); !done) return done;
    }
    return db.exec(fmt::format("PRAGMA application_id = {}; PRAGMA user_version = {}; COMMIT", application_id,
                               schema_version)
                       .c_str());
}

}  // namespace

Result<void> migrate(Database& db, uint32_t from) {
    if (auto begun = db.exec("BEGIN IMMEDIATE"); !begun) return begun;
    auto done = run_steps(db, from);
    if (!done) (void)db.exec("ROLLBACK");
    return done;
}

}  // namespace baton::store
