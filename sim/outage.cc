// The longer stories of a server: how it is stopped, what a dying primary leaves behind, what becomes of WAL
// that somebody still needs, and how an operator makes a standby afresh.
#include <fmt/format.h>

#include <algorithm>

#include "sim/server.h"

namespace baton::sim {
namespace {

constexpr seconds smart_patience{30};
constexpr milliseconds looks_again{10};
constexpr uint64_t wal_page = 8192;
constexpr uint64_t wal_segment = 16 << 20;
constexpr uint64_t record_bytes = 128;

}  // namespace

void Server::shutdown(bool fast) {
    if (state_ != State::running || stopping_ == Stopping::fast) return;
    note(fast ? "is being shut down" : "is being shut down as soon as nobody is connected");
    stopping_ = fast ? Stopping::fast : Stopping::smart;
    changed();
    if (fast) return stop_fast();
    stop_when_empty(ground_.scheduler.now() + smart_patience);
}

void Server::stop_when_empty(MonoTime at_latest) {
    if (stopping_ != Stopping::smart) return;
    if (sessions() == 0 || ground_.scheduler.now() >= at_latest) {
        stopping_ = Stopping::fast;
        return stop_fast();
    }
    later(looks_again, [this, at_latest] { stop_when_empty(at_latest); });
}

void Server::stop_fast() {
    promotion_ = 0;
    commits_.clear();
    end_sessions(draw({milliseconds(1), milliseconds(5)}),
                 "terminating connection due to administrator command", "57P01");
    later(draw(pace.shutdown), [this] {
        if (in_recovery_) return stopped();
        // The checkpoint record is the last that is written.
        position_.value += record_bytes;
        replayed_ = position_;
        push();
        stop_when_sent(ground_.scheduler.now() + milliseconds(settings.wal_sender_timeout_ms));
    });
}

void Server::stop_when_sent(MonoTime at_latest) {
    const bool sent =
        std::ranges::all_of(downlinks_, [this](const auto& d) { return d.second.flushed >= position_; });
    if (sent || ground_.scheduler.now() >= at_latest) return stopped();
    push();
    later(looks_again, [this, at_latest] { stop_when_sent(at_latest); });
}

void Server::stopped() {
    note("has shut down");
    drop_processes();
    end_sessions({}, "terminating connection due to administrator command", "57P01");
    drop_downlinks({});
}

void Server::leave_partial_record() {
    if (!running() || hung_ || in_recovery_) return;
    const Lsn end{(position_.value / wal_page + 1) * wal_page};
    note(fmt::format("flushes a whole page, up to {}; its last record ends at {}", end.text(),
                     position_.text()));
    partial_end_ = end;
    push();
}

/// Crash recovery of a primary goes on after the page that ends within a record (OVERWRITE_CONTRECORD), with
/// a checkpoint; a promotion would have gone on after the last complete record.
void Server::skip_partial_record() {
    if (in_recovery_ || partial_end_ <= position_) return;
    position_ = replayed_ = Lsn{partial_end_.value + record_bytes};
}

/// From now on it has what leads to `branch`, and reads no other file for it.
void Server::adopt(const BranchPtr& branch) {
    const bool anew = branch_ != branch;
    branch_ = branch;
    if (pace.segment_copy.second == Duration{} || (!anew && !half_copied_)) return;
    half_copied_ = Lsn{position_.value / wal_segment * wal_segment};
    later(draw(pace.segment_copy), [this, generation = generation_] {
        if (generation != generation_ || !receiver_) return;
        auto* from = receiver_->from;
        if (!from->running() || !from->downlinks_.contains(receiver_->pid)) return;
        half_copied_.reset();
        from->push_to(receiver_->pid);
    });
}

/// The promoted startup process reads its last record from a file that does not hold it yet.
void Server::die_of_half_a_copy() {
    note(fmt::format("PANIC: it has copied timeline {} up to {} only; shuts down", timeline(),
                     half_copied_->text()));
    drop_processes();
    end_sessions({}, "terminating connection due to administrator command", "57P01");
    drop_downlinks({});
}

Lsn Server::oldest_wal() const {
    if (wal_keep_bytes <= 0) return oldest_wal_;
    const auto keep = static_cast<uint64_t>(wal_keep_bytes);
    Lsn oldest{position_.value > keep ? position_.value - keep : 0};
    for (const auto& [name, slot] : slots_) {
        if (slot.wal_status != "lost") oldest = std::min(oldest, slot.restart);
    }
    return oldest_wal_ = std::max(oldest_wal_, oldest);
}

/// max_slot_wal_keep_size: rather lose a standby than fill the disk.
void Server::give_up_slots() {
    for (auto& [name, slot] : slots_) {
        if (slot.wal_status == "lost" ||
            topology::bytes_ahead(position_, slot.restart) <= static_cast<uint64_t>(max_slot_wal_keep_bytes))
            continue;
        note("slot " + name + " is lost: it held back too much WAL");
        slot.wal_status = "lost";
        end_sender_of(name);
    }
}

bool Server::has_given_up(const Server& standby) const {
    const auto at = slots_.find(standby.settings.primary_slot_name);
    return at != slots_.end() && standby.position_ < position_ &&
           (at->second.wal_status == "lost" || standby.position_ < at->second.restart);
}

/// Whoever invalidates a slot ends the sender that uses it (PostgreSQL: SIGTERM).
void Server::end_sender_of(const std::string& slot) {
    const auto user = std::ranges::find(downlinks_, slot, [](const auto& d) { return d.second.slot; });
    if (user == downlinks_.end()) return;
    const auto d = user->second;
    drop_downlink(user->first);
    if (ground_.network.passes(host_, d.standby->host_))
        d.standby->upstream_gone(d.generation, d.standby->draw(d.standby->pace.receiver_notices));
}

void Server::reclone(Server& from, bool with_slot, Duration takes) {
    note(fmt::format("an operator wipes it to make it a standby of {}", from.key_.text()));
    drop_processes();
    end_sessions({}, "terminating connection due to administrator command", "57P01");
    drop_downlinks({});
    ground_.scheduler.after(takes, [this, &from, with_slot, life = life_] {
        if (life == life_) finish_reclone(from, with_slot);
    });
}

/// From an agent: whatever it was, it starts as a standby now.
void Server::become_standby_of(const InstanceKey& upstream, const std::string& slot) {
    in_recovery_ = true;
    conninfo = {};
    conninfo.hosts = {upstream};
    conninfo.user = "repl";
    conninfo.application_name = key_.host;
    settings.default_transaction_read_only = false;
    settings.primary_slot_name = slot;
}

bool Server::take_copy_of(const Server& from) {
    const bool there = from.running() && !from.hung_ && from.key_ != key_ &&
                       ground_.network.between(host_, from.host_) == Link::up;
    if (!there || listens()) return false;
    note(fmt::format("has what {} has", from.key_.text()));
    slots_.clear();
    partial_end_ = {};
    half_copied_.reset();
    oldest_wal_ = {};
    replay_paused_ = receiver_wanted_ = false;
    upstream_lost_at_.reset();
    branch_ = from.branch_;
    position_ = replayed_ = from.position_;
    settings.synchronous_standby_names = from.settings.synchronous_standby_names;
    return true;
}

void Server::stall_writes(bool on) {
    note(on ? "its disk takes no writes" : "its disk is well");
    writes_stall_ = on;
    changed();
    if (on) return;
    for (auto& write : std::exchange(stalled_writes_, {}))
        write();
}

void Server::finish_reclone(Server& from, bool with_slot) {
    if (!from.running() || from.hung_ || ground_.network.between(host_, from.host_) != Link::up) {
        return note(fmt::format("the copy of {} comes to nothing", from.key_.text()));
    }
    slots_.clear();
    partial_end_ = {};
    half_copied_.reset();
    oldest_wal_ = {};
    replay_paused_ = receiver_wanted_ = false;
    upstream_lost_at_.reset();
    in_recovery_ = true;
    branch_ = from.branch_;
    position_ = replayed_ = from.position_;
    conninfo = {};
    conninfo.hosts = {from.key_};
    conninfo.user = "repl";
    conninfo.application_name = key_.host;
    settings.default_transaction_read_only = false;
    settings.synchronous_standby_names = from.settings.synchronous_standby_names;
    settings.primary_slot_name = with_slot ? key_.host + "_slot" : std::string();
    if (with_slot) {
        from.slots_[settings.primary_slot_name] = {
            .name = settings.primary_slot_name, .restart = position_, .wal_status = "reserved"};
    }
    start();
}

}  // namespace baton::sim
