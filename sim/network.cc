#include "sim/network.h"

#include <algorithm>

namespace baton::sim {
namespace {

/// TCP sends data again after this long, then after twice as long, and so on.
constexpr milliseconds first_resend{200};
constexpr milliseconds last_resend{1600};
constexpr milliseconds first_syn{1000};
constexpr milliseconds last_syn{32000};
constexpr int most_resends = 15;
constexpr int long_tail_percent = 1;

}  // namespace

void Network::Effect::add(const LinkFault& fault) {
    state = std::max(state, fault.loss_percent >= 100 ? Link::silent : fault.state);
    loss_percent = std::max(loss_percent, fault.loss_percent);
    slower += fault.slower;
    spread += fault.spread;
    long_tail = long_tail || fault.long_tail;
}

Network::HostId Network::id(const std::string& host) {
    const auto at = ids_.find(host);
    if (at != ids_.end()) return at->second;
    const auto made = static_cast<HostId>(hosts_.size());
    ids_.emplace(host, made);
    hosts_.push_back(true);
    changed();
    return made;
}

void Network::set_plain(HostId from, HostId to, const std::function<void(LinkFault&)>& change) {
    change(plain_[{from, to}]);
    ++changes_;
    changed();
}

void Network::set_one_way(const std::string& from, const std::string& to, Link state) {
    set_plain(id(from), id(to), [state](LinkFault& fault) { fault.state = state; });
}

void Network::set(const std::string& a, const std::string& b, Link state) {
    set_one_way(a, b, state);
    set_one_way(b, a, state);
}

void Network::set_host(const std::string& host, bool reachable) {
    hosts_[id(host)] = reachable;
    ++changes_;
    changed();
}

void Network::slow_down(const std::string& a, const std::string& b, Duration by) {
    for (const auto& [from, to] : {std::pair(id(a), id(b)), std::pair(id(b), id(a))})
        set_plain(from, to, [by](LinkFault& fault) { fault.slower = by; });
}

uint64_t Network::add(Fault fault) {
    fault.id = next_fault_++;
    faults_.push_back(std::move(fault));
    ++changes_;
    changed();
    return faults_.back().id;
}

uint64_t Network::add(const Pairs& directions, LinkFault fault) {
    Fault made{.directions = {}, .what = fault};
    for (const auto& [from, to] : directions)
        made.directions.emplace_back(id(from), id(to));
    return add(std::move(made));
}

uint64_t Network::partition(const std::vector<std::vector<std::string>>& groups) {
    Pairs cut;
    for (const auto& group : groups) {
        for (const auto& other : groups) {
            if (&group == &other) continue;
            for (const auto& from : group) {
                for (const auto& to : other)
                    cut.emplace_back(from, to);
            }
        }
    }
    return add(cut, {.state = Link::silent});
}

uint64_t Network::ring(const std::vector<std::string>& hosts) {
    Pairs cut;
    const auto size = hosts.size();
    for (size_t i = 0; i < size; ++i) {
        for (size_t k = 0; k < size; ++k) {
            const auto distance = (i + size - k) % size;
            if (distance != 0 && distance != 1 && distance != size - 1) cut.emplace_back(hosts[i], hosts[k]);
        }
    }
    return add(cut, {.state = Link::silent});
}

uint64_t Network::isolate(const std::string& host) {
    return add({.directions = {}, .what = {.state = Link::silent}, .alone = id(host)});
}

void Network::remove(uint64_t id) {
    std::erase_if(faults_, [id](const auto& fault) { return fault.id == id; });
    ++changes_;
    changed();
}

void Network::heal() {
    faults_.clear();
    plain_.clear();
    hosts_.assign(hosts_.size(), true);
    ++changes_;
    changed();
}

void Network::changed() {
    const auto size = hosts_.size();
    std::erase_if(plain_, [](const auto& link) {
        return link.second.state == Link::up && link.second.slower == Duration{};
    });
    faults_none_ = plain_.empty() && faults_.empty() && std::ranges::find(hosts_, false) == hosts_.end();
    effects_.assign(size * size, {});
    const auto of = [&](HostId from, HostId to) -> Effect& { return effects_[from * size + to]; };
    const auto cut_off = [&](HostId host) {
        for (HostId other = 0; other < size; ++other) {
            if (other != host) of(host, other).state = of(other, host).state = Link::silent;
        }
    };
    for (const auto& [link, fault] : plain_)
        of(link.first, link.second).add(fault);
    for (const auto& fault : faults_) {
        for (const auto& [from, to] : fault.directions)
            of(from, to).add(fault.what);
        if (fault.alone != none) cut_off(fault.alone);
    }
    for (HostId host = 0; host < size; ++host) {
        if (!hosts_[host]) cut_off(host), of(host, host).state = Link::silent;
    }
}

bool Network::clear(const std::string& a, const std::string& b, Duration most) {
    const auto fine = [&](HostId from, HostId to) {
        const auto& e = effect(from, to);
        return e.state == Link::up && e.is_plain() && e.slower < most;
    };
    const auto x = id(a), y = id(b);
    return fine(x, y) && fine(y, x);
}

/// What packets cost that are sent until one gets through.
Duration Network::losses(int percent, Duration first, Duration most) {
    Duration sum{};
    if (percent <= 0) return sum;
    auto wait = first;
    for (int i = 0; i < most_resends && faults_random_.chance(percent); ++i) {
        sum += wait;
        wait = std::min(wait * 2, most);
    }
    return sum;
}

Duration Network::worse(Duration plain, const Effect& effect) {
    auto time = plain + effect.slower;
    if (effect.is_plain()) return time;
    if (effect.spread > Duration{}) time += faults_random_.between({}, effect.spread);
    if (effect.long_tail && faults_random_.chance(long_tail_percent))
        time = faults_random_.between(time * 10, time * 50);
    return time + losses(effect.loss_percent, first_resend, last_resend);
}

int Network::loss_there_and_back(HostId from, HostId to) const {
    const int there = 100 - effect(from, to).loss_percent, back = 100 - effect(to, from).loss_percent;
    return 100 - there * back / 100;
}

Duration Network::handshake_losses(HostId from, HostId to) {
    if (faults_none_) return {};
    return losses(loss_there_and_back(from, to), first_syn, last_syn);
}

bool Network::handshake_lost(HostId from, HostId to) {
    const int percent = faults_none_ ? 0 : loss_there_and_back(from, to);
    return percent > 0 && faults_random_.chance(percent);
}

Duration Network::round_trip_losses(HostId from, HostId to) {
    if (faults_none_) return {};
    return losses(effect(from, to).loss_percent, first_resend, last_resend) +
           losses(effect(to, from).loss_percent, first_resend, last_resend);
}

}  // namespace baton::sim
