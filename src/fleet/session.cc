#include "fleet/session.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "agent/codec.h"
#include "base/async.h"
#include "base/secret.h"
#include "base/text.h"

namespace baton::fleet {
namespace {

constexpr seconds introduction_limit{5};
constexpr milliseconds farewell{500};
constexpr int frames_a_second = 500;
/// An agent that is this silent is gone, whatever TCP thinks.
constexpr int beats_until_gone = 10;
/// Two managers that both command an agent must not chase each other through epochs.
constexpr seconds outrank_every{10};
constexpr size_t longest_name = 100;

}  // namespace

Session::Session(std::shared_ptr<House> house, std::unique_ptr<net::Channel> channel)
    : house_(std::move(house)), channel_(std::move(channel)), address_(channel_->peer().address) {}

Task<void> Session::run() {
    const auto self = shared_from_this();
    if (co_await come_in()) {
        co_await listen();
        house_->registry().gone(*this);
    }
    if (!std::exchange(ending_, true)) co_await channel_->close(farewell);
}

void Session::stop() {
    ending_ = true;
    channel_->cancel();
}

// ---- Coming in

Task<Result<agent::Frame>> Session::read_frame(Duration limit) {
    const auto line = co_await channel_->read_line(limit);
    if (!line) co_return std::unexpected(line.error());
    co_return agent::parse_frame(*line);
}

Task<bool> Session::come_in() {
    const auto secure = co_await channel_->handshake(introduction_limit);
    if (!secure) {
        house_->turned_away(address_, "no TLS connection: " + secure.error().message);
        co_return false;
    }
    const auto frame = co_await read_frame(introduction_limit);
    if (!frame) co_return co_await refuse("no introduction: " + frame.error().text());
    const auto* hello = std::get_if<agent::Hello>(&*frame);
    if (!hello) co_return co_await refuse("an agent begins with hello");
    name_ = printable(hello->host, longest_name);
    if (const auto why = hindrance(*hello)) co_return co_await refuse(*why);
    auto& registry = house_->registry();
    if (registry.outranked_by(*hello)) (void)co_await house_->outrank(hello->epoch);
    if (ending_) co_return false;
    auto welcome = registry.hello(*this, *hello);
    if (!welcome) co_return co_await refuse(welcome.error().text());
    welcome_ = true;
    send(std::move(*welcome));
    co_return true;
}

/// Why it may not come in. The token that it showed is not repeated: it may be a secret of somebody else.
std::optional<std::string> Session::hindrance(const agent::Hello& hello) const {
    const auto& token = house_->options().token;
    if (token.empty() && !house_->options().verify_clients)
        return "this manager has neither AgentToken nor AgentsUseMutualTLS any more: anybody could come in";
    if (auto why = certificate_hindrance()) return why;
    if (token.empty()) return std::nullopt;
    if (hello.token.empty())
        return "it shows no token, and AgentToken is set at the manager: set Token or TokenFile of the agent";
    if (!equal_in_constant_time(hello.token, token))
        return "its token is not the manager's: Token or TokenFile of the agent and AgentToken must be the "
               "same";
    return std::nullopt;
}

std::optional<std::string> Session::certificate_hindrance() const {
    const auto& options = house_->options();
    const auto& peer = channel_->peer();
    if (!options.verify_clients) return std::nullopt;
    if (!peer.verified)
        return "it shows no client certificate (AgentsUseMutualTLS): set CertFile and KeyFile of the agent";
    const auto accepted = [&](const std::string& unit) {
        return std::ranges::find(options.valid_ous, unit) != options.valid_ous.end();
    };
    if (options.valid_ous.empty() || std::ranges::any_of(peer.units, accepted)) return std::nullopt;
    return fmt::format(
        "the organisational unit of its certificate ({}, of {}) is none of AgentSSLValidOUs: {}",
        peer.units.empty() ? "none" : printable(join(peer.units, ", "), longest_name),
        printable(peer.common_name, longest_name), join(options.valid_ous, ", "));
}

Task<bool> Session::refuse(std::string why) {
    house_->turned_away(name_.empty() ? address_ : fmt::format("{} ({})", address_, name_), why);
    const auto text = agent::to_text(agent::Refusal{std::move(why)});
    (void)co_await channel_->write_line(text, farewell);
    co_return false;
}

// ---- Listening

Task<void> Session::listen() {
    const auto limit = beats_until_gone * Duration(house_->options().registry.heartbeat);
    while (!ending_) {
        const auto frame = co_await read_frame(std::max<Duration>(limit, introduction_limit));
        if (ending_) co_return;
        if (!frame) {
            const bool nonsense = frame.error().kind == ErrorKind::invalid_argument;
            if (nonsense) end("cannot understand it: " + frame.error().message);
            spdlog::log(nonsense ? spdlog::level::warn : spdlog::level::info,
                        "the connection of the agent at {} ({}) ended: {}", address_, name_,
                        frame.error().text());
            co_return;
        }
        if (!co_await take(*frame)) co_return;
        co_await slow_down();
    }
}

/// False: the connection ends.
Task<bool> Session::take(agent::Frame frame) {
    auto& registry = house_->registry();
    if (auto* beat = std::get_if<agent::Beat>(&frame)) co_return co_await take_beat(std::move(*beat));
    if (const auto* progress = std::get_if<agent::Progress>(&frame)) {
        registry.progress(*this, *progress);
    } else if (const auto* done = std::get_if<agent::Done>(&frame)) {
        registry.done(*this, *done);
    } else {
        end("such a frame is not for a manager");
        co_return false;
    }
    co_return true;
}

Task<bool> Session::take_beat(agent::Beat beat) {
    auto& registry = house_->registry();
    const auto now = house_->clock().now();
    if (last_beat_ && beat.seq <= *last_beat_) {
        const auto why = fmt::format("heartbeat {} came after {}: a repeated one counts for nothing",
                                     beat.seq, *last_beat_);
        house_->turned_away(fmt::format("{} ({})", address_, name_), why);
        end(why);
        co_return false;
    }
    last_beat_ = beat.seq;
    if (beat.epoch > registry.epoch() && now - outranked_at_ >= outrank_every) {
        outranked_at_ = now;
        spdlog::warn("another manager, of epoch {}, commands the agent at {}", beat.epoch, address_);
        (void)co_await house_->outrank(beat.epoch);
    }
    if (ending_) co_return false;
    auto answer = registry.beat(*this, beat);
    if (!answer) {
        house_->turned_away(fmt::format("{} ({})", address_, name_), answer.error().text());
        end(answer.error().text());
        co_return false;
    }
    if (*answer) send(std::move(**answer));
    co_return true;
}

/// One that talks without end gets a second's rest, and TCP keeps it waiting.
Task<void> Session::slow_down() {
    auto& clock = house_->clock();
    if (clock.now() - second_began_ >= seconds(1)) {
        second_began_ = clock.now();
        frames_ = 0;
    }
    if (++frames_ > frames_a_second) co_await clock.sleep_until(second_began_ + seconds(1));
}

// ---- Speaking

void Session::send(agent::Frame frame) {
    if (ending_) return;
    if (const auto sent = channel_->send(agent::to_text(frame)); !sent)
        spdlog::warn("the agent at {} cannot be told: {}", address_, sent.error().text());
}

void Session::end(const std::string& reason) {
    if (std::exchange(ending_, true)) return;
    (void)channel_->send(agent::to_text(agent::Refusal{reason}));
    // Sends what is in line, and then ends the reading, too.
    spawn(house_->clock().executor(), [](std::shared_ptr<Session> self) -> Task<void> {
        co_await self->channel_->close(farewell);
    }(shared_from_this()));
}

}  // namespace baton::fleet
