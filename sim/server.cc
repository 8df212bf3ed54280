#include "sim/server.h"

#include <fmt/format.h>

#include <algorithm>

namespace baton::sim {
namespace {

/// superuser_reserved_connections
constexpr int reserved_connections = 3;

}  // namespace

Server::Server(Ground& ground, InstanceKey key, std::string system_identifier)
    : ground_(ground),
      key_(std::move(key)),
      host_(ground.network.id(key_.host)),
      system_identifier_(std::move(system_identifier)),
      random_(ground.seed, key_.text()) {
    settings.cluster_name = key_.host;
    settings.synchronous_commit = "on";
    settings.recovery_target_timeline = "latest";
    settings.wal_log_hints = true;
    settings.max_connections = 100;
    settings.max_wal_senders = settings.max_replication_slots = 10;
    settings.max_worker_processes = 8;
    settings.max_locks_per_transaction = 64;
    started_at_ = ground_.scheduler.now();
}

void Server::become_primary(BranchPtr branch) {
    branch_ = std::move(branch);
    position_ = replayed_ = std::max(branch_->end(), Lsn{0x3000000});
    branch_->begins = branch_->rows.empty() ? position_ : branch_->begins;
}

void Server::become_standby(Server& upstream, bool with_slot) {
    in_recovery_ = true;
    branch_ = upstream.branch_;
    position_ = replayed_ = upstream.position_;
    conninfo.hosts = {upstream.key_};
    conninfo.user = "repl";
    conninfo.application_name = key_.host;
    if (with_slot) {
        settings.primary_slot_name = key_.host + "_slot";
        upstream.slots_[settings.primary_slot_name] = {
            .name = settings.primary_slot_name, .restart = position_, .wal_status = "reserved"};
    }
    ground_.scheduler.after({}, [this] { start_receiver(); });
}

void Server::become_diverged(uint64_t bytes) {
    auto own = std::make_shared<Branch>();
    own->timeline = branch_->timeline + 1;
    own->begins = position_;
    own->parent = branch_;
    branch_ = std::move(own);
    position_.value += bytes;
    replayed_ = position_;
}

void Server::end_sessions(Duration wait, const std::string& message, const std::string& sqlstate) {
    ground_.scheduler.after(wait, [sessions = std::exchange(sessions_, {}), message, sqlstate] {
        for (const auto& weak : sessions) {
            if (const auto session = weak.lock()) session->end(message, sqlstate);
        }
    });
}

/// What every way of dying has in common: nothing that was under way goes on.
void Server::drop_processes(State next) {
    ++life_;
    state_ = next;
    hung_ = postmaster_hung_ = false;
    stopping_ = Stopping::no;
    promotion_ = 0;
    promotion_requests_ = 0;
    promotion_asleep_ = false;
    commits_.clear();
    held_.clear();
    blocked_looks_.clear();
    stalled_writes_.clear();
    stop_receiver();
    changed();
}

void Server::kill() {
    note("all processes killed");
    drop_processes();
    end_sessions(draw(pace.session_ends), "terminating connection due to unexpected postmaster exit",
                 "57P01");
    drop_downlinks(milliseconds(0));
}

void Server::crash_backend() {
    note("a backend crashed: restarting in crash recovery");
    drop_processes(State::starting);
    end_sessions(draw({milliseconds(16), milliseconds(50)}),
                 "terminating connection because of crash of another server process", "57P02");
    drop_downlinks(milliseconds(16));
    later(draw(pace.crash_recovery), [this] { come_up("crash recovery is over"); });
}

void Server::start() {
    if (state_ != State::dead) return;
    note("starts");
    drop_downlinks({});
    state_ = State::starting;
    ++life_;
    later(draw(pace.start), [this] { come_up("accepts connections"); });
}

void Server::come_up(const std::string& what) {
    state_ = State::running;
    started_at_ = ground_.scheduler.now();
    skip_partial_record();
    if (in_recovery_) replay_what_is_there();
    note(what + (in_recovery_ ? ", in recovery" : fmt::format(" and writes, on timeline {}", timeline())));
    if (in_recovery_) start_receiver();
    changed();
}

/// A standby that was restarted finds the end of its WAL by itself, and knows whole records only.
void Server::replay_what_is_there() {
    partial_end_ = {};
    schedule_replay(position_);
}

void Server::restart() {
    kill();
    start();
}

void Server::power_off() {
    note("the host is gone");
    ground_.network.set_host(key_.host, false);
    drop_processes();
    sessions_.clear();
}

void Server::power_on() {
    ground_.network.set_host(key_.host, true);
    drop_downlinks(milliseconds(0));
    start();
}

void Server::hang() {
    note("all processes stopped (SIGSTOP)");
    hung_ = true;
    changed();
}

void Server::hang_postmaster() {
    note("the postmaster is stopped (SIGSTOP); its backends run");
    postmaster_hung_ = true;
    changed();
}

void Server::resume() {
    note("continues (SIGCONT)");
    hung_ = postmaster_hung_ = false;
    for (auto& action : std::exchange(held_, {}))
        action();
    for (const auto& weak : std::vector(sessions_)) {
        if (const auto session = weak.lock()) session->resume();
    }
    network_changed();
    changed();
}

void Server::network_changed() {
    if (!listens() || hung_) return;
    push();
    if (receiver_ && receiver_->streaming && !receiver_->from->hung_) receiver_->from->push();
}

void Server::break_sessions(const std::string& party) {
    for (const auto& weak : sessions_) {
        const auto session = weak.lock();
        if (session && session->party() == party)
            session->end("terminating connection due to administrator command", "57P01");
    }
}

size_t Server::sessions_of(const std::string& party) const {
    return static_cast<size_t>(std::ranges::count_if(sessions_, [&](const auto& weak) {
        const auto session = weak.lock();
        return session && session->is_open() && session->party() == party;
    }));
}

size_t Server::sessions() const {
    return static_cast<size_t>(std::ranges::count_if(sessions_, [](const auto& weak) {
        const auto session = weak.lock();
        return session && session->is_open();
    }));
}

void Server::block_looks(bool on) {
    looks_blocked_ = on;
    changed();
    if (on) return;
    for (auto& look : std::exchange(blocked_looks_, {}))
        look();
}

void Server::lose_slot(const std::string& name) {
    slots_[name].name = name;
    slots_[name].wal_status = "lost";
    ground_.tell(&Watcher::slot_lost, *this, name);
    // As a checkpoint does, which a stopped server does not reach.
    later(Duration{}, [this, name] { end_sender_of(name); });
}

void Server::mend_slot(const std::string& name) {
    const auto at = slots_.find(name);
    if (at == slots_.end() || at->second.wal_status != "lost") return;
    note("slot " + name + " is made anew");
    at->second = {.name = name, .restart = position_, .wal_status = "reserved"};
}

std::optional<Failure> Server::refuses_login(const std::string& party) const {
    const auto refuse = [&](Reach reach, ErrorKind kind, std::string message, std::string state) {
        return Failure{reach, {kind, std::move(message), key_.text(), std::move(state)}, true};
    };
    if (state_ == State::starting) {
        return refuse(Reach::starting, ErrorKind::starting_up, "the database system is in recovery mode",
                      "57P03");
    }
    if (stopping_ != Stopping::no) {
        return refuse(Reach::starting, ErrorKind::starting_up, "the database system is shutting down",
                      "57P03");
    }
    if (logins_refused_ && party == "manager") {
        return refuse(Reach::not_permitted, ErrorKind::authentication,
                      "password authentication failed for user \"baton\"", "28P01");
    }
    const auto room = static_cast<size_t>(std::max(settings.max_connections - reserved_connections, 0));
    if (connections_exhausted_ || (sessions_.size() >= room && sessions() >= room)) {
        return refuse(Reach::too_many_connections, ErrorKind::too_many_connections,
                      "sorry, too many clients already", "53300");
    }
    return std::nullopt;
}

void Server::add_session(const ConnectionPtr& session) {
    std::erase_if(sessions_, [&](const auto& weak) {
        const auto known = weak.lock();
        return !known || !known->is_open() || known == session;
    });
    sessions_.push_back(session);
}

void Server::look(std::function<void(topology::Observation)> answer) {
    if (looks_blocked_) {
        blocked_looks_.push_back([this, answer = std::move(answer)] { answer(observe()); });
        return;
    }
    answer(observe());
}

bool Server::accepts_writes() const {
    return running() && stopping_ != Stopping::fast && !in_recovery_ &&
           !settings.default_transaction_read_only;
}

void Server::write(uint64_t row, Reply reply) {
    if (in_recovery_ || settings.default_transaction_read_only) {
        return reply(
            fail(ErrorKind::sql, "cannot execute INSERT in a read-only transaction", key_.text(), "25006"));
    }
    if (stopping_ == Stopping::fast) return;
    if (writes_stall_) {
        stalled_writes_.emplace_back([this, row, reply = std::move(reply)] { write(row, reply); });
        return;
    }
    later(draw(pace.flush), [this, row, reply = std::move(reply)] {
        if (stopping_ == Stopping::fast) return;
        position_.value += 128;
        replayed_ = position_;
        last_commit_ = ground_.scheduler.now();
        branch_->rows.push_back({position_, row});
        commits_.push_back({{position_, row}, reply});
        if (max_slot_wal_keep_bytes > 0) give_up_slots();
        push();
        release_commits();
    });
}

std::optional<Error> Server::may(const std::string& verb) const {
    if (!forbidden.contains(verb)) return std::nullopt;
    return Error{ErrorKind::privilege, "permission denied to " + verb, key_.text(), "42501"};
}

Result<void> Server::request_promotion() {
    ground_.tell(&Watcher::promotion_asked, *this);
    if (const auto no = may("promote")) return std::unexpected(*no);
    if (!in_recovery_) return fail(ErrorKind::conflict, "recovery is not in progress", key_.text(), "55000");
    ++promotion_requests_;
    if (promotions_stall_) return {};
    if (promotion_requests_ == 1) {
        const auto now = ground_.scheduler.now();
        const bool close = upstream_lost_at_ && now - *upstream_lost_at_ <= pace.trap_window;
        promotion_asleep_ = random_.chance(pace.trap_percent) && close;
        if (promotion_asleep_) note("sleeps out wal_retrieve_retry_interval before it looks at the request");
        promote_later(promotion_asleep_ ? milliseconds(settings.wal_retrieve_retry_interval_ms)
                                        : draw(pace.promotion));
    } else if (std::exchange(promotion_asleep_, false)) {
        promote_later(draw({milliseconds(2), milliseconds(40)}));
    }
    return {};
}

void Server::stall_promotions(bool on) {
    promotions_stall_ = on;
    if (!on && promotion_requests_ > 0 && in_recovery_ && running()) promote_later(draw(pace.promotion));
}

void Server::promote_later(Duration wait) {
    later(wait, [this, mine = ++promotion_] {
        if (mine == promotion_ && in_recovery_) finish_promotion();
    });
}

void Server::finish_promotion() {
    if (half_copied_) return die_of_half_a_copy();
    stop_receiver();
    partial_end_ = {};
    ++promotions_;
    in_recovery_ = false;
    promotion_requests_ = 0;
    replay_paused_ = false;
    replayed_ = position_;
    auto next = std::make_shared<Branch>();
    next->timeline = branch_->timeline + 1;
    next->begins = position_;
    next->parent = branch_;
    branch_ = std::move(next);
    note(fmt::format("is promoted: writes on timeline {} from {}", timeline(), position_.text()));
    push();
    ground_.tell(&Watcher::promoted, *this);
    changed();
}

void Server::follow(engine::FollowOrder order, std::function<void(Result<engine::FollowHow>)> answer) {
    deed("follow", order.upstream.text());
    if (auto no = may("follow")) return answer(std::unexpected(std::move(*no)));
    later(draw(pace.statement), [this, order = std::move(order), answer = std::move(answer)] {
        const bool listed = std::ranges::find(conninfo.hosts, order.upstream) != conninfo.hosts.end();
        const bool nudge = conninfo.finds_primary_itself() && listed;
        if (!nudge) {
            conninfo.hosts = {order.upstream};
            if (!order.slot.empty()) settings.primary_slot_name = order.slot;
        } else if (order.first) {
            std::erase(conninfo.hosts, order.upstream);
            conninfo.hosts.insert(conninfo.hosts.begin(), order.upstream);
        }
        if (in_recovery_) change_upstream();
        answer(nudge ? engine::FollowHow::nudged : engine::FollowHow::rewritten);
    });
}

void Server::restart_receiver(Reply reply) {
    deed("restart_receiver", {});
    if (auto no = may("follow")) return reply(std::unexpected(std::move(*no)));
    later(draw(pace.statement), [this, reply = std::move(reply)] {
        note("its receiver is made to reconnect");
        if (in_recovery_) change_upstream();
        reply({});
    });
}

void Server::create_slot(const std::string& name, Reply reply) {
    deed("create_slot", name);
    if (auto no = may("create_slot")) return reply(std::unexpected(std::move(*no)));
    later(draw(pace.statement), [this, name, reply = std::move(reply)] {
        slots_.try_emplace(name,
                           topology::Slot{.name = name, .restart = position_, .wal_status = "reserved"});
        reply({});
    });
}

void Server::drop_slot(const std::string& name, Reply reply) {
    deed("drop_slot", name);
    later(draw(pace.statement), [this, name, reply = std::move(reply)] {
        const auto at = slots_.find(name);
        if (at != slots_.end() && at->second.active) {
            return reply(fail(ErrorKind::conflict, fmt::format("replication slot \"{}\" is active", name),
                              key_.text(), "55006"));
        }
        slots_.erase(name);
        reply({});
    });
}

void Server::pause_replay(bool paused) {
    replay_paused_ = paused;
    if (paused) return;
    schedule_replay(position_);
    if (std::exchange(receiver_wanted_, false) && in_recovery_) start_receiver();
}

/// The startup process starts and restarts receivers, and while its replay is paused it does neither.
void Server::change_upstream() {
    if (replay_paused_) {
        receiver_wanted_ = true;
    } else {
        start_receiver();
    }
}

void Server::change_setting(const std::string& verb, std::function<void(topology::Settings&)> change,
                            Reply reply) {
    deed(verb, {});
    if (auto no = may(verb)) return reply(std::unexpected(std::move(*no)));
    later(draw(pace.statement), [this, change = std::move(change), reply = std::move(reply)] {
        change(settings);
        changed();
        release_commits();
        reply({});
    });
}

}  // namespace baton::sim
