#include "fleet/fleet.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <array>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <unordered_set>

#include "base/async.h"
#include "base/quiet_log.h"
#include "base/text.h"
#include "fleet/session.h"
#include "net/certificate_files.h"
#include "net/listen.h"

namespace baton::fleet {
namespace {

using Tcp = asio::ip::tcp;

constexpr size_t newcomers_of_an_address = 8;
constexpr std::chrono::minutes complain_every{1};
/// A renewed certificate is found this soon.
constexpr seconds look_at_files_every{2};
constexpr std::chrono::hours tell_of_end_every{24};
constexpr std::chrono::hours tell_of_end_before{14 * 24};
constexpr seconds epoch_retry{1};

class Impl final : public House, public std::enable_shared_from_this<Impl> {
  public:
    Impl(Clock& clock, Options options, TakeEpoch take_epoch)
        : clock_(clock),
          options_(std::move(options)),
          take_epoch_(std::move(take_epoch)),
          registry_(clock, options_.registry) {}

    Result<void> start();
    void stop();
    Result<void> reload(Options fresh);
    uint16_t port() const { return port_; }

    Clock& clock() override { return clock_; }
    Registry& registry() override { return registry_; }
    const Options& options() const override { return options_; }
    void turned_away(const std::string& address, const std::string& why) override;
    Task<bool> outrank(uint64_t seen) override;

  private:
    static Result<std::shared_ptr<net::TlsContext>> make_tls(const Options& options);
    std::array<std::string, 3> files() const {
        return {options_.certificate_file, options_.key_file, options_.ca_file};
    }
    static Task<void> watch_files(std::shared_ptr<Impl> self);
    void read_again();
    void tell_of_end();
    static Task<void> open(std::shared_ptr<Impl> self);
    Task<void> accept_all();
    void admit(Tcp::socket socket);
    bool crowded(const std::string& address) const;
    static Task<void> serve(std::shared_ptr<Impl> self, std::shared_ptr<Session> session);

    Clock& clock_;
    Options options_;
    const TakeEpoch take_epoch_;
    Registry registry_;
    std::shared_ptr<net::TlsContext> tls_;
    std::optional<Tcp::acceptor> acceptor_;
    std::unordered_set<std::shared_ptr<Session>> sessions_;
    QuietLog complaints_{complain_every};
    std::string files_state_;  ///< as they were read last
    MonoTime told_of_end_{};
    uint16_t port_ = 0;
    bool stopped_ = false;
    Signal stopping_{clock_};
};

Result<std::shared_ptr<net::TlsContext>> Impl::make_tls(const Options& options) {
    return net::make_tls_context(
        {.certificate_file = options.certificate_file,
         .key_file = options.key_file,
         .ca_file = options.ca_file,
         .ask_for_client_certificate = options.verify_clients,
         .names = {
             .certificate = "AgentSSLCertFile", .key = "AgentSSLPrivateKeyFile", .ca = "AgentSSLCAFile"}});
}

Result<void> Impl::start() {
    if (options_.use_tls) {
        files_state_ = net::state_of_files(files());
        auto made = make_tls(options_);
        if (!made) return std::unexpected(made.error());
        tls_ = std::move(*made);
    }
    auto acceptor = net::listen_tcp(clock_.executor(), options_.listen_address, "AgentsServerPort");
    if (!acceptor) return std::unexpected(acceptor.error());
    acceptor_.emplace(std::move(*acceptor));
    port_ = acceptor_->local_endpoint().port();
    spdlog::info("host agents on {}{}", options_.listen_address, tls_ ? " (TLS)" : "");
    spawn(clock_.executor(), open(shared_from_this()));
    if (tls_) spawn(clock_.executor(), watch_files(shared_from_this()));
    return {};
}

Result<void> Impl::reload(Options fresh) {
    if (tls_) {
        auto made = make_tls(fresh);
        if (!made) return std::unexpected(made.error());
        tls_->become(**made);
    }
    options_.verify_clients = fresh.verify_clients;
    options_.certificate_file = std::move(fresh.certificate_file);
    options_.key_file = std::move(fresh.key_file);
    options_.ca_file = std::move(fresh.ca_file);
    options_.valid_ous = std::move(fresh.valid_ous);
    options_.token = std::move(fresh.token);
    if (!tls_) return {};
    files_state_ = net::state_of_files(files());
    told_of_end_ = {};
    tell_of_end();
    return {};
}

/// A certificate is renewed by writing its files anew: nobody has to tell.
Task<void> Impl::watch_files(std::shared_ptr<Impl> self) {
    while (!self->stopped_) {
        self->tell_of_end();
        co_await self->stopping_.wait_until(self->clock_.now() + look_at_files_every);
        if (!self->stopped_ && net::state_of_files(self->files()) != self->files_state_) self->read_again();
    }
}

void Impl::read_again() {
    files_state_ = net::state_of_files(files());
    if (const auto read = reload(options_); !read) {
        spdlog::error("the manager's certificate for agents stays as it was: {}", read.error().text());
    } else {
        spdlog::info("the manager's certificate for agents was read again: good until {}",
                     iso_time(tls_->certificate_ends()));
    }
}

void Impl::tell_of_end() {
    const auto now = clock_.now();
    const auto left = tls_->certificate_ends() - clock_.wall();
    if (left >= tell_of_end_before) return;
    if (told_of_end_ != MonoTime{} && now - told_of_end_ < tell_of_end_every) return;
    told_of_end_ = now;
    spdlog::warn(
        "the manager's certificate for agents (AgentSSLCertFile {}) {} {}: make a new one (baton certs); "
        "it is read by itself",
        options_.certificate_file, left > Duration::zero() ? "is good until" : "has expired at",
        iso_time(tls_->certificate_ends()));
}

/// Nobody is let in before this life has a number of its own.
Task<void> Impl::open(std::shared_ptr<Impl> self) {
    while (!self->stopped_ && !co_await self->outrank(0))
        co_await self->clock_.sleep_for(epoch_retry);
    if (self->stopped_) co_return;
    self->registry_.start();
    co_await self->accept_all();
}

Task<bool> Impl::outrank(uint64_t seen) {
    const auto epoch = co_await take_epoch_(seen);
    if (stopped_) co_return false;
    if (!epoch) {
        spdlog::error("cannot write down the epoch, without which no agent is commanded: {}",
                      epoch.error().text());
        co_return false;
    }
    registry_.set_epoch(std::max(registry_.epoch(), *epoch));
    co_return true;
}

Task<void> Impl::accept_all() {
    while (!stopped_) {
        Tcp::socket socket(clock_.executor());
        boost::system::error_code code;
        co_await acceptor_->async_accept(socket, asio::redirect_error(asio::use_awaitable, code));
        if (stopped_ || code == asio::error::operation_aborted) co_return;
        if (code) {
            spdlog::warn("cannot accept a connection of an agent: {}", code.message());
            co_await clock_.sleep_for(milliseconds(100));
            continue;
        }
        net::close_on_exec(socket.native_handle());
        admit(std::move(socket));
    }
}

bool Impl::crowded(const std::string& address) const {
    size_t all = 0;
    size_t here = 0;
    for (const auto& session : sessions_) {
        if (!session->new_here()) continue;
        ++all;
        if (session->address() == address) ++here;
    }
    return sessions_.size() >= options_.connections || all >= options_.newcomers ||
           here >= newcomers_of_an_address;
}

void Impl::admit(Tcp::socket socket) {
    auto stream = tls_ ? tls_->make_stream(std::move(socket)) : net::make_stream(std::move(socket));
    auto session = std::make_shared<Session>(shared_from_this(),
                                             net::make_channel(std::move(stream), agent::frame_limit));
    if (crowded(session->address())) {
        turned_away(session->address(), "too many connections");
        return;
    }
    sessions_.insert(session);
    spawn(clock_.executor(), serve(shared_from_this(), std::move(session)));
}

Task<void> Impl::serve(std::shared_ptr<Impl> self, std::shared_ptr<Session> session) {
    co_await session->run();
    self->sessions_.erase(session);
}

void Impl::turned_away(const std::string& address, const std::string& why) {
    registry_.refused();
    if (complaints_.may(address, why, clock_.now()))
        spdlog::warn("an agent at {} is refused: {}", address, printable(why, 500));
}

void Impl::stop() {
    if (std::exchange(stopped_, true)) return;
    boost::system::error_code ignored;
    if (acceptor_) acceptor_->close(ignored);
    stopping_.notify();
    registry_.stop();
    for (const auto& session : sessions_)
        session->stop();
}

/// Sessions keep what they need until they have ended; who holds this can go at any time.
class Handle final : public Fleet {
  public:
    explicit Handle(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
    ~Handle() override { impl_->stop(); }
    Result<void> start() override { return impl_->start(); }
    void stop() override { impl_->stop(); }
    Result<void> reload(Options options) override { return impl_->reload(std::move(options)); }
    Registry& registry() override { return impl_->registry(); }
    uint16_t port() const override { return impl_->port(); }

  private:
    std::shared_ptr<Impl> impl_;
};

}  // namespace

std::unique_ptr<Fleet> make_fleet(Clock& clock, Options options, TakeEpoch take_epoch) {
    return std::make_unique<Handle>(std::make_shared<Impl>(clock, std::move(options), std::move(take_epoch)));
}

}  // namespace baton::fleet
