// The one place where Asio's TLS layer is compiled; it costs more to build than the rest of the room.
#include <boost/asio/ssl.hpp>
#include <boost/asio/ssl/impl/src.hpp>

#include "net/stream_impl.h"

namespace baton::net {

namespace {

using Tcp = asio::ip::tcp::socket;
using Layer = asio::ssl::stream<Tcp&>;

std::vector<std::string> organisational_units(X509* certificate) {
    std::vector<std::string> units;
    X509_NAME* subject = X509_get_subject_name(certificate);
    for (int at = -1; (at = X509_NAME_get_index_by_NID(subject, NID_organizationalUnitName, at)) >= 0;) {
        unsigned char* text = nullptr;
        const int length =
            ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
        if (length < 0) continue;
        units.emplace_back(reinterpret_cast<char*>(text), static_cast<size_t>(length));
        OPENSSL_free(text);
    }
    return units;
}

class TlsStream final : public Stream {
  public:
    TlsStream(Tcp socket, asio::ssl::context& context, Peer peer)
        : watched_(std::make_shared<Watched<Tcp>>(std::move(socket))),
          layer_(watched_->socket, context),
          peer_(std::move(peer)) {}
    ~TlsStream() override { watched_->disarm(); }

    Task<Result<void>> handshake(Duration limit) override {
        boost::system::error_code code;
        Watched<Tcp>::arm(watched_, limit);
        co_await layer_.async_handshake(asio::ssl::stream_base::server,
                                        asio::redirect_error(asio::use_awaitable, code));
        watched_->disarm();
        if (code) co_return std::unexpected(watched_->error(code));
        read_certificate();
        co_return Result<void>{};
    }
    Task<Result<size_t>> read(asio::mutable_buffer into, std::optional<Duration> limit) override {
        return read_some(layer_, watched_, into, limit);
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
    asio::any_io_executor executor() override { return watched_->socket.get_executor(); }

  private:
    void read_certificate() {
        X509* certificate = SSL_get1_peer_certificate(layer_.native_handle());
        if (!certificate) return;
        peer_.verified = SSL_get_verify_result(layer_.native_handle()) == X509_V_OK;
        if (peer_.verified) peer_.units = organisational_units(certificate);
        X509_free(certificate);
    }

    std::shared_ptr<Watched<Tcp>> watched_;
    Layer layer_;
    Peer peer_;
};

class TlsContextImpl final : public TlsContext {
  public:
    TlsContextImpl() : context_(asio::ssl::context::tls_server) {}

    Result<void> load(const TlsOptions& options) {
        boost::system::error_code code;
        SSL_CTX_set_min_proto_version(context_.native_handle(), TLS1_2_VERSION);
        context_.use_certificate_chain_file(options.certificate_file, code);
        if (code) return unusable("SSLCertFile", options.certificate_file, code);
        context_.use_private_key_file(options.key_file, asio::ssl::context::pem, code);
        if (code) return unusable("SSLPrivateKeyFile", options.key_file, code);
        if (SSL_CTX_check_private_key(context_.native_handle()) != 1) {
            return fail(ErrorKind::io, "SSLPrivateKeyFile is not the key of the certificate in SSLCertFile",
                        options.key_file);
        }
        return options.ask_for_client_certificate ? trust(options) : Result<void>{};
    }
    std::unique_ptr<Stream> make_stream(Tcp socket) override {
        boost::system::error_code ignored;
        const auto remote = socket.remote_endpoint(ignored);
        socket.set_option(asio::ip::tcp::no_delay(true), ignored);
        Peer peer{.address = address_text(remote.address()), .tls = true, .verified = false, .units = {}};
        return std::make_unique<TlsStream>(std::move(socket), context_, std::move(peer));
    }

  private:
    Result<void> trust(const TlsOptions& options) {
        boost::system::error_code code;
        if (options.ca_file.empty()) {
            context_.set_default_verify_paths(code);
        } else {
            context_.load_verify_file(options.ca_file, code);
        }
        if (code) return unusable("SSLCAFile", options.ca_file, code);
        // A certificate that is given must be good; none at all is left to the check of each request, because
        // the status route may be open to everybody (StatusOUVerify).
        context_.set_verify_mode(asio::ssl::verify_peer, code);
        static constexpr unsigned char session_scope[] = "baton";
        SSL_CTX_set_session_id_context(context_.native_handle(), session_scope, sizeof session_scope - 1);
        return {};
    }
    static std::unexpected<Error> unusable(std::string_view key, const std::string& file,
                                           const boost::system::error_code& code) {
        return fail(ErrorKind::io, "cannot use " + std::string(key) + ": " + code.message(),
                    file.empty() ? "(empty)" : file);
    }

    asio::ssl::context context_;
};

}  // namespace

Result<std::shared_ptr<TlsContext>> make_tls_context(const TlsOptions& options) {
    auto context = std::make_shared<TlsContextImpl>();
    if (auto loaded = context->load(options); !loaded) return std::unexpected(loaded.error());
    return context;
}

}  // namespace baton::net
