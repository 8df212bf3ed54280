// What one probe sees of a server.
#include <fmt/format.h>

#include "sim/server.h"

namespace baton::sim {

std::optional<topology::Receiver> Server::observe_receiver() const {
    if (!receiver_) return std::nullopt;
    topology::Receiver row;
    if (!can_see_all) return row;
    const auto age = measured(ground_.scheduler.now() - receiver_->last_message);
    row.status = "streaming";
    row.sender_host = receiver_->upstream.host;
    row.sender_port = receiver_->upstream.port;
    row.slot = settings.primary_slot_name;
    row.received_timeline = timeline();
    row.written = row.flushed = received();
    row.latest_end = std::max(receiver_->latest_end, partial_end_);
    row.last_message_age = std::chrono::duration_cast<milliseconds>(age);
    return row;
}

std::vector<topology::Sender> Server::observe_senders() const {
    std::vector<topology::Sender> rows;
    if (!can_see_all) return rows;
    const auto rule = SynchronousNames::parse(settings.synchronous_standby_names);
    const auto standbys = standby_positions();
    for (const auto& [pid, d] : downlinks_) {
        topology::Sender row;
        row.pid = pid;
        row.user = "repl";
        row.application_name = d.name;
        row.client_addr = ground_.addresses.at(d.standby->key_.host);
        row.state = "streaming";
        row.slot = d.slot;
        row.sent = d.sent;
        row.written = row.flushed = d.flushed;
        row.replayed = d.replayed;
        row.sync_state = rule.state(d.name, standbys);
        row.sync_priority = rule.priority(d.name);
        rows.push_back(std::move(row));
    }
    return rows;
}

topology::Observation Server::observe() const {
    topology::Observation seen;
    seen.engine = topology::Engine::postgresql;
    seen.system_identifier = system_identifier_;
    seen.version_num = version_num;
    seen.version = fmt::format("{}.{}", version_num / 10000, version_num % 10000);
    seen.data_directory = "/var/lib/postgresql/" + key_.host;
    seen.port = key_.port;
    seen.started_at_us = to_us(started_at_.time_since_epoch());
    seen.role = in_recovery_ ? topology::Role::standby : topology::Role::primary;
    seen.timeline = timeline();
    if (in_recovery_) {
        seen.received = received();
        seen.half_copied = half_copied_;
        seen.replayed = replayed_;
        seen.replay_paused = replay_paused_;
        if (last_commit_ != MonoTime{}) {
            seen.last_replayed_age =
                std::chrono::duration_cast<milliseconds>(measured(ground_.scheduler.now() - last_commit_));
        }
        seen.upstream = conninfo;
        seen.receiver = observe_receiver();
    } else {
        seen.written = position_;
    }
    seen.settings = settings;
    seen.senders = observe_senders();
    for (const auto& [name, slot] : slots_)
        seen.slots.push_back(slot);
    seen.can_see_all = can_see_all;
    return seen;
}

}  // namespace baton::sim
