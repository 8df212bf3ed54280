#pragma once

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"

namespace baton::net {

/// What is known of who is at the other end.
struct Peer {
    std::string address;  ///< without port; "unix" for a Unix socket
    bool tls = false;
    bool verified = false;           ///< showed a certificate, and it is good
    std::vector<std::string> units;  ///< organisational units of that certificate
    std::string common_name;         ///< of that certificate; "" where it has none
};

/// One connection, whatever it runs over: keeps TLS and socket types out of the rest of the room. Used on one
/// thread. One read and one write may be under way at the same time; the limit of the later call holds for
/// both. Errors: timeout, cancelled, broken; authentication (one side does not accept the certificate of the
/// other: the second one to know is told by its first read).
class Stream {
  public:
    virtual ~Stream() = default;
    /// TLS only; others return at once.
    virtual Task<Result<void>> handshake(Duration limit) = 0;
    /// At least one byte. No limit: until something comes.
    virtual Task<Result<size_t>> read(asio::mutable_buffer into, std::optional<Duration> limit) = 0;
    /// All of it.
    virtual Task<Result<void>> write(std::string_view bytes, Duration limit) = 0;
    /// Ends what is under way with an error.
    virtual void cancel() = 0;
    /// Says goodbye, and waits for it no longer than `limit`.
    virtual Task<void> close(Duration limit) = 0;
    virtual const Peer& peer() const = 0;
    /// Bytes that were written do not get to the other host: our kernel has repeated them, and nothing came
    /// back.
    virtual bool held_up() const = 0;
    virtual asio::any_io_executor executor() = 0;
};

std::unique_ptr<Stream> make_stream(asio::ip::tcp::socket socket);
std::unique_ptr<Stream> make_stream(asio::local::stream_protocol::socket socket);

/// How the settings are called in the configuration that the paths come from, for messages.
struct TlsSettingNames {
    std::string_view certificate = "SSLCertFile";
    std::string_view key = "SSLPrivateKeyFile";
    std::string_view ca = "SSLCAFile";
};

struct TlsOptions {
    std::string certificate_file, key_file, ca_file;
    bool ask_for_client_certificate = false;
    /// A certificate that is good but for its date is believed.
    bool believe_expired = false;
    TlsSettingNames names{};
};

/// The server's certificate and rules.
class TlsContext {
  public:
    virtual ~TlsContext() = default;
    virtual std::unique_ptr<Stream> make_stream(asio::ip::tcp::socket socket) = 0;
    /// From now on it does as `other`, which make_tls_context() made. Connections that are there stay.
    virtual void become(const TlsContext& other) = 0;
    /// When its certificate ends.
    virtual WallTime certificate_ends() const = 0;
};
/// Error io names the file that cannot be read or does not fit.
Result<std::shared_ptr<TlsContext>> make_tls_context(const TlsOptions& options);

struct TlsClientOptions {
    std::string ca_file;                     ///< "" = those that the system trusts
    std::string certificate_file, key_file;  ///< our own; both or none
    bool skip_verify = false;                ///< anybody is believed to be whom we wanted to reach
    bool believe_expired = false;            ///< as TlsOptions::believe_expired
    TlsSettingNames names{.certificate = "CertFile", .key = "KeyFile", .ca = "CAFile"};
};

/// The client's certificate and rules.
class TlsClient {
  public:
    virtual ~TlsClient() = default;
    /// `host`: the name or address that the server's certificate must be made out to.
    virtual std::unique_ptr<Stream> make_stream(asio::ip::tcp::socket socket, const std::string& host) = 0;
    /// As TlsContext::become().
    virtual void become(const TlsClient& other) = 0;
};
/// Errors: io as above, invalid_argument (a certificate without a key or a key without a certificate).
Result<std::shared_ptr<TlsClient>> make_tls_client(const TlsClientOptions& options);

}  // namespace baton::net
