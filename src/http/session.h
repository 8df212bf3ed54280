#pragma once

#include <functional>
#include <memory>
#include <string>

#include "http/application.h"
#include "net/stream.h"

namespace baton::http {

struct SessionLimits {
    size_t header_bytes = 16384;
    size_t body_bytes = 65536;
    Duration handshake = seconds(10);
    Duration idle = seconds(60);     ///< between requests
    Duration request = seconds(10);  ///< from the first byte of a request to its last
    Duration write = seconds(10);    ///< for each piece of an answer
};

/// One connection: reads requests, has them answered, writes the answers, until the client or stop() ends it.
/// A handler may take as long as it likes. Used on one thread.
class Session : public std::enable_shared_from_this<Session> {
  public:
    Session(std::unique_ptr<net::Stream> stream, std::shared_ptr<const Application> application,
            std::shared_ptr<ServerFigures> figures, SessionLimits limits);

    /// Ends when the connection is over.
    Task<void> run();
    /// Lets a request under way be answered; takes no more.
    void stop();

  private:
    class Writer;
    struct RequestRead;

    Task<void> serve();
    Task<RequestRead> read_request();
    template <class Message>
    void accept(const Message& message, RequestRead& result) const;
    Task<bool> read_more(std::optional<MonoTime>& deadline, RequestRead& result);
    Task<bool> respond(const RequestRead& request, Response response);
    Task<bool> respond_body(const RequestRead& request, Response response);
    Task<bool> respond_stream(Response response);
    Task<bool> write_pieces(std::string_view text);
    Task<void> watch_for_leaving(std::shared_ptr<Writer> writer);

    std::unique_ptr<net::Stream> stream_;
    std::shared_ptr<const Application> application_;
    std::shared_ptr<ServerFigures> figures_;
    const SessionLimits limits_;
    std::string received_;  ///< read, but not yet part of a request
    bool answering_ = false;
    bool streaming_ = false;
    bool stopping_ = false;
};

/// "Fri, 20 Nov 2026 10:00:00 GMT"
std::string http_date(WallTime t);

}  // namespace baton::http
