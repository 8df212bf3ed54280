#pragma once

#include <map>
#include <set>
#include <string>

#include "sim/random.h"

namespace baton::sim {

enum class Link : uint8_t {
    up,
    refused,  ///< answered with RST
    silent    ///< packets vanish
};

/// Who reaches whom, and how fast. Parties are host names: servers' hosts, "manager", "client". A link has
/// two directions, each with a state of its own.
class Network {
  public:
    explicit Network(uint64_t seed) : random_(seed, "network") {}

    void set_one_way(const std::string& from, const std::string& to, Link state);
    void set(const std::string& a, const std::string& b, Link state);
    /// Power or cable gone: silent to and from everybody.
    void set_host(const std::string& host, bool reachable);
    void heal();

    /// What a connection attempt or a request from `from` meets: both directions are needed for an answer.
    Link between(const std::string& from, const std::string& to) const;
    bool passes(const std::string& from, const std::string& to) const {
        return one_way(from, to) == Link::up;
    }
    /// Time that one message takes.
    Duration delay(const std::string& from, const std::string& to);
    /// Added to every message between the two, both ways.
    void slow_down(const std::string& a, const std::string& b, Duration by);
    uint64_t changes() const { return changes_; }

  private:
    Link one_way(const std::string& from, const std::string& to) const;

    std::map<std::pair<std::string, std::string>, Link> links_;
    std::map<std::pair<std::string, std::string>, Duration> slow_;
    std::set<std::string> lost_hosts_;
    uint64_t changes_ = 0;
    Random random_;
};

}  // namespace baton::sim
