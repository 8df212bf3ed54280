#include "base/time.h"
#include "http/v1/json.h"
#include "http/v2.h"

namespace baton::http::v2 {

namespace {

using topology::InstanceKey;
using topology::Lsn;
using v1::write_key;
using v1::write_keys;

std::string_view to_string(analysis::Severity severity) {
    switch (severity) {
        case analysis::Severity::info:
            return "info";
        case analysis::Severity::warning:
            return "warning";
        case analysis::Severity::critical:
            return "critical";
    }
    return "";
}

void write_optional_key(JsonWriter& out, std::string_view name, const std::optional<InstanceKey>& key) {
    out.key(name);
    if (key) {
        write_key(out, *key);
    } else {
        out.null();
    }
}

void write_lsn(JsonWriter& out, std::string_view name, Lsn lsn) {
    out.key(name);
    if (lsn) {
        out.value(lsn.text());
    } else {
        out.null();
    }
}

template <class T>
void write_optional(JsonWriter& out, std::string_view name, const std::optional<T>& value) {
    out.key(name);
    if (value) {
        out.value(*value);
    } else {
        out.null();
    }
}

void write_strings(JsonWriter& out, std::string_view name, const std::vector<std::string>& texts) {
    out.key(name).begin_array();
    for (const auto& text : texts)
        out.value(text);
    out.end_array();
}

/// Adds members to an object that a v1 writer closes itself: `write_object` writes it, `write_more` the
/// members.
template <class WriteObject, class WriteMore>
void write_extended(JsonWriter& out, WriteObject write_object, WriteMore write_more) {
    JsonWriter object, more;
    write_object(object);
    more.begin_object();
    write_more(more);
    more.end_object();
    auto text = object.take();
    text.back() = ',';
    out.raw(text.append(more.text(), 1));
}

void write_position(JsonWriter& out, const topology::Instance& i) {
    const auto& seen = i.seen;
    out.begin_object().key("Key");
    write_key(out, i.key);
    out.field("Role", topology::to_string(i.role)).field("Reach", topology::to_string(i.health.reach));
    out.field("Error", i.health.error ? i.health.error->text() : std::string());
    write_optional_key(out, "Upstream", i.upstream);
    out.field("Depth", i.depth).field("Timeline", seen ? seen->timeline : 0);
    write_lsn(out, "WriteLsn", seen ? seen->written : Lsn{});
    write_lsn(out, "ReceiveLsn", seen ? seen->received : Lsn{});
    write_lsn(out, "ReplayLsn", seen ? seen->replayed : Lsn{});
    write_optional(out, "ReceiveLagBytes", i.lag.receive_bytes);
    write_optional(out, "ReplayLagBytes", i.lag.replay_bytes);
    write_optional(out, "LagSeconds", i.lag.seconds);
    out.field("Replicating", i.replicating()).field("ReplayPaused", seen && seen->replay_paused);
    out.field("LastSeen", iso_time(i.last_seen)).end_object();
}

void write_counts(JsonWriter& out, const analysis::Counts& c) {
    out.begin_object();
    out.field("Replicas", c.replicas).field("Valid", c.valid).field("Replicating", c.replicating);
    out.field("FailingToConnect", c.failing_to_connect)
        .field("Downtimed", c.downtimed)
        .field("Lagging", c.lagging);
    out.field("Delayed", c.delayed).field("Agree", c.agree).field("Veto", c.veto);
    out.field("Undecided", c.undecided).field("Unheard", c.unheard).end_object();
}

void write_step(JsonWriter& out, const plan::Step& s) {
    out.begin_object().field("Phase", s.phase).field("Kind", plan::to_string(s.kind)).key("Target");
    write_key(out, s.target);
    out.key("Upstream");
    write_key(out, s.upstream);
    out.field("Argument", s.argument);
    write_lsn(out, "Position", s.position);
    out.field("DeadlineMilliseconds", s.deadline.count()).field("Irreversible", s.irreversible);
    out.field("Required", s.required).field("What", s.what).field("Undo", s.undo).end_object();
}

void write_rejected(JsonWriter& out, const std::vector<plan::Rejected>& rejected) {
    out.begin_array();
    for (const auto& r : rejected) {
        out.begin_object().key("Key");
        write_key(out, r.instance);
        out.field("Reason", plan::to_string(r.reason)).field("Detail", r.detail).end_object();
    }
    out.end_array();
}

}  // namespace

void write_cluster_detail(JsonWriter& out, const control::View& view, const topology::Cluster& cluster) {
    const auto* primary = cluster.primary();
    write_extended(
        out, [&](JsonWriter& object) { v1::write_cluster_info(object, view, cluster); },
        [&](JsonWriter& more) {
            more.field("Id", cluster.id);
            write_strings(more, "FormerNames", cluster.former_names);
            write_optional_key(more, "Primary", primary ? std::optional(primary->key) : std::nullopt);
            more.field("Timeline", primary && primary->seen ? primary->seen->timeline : 0);
            more.key("Instances").begin_array();
            for (const auto& instance : cluster.instances)
                write_position(more, *instance);
            more.end_array();
        });
}

void write_problem(JsonWriter& out, const control::View& view, const analysis::Problem& p) {
    const auto& code = analysis::info(p.code);
    const auto cluster = view.topology->cluster(p.cluster_id);
    out.begin_object().field("Code", code.name).field("Meaning", code.meaning);
    out.field("Severity", to_string(code.severity)).field("Actionable", p.actionable()).key("Instance");
    write_key(out, p.instance);
    out.field("ClusterId", p.cluster_id).field("ClusterName", cluster ? cluster->name : std::string());
    out.field("ClusterAlias", cluster ? cluster->alias : std::string()).field("Description", p.description);
    out.field("IsPrimary", p.is_primary).field("IsDowntimed", p.downtimed);
    out.field("IsReplicasDowntimed", p.replicas_downtimed).key("Replicas");
    write_keys(out, p.replicas);
    out.key("Counts");
    write_counts(out, p.counts);
    out.end_object();
}

void write_plan(JsonWriter& out, const control::View& view, const plan::Plan& plan) {
    const auto cluster = view.topology->cluster(plan.cluster_id);
    out.begin_object().field("Kind", plan::to_string(plan.kind)).field("ClusterId", plan.cluster_id);
    out.field("ClusterName", cluster ? cluster->name : std::string()).key("Subject");
    write_key(out, plan.subject);
    write_optional_key(out, "Chosen", plan.choice.chosen);
    write_optional_key(out, "Donor", plan.choice.donor);
    out.field("Why", plan.choice.why).field("BytesBehind", plan.choice.bytes_behind).key("Rejected");
    write_rejected(out, plan.choice.rejected);
    out.key("Steps").begin_array();
    for (const auto& step : plan.steps)
        write_step(out, step);
    out.end_array().key("Lost");
    write_keys(out, plan.lost);
    write_strings(out, "Remarks", plan.remarks);
    write_strings(out, "Obstacles", plan.obstacles);
    out.field("Text", plan.text()).end_object();
}

void write_recovery_detail(JsonWriter& out, const control::View& view, const store::Recovery& recovery,
                           const std::vector<store::RecoveryStep>& steps) {
    constexpr double us_per_ms = 1000.0;
    write_extended(
        out, [&](JsonWriter& object) { v1::write_recovery(object, view, recovery); },
        [&](JsonWriter& more) {
            more.field("Evidence", recovery.description).field("Forced", recovery.forced);
            more.field("CommandHint", recovery.command_hint)
                .field("SuccessorPosition", recovery.successor_position);
            const bool over = recovery.ended != WallTime{};
            more.field("DurationMilliseconds", over ? to_ms(recovery.ended - recovery.started) : 0);
            more.key("Steps").begin_array();
            for (const auto& step : steps) {
                more.begin_object().field("Id", step.id).field("At", iso_time(step.at));
                more.field("ElapsedMilliseconds", static_cast<double>(step.elapsed_us) / us_per_ms);
                more.field("Message", step.message).field("Deed", step.deed).end_object();
            }
            more.end_array();
        });
}

}  // namespace baton::http::v2
