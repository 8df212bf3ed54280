#pragma once

#include <memory>
#include <string>
#include <vector>

#include "http/auth.h"
#include "http/router.h"
#include "http/server.h"
#include "net/stream.h"

namespace baton::http {

/// A request as the wire brought it.
struct Incoming {
    std::string method;
    std::string target;
    Headers headers;
    const net::Peer& peer;
};

/// From a request to an answer: target, credentials, route, permission, handler. Knows nothing of sockets.
/// Immutable; any number of requests at the same time, on any thread.
class Application {
  public:
    /// `routes`: the whole table. The status route moves to options.status_endpoint when that is not the
    /// usual place.
    Application(Context context, ServerOptions options, std::vector<Route> routes);

    /// Never fails: what goes wrong is an answer. Takes as long as the handler takes.
    Task<Response> answer(const Incoming& incoming) const;

  private:
    bool certificate_accepted(const config::Config& config, const net::Peer& peer,
                              const std::string& path) const;
    Task<Response> run(const Route& route, const Request& request) const;

    Context context_;
    ServerOptions options_;
    std::unique_ptr<Router> router_;
};

/// v1, v2 and service routes, and the page at "/".
std::vector<Route> all_routes(const ServerOptions& options);

/// "404 page not found\n" and its like, as text/plain.
Response plain_text(int status, std::string text);

}  // namespace baton::http
