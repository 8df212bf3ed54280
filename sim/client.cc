#include "sim/client.h"

#include <fmt/format.h>

#include "base/async.h"
#include "sim/server.h"

namespace baton::sim {
namespace {

constexpr milliseconds connect_timeout{2000};
/// As tcp_user_timeout of the connection: an answer that does not come ends the session.
constexpr milliseconds answer_timeout{2000};
constexpr milliseconds between_rounds{10};

}  // namespace

Client::Client(Ground& ground, std::vector<InstanceKey> hosts, Duration pause, std::string name)
    : ground_(ground),
      name_(std::move(name)),
      hosts_(std::move(hosts)),
      pause_(pause),
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
            co_await process_.sleep_for(pause_);
            continue;
        }
        if (!failing_) ground_.trace.note(name_, "a write fails");
        failing_ = true;
        connection_->close();
    }
}

Task<bool> Client::connect() {
    for (const auto& host : hosts_) {
        connection_ = std::make_shared<Connection>(ground_, process_, name_, host);
        const auto opened = co_await connection_->open(process_.now() + connect_timeout);
        if (!opened) continue;
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
    }
    co_return false;
}

Task<bool> Client::write() {
    const auto row = next_row_++;
    const auto done =
        co_await connection_->ask([row](Server& server, Reply reply) { server.write(row, std::move(reply)); },
                                  process_.now() + answer_timeout);
    if (done) acknowledged_.push_back(row);
    co_return done.has_value();
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
