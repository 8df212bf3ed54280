#include "host/manager_link.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "agent/codec.h"
#include "base/async.h"

namespace baton::host {
namespace {

constexpr milliseconds first_pause{100};
constexpr milliseconds longest_pause{2000};
constexpr milliseconds longest_pause_inside{500};
/// A connection that held for so long was one.
constexpr seconds lasting{2};
constexpr seconds connect_limit{2};
constexpr seconds welcome_limit{5};
/// A manager that withholds its answers is silent, and yet there: so long nothing is concluded from silence.
constexpr seconds silence_limit{20};
constexpr milliseconds farewell{200};
constexpr size_t most_unanswered = 64;
/// A heartbeat that has not arrived after this is stuck.
constexpr milliseconds arrives_within{250};
constexpr milliseconds between_tries{50};
constexpr int most_tries = 10;
/// So that the next one has its turn, since the first packet of this one may be lost.
constexpr milliseconds try_limit{500};
/// Then a cut is a long one.
constexpr seconds soon_over{5};

}  // namespace

ManagerLink::ManagerLink(Clock& clock, ManagerCalls& calls, Dialer dialer)
    : clock_(clock), calls_(&calls), dialer_(std::move(dialer)), pause_(clock), to_tell_(clock) {}

void ManagerLink::start() {
    spawn(clock_.executor(), run(shared_from_this()));
}

void ManagerLink::stop() {
    stopped_ = true;
    pause_.notify();
    to_tell_.notify();
    if (channel_) channel_->cancel();
    next_.reset();
}

void ManagerLink::tell() {
    changed_ = true;
    to_tell_.notify();
}

Task<void> ManagerLink::run(Self self) {
    auto pause = first_pause;
    while (!self->stopped_) {
        const auto began = self->clock_.now();
        const auto ended = co_await self->attend();
        if (self->stopped_) break;
        // One that lets us in and throws us out again is not called all the time; a flapping network is no
        // reason to let a lease end.
        if (self->welcome_) {
            const bool lasted = self->clock_.now() - began >= lasting;
            pause = lasted ? first_pause : std::min(pause, longest_pause_inside);
        }
        if (self->next_) {
            spdlog::info("manager {}: nothing gets through any more; there is a new connection",
                         self->dialer_.address());
        } else {
            self->complain(ended.error());
        }
        self->welcome_ = false;
        self->channel_.reset();
        if (self->next_) continue;
        co_await self->pause_.wait_until(self->clock_.now() + pause);
        pause = std::min(pause * 2, longest_pause);
    }
}

void ManagerLink::complain(const Error& ended) {
    const auto text = (welcome_ ? "the connection ended: " : "") + ended.text();
    if (complaints_.may("", text, clock_.now())) spdlog::warn("manager {}: {}", dialer_.address(), text);
}

/// One connection from its beginning to its end, which is always an error.
Task<Result<void>> ManagerLink::attend() {
    channel_ = std::exchange(next_, nullptr);
    if (!channel_) {
        auto channel = co_await dialer_.dial(connect_limit);
        if (!channel) co_return std::unexpected(channel.error());
        channel_ = std::move(*channel);
    }
    if (stopped_) co_return fail(ErrorKind::cancelled, "the agent ends");
    sent_.clear();
    if (auto welcome = co_await introduce(); !welcome) co_return welcome;
    welcome_ = true;
    spawn(clock_.executor(), beat(shared_from_this(), channel_));
    auto ended = co_await listen();
    channel_->cancel();
    to_tell_.notify();
    co_return ended;
}

Task<Result<agent::Frame>> ManagerLink::read_frame(Duration limit) {
    const auto line = co_await channel_->read_line(limit);
    if (!line) co_return std::unexpected(line.error());
    co_return agent::parse_frame(*line);
}

Task<Result<void>> ManagerLink::introduce() {
    if (auto sent = co_await channel_->write_line(agent::to_text(calls_->hello()), connect_limit); !sent)
        co_return sent;
    const auto frame = co_await read_frame(welcome_limit);
    if (stopped_) co_return fail(ErrorKind::cancelled, "the agent ends");
    if (!frame) co_return std::unexpected(frame.error());
    if (const auto* refusal = std::get_if<agent::Refusal>(&*frame))
        co_return fail(ErrorKind::refused_by_policy, "it refuses this agent: " + refusal->reason);
    const auto* welcome = std::get_if<agent::Welcome>(&*frame);
    if (welcome == nullptr) co_return fail(ErrorKind::broken, "it is no manager");
    heartbeat_ = std::clamp(welcome->heartbeat, milliseconds(50), milliseconds(60'000));
    spdlog::info("manager {} ({}, version {}): connected", dialer_.address(), welcome->manager,
                 welcome->version);
    calls_->welcomed(*welcome);
    co_return Result<void>{};
}

Task<void> ManagerLink::beat(Self self, ChannelPtr channel) {
    self->last_beat_ = self->clock_.now();
    while (!self->stopped_ && !channel->over()) {
        const bool late = self->clock_.now() - self->last_beat_ >= std::min(arrives_within, self->heartbeat_);
        if (late && self->is_stuck(channel) && !std::exchange(self->looking_, true))
            spawn(self->clock_.executor(), look_for_a_way(self, channel));
        self->last_beat_ = self->clock_.now();
        self->send_beat(*channel, std::exchange(self->changed_, false));
        if (!self->changed_) co_await self->to_tell_.wait_until(self->clock_.now() + self->heartbeat_);
    }
    if (self->stopped_) co_await channel->close(farewell);
}

/// What was sent has not arrived at its host. A manager that is slow, or lets a lease run out, is not stuck.
bool ManagerLink::is_stuck(const ChannelPtr& channel) const {
    return !stopped_ && channel_ == channel && !channel->over() && channel->held_up();
}

Task<void> ManagerLink::look_for_a_way(Self self, ChannelPtr channel) {
    const auto began = self->clock_.now();
    auto pause = between_tries;
    while (self->is_stuck(channel)) {
        if (self->tries_ < most_tries) {
            ++self->tries_;
            spawn(self->clock_.executor(), try_a_way(self, channel));
        }
        co_await self->clock_.sleep_for(pause);
        if (self->clock_.now() - began > soon_over) pause = std::min(pause * 2, longest_pause);
    }
    self->looking_ = false;
}

Task<void> ManagerLink::try_a_way(Self self, ChannelPtr channel) {
    auto made = co_await self->dialer_.dial_again(try_limit);
    --self->tries_;
    if (!made || self->next_ || !self->is_stuck(channel)) co_return;
    self->next_ = std::move(*made);
    channel->cancel();
}

void ManagerLink::send_beat(net::Channel& channel, bool changed) {
    auto beat = calls_->beat();
    const auto now = clock_.now();
    beat.seq = ++seq_;
    beat.sent_us = to_us(now.time_since_epoch());
    beat.changed = changed;
    sent_[beat.seq] = now;
    if (sent_.size() > most_unanswered) sent_.erase(sent_.begin());
    if (auto queued = channel.send(agent::to_text(beat)); !queued) channel.cancel();
}

Task<Result<void>> ManagerLink::listen() {
    while (!stopped_) {
        auto frame = co_await read_frame(silence_limit);
        if (stopped_) break;
        if (!frame) co_return std::unexpected(frame.error());
        if (const auto* refusal = std::get_if<agent::Refusal>(&*frame))
            co_return fail(ErrorKind::refused_by_policy, "it ends the connection: " + refusal->reason);
        take(std::move(*frame));
    }
    co_return fail(ErrorKind::cancelled, "the agent ends");
}

void ManagerLink::take(agent::Frame frame) {
    if (const auto* answer = std::get_if<agent::BeatAnswer>(&frame)) {
        // The time is our own record of it, not what came back.
        const auto at = sent_.find(answer->seq);
        if (at == sent_.end()) return;
        const auto sent = at->second;
        sent_.erase(sent_.begin(), std::next(at));
        calls_->answered(sent, *answer);
    } else if (auto* order = std::get_if<agent::Order>(&frame)) {
        calls_->ordered(std::move(*order), [weak = std::weak_ptr(channel_)](const agent::Frame& reply) {
            if (const auto channel = weak.lock()) (void)channel->send(agent::to_text(reply));
        });
    } else if (const auto* cancel = std::get_if<agent::Cancel>(&frame)) {
        calls_->cancelled(*cancel);
    } else if (const auto* welcome = std::get_if<agent::Welcome>(&frame)) {
        calls_->welcomed(*welcome);  // its epoch has risen
    }
}

}  // namespace baton::host
