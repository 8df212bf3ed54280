// Receivers and senders: how WAL gets from one model of a server to another, and how they notice that it does
// not.
#include <fmt/format.h>

#include "sim/server.h"

namespace baton::sim {
namespace {

/// A receiver waits no longer than that from one SYN to the next, with all its tries.
constexpr seconds longest_syn_wait{32};
constexpr milliseconds first_fin{200};

}  // namespace

const Server* Server::receives_from() const {
    if (!streaming() || !running() || hung_) return nullptr;
    const auto* from = receiver_->from;
    const bool flows = from->running() && !from->hung_ && from->downlinks_.contains(receiver_->pid) &&
                       ground_.network.between(host_, from->host_) == Link::up;
    return flows ? from : nullptr;
}

std::optional<InstanceKey> Server::streams_from() const {
    if (!streaming()) return std::nullopt;
    return receiver_->upstream;
}

/// The same trouble every five seconds is told once.
void Server::note_receiver(const std::string& what) {
    if (std::exchange(receiver_trouble_, what) != what) note(what);
}

void Server::stop_receiver() {
    ++generation_;
    if (!receiver_) return;
    auto* from = receiver_->from;
    const int pid = receiver_->pid;
    say_goodbye(*from, pid, first_fin);
    from->later(milliseconds(from->settings.wal_sender_timeout_ms),
                [from, pid] { from->drop_downlink(pid); });
    receiver_.reset();
    changed();
}

/// The kernel repeats the FIN of a closed connection, each time after twice as long.
void Server::say_goodbye(Server& from, int pid, Duration again) {
    if (ground_.network.passes(host_, from.host_))
        return from.later(milliseconds(1), [&from, pid] { from.drop_downlink(pid); });
    ground_.scheduler.after(again, [this, &from, pid, again] {
        if (from.downlinks_.contains(pid)) say_goodbye(from, pid, again * 2);
    });
}

void Server::start_receiver() {
    stop_receiver();
    if (!running() || !in_recovery_ || conninfo.hosts.empty()) return;
    fork_receiver(generation_);
}

/// The postmaster forks it: while that is stopped, no receiver starts. One that runs goes on.
void Server::fork_receiver(uint64_t generation) {
    if (postmaster_hung_) {
        held_.emplace_back([this, generation] { fork_receiver(generation); });
        return;
    }
    attempt(generation, 0);
}

void Server::attempt(uint64_t generation, size_t host, Duration again) {
    if (generation != generation_) return;
    const auto& key = conninfo.hosts[host];
    const auto* target = ground_.server(key);
    const auto link = target ? ground_.network.between(host_, target->host_) : Link::silent;
    if (link == Link::silent || (target != nullptr && target->hung_for_new_sessions())) {
        note_receiver(fmt::format("gets no answer from {}", key.text()));
        return later(milliseconds(1000), [this, generation, host] { attempt(generation, host); });
    }
    if (target != nullptr && ground_.network.handshake_lost(host_, target->host_)) {
        return later(again, [this, generation, host, again] {
            attempt(generation, host, std::min<Duration>(again * 2, longest_syn_wait));
        });
    }
    later(draw(pace.receiver_connects), [this, generation, host, key] {
        if (generation != generation_) return;
        auto* upstream = ground_.server(key);
        const auto now = ground_.network.between(host_, upstream->host_);
        if (now == Link::silent || upstream->hung_for_new_sessions()) return attempt(generation, host);
        if (now == Link::refused) return attempt_failed(generation, host, "connection refused");
        const bool needs_primary = conninfo.finds_primary_itself();
        if (const auto reason = upstream->refuses_standby(*this, needs_primary))
            return attempt_failed(generation, host, *reason);
        begin_streaming(generation, key, *upstream);
    });
}

void Server::attempt_failed(uint64_t generation, size_t host, const std::string& reason) {
    note_receiver(fmt::format("cannot stream from {}: {}", conninfo.hosts[host].text(), reason));
    if (host + 1 < conninfo.hosts.size()) return attempt(generation, host + 1);
    later(milliseconds(settings.wal_retrieve_retry_interval_ms),
          [this, generation] { fork_receiver(generation); });
}

std::optional<std::string> Server::refuses_standby(const Server& standby, bool needs_primary) const {
    if (!listens()) return "connection refused";
    if (!running()) return "the database system is in recovery mode";
    if (needs_primary && in_recovery_) return "it is in recovery";
    const auto& slot = standby.settings.primary_slot_name;
    if (!slot.empty()) {
        const auto at = slots_.find(slot);
        if (at == slots_.end()) return fmt::format("replication slot \"{}\" does not exist", slot);
        if (at->second.active) return fmt::format("replication slot \"{}\" is active", slot);
        if (at->second.wal_status == "lost") return "requested WAL segment has already been removed";
    } else if (wal_keep_bytes > 0 && standby.position_ < oldest_wal()) {
        return "requested WAL segment has already been removed";
    }
    if (!leads_to(standby.branch_, standby.position_, branch_)) {
        return fmt::format("requested starting point {} on timeline {} is not in this server's history",
                           standby.position_.text(), standby.timeline());
    }
    if (standby.position_ > position_) {
        return fmt::format("requested starting point {} is ahead of the WAL flush position {}",
                           standby.position_.text(), position_.text());
    }
    return std::nullopt;
}

void Server::begin_streaming(uint64_t generation, const InstanceKey& host, Server& upstream) {
    const int pid = ++upstream.next_pid_;
    const auto now = ground_.scheduler.now();
    upstream_lost_at_.reset();
    receiver_ = {.upstream = host,
                 .from = &upstream,
                 .pid = pid,
                 .streaming = true,
                 .last_message = now,
                 .latest_end = upstream.position_};
    partial_end_ = {};
    adopt(upstream.branch_);
    const auto& slot = settings.primary_slot_name;
    upstream.downlinks_[pid] = {.standby = this,
                                .generation = generation,
                                .name = conninfo.application_name,
                                .slot = slot,
                                .sent = position_,
                                .flushed = position_,
                                .replayed = replayed_};
    if (!slot.empty()) upstream.slots_[slot].active = true;
    note_receiver(fmt::format("streams from {} on timeline {}", host.text(), timeline()));
    watch_timeout(generation);
    keep_alive(generation);
    changed();
    upstream.push_to(pid);
    upstream.release_commits();
}

/// The receiver exits `wait` after its upstream did, tries once more at once, and then every
/// wal_retrieve_retry_interval.
void Server::upstream_gone(uint64_t generation, Duration wait) {
    if (generation != generation_) return;
    upstream_lost_at_ = ground_.scheduler.now();
    later(wait, [this, generation] {
        if (generation != generation_) return;
        receiver_.reset();
        changed();
        receiver_trouble_ = "lost";
        change_upstream();
    });
}

void Server::watch_timeout(uint64_t generation) {
    if (generation != generation_ || !receiver_) return;
    const auto silent = measured(ground_.scheduler.now() - receiver_->last_message);
    const milliseconds timeout(settings.wal_receiver_timeout_ms);
    if (silent < timeout) {
        const auto wait = drift_ppm == 0 ? timeout - silent : timeout - silent + std::chrono::microseconds(1);
        return later(wait, [this, generation] { watch_timeout(generation); });
    }
    note("terminates its receiver due to timeout");
    stop_receiver();
    change_upstream();
}

/// A sender that hears nothing new says so now and then.
void Server::keep_alive(uint64_t generation) {
    // The sender says so when half of its own timeout is over, or because the receiver asks at half of its
    // own.
    const auto least = std::min(settings.wal_sender_timeout_ms, settings.wal_receiver_timeout_ms);
    later(milliseconds(least / 2), [this, generation] {
        if (generation != generation_ || !receiver_) return;
        const auto* from = receiver_->from;
        if (from->running() && !from->hung_ && ground_.network.passes(from->host_, host_)) {
            // A host that came back knows nothing of the connection, and answers with RST.
            if (!from->downlinks_.contains(receiver_->pid)) return upstream_gone(generation, milliseconds(1));
            receiver_->last_message = ground_.scheduler.now();
        }
        keep_alive(generation);
    });
}

void Server::push() {
    for (const auto& [pid, downlink] : downlinks_)
        push_to(pid);
}

void Server::push_to(int pid) {
    const auto at = downlinks_.find(pid);
    if (at == downlinks_.end() || !running() || hung_) return;
    auto& d = at->second;
    if (!ground_.network.passes(host_, d.standby->host_)) return;
    d.sent = position_;
    const auto now = ground_.scheduler.now();
    const auto wait = std::max(ground_.network.delay(host_, d.standby->host_), d.last_arrival - now);
    if (ground_.network.may_overtake(host_, d.standby->host_)) d.last_arrival = now + wait;
    // The bytes of an incomplete record come after all that was sent before them, as in any stream.
    ground_.scheduler.after(wait, [this, pid, standby = d.standby, generation = d.generation,
                                   branch = branch_, end = position_, partial = partial_end_] {
        if (generation == standby->generation_ && standby->receiver_)
            return standby->deliver(generation, branch, end, partial);
        // Nobody has that connection any more: its host answers with RST.
        if (ground_.network.passes(standby->host_, host_)) drop_downlink(pid);
    });
}

void Server::deliver(uint64_t generation, BranchPtr branch, Lsn end, Lsn partial) {
    if (generation != generation_ || !receiver_ || !running() || hung_) return;
    auto* from = receiver_->from;
    if (!ground_.network.passes(from->host_, host_)) return;
    if (!leads_to(branch_, position_, branch)) return upstream_gone(generation, milliseconds(1));
    if (branch_ != branch) {
        partial_end_ = {};
        adopt(branch);
        note(fmt::format("follows to timeline {}", timeline()));
    }
    if (half_copied_) return;
    if (end > position_) newest_ = ground_.scheduler.now();
    position_ = std::max(position_, end);
    if (partial > position_) partial_end_ = partial;
    receiver_->last_message = ground_.scheduler.now();
    receiver_->latest_end = std::max(receiver_->latest_end, end);
    schedule_replay(position_);
    push();
    later(ground_.network.delay(host_, from->host_), [this, from, pid = receiver_->pid, flushed = position_] {
        if (ground_.network.passes(host_, from->host_)) from->confirm(pid, flushed, replayed_);
    });
}

void Server::schedule_replay(Lsn end) {
    const auto delayed = milliseconds(settings.recovery_min_apply_delay_ms);
    later(draw(pace.replay) + replay_takes + delayed, [this, end, committed = newest_] {
        if (replay_paused_ || end <= replayed_) return;
        replayed_ = std::min(end, position_);
        last_commit_ = committed;
    });
}

void Server::confirm(int pid, Lsn flushed, Lsn replayed) {
    const auto at = downlinks_.find(pid);
    if (at == downlinks_.end() || !running() || hung_) return;
    auto& d = at->second;
    d.flushed = std::max(d.flushed, flushed);
    d.replayed = std::max(d.replayed, replayed);
    if (!d.slot.empty()) slots_[d.slot].restart = d.flushed;
    release_commits();
}

void Server::drop_downlink(int pid) {
    const auto at = downlinks_.find(pid);
    if (at == downlinks_.end()) return;
    if (const auto slot = slots_.find(at->second.slot); slot != slots_.end()) slot->second.active = false;
    downlinks_.erase(at);
}

/// All senders are gone; those who streamed notice when the network lets them.
void Server::drop_downlinks(Duration least_wait) {
    for (auto& [name, slot] : slots_)
        slot.active = false;
    for (const auto& [pid, d] : std::exchange(downlinks_, {})) {
        if (!ground_.network.passes(host_, d.standby->host_)) continue;
        d.standby->upstream_gone(d.generation,
                                 least_wait + d.standby->draw(d.standby->pace.receiver_notices));
    }
}

std::vector<StandbyPosition> Server::standby_positions() const {
    std::vector<StandbyPosition> positions;
    for (const auto& [pid, d] : downlinks_)
        positions.push_back({d.name, d.flushed});
    return positions;
}

void Server::release_commits() {
    if (commits_.empty()) return;
    const bool waits = settings.synchronous_commit != "off" && settings.synchronous_commit != "local";
    const auto rule = SynchronousNames::parse(waits ? settings.synchronous_standby_names : "");
    const auto standbys = standby_positions();
    while (!commits_.empty() && rule.confirmed(commits_.front().row.end, standbys)) {
        const auto [row, reply] = std::move(commits_.front());
        commits_.pop_front();
        ground_.tell(&Watcher::acknowledged, *this, row, rule.needed > 0);
        reply({});
    }
}

}  // namespace baton::sim
