// The one place where Asio's TLS layer is compiled; it costs more to build than the rest of the room.
#include <boost/asio/ssl.hpp>
#include <boost/asio/ssl/impl/src.hpp>

#include "net/stream_impl.h"
#include "net/tls_words.h"

namespace baton::net {

namespace {

using Tcp = asio::ip::tcp::socket;
using Layer = asio::ssl::stream<Tcp&>;

using Side = asio::ssl::stream_base::handshake_type;

/// All values of one field of the subject, in UTF-8.
std::vector<std::string> subject_values(X509* certificate, int field) {
    std::vector<std::string> values;
    X509_NAME* subject = X509_get_subject_name(certificate);
    for (int at = -1; (at = X509_NAME_get_index_by_NID(subject, field, at)) >= 0;) {
        unsigned char* text = nullptr;
        const int length =
            ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
        if (length < 0) continue;
        values.emplace_back(reinterpret_cast<char*>(text), static_cast<size_t>(length));
        OPENSSL_free(text);
    }
    return values;
}

/// One set of files and rules. Connections keep what they need of it.
struct Rules {
    explicit Rules(asio::ssl::context::method method) : context(method) {
        SSL_CTX_set_min_proto_version(context.native_handle(), TLS1_2_VERSION);
    }
    asio::ssl::context context;
    TlsSide ours;
    bool believe_expired = false;
};
using RulesPtr = std::shared_ptr<Rules>;

class TlsStream final : public Stream {
  public:
    TlsStream(Tcp socket, RulesPtr rules, Peer peer, Side side)
        : watched_(std::make_shared<Watched<Tcp>>(std::move(socket))),
          rules_(std::move(rules)),
          layer_(watched_->socket, rules_->context),
          peer_(std::move(peer)),
          side_(side) {
        SSL* ssl = layer_.native_handle();
        SSL_set_ex_data(ssl, place(), this);
        SSL_set_verify(ssl, SSL_get_verify_mode(ssl), &TlsStream::judge);
    }
    ~TlsStream() override { watched_->disarm(); }

    /// The certificate must be made out to `host`; its name goes with the greeting, unless it is a number.
    void expect(const std::string& host) {
        boost::system::error_code not_a_number;
        asio::ip::make_address(host, not_a_number);
        SSL* ssl = layer_.native_handle();
        if (!not_a_number) {
            X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str());
            return;
        }
        SSL_set_tlsext_host_name(ssl, host.c_str());
        SSL_set1_host(ssl, host.c_str());
    }

    Task<Result<void>> handshake(Duration limit) override {
        boost::system::error_code code;
        Watched<Tcp>::arm(watched_, limit);
        co_await layer_.async_handshake(side_, asio::redirect_error(asio::use_awaitable, code));
        watched_->disarm();
        if (code) co_return std::unexpected(handshake_error(code));
        read_certificate();
        co_return Result<void>{};
    }
    Task<Result<size_t>> read(asio::mutable_buffer into, std::optional<Duration> limit) override {
        // The last word of a side that does not accept our certificate comes after our handshake.
        return read_some(layer_, watched_, into, limit,
                         [this](const auto& code) { return told_by_other(code, rules_->ours); });
    }
    Task<Result<void>> write(std::string_view bytes, Duration limit) override {
        return write_all(layer_, watched_, bytes, limit);
    }
    void cancel() override { watched_->cancel(); }
    Task<void> close(Duration limit) override {
        boost::system::error_code ignored;
        Watched<Tcp>::arm(watched_, limit);
        co_await layer_.async_shutdown(asio::redirect_error(asio::use_awaitable, ignored));
        watched_->disarm();
        watched_->socket.close(ignored);
    }
    const Peer& peer() const override { return peer_; }
    bool held_up() const override { return repeats_in_vain(watched_->socket); }
    asio::any_io_executor executor() override { return watched_->socket.get_executor(); }

  private:
    /// Where OpenSSL keeps which stream a connection belongs to.
    static int place() {
        static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
        return index;
    }
    /// Called by OpenSSL for each certificate of the other side, with its verdict.
    static int judge(int good, X509_STORE_CTX* chain) {
        if (good == 1) return good;
        const auto* ssl =
            static_cast<const SSL*>(X509_STORE_CTX_get_ex_data(chain, SSL_get_ex_data_X509_STORE_CTX_idx()));
        auto& self = *static_cast<TlsStream*>(SSL_get_ex_data(ssl, place()));
        const int verdict = X509_STORE_CTX_get_error(chain);
        if (verdict == X509_V_ERR_CERT_HAS_EXPIRED && self.rules_->believe_expired) {
            X509_STORE_CTX_set_error(chain, X509_V_OK);
            return 1;
        }
        if (self.objection_.empty())
            self.objection_ =
                not_accepted(verdict, X509_STORE_CTX_get_current_cert(chain), self.rules_->ours);
        return good;
    }
    Error handshake_error(const boost::system::error_code& code) {
        const auto verdict = SSL_get_verify_result(layer_.native_handle());
        if (watched_->expired) return watched_->error(code);
        if (verdict == X509_V_OK) {
            auto told = told_by_other(code, rules_->ours);
            if (told.empty()) return watched_->error(code);
            return {ErrorKind::authentication, std::move(told), "", ""};
        }
        return {
            ErrorKind::authentication,
            objection_.empty() ? not_accepted(static_cast<int>(verdict), nullptr, rules_->ours) : objection_,
            "", ""};
    }
    void read_certificate() {
        X509* certificate = SSL_get1_peer_certificate(layer_.native_handle());
        if (!certificate) return;
        peer_.verified = SSL_get_verify_result(layer_.native_handle()) == X509_V_OK;
        if (peer_.verified) {
            peer_.units = subject_values(certificate, NID_organizationalUnitName);
            auto names = subject_values(certificate, NID_commonName);
            if (!names.empty()) peer_.common_name = std::move(names.back());
        }
        X509_free(certificate);
    }

    std::shared_ptr<Watched<Tcp>> watched_;
    const RulesPtr rules_;
    Layer layer_;
    Peer peer_;
    const Side side_;
    std::string objection_;  ///< to the other side's certificate
};

std::unique_ptr<TlsStream> tls_stream(Tcp socket, RulesPtr rules, Side side) {
    boost::system::error_code ignored;
    const auto remote = socket.remote_endpoint(ignored);
    socket.set_option(asio::ip::tcp::no_delay(true), ignored);
    Peer peer{.address = address_text(remote.address()),
              .tls = true,
              .verified = false,
              .units = {},
              .common_name = {}};
    return std::make_unique<TlsStream>(std::move(socket), std::move(rules), std::move(peer), side);
}

std::unexpected<Error> unusable(std::string_view setting, const std::string& file,
                                const boost::system::error_code& code) {
    return fail(ErrorKind::io, "cannot use " + std::string(setting) + ": " + code.message(),
                file.empty() ? "(empty)" : file);
}

Result<void> show(asio::ssl::context& context, const std::string& certificate_file,
                  const std::string& key_file, const TlsSettingNames& names) {
    boost::system::error_code code;
    context.use_certificate_chain_file(certificate_file, code);
    if (code) return unusable(names.certificate, certificate_file, code);
    context.use_private_key_file(key_file, asio::ssl::context::pem, code);
    if (code) return unusable(names.key, key_file, code);
    if (SSL_CTX_check_private_key(context.native_handle()) == 1) return {};
    return fail(
        ErrorKind::io,
        std::string(names.key) + " is not the key of the certificate in " + std::string(names.certificate),
        key_file);
}

Result<void> trust(asio::ssl::context& context, const std::string& ca_file, const TlsSettingNames& names) {
    boost::system::error_code code;
    if (ca_file.empty()) {
        context.set_default_verify_paths(code);
    } else {
        context.load_verify_file(ca_file, code);
    }
    if (code) return unusable(names.ca, ca_file, code);
    context.set_verify_mode(asio::ssl::verify_peer, code);
    return {};
}

std::string setting_text(std::string_view name, const std::string& file) {
    return file.empty() ? std::string() : std::string(name) + " " + file;
}

class TlsContextImpl final : public TlsContext {
  public:
    Result<void> load(const TlsOptions& options) {
        auto& context = rules_->context;
        rules_->ours = {.certificate = setting_text(options.names.certificate, options.certificate_file),
                        .ca = setting_text(options.names.ca, options.ca_file)};
        rules_->believe_expired = options.believe_expired;
        auto shown = show(context, options.certificate_file, options.key_file, options.names);
        if (!shown || !options.ask_for_client_certificate) return shown;
        // A certificate that is given must be good; none at all is left to the check of each request, because
        // the status route may be open to everybody (StatusOUVerify).
        if (auto trusted = trust(context, options.ca_file, options.names); !trusted) return trusted;
        static constexpr unsigned char session_scope[] = "baton";
        SSL_CTX_set_session_id_context(context.native_handle(), session_scope, sizeof session_scope - 1);
        return {};
    }
    std::unique_ptr<Stream> make_stream(Tcp socket) override {
        return tls_stream(std::move(socket), rules_, asio::ssl::stream_base::server);
    }
    void become(const TlsContext& other) override {
        rules_ = dynamic_cast<const TlsContextImpl&>(other).rules_;
    }
    WallTime certificate_ends() const override {
        return certificate_end(SSL_CTX_get0_certificate(rules_->context.native_handle()));
    }

  private:
    RulesPtr rules_ = std::make_shared<Rules>(asio::ssl::context::tls_server);
};

class TlsClientImpl final : public TlsClient {
  public:
    Result<void> load(const TlsClientOptions& options) {
        auto& context = rules_->context;
        rules_->ours = {.certificate = setting_text(options.names.certificate, options.certificate_file),
                        .ca = setting_text(options.names.ca, options.ca_file)};
        rules_->believe_expired = options.believe_expired;
        if (options.certificate_file.empty() != options.key_file.empty()) {
            return fail(ErrorKind::invalid_argument, std::string(options.names.certificate) + " and " +
                                                         std::string(options.names.key) + " go together");
        }
        if (!options.certificate_file.empty()) {
            auto shown = show(context, options.certificate_file, options.key_file, options.names);
            if (!shown) return shown;
        }
        return options.skip_verify ? Result<void>{} : trust(context, options.ca_file, options.names);
    }
    std::unique_ptr<Stream> make_stream(Tcp socket, const std::string& host) override {
        auto stream = tls_stream(std::move(socket), rules_, asio::ssl::stream_base::client);
        stream->expect(host);
        return stream;
    }
    void become(const TlsClient& other) override {
        rules_ = dynamic_cast<const TlsClientImpl&>(other).rules_;
    }

  private:
    RulesPtr rules_ = std::make_shared<Rules>(asio::ssl::context::tls_client);
};

}  // namespace

Result<std::shared_ptr<TlsContext>> make_tls_context(const TlsOptions& options) {
    auto context = std::make_shared<TlsContextImpl>();
    if (auto loaded = context->load(options); !loaded) return std::unexpected(loaded.error());
    return context;
}

Result<std::shared_ptr<TlsClient>> make_tls_client(const TlsClientOptions& options) {
    auto client = std::make_shared<TlsClientImpl>();
    if (auto loaded = client->load(options); !loaded) return std::unexpected(loaded.error());
    return client;
}

}  // namespace baton::net
