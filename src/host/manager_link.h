#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "agent/protocol.h"
#include "base/clock.h"
#include "base/quiet_log.h"
#include "host/dial.h"

namespace baton::host {

/// What a link to a manager needs of the agent.
class ManagerCalls {
  public:
    virtual ~ManagerCalls() = default;
    virtual agent::Hello hello() = 0;
    /// Everything but seq, sent_us and changed.
    virtual agent::Beat beat() = 0;
    virtual void welcomed(const agent::Welcome& welcome) = 0;
    virtual void answered(MonoTime sent, const agent::BeatAnswer& answer) = 0;
    /// `reply` takes Progress and the one Done; it may be called after the link has ended.
    virtual void ordered(agent::Order order, std::function<void(agent::Frame)> reply) = 0;
    virtual void cancelled(const agent::Cancel& cancel) = 0;
};

/// The connection to one manager: made, kept and made again until stop(). What is lost on the way TCP sends
/// again after twice as long each time, and after a cut of 1.5 s that is too late for a lease of 2 s. So one
/// whose heartbeat has not arrived when the next one is due is replaced as soon as a new one can be made, of
/// which the first packet goes out every 50 ms. Agent's thread; shared, because its
/// coroutines may end after it.
class ManagerLink : public std::enable_shared_from_this<ManagerLink> {
  public:
    ManagerLink(Clock& clock, ManagerCalls& calls, Dialer dialer);
    void start();
    void stop();
    /// Something changed: a heartbeat now, out of turn.
    void tell();
    bool connected() const { return welcome_; }

  private:
    using Self = std::shared_ptr<ManagerLink>;
    static Task<void> run(Self self);
    void complain(const Error& ended);
    Task<Result<void>> attend();
    Task<Result<void>> introduce();
    Task<Result<void>> listen();
    using ChannelPtr = std::shared_ptr<net::Channel>;
    static Task<void> beat(Self self, ChannelPtr channel);
    bool is_stuck(const ChannelPtr& channel) const;
    static Task<void> look_for_a_way(Self self, ChannelPtr channel);
    static Task<void> try_a_way(Self self, ChannelPtr channel);
    Task<Result<agent::Frame>> read_frame(Duration limit);
    void take(agent::Frame frame);
    void send_beat(net::Channel& channel, bool changed);

    Clock& clock_;
    ManagerCalls* calls_;
    Dialer dialer_;
    Signal pause_;    ///< between two tries
    Signal to_tell_;  ///< a heartbeat out of turn
    ChannelPtr channel_;
    ChannelPtr next_;  ///< takes the place of one that is stuck
    MonoTime last_beat_{};
    bool looking_ = false;  ///< for another way
    int tries_ = 0;         ///< under way
    milliseconds heartbeat_{500};
    bool welcome_ = false;
    bool stopped_ = false;
    bool changed_ = false;
    QuietLog complaints_{std::chrono::minutes(10)};
    uint64_t seq_ = 0;
    std::map<uint64_t, MonoTime> sent_;  ///< heartbeats that have no answer yet, the latest ones
};

}  // namespace baton::host
