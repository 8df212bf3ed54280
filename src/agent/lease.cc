#include "agent/lease.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/defect.h"

namespace baton::agent {
namespace {

/// Vouches are asked for when so much of what holds the lease is left, and again at this pace.
constexpr milliseconds ask_ahead{700};
constexpr milliseconds ask_every{250};

}  // namespace

Duration lease_and_margin(milliseconds lease) {
    return lease + std::max<Duration>(Duration(lease) / 10, Duration(lease) / 20 + stop_margin);
}

void LeaseHolder::restore(const Grant& grant, uint64_t highest_epoch) {
    *this = LeaseHolder{};
    grant_ = grant;
    epoch_ = std::max(highest_epoch, grant.epoch);
}

bool LeaseHolder::answered(MonoTime sent, const Grant& grant) {
    if (grant.epoch < epoch_) return false;
    if (std::pair(grant.epoch, grant.number) < std::pair(grant_.epoch, grant_.number)) return false;
    // A promise that a member gave still holds when it left L and came back; but asking anew is cheap.
    if (grant.promotable != grant_.promotable) vouched_until_.clear();
    grant_ = grant;
    epoch_ = grant.epoch;
    answered_ = std::max(answered_, sent);
    return true;
}

void LeaseHolder::vouched(const InstanceKey& member, MonoTime asked, milliseconds span) {
    auto& until = vouched_until_.try_emplace(member, MonoTime::min()).first->second;
    until = std::max(until, asked + std::min(span, vouch_span));
}

void LeaseHolder::reset() {
    const auto epoch = epoch_;
    *this = LeaseHolder{};
    epoch_ = epoch;
}

LeaseVerdict LeaseHolder::verdict(MonoTime now) const {
    if (!grant_.on) return {LeaseDeed::run, "", MonoTime::max(), MonoTime::max()};
    if (grant_.promotable.empty())
        return {LeaseDeed::run, "nobody can take over", MonoTime::max(), MonoTime::max()};
    const auto by_heartbeat = answered_ == MonoTime::min() ? MonoTime::min() : answered_ + grant_.lease;
    auto by_vouches = MonoTime::max();
    for (const auto& m : grant_.promotable) {
        const auto at = vouched_until_.find(m.key);
        by_vouches = std::min(by_vouches, at == vouched_until_.end() ? MonoTime::min() : at->second);
    }
    const auto until = std::max(by_heartbeat, by_vouches);
    const auto* by = by_vouches > by_heartbeat ? "vouches" : "heartbeat";
    if (now >= until) return {LeaseDeed::stop, "", until, now};
    if (now + ask_ahead < until) return {LeaseDeed::run, by, until, until - ask_ahead};
    return {LeaseDeed::ask, by, until, std::min(until, now + ask_every)};
}

std::optional<std::string> Voucher::promise(MonoTime now, milliseconds span) {
    if (clear(now)) {
        if (defect("vouch-while-clear")) return std::nullopt;
        return "it may be promoted at any time";
    }
    // After its restart nobody knows what it promised; it counts as vouch_span.
    if (span > vouch_span) return fmt::format("nobody promises more than {} ms", vouch_span.count());
    promised_until_ = std::max(promised_until_, now + span + stop_margin);
    return std::nullopt;
}

MonoTime Voucher::stand_clear(MonoTime now) {
    clear_until_ = now + clear_span;
    return std::max(now, promised_until_);
}

void GrantLog::sent(const Grant& grant) {
    if (grants_.back() != grant) grants_.push_back(grant);
}

void GrantLog::acknowledged(const Grant& grant) {
    const auto older = [&](const Grant& g) {
        return std::pair(g.epoch, g.number) <= std::pair(grant.epoch, grant.number);
    };
    std::erase_if(grants_, older);
    grants_.insert(grants_.begin(), grant);
    heard_ = true;
}

bool GrantLog::certain() const {
    return heard_ && std::ranges::all_of(grants_, &Grant::on);
}

milliseconds GrantLog::lease() const {
    milliseconds longest{};
    for (const auto& g : grants_) {
        if (g.on) longest = std::max(longest, g.lease);
    }
    return longest;
}

bool GrantLog::on() const {
    return std::ranges::any_of(grants_, &Grant::on);
}

bool GrantLog::promotable(const InstanceKey& member) const {
    return std::ranges::all_of(grants_, [&](const Grant& g) {
        return !g.on || std::ranges::find(g.promotable, member, &Member::key) != g.promotable.end();
    });
}

std::optional<Standoff> standoff(const LeaseView& primary, const InstanceKey& candidate, MonoTime now) {
    if (!primary.on || primary.confirmed_dead) return std::nullopt;
    if (!primary.promotable) {
        return Standoff{
            fmt::format("the agent of the old primary was never told that {} may be promoted, and "
                        "so may let it run on",
                        candidate.text()),
            std::nullopt};
    }
    const auto until = primary.answered + lease_and_margin(primary.lease);
    if (now >= until) return std::nullopt;
    return Standoff{"the lease of the old primary has not run out", until};
}

}  // namespace baton::agent
