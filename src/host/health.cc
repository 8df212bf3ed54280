#include "host/health.h"

#include <spdlog/spdlog.h>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <set>

#include "base/async.h"
#include "base/json_writer.h"
#include "host/health_answer.h"
#include "host/upstream_look.h"
#include "net/listen.h"
#include "net/stream.h"

namespace baton::host {
namespace {

using Tcp = asio::ip::tcp;

constexpr size_t most_connections = 256;
/// Between two requests of one connection, and for each of its parts.
constexpr auto idle_limit = seconds(30);
constexpr auto write_limit = seconds(5);
constexpr milliseconds pause_after_failure{100};

/// Kept by every connection: the Health object may go before them.
struct Room {
    Room(Clock& c, const Options& options, Statuses s)
        : clock(c), statuses(std::move(s)), looks(c, options.instances, options.state_directory) {}

    Clock& clock;
    Statuses statuses;
    UpstreamLooks looks;
    std::set<net::Stream*> open;
    bool stopping = false;
};
using RoomPtr = std::shared_ptr<Room>;

HealthAnswer refusal(const Error& error) {
    JsonWriter json;
    json.begin_object().field("error", error.message).end_object();
    return {error.kind == ErrorKind::not_found ? 404 : 400, json.take()};
}

Task<HealthAnswer> answer(RoomPtr room, const HealthRequest& request) {
    if (request.method != "GET" && request.method != "HEAD" && request.method != "OPTIONS")
        co_return HealthAnswer{405, R"({"error":"GET, HEAD or OPTIONS"})"};
    auto statuses = room->statuses();
    const auto target = find_health_target(request, statuses);
    if (!target) co_return refusal(target.error());
    UpstreamLook look;
    const auto asked = statuses[target->instance];
    if (needs_upstream(*target) && asked.standby_signal && asked.state == agent::ServerState::running) {
        look = co_await room->looks.look(target->instance);
        if (room->stopping) co_return HealthAnswer{};
        statuses = room->statuses();
    }
    const auto& status = target->instance < statuses.size() ? statuses[target->instance] : asked;
    co_return health_answer(*target, status, look);
}

/// Reads up to the end of one head; what comes behind it stays in `pending`.
Task<std::optional<std::string>> read_head(net::Stream& stream, std::string& pending) {
    std::array<char, 2048> buffer{};
    for (;;) {
        if (const auto end = pending.find("\r\n\r\n"); end != std::string::npos) {
            auto head = pending.substr(0, end + 4);
            pending.erase(0, end + 4);
            co_return head;
        }
        if (pending.size() > health_request_limit) co_return std::nullopt;
        const auto count = co_await stream.read(asio::buffer(buffer), idle_limit);
        if (!count) co_return std::nullopt;
        pending.append(buffer.data(), *count);
    }
}

Task<void> serve(RoomPtr room, std::unique_ptr<net::Stream> stream) {
    room->open.insert(stream.get());
    std::string pending;
    bool more = true;
    while (more && !room->stopping) {
        const auto head = co_await read_head(*stream, pending);
        if (!head || room->stopping) break;
        auto request = parse_health_request(*head);
        more = request && request->keep_alive;
        const auto reply = request ? co_await answer(room, *request) : refusal(request.error());
        if (room->stopping) break;
        const HealthRequest plain{.method = "GET", .path = "", .query = "", .keep_alive = false};
        const auto text = health_response(reply, request ? *request : plain);
        if (!co_await stream->write(text, write_limit)) break;
    }
    room->open.erase(stream.get());
    co_await stream->close(milliseconds(100));
}

Task<void> listen(RoomPtr room, std::shared_ptr<Tcp::acceptor> acceptor) {
    while (!room->stopping) {
        boost::system::error_code ec;
        auto socket = co_await acceptor->async_accept(asio::redirect_error(asio::use_awaitable, ec));
        if (room->stopping || ec == asio::error::operation_aborted) co_return;
        if (ec) {  // no descriptors left, most likely
            co_await room->clock.sleep_for(pause_after_failure);
            continue;
        }
        net::close_on_exec(socket.native_handle());
        if (room->open.size() >= most_connections) continue;
        spawn(room->clock.executor(), serve(room, net::make_stream(std::move(socket))));
    }
}

class HostHealth final : public Health {
  public:
    HostHealth(Clock& clock, const Options& options, Statuses statuses)
        : address_(options.health_listen_address),
          room_(std::make_shared<Room>(clock, options, std::move(statuses))) {}
    ~HostHealth() override { stop(); }

    Result<void> start() override {
        if (address_.empty()) return {};
        auto acceptor = net::listen_tcp(room_->clock.executor(), address_);
        if (!acceptor) {
            auto error = acceptor.error();
            error.message += "; HealthListenAddress";
            return std::unexpected(std::move(error));
        }
        acceptor_ = std::make_shared<Tcp::acceptor>(std::move(*acceptor));
        spawn(room_->clock.executor(), listen(room_, acceptor_));
        return {};
    }

    void stop() override {
        if (std::exchange(room_->stopping, true)) return;
        boost::system::error_code ignored;
        if (acceptor_) acceptor_->close(ignored);
        for (auto* stream : room_->open)
            stream->cancel();
    }

  private:
    std::string address_;
    RoomPtr room_;
    std::shared_ptr<Tcp::acceptor> acceptor_;
};

}  // namespace

std::unique_ptr<Health> make_health(Clock& clock, const Options& options, Statuses statuses) {
    return std::make_unique<HostHealth>(clock, options, std::move(statuses));
}

}  // namespace baton::host
