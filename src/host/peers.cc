#include "host/peers.h"

#include <spdlog/spdlog.h>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <list>

#include "agent/codec.h"
#include "base/async.h"
#include "base/quiet_log.h"
#include "base/secret.h"
#include "base/text.h"
#include "net/listen.h"

namespace baton::host {
namespace {

constexpr milliseconds ask_limit{800};
/// A kept connection that is silent for so long may have ended unnoticed.
constexpr milliseconds kept_limit{200};
constexpr milliseconds handshake_limit{3000};
constexpr seconds idle_limit{60};
constexpr size_t most_connections = 128;
constexpr size_t most_peers = 256;
constexpr uint16_t default_port = 3002;
/// A question is small; whoever sends more is no agent.
constexpr size_t line_limit = 16UL * 1024;

}  // namespace

// ---- asking

struct PeerAsker::Peer {
    Peer(Clock& c, Dialer d) : clock(c), dialer(std::move(d)) {}
    /// Why it does not promise, once in a while; who asks does so several times a second.
    void complain(const std::string& why) {
        if (complaints.may("", why, clock.now()))
            spdlog::warn("the agent at {} does not vouch: {}", dialer.address(), why);
    }
    Clock& clock;
    Dialer dialer;
    QuietLog complaints{std::chrono::minutes(1)};
    std::unique_ptr<net::Channel> channel;
    bool busy = false;
    bool over = false;  ///< nobody wants to know any more
    uint64_t seq = 0;
};

PeerAsker::PeerAsker(Clock& clock, std::shared_ptr<const std::string> token,
                     std::shared_ptr<net::TlsClient> tls)
    : clock_(clock), token_(std::move(token)), tls_(std::move(tls)) {}

PeerAsker::~PeerAsker() {
    for (const auto& [address, peer] : peers_) {
        peer->over = true;
        if (peer->channel) peer->channel->cancel();
    }
}

void PeerAsker::ask(const std::string& address, agent::Vouch vouch, std::function<void(MonoTime)> promised) {
    if (peers_.size() >= most_peers) std::erase_if(peers_, [](const auto& p) { return !p.second->busy; });
    auto& peer = peers_[address];
    if (!peer) peer = std::make_shared<Peer>(clock_, Dialer(clock_.executor(), address, default_port, tls_));
    if (std::exchange(peer->busy, true)) return;
    vouch.token = *token_;
    spawn(clock_.executor(), put(peer, std::move(vouch), std::move(promised)));
}

Task<void> PeerAsker::put(std::shared_ptr<Peer> peer, agent::Vouch vouch,
                          std::function<void(MonoTime)> promised) {
    // The second try is over a new connection.
    const auto until = peer->clock.now() + ask_limit;
    for (int attempt = 0; attempt < 2 && !peer->over && peer->clock.now() < until; ++attempt) {
        const bool kept = peer->channel != nullptr;
        if (!kept) {
            auto channel = co_await peer->dialer.dial(until - peer->clock.now());
            if (!channel && !peer->over) peer->complain(channel.error().message);
            if (!channel || peer->over) break;
            peer->channel = std::move(*channel);
        }
        vouch.seq = ++peer->seq;
        const auto asked = peer->clock.now();
        const auto sent = peer->channel->send(agent::to_text(vouch));
        const auto left = until - asked;
        const auto line =
            sent ? co_await peer->channel->read_line(kept ? std::min<Duration>(left, kept_limit) : left)
                 : Result<std::string>(std::unexpected(sent.error()));
        if (peer->over) break;
        const auto frame =
            line ? agent::parse_frame(*line) : Result<agent::Frame>(std::unexpected(line.error()));
        const auto* answer = frame ? std::get_if<agent::Vouched>(&*frame) : nullptr;
        if (answer != nullptr && answer->seq == vouch.seq) {
            if (answer->promised) {
                promised(asked);
            } else {
                peer->complain(printable(answer->reason));
            }
            break;
        }
        if (!line && !kept) peer->complain(line.error().message);
        peer->channel.reset();
    }
    peer->busy = false;
}

// ---- answering

struct PeerListener::House {
    House(Clock& c, PeerListenerOptions o, Answer a)
        : clock(c), options(std::move(o)), answer(std::move(a)) {}
    Clock& clock;
    PeerListenerOptions options;
    Answer answer;
    std::optional<asio::ip::tcp::acceptor> acceptor;
    std::list<std::shared_ptr<net::Channel>> channels;
    QuietLog complaints{std::chrono::minutes(1)};
    bool stopped = false;

    void complain(const std::string& address, const std::string& why) {
        if (complaints.may(address, why, clock.now()))
            spdlog::warn("{} asks for a promise and is refused: {}", address, why);
    }

    bool believes(const net::Peer& peer, const agent::Vouch& vouch) const {
        return options.token->empty() ? peer.verified : equal_in_constant_time(vouch.token, *options.token);
    }
};

PeerListener::PeerListener(Clock& clock, PeerListenerOptions options, Answer answer)
    : house_(std::make_shared<House>(clock, std::move(options), std::move(answer))) {}

PeerListener::~PeerListener() {
    house_->stopped = true;
    boost::system::error_code ignored;
    if (house_->acceptor) house_->acceptor->close(ignored);
    for (const auto& channel : house_->channels)
        channel->cancel();
}

Result<void> PeerListener::start() {
    auto acceptor = net::listen_tcp(house_->clock.executor(), house_->options.address, "PeerListenAddress");
    if (!acceptor) return std::unexpected(acceptor.error());
    house_->acceptor.emplace(std::move(*acceptor));
    spawn(house_->clock.executor(), accept(house_));
    return {};
}

Task<void> PeerListener::accept(std::shared_ptr<House> house) {
    while (!house->stopped) {
        boost::system::error_code ec;
        auto socket = co_await house->acceptor->async_accept(asio::redirect_error(asio::use_awaitable, ec));
        if (house->stopped) co_return;
        if (ec) {
            // Out of descriptors, for one: it passes.
            co_await house->clock.sleep_for(milliseconds(100));
            continue;
        }
        if (house->channels.size() >= most_connections) continue;
        net::close_on_exec(socket.native_handle());
        auto stream = house->options.tls ? house->options.tls->make_stream(std::move(socket))
                                         : net::make_stream(std::move(socket));
        const std::shared_ptr<net::Channel> channel = net::make_channel(std::move(stream), line_limit);
        house->channels.push_back(channel);
        spawn(house->clock.executor(), serve(house, channel));
    }
}

Task<void> PeerListener::serve(std::shared_ptr<House> house, std::shared_ptr<net::Channel> channel) {
    auto good = co_await channel->handshake(handshake_limit);
    if (!good && !house->stopped) house->complain(channel->peer().address, good.error().message);
    while (good && !house->stopped) {
        const auto line = co_await channel->read_line(idle_limit);
        if (!line || house->stopped) break;
        const auto frame = agent::parse_frame(*line);
        const auto* vouch = frame ? std::get_if<agent::Vouch>(&*frame) : nullptr;
        if (vouch == nullptr) break;
        const auto why = house->options.token->empty()
                             ? "it shows no certificate (CertFile and KeyFile of its agent)"
                             : "its token is not this agent's (Token or TokenFile)";
        agent::Vouched answer{.seq = vouch->seq, .reason = why};
        const bool believed = house->believes(channel->peer(), *vouch);
        if (believed) answer = house->answer(*vouch);
        good = co_await channel->write_line(agent::to_text(answer), handshake_limit);
        if (believed) continue;
        house->complain(channel->peer().address, why);
        break;
    }
    channel->cancel();
    house->channels.remove(channel);
}

}  // namespace baton::host
