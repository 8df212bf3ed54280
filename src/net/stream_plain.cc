#include "net/stream_impl.h"

namespace baton::net {

namespace {

template <class Socket>
class PlainStream final : public Stream {
  public:
    PlainStream(Socket socket, Peer peer)
        : watched_(std::make_shared<Watched<Socket>>(std::move(socket))), peer_(std::move(peer)) {}
    ~PlainStream() override { watched_->disarm(); }

    Task<Result<void>> handshake(Duration) override { co_return Result<void>{}; }
    Task<Result<size_t>> read(asio::mutable_buffer into, std::optional<Duration> limit) override {
        return read_some(watched_->socket, watched_, into, limit);
    }
    Task<Result<void>> write(std::string_view bytes, Duration limit) override {
        return write_all(watched_->socket, watched_, bytes, limit);
    }
    void cancel() override { watched_->cancel(); }
    Task<void> close(Duration limit) override {
        // Closing with unread bytes makes the kernel send a reset, and the client may lose the answer that it
        // has not read yet. So: half-close, and read what still comes for a moment.
        boost::system::error_code ignored;
        watched_->socket.shutdown(Socket::shutdown_send, ignored);
        std::array<char, 1024> rest;
        for (int n = 0; !ignored && n < max_drain_reads; ++n) {
            if (!co_await read(asio::buffer(rest), limit)) break;
        }
        watched_->socket.close(ignored);
    }
    const Peer& peer() const override { return peer_; }
    bool held_up() const override { return repeats_in_vain(watched_->socket); }
    asio::any_io_executor executor() override { return watched_->socket.get_executor(); }

  private:
    static constexpr int max_drain_reads = 64;
    std::shared_ptr<Watched<Socket>> watched_;
    Peer peer_;
};

}  // namespace

std::unique_ptr<Stream> make_stream(asio::ip::tcp::socket socket) {
    boost::system::error_code ignored;
    const auto remote = socket.remote_endpoint(ignored);
    socket.set_option(asio::ip::tcp::no_delay(true), ignored);
    Peer peer{.address = address_text(remote.address()),
              .tls = false,
              .verified = false,
              .units = {},
              .common_name = {}};
    return std::make_unique<PlainStream<asio::ip::tcp::socket>>(std::move(socket), std::move(peer));
}

std::unique_ptr<Stream> make_stream(asio::local::stream_protocol::socket socket) {
    Peer peer{.address = "unix", .tls = false, .verified = false, .units = {}, .common_name = {}};
    return std::make_unique<PlainStream<asio::local::stream_protocol::socket>>(std::move(socket),
                                                                               std::move(peer));
}

}  // namespace baton::net
