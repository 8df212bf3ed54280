#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "net/stream.h"

namespace baton::net {

struct ChannelLimits {
    size_t line_bytes = 1024UL * 1024;  ///< of one line, without its end; both ways
    size_t inbox_bytes = 256UL * 1024;  ///< read, but not yet asked for; then TCP holds the other side up
    size_t queue_bytes = 4UL * 1024 * 1024;  ///< waits to be sent
    size_t queue_lines = 256;                ///< waits to be sent
    Duration write = seconds(5);             ///< for one line of send()
};

/// Lines of text over a stream, each ended by '\n', which is no part of it. Used on the stream's thread. It
/// is over with the first error that is not a read's timeout, and ends by itself when it is destroyed.
class Channel {
  public:
    Channel(std::unique_ptr<Stream> stream, ChannelLimits limits);
    ~Channel();
    Channel(const Channel&) = delete;
    Channel& operator=(const Channel&) = delete;

    /// TLS servers only, and once, before anything is read or sent; others return at once.
    Task<Result<void>> handshake(Duration limit);

    /// The next line. One at a time. A timeout harms nothing: the next call goes on. Errors: timeout, broken
    /// (closed by the other side, or a line beyond the limit), cancelled.
    Task<Result<std::string>> read_line(std::optional<Duration> limit);

    /// Puts a line in the queue and returns. Errors: invalid_argument (too long, or more than one line), and
    /// why the channel is over; a full queue ends it.
    Result<void> send(std::string_view line);
    /// The same, and waits until it is sent. `limit` counts from when those before it are. Any number of
    /// callers; lines go out in the order of the calls.
    Task<Result<void>> write_line(std::string_view line, Duration limit);

    /// Ends everything that is under way; what is still queued is not sent.
    void cancel();
    /// Sends what is queued, says goodbye; both no longer than `limit` each.
    Task<void> close(Duration limit);
    /// Why nothing more will come or go; nothing while it lives.
    const std::optional<Error>& over() const;
    const Peer& peer() const;
    /// As Stream::held_up().
    bool held_up() const;
    asio::any_io_executor executor() const;

  private:
    struct Wire;
    std::shared_ptr<Wire> wire_;
};

/// `line_limit` as ChannelLimits::line_bytes.
std::unique_ptr<Channel> make_channel(std::unique_ptr<Stream> stream, size_t line_limit);

}  // namespace baton::net
