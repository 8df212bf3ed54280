#include "sim/wire.h"

#include <algorithm>

namespace baton::sim {
namespace {

constexpr milliseconds first_resend{200};
constexpr milliseconds last_resend{1600};

}  // namespace

Wire::Wire(Ground& ground, const std::string& host, std::function<bool()> open)
    : ground_(ground), open_(std::move(open)), address_(host + ":40000"), heard_(ground.scheduler.now()) {
    ends_[manager].host = ground_.network.id("manager");
    ends_[agent_].host = ground_.network.id(host);
}

void Wire::put(Side from, std::optional<agent::Frame> frame) {
    ends_[from].line.push_back(std::move(frame));
    if (!ends_[from].waiting) transmit(from);
}

sim::Link Wire::state(Side from) const {
    if (!open_()) return sim::Link::silent;
    const auto a = ends_[from].host, b = ends_[other(from)].host;
    if (ground_.network.passes(a, b)) return sim::Link::up;
    // A refusal on the way back is one that does not arrive.
    return ground_.network.between(a, b) == sim::Link::refused ? sim::Link::refused : sim::Link::silent;
}

void Wire::transmit(Side from) {
    auto& end = ends_[from];
    end.waiting = false;
    const auto now = ground_.scheduler.now();
    while (!end.line.empty()) {
        const auto passes = state(from);
        if (passes == sim::Link::refused) {
            end.line.clear();
            over(from);
            return;
        }
        if (passes == sim::Link::silent) {
            end.waiting = true;
            ground_.scheduler.after(end.again, [weak = weak_from_this(), from] {
                if (const auto self = weak.lock()) self->transmit(from);
            });
            end.again = std::min<Duration>(end.again * 2, last_resend);
            return;
        }
        end.again = first_resend;
        const auto arrives =
            std::max(now + ground_.network.delay(end.host, ends_[other(from)].host), end.last_arrival);
        end.last_arrival = arrives;
        ground_.scheduler.at(
            arrives, [self = shared_from_this(), from, frame = std::move(end.line.front())]() mutable {
                self->arrive(other(from), std::move(frame));
            });
        end.line.pop_front();
    }
}

void Wire::arrive(Side at, std::optional<agent::Frame> frame) {
    auto& end = ends_[at];
    if (!end.party.take) {
        // Nobody is there: RST. A host without power says nothing, which the network knows.
        if (frame) put(at, std::nullopt);
        return;
    }
    if (at == manager) heard_ = ground_.scheduler.now();
    if (!frame) return over(at);
    const auto take = end.party.take;
    take(std::move(*frame));
}

/// This end hears that it is over.
void Wire::over(Side side) {
    const auto party = std::exchange(ends_[side].party, {});
    if (party.ended) party.ended();
}

void Wire::close(Side side) {
    if (!std::exchange(ends_[side].party, {}).take) return;
    put(side, std::nullopt);
}

void Wire::end(const std::string& reason) {
    put(manager, agent::Refusal{reason});
    const auto self = shared_from_this();
    over(manager);
    put(manager, std::nullopt);
}

}  // namespace baton::sim
