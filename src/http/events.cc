#include "http/events.h"

#include <fmt/format.h>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/json_writer.h"
#include "base/text.h"

namespace baton::http {

namespace {

constexpr auto heartbeat_every = seconds(15);
/// How long a browser should wait before it comes back.
constexpr int retry_ms = 2000;

std::string one_line(std::string_view text) {
    std::string out(text);
    std::ranges::replace_if(out, [](char c) { return c == '\n' || c == '\r'; }, ' ');
    return out;
}

EventHub::Text format(const control::Event& event) {
    return std::make_shared<const std::string>(
        fmt::format("id: {}\nevent: {}\ndata: {}\n\n", event.id, one_line(event.type), one_line(event.json)));
}

std::string hello(const Context& context) {
    const auto view = context.view();
    JsonWriter out;
    out.begin_object();
    out.field("version", BATON_VERSION).field("node", view->node_hostname);
    out.field("last_event_id", context.events->figures().last_id);
    out.field("topology_version", view->topology->version);
    out.end_object();
    return fmt::format("retry: {}\nevent: hello\ndata: {}\n\n", retry_ms, out.text());
}

std::optional<uint64_t> last_event_id(const Request& request) {
    const auto header = request.header("Last-Event-ID");
    return parse_uint(header.empty() ? request.query_value("last_event_id") : header);
}

Task<void> send_events(BodyWriter& out, std::shared_ptr<EventHub::Subscription> subscription,
                       std::string first) {
    std::string text = std::move(first);
    while (co_await out.write(text)) {
        const auto batch = co_await subscription->next(heartbeat_every);
        if (batch.ended) co_return;
        text = batch.events.empty() ? ": still here\n\n" : "";
        for (const auto& event : batch.events)
            text += *event;
    }
}

Response unavailable(int status, std::string_view code, const std::string& message) {
    JsonWriter out;
    out.begin_object().field("status", "error").key("error").begin_object();
    out.field("code", code).field("message", message).end_object().end_object();
    return {.status = status, .body = out.take(), .headers = {{"Retry-After", "5"}}, .stream = nullptr};
}

}  // namespace

EventHub::Subscription::Subscription(std::shared_ptr<EventHub> hub, asio::any_io_executor executor)
    : hub_(std::move(hub)), executor_(executor), wake_(std::make_shared<asio::steady_timer>(executor)) {}

EventHub::Subscription::~Subscription() {
    const std::lock_guard lock(hub_->mutex_);
    hub_->subscribers_.erase(this);
}

Task<EventHub::Subscription::Batch> EventHub::Subscription::next(Duration wait) {
    const auto until = std::chrono::steady_clock::now() + wait;
    while (true) {
        {
            const std::lock_guard lock(hub_->mutex_);
            // What is queued still goes out when the subscription has ended, unless it ended for being slow.
            if (!queue_.empty() || ended_) {
                Batch batch{.events = {queue_.begin(), queue_.end()}, .ended = queue_.empty()};
                queue_.clear();
                co_return batch;
            }
        }
        if (std::chrono::steady_clock::now() >= until) co_return Batch{};
        wake_->expires_at(until);
        boost::system::error_code cancelled_by_wake;
        co_await wake_->async_wait(asio::redirect_error(asio::use_awaitable, cancelled_by_wake));
    }
}

void EventHub::Subscription::stop() {
    {
        const std::lock_guard lock(hub_->mutex_);
        ended_ = true;
        queue_.clear();
    }
    wake_->cancel();
}

void EventHub::wake(const Subscription& subscriber) {
    // On the subscriber's own thread: its wait has begun by then, or it looks at the queue again before it
    // waits.
    asio::post(subscriber.executor_, [timer = subscriber.wake_] { timer->cancel(); });
}

void EventHub::enqueue(Subscription& subscriber, const Text& text) {
    if (subscriber.ended_) return;
    if (subscriber.queue_.size() >= limits_.queue) {
        figures_.events_dropped += subscriber.queue_.size() + 1;
        ++figures_.subscribers_dropped;
        subscriber.queue_.clear();
        subscriber.ended_ = true;
    } else {
        subscriber.queue_.push_back(text);
    }
    if (subscriber.ended_ || subscriber.queue_.size() == 1) wake(subscriber);
}

void EventHub::publish(const control::Event& event) {
    const auto text = format(event);
    const std::lock_guard lock(mutex_);
    if (closed_) return;
    ++figures_.published;
    figures_.last_id = event.id;
    recent_.emplace_back(event.id, text);
    if (recent_.size() > limits_.queue) recent_.pop_front();
    for (auto* subscriber : subscribers_)
        enqueue(*subscriber, text);
}

void EventHub::replay(Subscription& subscriber, uint64_t after) {
    const bool all_kept =
        after == figures_.last_id ||
        (!recent_.empty() && recent_.front().first <= after + 1 && after <= figures_.last_id);
    if (!all_kept) {
        // Lost, or numbered by an earlier run of the manager: the client has to read the state afresh.
        subscriber.queue_.push_back(std::make_shared<const std::string>(fmt::format(
            "event: gap\ndata: {{\"after\":{},\"last_event_id\":{}}}\n\n", after, figures_.last_id)));
        return;
    }
    for (const auto& [id, text] : recent_) {
        if (id > after) subscriber.queue_.push_back(text);
    }
}

Result<std::shared_ptr<EventHub::Subscription>> EventHub::subscribe(asio::any_io_executor executor,
                                                                    std::optional<uint64_t> after) {
    auto subscription = std::make_shared<Subscription>(shared_from_this(), std::move(executor));
    const std::lock_guard lock(mutex_);
    if (closed_) return fail(ErrorKind::cancelled, "the server is shutting down");
    if (subscribers_.size() >= limits_.subscribers) {
        return fail(ErrorKind::refused_by_policy,
                    fmt::format("{} clients listen already, which is the limit (EventSubscribersLimit)",
                                subscribers_.size()));
    }
    if (after) replay(*subscription, *after);
    subscribers_.insert(subscription.get());
    return subscription;
}

void EventHub::close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    for (auto* subscriber : subscribers_) {
        subscriber->ended_ = true;
        wake(*subscriber);
    }
}

EventHub::Figures EventHub::figures() const {
    const std::lock_guard lock(mutex_);
    auto figures = figures_;
    figures.subscribers = subscribers_.size();
    return figures;
}

Task<Response> events_response(const Context& context, const Request& request) {
    if (!context.events) co_return unavailable(503, "EVENTS_UNAVAILABLE", "this server sends no events");
    // The subscription begins before "hello" is written, so that nothing that happens after it can be missed.
    auto subscription = context.events->subscribe(co_await asio::this_coro::executor, last_event_id(request));
    if (!subscription) co_return unavailable(503, "TOO_MANY_SUBSCRIBERS", subscription.error().message);
    Response response;
    response.content_type = "text/event-stream; charset=utf-8";
    response.headers = {{"Cache-Control", "no-cache"}, {"X-Accel-Buffering", "no"}};
    response.stream = [subscription = *subscription, first = hello(context)](BodyWriter& out) {
        out.when_closed([weak = std::weak_ptr(subscription)] {
            if (auto alive = weak.lock()) alive->stop();
        });
        return send_events(out, subscription, first);
    };
    co_return response;
}

}  // namespace baton::http
