#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "fleet/registry.h"
#include "sim/ground.h"

namespace baton::sim {

/// The TCP connection between a host agent and the manager, over the modelled network: frames arrive in the
/// order in which they were sent, late or never. What vanishes is sent again after 200 ms, then after twice
/// as long; a firewall that answers with RST ends it. It has two ends; each hears of the other's end when a
/// FIN or RST gets through.
class Wire final : public fleet::Link, public std::enable_shared_from_this<Wire> {
  public:
    /// What one end does with what arrives. It is called from the world's events.
    struct Party {
        std::function<void(agent::Frame)> take;
        std::function<void()> ended;
    };
    /// `open`: whether packets between the two pass as far as only agents are concerned.
    Wire(Ground& ground, const std::string& host, std::function<bool()> open);

    void set_manager(Party party) { ends_[manager].party = std::move(party); }
    void set_agent(Party party) { ends_[agent_].party = std::move(party); }
    /// From the manager.
    void send(agent::Frame frame) override { put(manager, std::move(frame)); }
    void end(const std::string& reason) override;
    const std::string& address() const override { return address_; }
    /// From the agent.
    void send_up(agent::Frame frame) { put(agent_, std::move(frame)); }
    /// The process at that end is gone, or has closed it: nothing arrives there, and the other end is told.
    void close_manager() { close(manager); }
    void close_agent() { close(agent_); }
    /// What the agent has sent has not arrived.
    bool held_up() const { return ends_[agent_].waiting; }
    /// Power gone: nothing arrives there, and nobody is told.
    void vanish_agent() { ends_[agent_].party = {}; }
    /// The manager's end: when something last arrived.
    MonoTime heard() const { return heard_; }

  private:
    enum Side : uint8_t { manager, agent_ };
    /// From this side to the other one.
    struct End {
        Party party;
        Network::HostId host = 0;
        std::deque<std::optional<agent::Frame>> line;  ///< nothing = FIN
        MonoTime last_arrival{};
        bool waiting = false;
        Duration again = milliseconds(200);
    };
    static Side other(Side side) { return side == manager ? agent_ : manager; }
    void put(Side from, std::optional<agent::Frame> frame);
    void transmit(Side from);
    void arrive(Side at, std::optional<agent::Frame> frame);
    void close(Side side);
    void over(Side side);
    /// Packets from this side get to the other one.
    sim::Link state(Side from) const;

    Ground& ground_;
    std::function<bool()> open_;
    const std::string address_;
    End ends_[2];
    MonoTime heard_{};
};
using WirePtr = std::shared_ptr<Wire>;

}  // namespace baton::sim
