#pragma once

#include "fleet/fleet.h"
#include "net/channel.h"

namespace baton::fleet {

/// What a session needs from the house it belongs to.
class House {
  public:
    virtual ~House() = default;
    virtual Clock& clock() = 0;
    virtual Registry& registry() = 0;
    virtual const Options& options() const = 0;
    /// Somebody was not let in: counted, and logged once a minute for each address and reason.
    virtual void turned_away(const std::string& address, const std::string& why) = 0;
    /// False: no newer epoch could be written down.
    virtual Task<bool> outrank(uint64_t seen) = 0;
};

/// One connection of a host agent, from its first byte to its end.
class Session final : public Link, public std::enable_shared_from_this<Session> {
  public:
    Session(std::shared_ptr<House> house, std::unique_ptr<net::Channel> channel);
    Task<void> run();
    /// Ends it soon; run() returns.
    void stop();
    /// It has not been let in yet.
    bool new_here() const { return !welcome_; }

    void send(agent::Frame frame) override;
    void end(const std::string& reason) override;
    const std::string& address() const override { return address_; }

  private:
    Task<bool> come_in();
    Task<bool> refuse(std::string why);
    std::optional<std::string> hindrance(const agent::Hello& hello) const;
    std::optional<std::string> certificate_hindrance() const;
    Task<Result<agent::Frame>> read_frame(Duration limit);
    Task<void> listen();
    Task<bool> take(agent::Frame frame);
    Task<bool> take_beat(agent::Beat beat);
    Task<void> slow_down();

    const std::shared_ptr<House> house_;
    const std::unique_ptr<net::Channel> channel_;
    const std::string address_;
    std::string name_;  ///< as the agent calls its host; "" before it has
    std::optional<uint64_t> last_beat_;
    bool welcome_ = false;
    bool ending_ = false;
    MonoTime second_began_{};  ///< for the limit of frames
    int frames_ = 0;
    MonoTime outranked_at_{};
};

}  // namespace baton::fleet
