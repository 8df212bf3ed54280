// Two coroutines serve a channel: one reads ahead into a small inbox, one empties the queue. So a reader that
// gives up waiting leaves no half-read line behind (an operation of a TLS stream cannot be taken back alone),
// and nobody who sends has to wait.
#include "net/channel.h"

#include <boost/asio/redirect_error.hpp>
#include <deque>
#include <unordered_set>

#include "base/async.h"

namespace baton::net {

namespace {

struct Outgoing {
    std::string text;  ///< with its end
    Duration limit;
};

constexpr size_t read_bytes = 16UL * 1024;
/// What a line in the inbox costs beside its text: a million empty ones are no small thing.
constexpr size_t line_cost = 64;

}  // namespace

struct Channel::Wire : std::enable_shared_from_this<Wire> {
    Wire(std::unique_ptr<Stream> s, ChannelLimits l) : stream(std::move(s)), limits(l) {}

    void end(Error why);
    void ring() const;
    /// False when `deadline` came first.
    Task<bool> wait(std::optional<std::chrono::steady_clock::time_point> deadline);
    Result<uint64_t> queue_line(std::string_view line, Duration limit);
    Result<void> take(std::string_view bytes);
    bool inbox_full() const { return inbox_bytes > limits.inbox_bytes; }
    static Task<void> listen(std::shared_ptr<Wire> self);
    static Task<void> speak(std::shared_ptr<Wire> self);

    const std::unique_ptr<Stream> stream;
    const ChannelLimits limits;
    std::optional<Error> over;
    std::unordered_set<asio::steady_timer*> waiting;

    bool listening = false;
    std::string rest;  ///< of a line whose end has not come yet
    std::deque<std::string> inbox;
    size_t inbox_bytes = 0;

    bool speaking = false;
    std::deque<Outgoing> queue;
    size_t queue_bytes = 0;
    uint64_t queued = 0;  ///< lines, ever
    uint64_t sent = 0;
};

/// The first reason stands.
void Channel::Wire::end(Error why) {
    if (!over) over = std::move(why);
    stream->cancel();
    ring();
}

void Channel::Wire::ring() const {
    for (auto* timer : waiting)
        timer->cancel();
}

Task<bool> Channel::Wire::wait(std::optional<std::chrono::steady_clock::time_point> deadline) {
    const auto self = shared_from_this();
    asio::steady_timer timer(stream->executor());
    const auto forget = [self](asio::steady_timer* t) { self->waiting.erase(t); };
    const std::unique_ptr<asio::steady_timer, decltype(forget)> listed(&timer, forget);
    waiting.insert(&timer);
    timer.expires_at(deadline.value_or(std::chrono::steady_clock::time_point::max()));
    boost::system::error_code code;
    co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, code));
    co_return code == asio::error::operation_aborted;
}

// ---- reading

/// The lines that end in `bytes`; the rest is kept.
Result<void> Channel::Wire::take(std::string_view bytes) {
    while (!bytes.empty()) {
        const auto end = bytes.find('\n');
        const auto part = bytes.substr(0, end);
        if (rest.size() + part.size() > limits.line_bytes) {
            return fail(ErrorKind::broken,
                        "it sent a line of more than " + std::to_string(limits.line_bytes) + " bytes",
                        stream->peer().address);
        }
        rest += part;
        if (end == std::string_view::npos) return {};
        inbox_bytes += rest.size() + line_cost;
        inbox.push_back(std::exchange(rest, {}));
        bytes.remove_prefix(end + 1);
    }
    return {};
}

Task<void> Channel::Wire::listen(std::shared_ptr<Wire> self) {
    auto& wire = *self;
    std::vector<char> buffer(read_bytes);
    while (!wire.over) {
        if (wire.inbox_full()) {
            co_await wire.wait({});
            continue;
        }
        const auto count = co_await wire.stream->read(asio::buffer(buffer), {});
        if (!count) {
            wire.end(count.error());
            break;
        }
        if (auto taken = wire.take({buffer.data(), *count}); !taken) wire.end(taken.error());
        wire.ring();
    }
    wire.listening = false;
    wire.ring();
}

// ---- writing

Result<uint64_t> Channel::Wire::queue_line(std::string_view line, Duration limit) {
    if (over) return std::unexpected(*over);
    if (line.size() > limits.line_bytes || line.find('\n') != std::string_view::npos) {
        return fail(ErrorKind::invalid_argument, "not one line of at most " +
                                                     std::to_string(limits.line_bytes) + " bytes, but " +
                                                     std::to_string(line.size()) + " bytes");
    }
    if (queue.size() >= limits.queue_lines || queue_bytes + line.size() > limits.queue_bytes) {
        end({ErrorKind::broken, "the other side does not read what it is told", stream->peer().address, ""});
        return std::unexpected(*over);
    }
    std::string text;
    text.reserve(line.size() + 1);
    text.append(line).push_back('\n');
    queue_bytes += text.size();
    queue.push_back({std::move(text), limit});
    if (!std::exchange(speaking, true)) spawn(stream->executor(), speak(shared_from_this()));
    return ++queued;
}

Task<void> Channel::Wire::speak(std::shared_ptr<Wire> self) {
    auto& wire = *self;
    while (!wire.over && !wire.queue.empty()) {
        const auto& next = wire.queue.front();
        const auto written = co_await wire.stream->write(next.text, next.limit);
        if (!written) {
            wire.end(written.error());
            break;
        }
        wire.queue_bytes -= next.text.size();
        wire.queue.pop_front();
        ++wire.sent;
        wire.ring();
    }
    wire.speaking = false;
    wire.ring();
}

// ---- the handle

Channel::Channel(std::unique_ptr<Stream> stream, ChannelLimits limits)
    : wire_(std::make_shared<Wire>(std::move(stream), limits)) {}

Channel::~Channel() {
    cancel();
}

Task<Result<void>> Channel::handshake(Duration limit) {
    const auto wire = wire_;
    auto done = co_await wire->stream->handshake(limit);
    if (!done) wire->end(done.error());
    co_return done;
}

Task<Result<std::string>> Channel::read_line(std::optional<Duration> limit) {
    const auto wire = wire_;
    if (!wire->over && !std::exchange(wire->listening, true))
        spawn(wire->stream->executor(), Wire::listen(wire));
    std::optional<std::chrono::steady_clock::time_point> deadline;
    if (limit) deadline = std::chrono::steady_clock::now() + *limit;
    while (wire->inbox.empty()) {
        if (wire->over) co_return std::unexpected(*wire->over);
        if (!co_await wire->wait(deadline) && wire->inbox.empty() && !wire->over)
            co_return fail(ErrorKind::timeout, "nothing came in time", wire->stream->peer().address);
    }
    auto line = std::move(wire->inbox.front());
    wire->inbox.pop_front();
    wire->inbox_bytes -= line.size() + line_cost;
    wire->ring();
    co_return line;
}

Result<void> Channel::send(std::string_view line) {
    const auto number = wire_->queue_line(line, wire_->limits.write);
    if (!number) return std::unexpected(number.error());
    return {};
}

Task<Result<void>> Channel::write_line(std::string_view line, Duration limit) {
    const auto wire = wire_;
    const auto number = wire->queue_line(line, limit);
    if (!number) co_return std::unexpected(number.error());
    while (wire->sent < *number) {
        if (wire->over) co_return std::unexpected(*wire->over);
        co_await wire->wait({});
    }
    co_return Result<void>{};
}

void Channel::cancel() {
    wire_->end({ErrorKind::cancelled, "cancelled", "", ""});
}

Task<void> Channel::close(Duration limit) {
    const auto wire = wire_;
    const auto deadline = std::chrono::steady_clock::now() + limit;
    while (!wire->over && !wire->queue.empty() && co_await wire->wait(deadline)) {
    }
    wire->end({ErrorKind::cancelled, "closed", "", ""});
    while ((wire->listening || wire->speaking) && co_await wire->wait(deadline)) {
    }
    co_await wire->stream->close(limit);
}

const std::optional<Error>& Channel::over() const {
    return wire_->over;
}

const Peer& Channel::peer() const {
    return wire_->stream->peer();
}

bool Channel::held_up() const {
    return wire_->stream->held_up();
}

asio::any_io_executor Channel::executor() const {
    return wire_->stream->executor();
}

std::unique_ptr<Channel> make_channel(std::unique_ptr<Stream> stream, size_t line_limit) {
    return std::make_unique<Channel>(std::move(stream), ChannelLimits{.line_bytes = line_limit});
}

}  // namespace baton::net
