#include "sim/client.h"

#include <fmt/format.h>

#include "base/async.h"
#include "sim/router.h"
#include "sim/server.h"

namespace baton::sim {
namespace {

constexpr milliseconds connect_timeout{2000};
/// As tcp_user_timeout of the connection: an answer that does not come ends the session.
constexpr milliseconds answer_timeout{2000};
constexpr milliseconds between_rounds{10};

}  // namespace

Client::Client(Ground& ground, std::vector<InstanceKey> hosts, Load load, std::string name, Router* router,
               uint64_t first_row)
    : ground_(ground),
      name_(std::move(name)),
      hosts_(std::move(hosts)),
      load_(load),
      router_(router),
      next_row_(first_row),
      process_(ground.scheduler) {
    last_success_ = process_.now();
    spawn(process_.executor(), work());
}

Task<void> Client::work() {
    while (!stopped_) {
        if (!connection_ || !connection_->is_open()) {
            if (!co_await connect()) {
                co_await process_.sleep_for(between_rounds);
                continue;
            }
        }
        if (co_await write()) {
            succeeded();
            co_await process_.sleep_for(pause());
            continue;
        }
        if (!failing_) ground_.trace.note(name_, "a write fails");
        failing_ = true;
        connection_->close();
    }
}

Duration Client::pause() {
    if (load_.burst == 0 || ++in_burst_ < load_.burst) return load_.pause;
    in_burst_ = 0;
    return load_.rest;
}

Task<bool> Client::connect() {
    if (router_ != nullptr) co_return co_await connect_through_router();
    for (const auto& host : hosts_) {
        if (co_await connect_to(host)) co_return true;
    }
    co_return false;
}

Task<bool> Client::connect_to(InstanceKey host) {
    connection_ = std::make_shared<Connection>(ground_, process_, name_, host);
    const auto opened = co_await connection_->open(process_.now() + connect_timeout);
    if (!opened) co_return false;
    const auto writable = std::make_shared<bool>(false);
    const auto asked = co_await connection_->ask(
        [writable](Server& server, Reply reply) {
            *writable = server.accepts_writes();
            reply({});
        },
        process_.now() + connect_timeout);
    if (asked && *writable) {
        connected_to_ = host;
        co_return true;
    }
    connection_->close();
    co_return false;
}

Task<bool> Client::pass_router(bool there) {
    auto& network = ground_.network;
    co_await process_.sleep_for(there ? network.delay(name_, router_->host())
                                      : network.delay(router_->host(), name_));
    co_return router_->listens() && !router_->hung() && network.between(name_, router_->host()) == Link::up;
}

Task<bool> Client::connect_through_router() {
    const auto deadline = process_.now() + connect_timeout;
    if (!co_await pass_router(true)) {
        const bool refused =
            ground_.network.between(name_, router_->host()) == Link::refused ||
            (!router_->listens() && ground_.network.between(name_, router_->host()) == Link::up);
        if (!refused) co_await process_.sleep_until(deadline);
        co_return false;
    }
    const auto target = router_->target();
    if (!target) co_return false;
    connection_ = std::make_shared<Connection>(ground_, process_, router_->host(), *target);
    if (!co_await connection_->open(deadline)) co_return false;
    router_->carry(connection_);
    connected_to_ = *target;
    if (co_await pass_router(false)) co_return true;
    connection_->close();
    co_return false;
}

Task<bool> Client::write() {
    const auto row = next_row_++;
    const auto deadline = process_.now() + answer_timeout;
    if (router_ != nullptr && !co_await pass_router(true)) {
        co_await process_.sleep_until(deadline);
        co_return false;
    }
    const auto done = co_await connection_->ask(
        [row, committed = committed_](Server& server, Reply reply) {
            server.write(row, [row, committed, &server, reply = std::move(reply)](Result<void> result) {
                *committed = {row, server.timeline()};
                reply(std::move(result));
            });
        },
        deadline);
    if (!done) co_return false;
    if (router_ != nullptr && !co_await pass_router(false)) {
        co_await process_.sleep_until(deadline);
        co_return false;
    }
    acknowledged_.push_back(row);
    const auto timeline = committed_->row == row ? committed_->timeline : Timeline{};
    acknowledgements_.push_back({row, connected_to_, timeline, ground_.scheduler.now()});
    co_return true;
}

void Client::succeeded() {
    const auto now = process_.now();
    const auto gap = now - last_success_;
    longest_outage_ = std::max(longest_outage_, gap);
    last_success_ = now;
    writes_to_ = connected_to_;
    if (!std::exchange(failing_, false)) return;
    ground_.trace.note(name_, fmt::format("writes to {} after {:.1f} ms without", connected_to_.text(),
                                          static_cast<double>(to_us(gap)) / 1000.0));
}

}  // namespace baton::sim
