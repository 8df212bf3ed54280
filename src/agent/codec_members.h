#pragma once

#include <concepts>

#include "agent/protocol.h"

/// The members of everything that is in a frame, each once: what is written under a name is read under it.
/// `visit(name, value)` for each; `visit.required(name, value)` where a missing one must not be taken for its
/// default, since that would mean something. Durations carry their unit in the name.
namespace baton::agent {

template <class Given, class T>
concept Is = std::same_as<std::remove_const_t<Given>, T>;

template <class Visit>
void members(Visit& visit, Is<ControlData> auto& c) {
    visit("state", c.state);
    visit("system_identifier", c.system_identifier);
    visit("timeline", c.timeline);
    visit("checkpoint", c.checkpoint);
    visit("redo", c.redo);
    visit("minimum_recovery_end", c.minimum_recovery_end);
    visit("minimum_recovery_end_timeline", c.minimum_recovery_end_timeline);
    visit("wal_log_hints", c.wal_log_hints);
    visit("data_checksums", c.data_checksums);
}

template <class Visit>
void members(Visit& visit, Is<LeaseState> auto& l) {
    visit("on", l.on);
    visit("promotable", l.promotable);
    visit("held_by", l.held_by);
    visit("left_us", l.left);
}

template <class Visit>
void members(Visit& visit, Is<Disk> auto& d) {
    visit("path", d.path);
    visit("total_bytes", d.total_bytes);
    visit("free_bytes", d.free_bytes);
    visit("health", d.health);
    visit("since_us", d.since);
    visit("detail", d.detail);
}

template <class Visit>
void members(Visit& visit, Is<Job> auto& j) {
    visit("order", j.order);
    visit("verb", j.verb);
    visit("phase", j.phase);
    visit("done_bytes", j.done_bytes);
    visit("total_bytes", j.total_bytes);
    visit("bytes_per_second", j.bytes_per_second);
    visit("running_us", j.running);
}

template <class Visit>
void members(Visit& visit, Is<Status> auto& s) {
    visit.required("key", s.key);
    visit("engine", s.engine);
    visit("data_directory", s.data_directory);
    visit("system_identifier", s.system_identifier);
    visit("version", s.version);
    visit("state", s.state);
    visit("standby_signal", s.standby_signal);
    visit("postmaster_pid", s.postmaster_pid);
    visit("started_at_us", s.started_at_us);
    visit("in_state_us", s.in_state);
    visit("crashes", s.crashes);
    visit("last_failure", s.last_failure);
    visit("control", s.control);
    visit("hold", s.hold);
    visit("quarantine", s.quarantine);
    visit("vouches", s.vouches);
    visit("data_disk", s.data_disk);
    visit("wal_disk", s.wal_disk);
    visit("lease", s.lease);
    visit("job", s.job);
    visit("certificate_left_us", s.certificate_left);
    visit("in_the_way", s.in_the_way);
}

template <class Visit>
void members(Visit& visit, Is<Member> auto& m) {
    visit.required("key", m.key);
    visit("agent_address", m.agent_address);
}

template <class Visit>
void members(Visit& visit, Is<Grant> auto& g) {
    visit.required("epoch", g.epoch);
    visit.required("number", g.number);
    visit.required("on", g.on);
    visit("lease_ms", g.lease);
    visit("promotable", g.promotable);
}

template <class Visit>
void members(Visit& visit, Is<std::pair<InstanceKey, Grant>> auto& g) {
    visit.required("instance", g.first);
    visit.required("grant", g.second);
}

template <class Visit>
void members(Visit& visit, Is<Error> auto& e) {
    visit("kind", e.kind);
    visit("message", e.message);
    visit("who", e.who);
    visit("sqlstate", e.sqlstate);
}

template <class Visit>
void members(Visit& visit, Is<topology::WalPast> auto& p) {
    visit("end", p.end);
    visit("commits", p.commits);
}

// ---- frames

template <class Visit>
void members(Visit& visit, Is<Hello> auto& h) {
    visit.required("protocol", h.protocol);
    visit("version", h.version);
    visit("agent", h.agent);
    visit("host", h.host);
    visit("boot", h.boot);
    visit("token", h.token);
    visit("peer_address", h.peer_address);
    visit("epoch", h.epoch);
    visit("instances", h.instances);
    visit("poolers", h.poolers);
}

template <class Visit>
void members(Visit& visit, Is<Beat> auto& b) {
    visit.required("seq", b.seq);
    visit.required("sent_us", b.sent_us);
    visit("epoch", b.epoch);
    visit("changed", b.changed);
    visit("instances", b.instances);
    visit("acknowledged", b.acknowledged);
}

template <class Visit>
void members(Visit& visit, Is<Progress> auto& p) {
    visit.required("order", p.order);
    visit("job", p.job);
}

template <class Visit>
void members(Visit& visit, Is<Done> auto& d) {
    visit.required("order", d.order);
    visit("error", d.error);
    visit("detail", d.detail);
    visit("status", d.status);
    visit("past", d.past);
}

template <class Visit>
void members(Visit& visit, Is<Welcome> auto& w) {
    visit.required("protocol", w.protocol);
    visit("version", w.version);
    visit("manager", w.manager);
    visit.required("epoch", w.epoch);
    visit("heartbeat_ms", w.heartbeat);
}

template <class Visit>
void members(Visit& visit, Is<Refusal> auto& r) {
    visit("reason", r.reason);
}

template <class Visit>
void members(Visit& visit, Is<BeatAnswer> auto& a) {
    visit.required("seq", a.seq);
    visit.required("sent_us", a.sent_us);
    visit("grants", a.grants);
}

template <class Visit>
void members(Visit& visit, Is<Order> auto& o) {
    visit.required("id", o.id);
    visit.required("epoch", o.epoch);
    visit.required("instance", o.instance);
    visit.required("verb", o.verb);
    visit("deadline_ms", o.deadline);
    visit("mode", o.mode);
    visit("upstream", o.upstream);
    visit("slot", o.slot);
    visit("on", o.on);
    visit("maximum_rate_kbps", o.maximum_rate_kbps);
    visit("router", o.router);
    visit("databases", o.databases);
    visit("span_ms", o.span);
    visit("timeline", o.timeline);
    visit("position", o.position);
}

template <class Visit>
void members(Visit& visit, Is<Cancel> auto& c) {
    visit.required("order", c.order);
}

template <class Visit>
void members(Visit& visit, Is<Vouch> auto& v) {
    visit.required("seq", v.seq);
    visit("token", v.token);
    visit.required("primary", v.primary);
    visit.required("member", v.member);
    visit("system_identifier", v.system_identifier);
    visit("span_ms", v.span);
}

template <class Visit>
void members(Visit& visit, Is<Vouched> auto& v) {
    visit.required("seq", v.seq);
    visit.required("promised", v.promised);
    visit("reason", v.reason);
}

}  // namespace baton::agent
