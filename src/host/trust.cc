#include "host/trust.h"

#include <spdlog/spdlog.h>

#include <array>

#include "base/async.h"
#include "host/own_thread.h"
#include "net/certificate_files.h"

namespace baton::host {
namespace {

constexpr net::TlsSettingNames names{.certificate = "CertFile", .key = "KeyFile", .ca = "CAFile"};
/// A renewed certificate is found this soon.
constexpr seconds look_every{5};
constexpr std::chrono::hours tell_every{24};
constexpr std::chrono::hours tell_before{14 * 24};

std::string state_of(const Options& options) {
    const std::array files{options.ca_file, options.cert_file, options.key_file};
    return net::state_of_files(files);
}

net::TlsClientOptions client_options(const Options& options, bool believe_expired) {
    return {.ca_file = options.ca_file,
            .certificate_file = options.cert_file,
            .key_file = options.key_file,
            .skip_verify = options.skip_verify,
            .believe_expired = believe_expired,
            .names = names};
}

}  // namespace

Trust::Trust(Clock& clock, Options options)
    : clock_(clock),
      options_(std::move(options)),
      token_(std::make_shared<std::string>(options_.token)),
      wake_(clock) {}

Result<Trust::Tls> Trust::read(const Options& options) {
    Tls tls;
    if (!options.use_tls) return tls;
    tls.files = state_of(options);
    auto managers = net::make_tls_client(client_options(options, false));
    if (!managers) return std::unexpected(managers.error());
    tls.managers = std::move(*managers);
    auto peers = net::make_tls_client(client_options(options, true));
    if (!peers) return std::unexpected(peers.error());
    tls.peers = std::move(*peers);
    if (!options.cert_file.empty()) {
        const auto ends = net::certificate_file_ends(options.cert_file);
        if (!ends) return std::unexpected(ends.error());
        tls.ends = *ends;
    }
    if (options.peer_listen_address.empty()) return tls;
    auto listener = net::make_tls_context({.certificate_file = options.cert_file,
                                           .key_file = options.key_file,
                                           .ca_file = options.ca_file,
                                           .ask_for_client_certificate = !options.ca_file.empty(),
                                           .believe_expired = true,
                                           .names = names});
    if (!listener) return std::unexpected(listener.error());
    tls.listener = std::move(*listener);
    return tls;
}

Result<void> Trust::load() {
    auto tls = read(options_);
    if (!tls) return std::unexpected(tls.error());
    tls_ = std::move(*tls);
    tell_of_end();
    return {};
}

void Trust::start() {
    if (options_.use_tls) spawn(clock_.executor(), watch(shared_from_this()));
}

void Trust::stop() {
    stopped_ = true;
    wake_.notify();
}

Task<Result<void>> Trust::reload(Options options) {
    const auto self = shared_from_this();
    auto fresh = co_await on_own_thread<Result<Tls>>(clock_, [options] { return read(options); });
    if (!fresh) co_return std::unexpected(fresh.error());
    if (!stopped_) take(std::move(options), *fresh);
    co_return Result<void>{};
}

void Trust::take(Options options, const Tls& fresh) {
    options_ = std::move(options);
    *token_ = options_.token;
    if (!options_.use_tls) return;
    tls_.managers->become(*fresh.managers);
    tls_.peers->become(*fresh.peers);
    if (tls_.listener && fresh.listener) tls_.listener->become(*fresh.listener);
    tls_.ends = fresh.ends;
    tls_.files = fresh.files;
    told_of_end_ = {};
    tell_of_end();
}

/// A certificate is renewed by writing its files anew: nobody has to tell.
Task<void> Trust::watch(std::shared_ptr<Trust> self) {
    auto& clock = self->clock_;
    while (!self->stopped_) {
        co_await self->wake_.wait_until(clock.now() + look_every);
        if (self->stopped_) co_return;
        self->tell_of_end();
        auto options = self->options_;
        const auto now = co_await on_own_thread<std::string>(clock, [options] { return state_of(options); });
        if (self->stopped_ || now == self->tls_.files) continue;
        const auto read_again = co_await self->reload(std::move(options));
        if (self->stopped_) co_return;
        if (read_again) {
            spdlog::info("certificates were read again{}",
                         self->tls_.ends ? ": CertFile is good until " + iso_time(*self->tls_.ends) : "");
        } else {
            // Half of a pair, most likely: the other half is on its way.
            self->tls_.files = now;
            spdlog::error("certificates stay as they were: {}", read_again.error().text());
        }
    }
}

std::optional<Duration> Trust::certificate_left() const {
    if (!tls_.ends) return std::nullopt;
    return std::max<Duration>(*tls_.ends - clock_.wall(), Duration{});
}

void Trust::tell_of_end() {
    const auto left = certificate_left();
    if (!left || *left >= tell_before) return;
    const auto now = clock_.now();
    if (told_of_end_ != MonoTime{} && now - told_of_end_ < tell_every) return;
    told_of_end_ = now;
    spdlog::warn("CertFile {} {} {}: make a new one (baton certs); it is read by itself", options_.cert_file,
                 *left > Duration{} ? "is good until" : "has expired at", iso_time(*tls_.ends));
}

}  // namespace baton::host
