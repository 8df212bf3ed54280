// What the host agents say, server by server.
#include "http/v1/json.h"
#include "http/v2.h"

namespace baton::http::v2 {

namespace {

using ::baton::agent::Seen;
using topology::InstanceKey;

double seconds_of(Duration d) {
    return static_cast<double>(to_ms(d)) / 1000.0;
}

void write_disk(JsonWriter& out, std::string_view name, const std::optional<topology::Disk>& disk) {
    out.key(name);
    if (!disk) {
        out.null();
        return;
    }
    out.begin_object().field("Path", disk->path).field("Health", topology::to_string(disk->health));
    out.field("TotalBytes", disk->total_bytes).field("FreeBytes", disk->free_bytes);
    out.field("SinceSeconds", seconds_of(disk->since)).field("Detail", disk->detail).end_object();
}

void write_lease(JsonWriter& out, const Seen& seen) {
    const auto& lease = seen.status.lease;
    const auto& acknowledged = seen.grants.last_acknowledged();
    out.begin_object().field("On", lease.on).field("HeldBy", lease.held_by);
    out.field("LeftMilliseconds", to_ms(lease.left)).field("Seconds", seconds_of(acknowledged.lease));
    out.field("Epoch", acknowledged.epoch).key("Promotable");
    v1::write_keys(out, lease.promotable);
    out.end_object();
}

/// Seconds until it is done at the present rate; null where nobody can know.
void write_eta(JsonWriter& out, const topology::Job& job) {
    out.key("EtaSeconds");
    const bool known = job.total_bytes > 0 && job.bytes_per_second > 0 && job.done_bytes <= job.total_bytes;
    if (known) {
        out.value((job.total_bytes - job.done_bytes) / job.bytes_per_second);
    } else {
        out.null();
    }
}

void write_job(JsonWriter& out, const std::optional<topology::Job>& job) {
    if (!job) {
        out.null();
        return;
    }
    out.begin_object().field("Order", job->order).field("Verb", job->verb).field("Phase", job->phase);
    out.field("DoneBytes", job->done_bytes).field("TotalBytes", job->total_bytes);
    out.field("BytesPerSecond", job->bytes_per_second).field("RunningSeconds", seconds_of(job->running));
    write_eta(out, *job);
    out.end_object();
}

void write_ended(JsonWriter& out, const control::View& view, const std::optional<agent::EndedJob>& job) {
    if (!job) {
        out.null();
        return;
    }
    out.begin_object().field("Order", job->order).field("Verb", job->verb);
    out.field("Outcome", to_string(job->outcome)).field("Error", job->error).field("Detail", job->detail);
    out.field("SecondsAgo", seconds_of(std::max(Duration::zero(), view.now - job->at))).end_object();
}

std::string cluster_name(const control::View& view, const Seen& seen) {
    const auto instance = view.topology->find_instance(seen.status.key);
    const auto cluster =
        view.topology->cluster(instance ? instance->cluster_id : seen.status.system_identifier);
    return cluster ? cluster->name : std::string();
}

void write_server(JsonWriter& out, const Seen& seen) {
    const auto& s = seen.status;
    out.field("Engine", topology::to_string(s.engine)).field("ServerVersion", s.version);
    out.field("DataDirectory", s.data_directory).field("SystemIdentifier", s.system_identifier);
    out.field("State", topology::to_string(s.state)).field("InStateSeconds", seconds_of(s.in_state));
    out.field("StandbySignal", s.standby_signal).field("ProcessId", s.postmaster_pid);
    out.field("Hold", topology::to_string(s.hold)).field("Quarantine", s.quarantine);
    out.field("InTheWay", s.in_the_way);
    out.field("Crashes", s.crashes).field("LastFailure", s.last_failure).field("Vouches", s.vouches);
    write_disk(out, "DataDisk", s.data_disk);
    write_disk(out, "WalDisk", s.wal_disk);
}

}  // namespace

void write_agent(JsonWriter& out, const control::View& view, const Seen& seen) {
    out.begin_object().key("Key");
    v1::write_key(out, seen.status.key);
    out.field("ClusterName", cluster_name(view, seen)).field("Agent", seen.agent).field("Host", seen.host);
    out.field("Version", seen.version).field("Address", seen.address).field("PeerAddress", seen.peer_address);
    out.field("Connected", seen.connected).field("Sessions", seen.sessions);
    out.field("LastHeardMilliseconds", to_ms(std::max(Duration::zero(), view.now - seen.heard)));
    out.key("CertificateSecondsLeft");
    if (seen.status.certificate_left) {
        out.value(to_ms(*seen.status.certificate_left) / 1000);
    } else {
        out.null();
    }
    write_server(out, seen);
    out.key("Lease");
    write_lease(out, seen);
    out.key("Job");
    write_job(out, seen.status.job);
    out.key("LastJob");
    write_ended(out, view, seen.last_job);
    out.end_object();
}

Task<Response> agents(const Context& context, const Request&) {
    const auto view = context.view();
    JsonWriter out;
    out.begin_array();
    for (const auto& seen : *view->agents)
        write_agent(out, *view, seen);
    out.end_array();
    co_return ok(out.text());
}

/// By any name of the server.
Task<Response> agent(const Context& context, const Request& request) {
    const auto view = context.view();
    const auto key = named_key(request);
    if (!key) co_return error(400, "INVALID_INSTANCE", key.error().text());
    const auto instance = view->topology->find_instance(*key);
    for (const auto& seen : *view->agents) {
        const auto& name = seen.status.key;
        const bool same = name == *key || (instance && view->topology->find_instance(name) == instance);
        if (!same) continue;
        JsonWriter out;
        write_agent(out, *view, seen);
        co_return ok(out.text());
    }
    co_return error(404, "NOT_FOUND", "No host agent guards " + key->text());
}

}  // namespace baton::http::v2
