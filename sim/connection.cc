#include "sim/connection.h"

#include "sim/server.h"

namespace baton::sim {
namespace {

/// TCP tries again when nothing was acknowledged.
constexpr milliseconds retransmit{200};
constexpr Duration login_time = std::chrono::microseconds(1800);

}  // namespace

Task<Connection::Done> Connection::fail_at(MonoTime when, Reach reach, ErrorKind kind, std::string message,
                                           std::string state) {
    co_await clock_.sleep_until(when);
    co_return std::unexpected(Failure{reach, {kind, std::move(message), to_.text(), std::move(state)}, true});
}

Task<Connection::Done> Connection::open(MonoTime deadline) {
    const auto self = shared_from_this();
    close();
    const auto life = life_;
    auto& network = ground_.network;
    const auto round_trip =
        to_server() + network.delay(there_, here_) + network.handshake_losses(here_, there_);
    co_await clock_.sleep_until(std::min(deadline, clock_.now() + round_trip));
    const auto* server = ground_.server(to_);
    if (server == nullptr || link() == Link::silent || clock_.now() >= deadline) {
        co_return co_await fail_at(deadline, Reach::silent, ErrorKind::timeout,
                                   "no answer to a connection attempt");
    }
    if (link() == Link::refused || !server->listens())
        co_return co_await fail_at(clock_.now(), Reach::refused, ErrorKind::refused, "Connection refused");
    auto done = co_await log_in(deadline);
    if (!done) co_return done;
    if (life != life_) co_return std::unexpected(Failure{Reach::unknown, {ErrorKind::cancelled, "closed"}});
    open_ = true;
    used_ = false;
    last_arrival_ = {};
    ground_.server(to_)->add_session(self);
    co_return Done{};
}

Task<Connection::Done> Connection::log_in(MonoTime deadline) {
    const auto* server = ground_.server(to_);
    const auto takes = login_time + ground_.network.round_trip_losses(here_, there_);
    co_await clock_.sleep_until(std::min(deadline, clock_.now() + takes));
    if (server->hung_for_new_sessions() || link() != Link::up || clock_.now() >= deadline) {
        co_return co_await fail_at(deadline, Reach::unresponsive, ErrorKind::timeout,
                                   "connected, but the server says nothing");
    }
    if (!server->listens())
        co_return co_await fail_at(clock_.now(), Reach::unresponsive, ErrorKind::broken,
                                   "server closed the connection unexpectedly");
    if (const auto refusal = server->refuses_login(party_)) {
        co_return co_await fail_at(clock_.now(), refusal->reach, refusal->error.kind, refusal->error.message,
                                   refusal->error.sqlstate);
    }
    co_return Done{};
}

/// Until what the server sends now has arrived; not before what it sent earlier.
Duration Connection::from_server() {
    const auto now = ground_.scheduler.now();
    const auto wait = std::max(ground_.network.delay(there_, here_), last_arrival_ - now);
    if (ground_.network.may_overtake(there_, here_)) last_arrival_ = now + wait;
    return wait;
}

void Connection::close() {
    ++life_;
    open_ = false;
    parked_ = nullptr;
}

Failure Connection::broken() const {
    return {Reach::unresponsive, ending_, !used_};
}

Task<Connection::Done> Connection::ask(Work work, MonoTime deadline) {
    const auto self = shared_from_this();
    if (!open_) co_return std::unexpected(broken());
    const auto call = std::make_shared<Call>();
    const auto life = life_;
    send(call, std::make_shared<Work>(std::move(work)));
    while (!call->answer && open_ && life == life_ && clock_.now() < deadline)
        co_await signal_.wait_until(deadline);
    if (call->answer) {
        used_ = true;
        if (*call->answer) co_return Done{};
        co_return std::unexpected(Failure{Reach::failing, call->answer->error(), false});
    }
    if (!open_ || life != life_) co_return std::unexpected(broken());
    close();
    co_return std::unexpected(Failure{used_ ? Reach::silent : Reach::unresponsive,
                                      {ErrorKind::timeout, "no answer within the deadline", to_.text(), {}},
                                      !used_});
}

void Connection::send(std::shared_ptr<Call> call, std::shared_ptr<Work> work) {
    const auto weak = weak_from_this();
    const auto again = [weak, call, work, life = life_] {
        if (const auto self = weak.lock(); self && self->life_ == life && self->open_) self->send(call, work);
    };
    switch (link()) {
        case Link::silent:
            return ground_.scheduler.after(retransmit, again);
        case Link::refused:
            return ended("Connection reset by peer", {});
        case Link::up:
            break;
    }
    ground_.scheduler.after(to_server(), [weak, call, work, life = life_] {
        if (const auto self = weak.lock(); self && self->life_ == life && self->open_)
            self->arrive(call, work);
    });
}

void Connection::arrive(std::shared_ptr<Call> call, std::shared_ptr<Work> work) {
    auto* server = ground_.server(to_);
    if (!server->listens()) return;
    if (server->hung()) {
        parked_ = [this, call, work] { arrive(call, work); };
        return;
    }
    (*work)(*server, [weak = weak_from_this(), call, life = life_](Result<void> result) {
        if (const auto self = weak.lock(); self && self->life_ == life) self->answer(call, std::move(result));
    });
}

void Connection::answer(std::shared_ptr<Call> call, Result<void> result) {
    const auto weak = weak_from_this();
    const bool passes = link() == Link::up;
    const Duration wait = passes ? from_server() : Duration(retransmit);
    ground_.scheduler.after(wait, [weak, call, result = std::move(result), passes, life = life_]() mutable {
        const auto self = weak.lock();
        if (!self || self->life_ != life || !self->open_) return;
        if (!passes) return self->answer(call, std::move(result));
        call->answer = std::move(result);
        self->signal_.notify();
    });
}

void Connection::look_arrived() const {
    if (const auto* server = ground_.server(to_)) ground_.tell(&Watcher::look_arrived, *server);
}

void Connection::promotion_leaves() const {
    if (const auto* server = ground_.server(to_)) ground_.tell(&Watcher::promotion_sent, *server);
}

void Connection::resume() {
    if (const auto parked = std::exchange(parked_, nullptr)) parked();
}

void Connection::end(std::string message, std::string sqlstate) {
    const auto weak = weak_from_this();
    const bool passes = link() == Link::up;
    const Duration wait = passes ? from_server() : Duration(retransmit);
    ground_.scheduler.after(wait, [weak, passes, message, sqlstate, life = life_] {
        const auto self = weak.lock();
        if (!self || self->life_ != life || !self->open_) return;
        if (!passes) return self->end(message, sqlstate);
        self->ended(message, sqlstate);
    });
}

void Connection::ended(std::string message, std::string sqlstate) {
    close();
    ending_ = {ErrorKind::broken, std::move(message), to_.text(), std::move(sqlstate)};
    signal_.notify();
    if (on_end_) on_end_();
}

}  // namespace baton::sim
