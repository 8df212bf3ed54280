#include "sim/network.h"

namespace baton::sim {
namespace {

constexpr Duration least_delay = std::chrono::microseconds(80);
constexpr Duration most_delay = std::chrono::microseconds(220);

}  // namespace

void Network::set_one_way(const std::string& from, const std::string& to, Link state) {
    links_[{from, to}] = state;
    ++changes_;
}

void Network::set(const std::string& a, const std::string& b, Link state) {
    set_one_way(a, b, state);
    set_one_way(b, a, state);
}

void Network::set_host(const std::string& host, bool reachable) {
    if (reachable) {
        lost_hosts_.erase(host);
    } else {
        lost_hosts_.insert(host);
    }
    ++changes_;
}

void Network::heal() {
    links_.clear();
    slow_.clear();
    lost_hosts_.clear();
    ++changes_;
}

Link Network::one_way(const std::string& from, const std::string& to) const {
    if (lost_hosts_.contains(from) || lost_hosts_.contains(to)) return Link::silent;
    const auto at = links_.find({from, to});
    return at == links_.end() ? Link::up : at->second;
}

Link Network::between(const std::string& from, const std::string& to) const {
    const auto there = one_way(from, to);
    if (there != Link::up) return there;
    // A refusal on the way back is one that does not arrive.
    return one_way(to, from) == Link::up ? Link::up : Link::silent;
}

Duration Network::delay(const std::string& from, const std::string& to) {
    const auto at = slow_.find({from, to});
    return random_.between(least_delay, most_delay) + (at == slow_.end() ? Duration{} : at->second);
}

void Network::slow_down(const std::string& a, const std::string& b, Duration by) {
    slow_[{a, b}] = slow_[{b, a}] = by;
}

}  // namespace baton::sim
