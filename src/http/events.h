#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "control/control.h"
#include "http/route.h"

namespace baton::http {

/// Hands the control thread's events to those who listen to GET /api/v2/events (Server-Sent Events, WHATWG
/// HTML 9.2). It is the one place where the control thread and the HTTP threads meet in mutable state: a
/// mutex, held for the time of a queue operation. Keeps the last events for clients that come back with
/// Last-Event-ID.
class EventHub : public std::enable_shared_from_this<EventHub> {
  public:
    struct Limits {
        size_t subscribers = 128;
        size_t queue = 1000;  ///< events kept for one slow subscriber, and for those who come back
    };
    /// One event as it goes over the wire.
    using Text = std::shared_ptr<const std::string>;

    explicit EventHub(Limits limits) : limits_(limits) {}

    /// Never blocks for longer than the mutex; meant for Control::subscribe.
    void publish(const control::Event& event);

    class Subscription {
      public:
        Subscription(std::shared_ptr<EventHub> hub, asio::any_io_executor executor);
        ~Subscription();
        Subscription(const Subscription&) = delete;
        Subscription& operator=(const Subscription&) = delete;

        struct Batch {
            std::vector<Text> events;  ///< empty: nothing came within the time
            bool ended = false;        ///< too slow, or the hub was closed, or stop() was called
        };
        /// On the executor it was made for.
        Task<Batch> next(Duration wait);
        /// On the same thread: ends next().
        void stop();

      private:
        friend class EventHub;
        std::shared_ptr<EventHub> hub_;
        asio::any_io_executor executor_;
        std::shared_ptr<asio::steady_timer> wake_;
        std::deque<Text> queue_;  ///< guarded by the hub's mutex, as is ended_
        bool ended_ = false;
    };

    /// Everything after the event `after` that is still kept comes first; where some are lost, a "gap" event
    /// says so. Error refused_by_policy when there are too many subscribers.
    Result<std::shared_ptr<Subscription>> subscribe(asio::any_io_executor executor,
                                                    std::optional<uint64_t> after);
    /// Ends all subscriptions; no new ones.
    void close();

    struct Figures {
        size_t subscribers = 0;
        uint64_t published = 0;
        uint64_t subscribers_dropped = 0;  ///< because they read too slowly
        uint64_t events_dropped = 0;       ///< that were in the queues of those
        uint64_t last_id = 0;
    };
    Figures figures() const;

  private:
    void enqueue(Subscription& subscriber, const Text& text);
    void replay(Subscription& subscriber, uint64_t after);
    static void wake(const Subscription& subscriber);

    const Limits limits_;
    mutable std::mutex mutex_;
    std::deque<std::pair<uint64_t, Text>> recent_;
    std::set<Subscription*> subscribers_;
    Figures figures_;
    bool closed_ = false;
};

/// GET /api/v2/events: "hello" first, then events as they come; a comment line every 15 s keeps the
/// connection open.
Task<Response> events_response(const Context& context, const Request& request);

}  // namespace baton::http
