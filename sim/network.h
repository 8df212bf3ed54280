#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "sim/random.h"

namespace baton::sim {

enum class Link : uint8_t {
    up,
    refused,  ///< answered with RST
    silent    ///< packets vanish
};

/// What is wrong with one direction of a link.
struct LinkFault {
    Link state = Link::up;
    Duration slower{};       ///< added to every message
    int loss_percent = 0;    ///< of packets; each costs a retransmission. 100 is silence
    Duration spread{};       ///< up to this much more, evenly drawn
    bool long_tail = false;  ///< one message in a hundred takes ten to fifty times as long
};

/// Who reaches whom, and how fast. Parties are host names: servers' hosts, "manager", "client", "router". A
/// link has two directions, each with a state of its own. Messages are TCP's: what is lost is sent again.
class Network {
  public:
    /// Short for a host name, for those who ask at every message.
    using HostId = uint16_t;
    using Pairs = std::vector<std::pair<std::string, std::string>>;

    explicit Network(uint64_t seed) : random_(seed, "network"), faults_random_(seed, "network faults") {}
    HostId id(const std::string& host);

    /// The plain state of a link: the last word counts.
    void set_one_way(const std::string& from, const std::string& to, Link state);
    void set(const std::string& a, const std::string& b, Link state);
    /// Power or cable gone: silent to and from everybody.
    void set_host(const std::string& host, bool reachable);
    /// Added to every message between the two, both ways; 0 ends it.
    void slow_down(const std::string& a, const std::string& b, Duration by);
    void heal();

    /// One fault among several on a link: the worst state and loss count, delays add up. Each returns what
    /// remove() takes; to remove one twice does nothing.
    uint64_t add(const std::string& from, const std::string& to, LinkFault fault) {
        return add(Pairs{{from, to}}, fault);
    }
    uint64_t add(const Pairs& directions, LinkFault fault);
    /// Members of a group reach each other and nobody in another group; who is in no group reaches everybody.
    uint64_t partition(const std::vector<std::vector<std::string>>& groups);
    /// Each host reaches its two neighbours, and none of the others in the ring.
    uint64_t ring(const std::vector<std::string>& hosts);
    /// The host alone, also from those who are first heard of later.
    uint64_t isolate(const std::string& host);
    void remove(uint64_t id);

    /// What a connection attempt or a request from `from` meets: both directions are needed for an answer.
    Link between(HostId from, HostId to) const {
        const auto there = one_way(from, to);
        if (there != Link::up) return there;
        // A refusal on the way back is one that does not arrive.
        return one_way(to, from) == Link::up ? Link::up : Link::silent;
    }
    Link between(const std::string& from, const std::string& to) { return between(id(from), id(to)); }
    bool passes(HostId from, HostId to) const { return one_way(from, to) == Link::up; }
    bool passes(const std::string& from, const std::string& to) { return passes(id(from), id(to)); }
    /// Percent of packets that are lost in this direction.
    int loss(const std::string& from, const std::string& to) { return effect(id(from), id(to)).loss_percent; }
    /// Packets pass both ways, none is lost, and none takes `most` longer or more.
    bool clear(const std::string& a, const std::string& b, Duration most);

    /// Time that one message takes, with what its losses cost.
    Duration delay(HostId from, HostId to) {
        const auto plain = random_.between(least_delay, most_delay);
        return faults_none_ ? plain : worse(plain, effect(from, to));
    }
    Duration delay(const std::string& from, const std::string& to) { return delay(id(from), id(to)); }
    /// What lost packets add to the handshake of a connection attempt: SYN or its answer is sent again.
    Duration handshake_losses(HostId from, HostId to);
    /// Same for one try, where who tries again looks at the network afresh.
    bool handshake_lost(HostId from, HostId to);
    /// What lost packets add to a round trip.
    Duration round_trip_losses(HostId from, HostId to);
    /// Messages may take so long that a later one would overtake; what keeps an order must see to it.
    bool may_overtake(HostId from, HostId to) const { return !faults_none_ && !effect(from, to).is_plain(); }
    uint64_t changes() const { return changes_; }

  private:
    static constexpr Duration least_delay = std::chrono::microseconds(80);
    static constexpr Duration most_delay = std::chrono::microseconds(220);
    /// All that is wrong with one direction, taken together.
    struct Effect {
        Link state = Link::up;
        bool long_tail = false;
        int loss_percent = 0;
        Duration slower{}, spread{};
        bool is_plain() const { return loss_percent == 0 && spread == Duration{} && !long_tail; }
        void add(const LinkFault& fault);
    };
    struct Fault {
        uint64_t id = 0;
        std::vector<std::pair<HostId, HostId>> directions;
        LinkFault what;
        HostId alone = none;
    };
    static constexpr HostId none = 0xffff;

    const Effect& effect(HostId from, HostId to) const { return effects_[from * hosts_.size() + to]; }
    Link one_way(HostId from, HostId to) const { return faults_none_ ? Link::up : effect(from, to).state; }
    void set_plain(HostId from, HostId to, const std::function<void(LinkFault&)>& change);
    uint64_t add(Fault fault);
    Duration worse(Duration plain, const Effect& effect);
    Duration losses(int percent, Duration first, Duration most);
    int loss_there_and_back(HostId from, HostId to) const;
    void changed();

    std::map<std::string, HostId, std::less<>> ids_;
    std::vector<bool> hosts_;  ///< has power
    std::map<std::pair<HostId, HostId>, LinkFault> plain_;
    std::vector<Fault> faults_;
    uint64_t next_fault_ = 1;
    bool faults_none_ = true;
    std::vector<Effect> effects_;  ///< by from, then to
    uint64_t changes_ = 0;
    Random random_;
    Random faults_random_;  ///< apart, so that a world without faults draws the same numbers
};

}  // namespace baton::sim
